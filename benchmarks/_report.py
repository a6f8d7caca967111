"""docs/performance.md and its figures, from the stored results alone."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks._case import Bar, Case, Result, Table
from benchmarks._clock import three_digits
from benchmarks._registry import NAMES, case
from benchmarks._store import load
from factorflow._files import whole_file

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "performance.md"
FIGURES = DOCS / "performance"

_HEAD = """# Performance

Measured, not promised: each section is one run of one command, on the machine named below it.
Contestants take turns on the same work; what takes long is run once. Each table says of how many
runs its medians are. A spread goes from the least to the most of two or three, and between the
quartiles of four or more. Ratios mean more than seconds: machines differ, and are noisy.

    make bench               every case in its quick size
    make bench-full          the large sizes
    python -m benchmarks roof     one case

This page is written by `python -m benchmarks --report` from `benchmarks/results`.
"""


def write_report(tell=print) -> None:
    """The page and one figure for each case that has a stored result."""
    FIGURES.mkdir(exist_ok=True)
    for name in NAMES:
        found = load(name)
        if found is None:
            tell(f"{name}: no stored result")
        elif case(name).figure is not None:
            _draw(case(name), found[1])
    with whole_file(PAGE) as path:
        path.write_text(page(), encoding="utf-8")
    tell(f"wrote {PAGE}")


def page() -> str:
    """Text of the page."""
    stored = {name: found for name in NAMES if (found := load(name))}
    sections = [_section(case(name), *found) for name, found in stored.items()]
    return "\n".join([_HEAD, _minutes([about for about, _ in stored.values()]), *sections])


def _minutes(runs: Iterable[dict[str, Any]]) -> str:
    """What all cases took together, each size by itself."""
    seconds: dict[str, list[float]] = {}
    for about in runs:
        seconds.setdefault(about["size"], []).append(about["seconds"])
    told = [
        f"{len(each)} in the {size} size, {sum(each) / 60:.0f} minutes together"
        for size, each in seconds.items()
    ]
    return f"Cases below: {'; '.join(told)}.\n"


def _section(case: Case, about: dict[str, Any], result: Result) -> str:
    parts = [f"## {case.title}\n", f"{case.question}\n"]
    parts += [_bars(result.bars)] if result.bars else []
    parts += [_table(table) for table in result.tables]
    parts += [f"{note}\n" for note in result.notes]
    parts += [f"Not run: {name} ({reason}).\n" for name, reason in result.skipped.items()]
    if case.figure is not None:
        parts.append(f"![{case.title}](performance/{case.name}.svg)\n")
    parts.append(_origin(about, result.data.get("environment", ())))
    return "\n".join(parts)


def _origin(about: dict[str, Any], variables: Iterable[str]) -> str:
    """The command, with the environment variables that it needs, and what it ran on."""
    machine = about["machine"]
    command = f"python -m benchmarks {about['case']}" + " --full" * (about["size"] == "full")
    command = " ".join([*(f"{name}=FOLDER" for name in variables), command])
    run = [f"`{command}`", about["day"], f"{about['seconds']:.0f} s"]
    if commit := about.get("commit"):
        run.append(f"commit {commit['number'][:7]}" + " with changes" * commit["changed"])
    computer = [machine["processor"], f"{machine['cores']} cores"]
    if memory := machine.get("memory_gib"):
        computer.append(f"{memory:g} GiB")
    computer += [machine["system"], f"Python {machine['python']}"]
    versions = [f"{name} {number}" for name, number in about["versions"].items()]
    return f"<sub>{'; '.join(map(', '.join, (run, computer, versions)))}.</sub>\n"


def _bars(bars: Iterable[Bar]) -> str:
    rows = [
        (bar.statement, bar.measured, f"{'≥' if bar.at_least else '≤'} {cell(bar.required)}",
         {True: "yes", False: "**no**", None: "not measured"}[bar.holds])
        for bar in bars
    ]  # fmt: skip
    return _table(Table("", ("Aim", "measured", "wanted", "reached"), rows))


def _table(table: Table) -> str:
    lines = [f"{table.caption}\n"] if table.caption else []
    lines.append("| " + " | ".join(table.columns) + " |")
    lines.append("|" + " --- |" * len(table.columns))
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in table.rows]
    return "\n".join(lines) + "\n"


def cell(value: Any) -> str:
    """A cell's text: three significant digits, a dash for None."""
    if value is None:
        return "–"
    if not isinstance(value, float):
        return (
            f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
        )
    return three_digits(value)


def _draw(case: Case, result: Result) -> None:
    settings = {"svg.hashsalt": case.name, "svg.fonttype": "none"}
    with matplotlib.rc_context(settings):
        figure = case.figure(result)
        with whole_file(FIGURES / f"{case.name}.svg") as path:
            figure.savefig(path, format="svg", metadata={"Date": None}, bbox_inches="tight")
