"""How the cost of one gradient grows: with size, depth, entries and width, each by itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import factorflow as ff
from benchmarks._case import Case, Result, Table
from benchmarks._clock import in_child, interleaved, spread
from factorflow._blas import one_blas_thread
from factorflow.plots._style import COLORS, calm


@dataclass(frozen=True)
class Axis:
    """What varies by itself.

    Parameters
    ----------
    rest
        How the gradient is computed, and what stays.
    quick, full
        The values; none leaves the axis out.
    time, memory
        The exponents that theory expects, from and to.
    """

    rest: dict
    quick: Sequence[int]
    full: Sequence[int]
    time: tuple[int, int]
    memory: tuple[int, int]


_BY_ENTRIES = {"route": "entries", "shape": [5000, 2000], "depth": 3}
AXES = {
    "size": Axis(
        {"route": "dense", "depth": 3, "width": None}, (500, 700, 1000),
        (50, 100, 200, 400, 800, 1600), (3, 3), (2, 2),
    ),
    "depth": Axis(
        {"route": "dense", "shape": [400, 400], "width": None}, (2, 4, 8),
        (2, 4, 8, 16, 32, 64), (1, 1), (1, 1),
    ),
    "entries": Axis(
        _BY_ENTRIES | {"width": 16}, (200_000, 400_000, 800_000),
        (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000), (1, 1), (1, 1),
    ),
    "width": Axis(
        _BY_ENTRIES | {"entries": 300_000}, (), (4, 8, 16, 32, 64, 128), (1, 2), (0, 1),
    ),
}  # fmt: skip
LARGEST = {"route": "entries", "shape": [20_000, 5_000], "depth": 3, "width": 16,
           "entries": 1_000_000}  # fmt: skip
# So small that nothing of its memory is the problem's; of the size at which BLAS is loaded.
IDLE = {"dense": [64, 64], "entries": [8, 8]}
N_GRADIENTS = 50  # of the run on the largest problem
REPEATS = 9
SEEN_MIB = 20.0  # memory above idle that is no chance of the allocator
FEWEST = 3  # points of a fit
FAR = 0.35  # of an exponent from the expected ones


def run(full: bool, tell: Callable[[str], None]) -> Result:
    idle = {route: _measured(_idle(route)).peak_mb for route in IDLE}
    tables, fits, points = [], [], {}
    for name, axis in AXES.items():
        values = axis.full if full else axis.quick
        if not values:
            continue
        rows = [_row(name, value, axis.rest, idle[axis.rest["route"]]) for value in values]
        tell(f"{name}: " + ", ".join(f"{value} {1e3 * row[1]:.3g} ms" for value, row in
                                      zip(values, rows, strict=True)))  # fmt: skip
        tables.append(Table(_caption(name), (name, *_COLUMNS), rows))
        fits.append((name, _exponent(rows, 1, 0.0), _between(*axis.time),
                     _exponent(rows, 5, SEEN_MIB), _between(*axis.memory)))  # fmt: skip
        points[name] = [[row[0], row[1], row[5]] for row in rows]
    return Result(
        tables=(_fitted(fits), *tables, *([_largest(tell)] if full else [])),
        data={"points": points},
        skipped={name: "quick size: see the full size" for name in AXES.keys() - points.keys()},
        notes=(
            "Each row is a process of its own that makes the problem, compiles the gradient and "
            f"takes the median of {REPEATS} of them; peak memory is the whole process's, and "
            "memory above idle is what exceeds that of the same process on a problem of next to "
            f"no size ({idle['dense']:.0f} MiB by whole matrices, {idle['entries']:.0f} MiB by "
            "entries).",
            "By theory time by whole matrices is that of products, 3 (N − 1) of them at depth N; "
            "by entries it is the entries times the width, and where the width is large the "
            "products of layers, which grow with its square. By entries memory is that of the "
            "entries and of the layers, and neither it nor time depends on the number of cells.",
            "Small values are ruled by fixed costs, so exponents are fitted over the upper half "
            f"of the values, {FEWEST} or more, and of memory over those of them that are "
            f"{SEEN_MIB:g} MiB above idle; a dash where fewer than {FEWEST} are.",
            *_surprises(fits),
        ),
    )


_COLUMNS = (
    "gradient (s)", "spread (s)", "first, with compilation (s)", "peak memory (MiB)",
    "above idle (MiB)",
)  # fmt: skip


def _between(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


def _fitted(fits: Sequence[tuple]) -> Table:
    return Table(
        "Exponents: time and memory grow as this power of the value.",
        ("what grows", "time", "expected of time", "memory above idle", "expected of memory"),
        fits,
    )


def _surprises(fits: Sequence[tuple]) -> list[str]:
    """The exponents that are far from what theory expects, said plainly."""
    found = []
    for name, time, _, memory, _ in fits:
        for what, exponent, (low, high) in (
            ("time", time, AXES[name].time),
            ("memory", memory, AXES[name].memory),
        ):
            if exponent is not None and not low - FAR <= exponent <= high + FAR:
                found.append(
                    f"{what} grows with {name} to the power {exponent:.2f} in place of "
                    f"{_between(low, high)}"
                )
    return [f"Not as expected, by more than {FAR:g}: {'; '.join(found)}."] if found else []


def _caption(name: str) -> str:
    what = {
        "size": "Size n of an n×n matrix: whole matrices, depth 3, full width",
        "depth": "Depth: whole matrices, 400×400, full width",
        "entries": "Observed entries: by entries, 5,000×2,000, depth 3, width 16",
        "width": "Width, the largest rank: by entries, 5,000×2,000, 300,000 entries, depth 3",
    }
    return f"{what[name]}; medians of {REPEATS}."


def _row(name: str, value: int, rest: dict, idle: float) -> tuple:
    task = {"width": None, "entries": None, **rest}
    task |= {"shape": [value, value]} if name == "size" else {name: value}
    child = _measured(task)
    seconds = np.array(child.answer["seconds"])
    return (
        value, float(np.median(seconds)), spread(seconds), child.answer["first"], child.peak_mb,
        max(child.peak_mb - idle, 0.0),
    )  # fmt: skip


def _idle(route: str) -> dict:
    return {"route": route, "shape": IDLE[route], "depth": 3, "width": None, "entries": 20}


def _measured(task: dict):
    return in_child("benchmarks.growth", "one_gradient", task)


def one_gradient(task: dict) -> dict:
    """Seconds of a gradient of a task, for a process of its own."""
    problem, network = problem_of(task), _network(task)
    with jax.enable_x64(True), one_blas_thread():  # as in a run
        loss = problem.loss(network, task["route"])
        factors = tuple(map(jnp.asarray, ff.Gaussian(0.5)(network, problem.shape, 0)))
        gradient = jax.jit(lambda loss, factors: loss.value_and_gradient(factors))
        timing = interleaved({"gradient": lambda: gradient(loss, factors)}, REPEATS)["gradient"]
    return {"first": timing.first, "seconds": timing.seconds.tolist()}


def one_run(task: dict) -> dict:
    """Seconds of a run of so many gradients, compiled before."""
    problem, network = problem_of(task), _network(task)
    stop = ff.Stop(n_gradients=N_GRADIENTS)
    found = {}

    def solve():
        found["run"] = ff.solve(problem, network, stop=stop, route=task["route"], throw=False)
        return found["run"].factors

    timing = interleaved({"run": solve}, 1)["run"]
    return {
        "first": timing.first, "median": timing.median, "gradients": found["run"].n_gradients
    }  # fmt: skip


def problem_of(task: dict) -> ff.Completion:
    """Cells drawn uniformly, values standard normal; a fifth of the cells if no number is given."""
    m, n = task["shape"]
    rng = np.random.default_rng(0)
    count = task["entries"] or m * n // 5
    if m * n <= 10 * count:
        cells = rng.choice(m * n, count, replace=False)
    else:  # without a permutation of all cells
        cells = rng.permutation(np.unique(rng.integers(m * n, size=count + count // 5)))[:count]
    values = rng.standard_normal(len(cells))
    return ff.Completion.from_triples(cells // n, cells % n, values, (m, n))


def _network(task: dict) -> ff.DeepLinear:
    depth, width = task["depth"], task["width"]
    return ff.DeepLinear(depth, None if width is None else [width] * (depth - 1))


def _exponent(rows: Sequence[tuple], column: int, least: float) -> float | None:
    """Slope of logarithms over the upper half, by least squares, of what exceeds the least."""
    chosen = [row for row in rows[-max(FEWEST, ceil(len(rows) / 2)) :] if row[column] > least]
    if len(chosen) < FEWEST:
        return None
    x, y = (np.log([row[k] for row in chosen]) for k in (0, column))
    return float(np.polyfit(x, y, 1)[0])


def _largest(tell) -> Table:
    gradient = _measured(LARGEST)
    seconds = float(np.median(gradient.answer["seconds"]))
    solved = in_child("benchmarks.growth", "one_run", LARGEST)
    tell(f"largest: gradient {seconds:.3g} s, run {solved.answer['median']:.3g} s")
    return Table(
        "A large problem by entries: 20,000×5,000, 1,000,000 entries, depth 3, width 16; the "
        f"gradient's median of {REPEATS}, the run taken once.",
        ("gradient (s)", "peak memory (MiB)", "gradients of a run", "run, warm (s)",
         "run, with compilation (s)", "whole process (s)", "its peak memory (MiB)"),
        [(seconds, gradient.peak_mb, solved.answer["gradients"],
          solved.answer["median"], solved.answer["first"], solved.seconds, solved.peak_mb)],
    )  # fmt: skip


def figure(result: Result) -> Figure:
    """Seconds of a gradient against each value, with the fitted slope."""
    figure = Figure(figsize=(8.4, 5.6), layout="constrained")
    exponents = {row[0]: row[1] for row in result.tables[0].rows}
    axes = figure.subplots(2, 2).ravel()
    for ax, color, (axis, points) in zip(axes, COLORS, result.data["points"].items(), strict=False):
        calm(ax)
        x, seconds, _ = zip(*points, strict=True)
        ax.loglog(x, 1e3 * np.array(seconds), "o-", color=color)
        ax.set_xlabel(axis)
        ax.set_ylabel("one gradient (ms)")
        ax.set_title(f"exponent {exponents[axis]:.2f}", fontsize=9)
        if max(x) < 10_000:
            ax.set_xticks(x, list(map(str, x)))
            ax.minorticks_off()
    for ax in axes[len(result.data["points"]) :]:
        ax.remove()
    return figure


CASE = Case(
    name="growth",
    title="Growth: what a larger problem costs",
    question="How do the time and memory of one gradient grow with size, depth, entries and width?",
    run=run,
    figure=figure,
)
