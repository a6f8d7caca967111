"""What it costs to begin: imports, help, and the first results of a fresh process."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from matplotlib.figure import Figure

from benchmarks._case import Bar, Case, Result, Table
from benchmarks._clock import run_command, spread
from factorflow.plots._style import COLORS, calm

HELP_SECONDS, COMPLETE_SECONDS = 0.5, 4.0
ROUNDS = {False: 2, True: 9}
SIZE, RANK, OBSERVED = 200, 5, 0.3
FLOOR, COLD, WARM = "", "cold", "warm"

SOLVE = """
import factorflow as ff
truth = ff.datasets.low_rank(shape=(100, 100), rank=5, seed=0)
problem = ff.Completion.sample(truth, n_observed=2000, seed=0)
ff.solve(problem, ff.DeepLinear(depth=3), init=ff.Gaussian(scale=1e-4), seed=0)
"""


@dataclass(frozen=True)
class Start:
    """A command in a process of its own, and the state of the cache that it finds."""

    name: str
    command: Sequence[str]
    cache: str = FLOOR

    @property
    def key(self) -> str:
        return f"{self.name}, {self.cache}" if self.cache else self.name


def run(full: bool, tell: Callable[[str], None]) -> Result:
    with TemporaryDirectory() as place:
        folder = Path(place)
        _write_table(folder / "table.csv")
        starts = _starts(folder, full)
        for start in starts:
            if start.cache == WARM:  # fills it
                _seconds(start, folder / "kept")
        taken: dict[str, list[float]] = {start.key: [] for start in starts}
        for k in range(ROUNDS[full]):
            for start in starts:
                cache = folder / f"{k}-{start.name}" if start.cache == COLD else folder / "kept"
                taken[start.key].append(_seconds(start, cache))
            tell(f"round {k + 1}: " + _outline(taken))
        programs = [path for path in (folder / "kept").iterdir() if path.stat().st_size]
        kept_mib = sum(path.stat().st_size for path in programs) / 2**20
    return _result(starts, taken, len(programs), kept_mib)


def _starts(folder: Path, full: bool) -> list[Start]:
    python, table = [sys.executable, "-c"], str(folder / "table.csv")
    script = Path(sys.executable).with_name("factorflow")
    ours = (
        [str(script)] if script.exists() else [*python, "from factorflow.cli import main; main()"]
    )
    files = ["--output", str(folder / "completed.csv"), "--report", str(folder / "page.html")]
    with_files = [*ours, "complete", table, *files]
    return [
        Start("python -c pass", [*python, "pass"]),
        Start("import numpy", [*python, "import numpy"]),
        Start("import jax", [*python, "import jax"]),
        Start("import factorflow", [*python, "import factorflow"]),
        Start("factorflow --version", [*ours, "--version"]),
        Start("factorflow --help", [*ours, "--help"]),
        Start("first solve", [*python, SOLVE], COLD),
        Start("first solve", [*python, SOLVE], WARM),
        Start("factorflow complete", [*ours, "complete", table], COLD),
        Start("factorflow complete", [*ours, "complete", table], WARM),
        *([Start("the same with --output and --report", with_files, WARM)] if full else []),
    ]


def _write_table(path: Path) -> None:
    """A wide table of rank 5, of which 30 % of the cells are known."""
    rng = np.random.default_rng(0)
    table = rng.standard_normal((SIZE, RANK)) @ rng.standard_normal((RANK, SIZE))
    known = rng.random(table.shape) < OBSERVED
    lines = [",".join(f"column{j}" for j in range(SIZE))]
    for values, shown in zip(table, known, strict=True):
        cells = (f"{x:.12g}" if here else "" for x, here in zip(values, shown, strict=True))
        lines.append(",".join(cells))
    path.write_text("\n".join(lines) + "\n")


def _seconds(start: Start, cache: Path) -> float:
    began = perf_counter()
    run_command(start.command, {**os.environ, "FACTORFLOW_CACHE": str(cache)})
    return perf_counter() - began


def _outline(taken: dict[str, list[float]]) -> str:
    return ", ".join(f"{key} {values[-1]:.2f} s" for key, values in taken.items())


def _result(
    starts: Sequence[Start], taken: dict[str, list[float]], n_programs: int, kept_mib: float
) -> Result:
    medians = {key: float(np.median(values)) for key, values in taken.items()}
    rows = []
    for start in starts:
        cache = start.cache or "not used"
        rows.append((start.name, cache, medians[start.key], spread(taken[start.key])))
    help_seconds, complete = medians["factorflow --help"], medians[f"factorflow complete, {WARM}"]
    saved = {
        name: medians[f"{name}, {COLD}"] - medians[f"{name}, {WARM}"]
        for name in ("first solve", "factorflow complete")
    }
    return Result(
        tables=(
            Table(
                f"Whole processes, {len(taken['import jax'])} of each in turns.",
                ("command", "cache of compiled programs", "median (s)", "spread (s)"),
                rows,
            ),
        ),
        bars=(
            Bar("seconds of `factorflow --help`", help_seconds, HELP_SECONDS, False),
            Bar("seconds of `factorflow complete` on 200×200, warm cache", complete,
                COMPLETE_SECONDS, False),
        ),
        data={"medians": medians},
        notes=(
            "Everything is included, from the start of the interpreter to its end. The solve is "
            "the first example of the README (100×100, 2,000 entries, depth 3); the table is a "
            f"CSV of {SIZE}×{SIZE} cells of rank {RANK}, {OBSERVED:.0%} of them known, and is "
            "fitted twice (to find where to stop, and then whole).",
            f"The cache saves {saved['first solve']:.2g} s of the first solve and "
            f"{saved['factorflow complete']:.2g} s of `complete`; it held {n_programs} programs in "
            f"{kept_mib:.2g} MiB after both. What remains is imports (JAX, Equinox, pandas, "
            "scikit-learn), tracing, and the fit. For many small tables call the estimator in one "
            "process, which pays all of this once.",
        ),
    )  # fmt: skip


def figure(result: Result) -> Figure:
    """Median seconds of each command, coloured by the cache that it found."""
    rows = result.tables[0].rows[::-1]
    colors = {"not used": "0.6", COLD: COLORS[0], WARM: COLORS[1]}
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    ax = calm(figure.subplots())
    ax.barh(range(len(rows)), [row[2] for row in rows], color=[colors[row[1]] for row in rows])
    names = [row[0] if row[1] == "not used" else f"{row[0]}, {row[1]} cache" for row in rows]
    ax.set_yticks(range(len(rows)), names)
    ax.set_xlabel("seconds, whole process")
    return figure


CASE = Case(
    name="start_up",
    title="Start-up: from a command to its first result",
    question="How long does a fresh process take to import, to help and to give a first result?",
    run=run,
    figure=figure,
)
