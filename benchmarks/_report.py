"""docs/performance.md and its figures, from the stored results alone."""

from collections.abc import Iterable
from math import isinf
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks._case import Bar, Case, Result, Table
from benchmarks._registry import NAMES, case
from benchmarks._store import load
from factorflow._files import whole_file

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "performance.md"
FIGURES = DOCS / "performance"

_HEAD = """# Performance

Measured, not promised: each section is one run of one command, in which all contestants took turns
on the same work. Ratios mean more than seconds: machines differ, and are noisy.

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
    minutes = sum(about["seconds"] for about, _ in stored.values()) / 60
    return "\n".join([_HEAD, f"All cases below took {minutes:.0f} minutes together.\n", *sections])


def _section(case: Case, about: dict[str, Any], result: Result) -> str:
    parts = [f"## {case.title}\n", f"{case.question}\n"]
    parts += [_bars(result.bars)] if result.bars else []
    parts += [_table(table) for table in result.tables]
    parts += [f"{note}\n" for note in result.notes]
    parts += [f"Not run: {name} ({reason}).\n" for name, reason in result.skipped.items()]
    if case.figure is not None:
        parts.append(f"![{case.title}](performance/{case.name}.svg)\n")
    parts.append(_origin(about))
    return "\n".join(parts)


def _origin(about: dict[str, Any]) -> str:
    machine = about["machine"]
    command = f"python -m benchmarks {about['case']}" + " --full" * (about["size"] == "full")
    computer = (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']:g} GB, "
        f"{machine['system']}, Python {machine['python']}"
    )
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    run = f"`{command}`, {about['day']}, {about['seconds']:.0f} s"
    return f"<sub>{run}; {computer}; {versions}.</sub>\n"


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
    if isinf(value) or value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e5 else f"{value:.3g}"
    return f"{value:.2e}"


def _draw(case: Case, result: Result) -> None:
    settings = {"svg.hashsalt": case.name, "svg.fonttype": "none"}
    with matplotlib.rc_context(settings):
        figure = case.figure(result)
        with whole_file(FIGURES / f"{case.name}.svg") as path:
            figure.savefig(path, format="svg", metadata={"Date": None}, bbox_inches="tight")
