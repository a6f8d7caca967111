"""The command: `python -m benchmarks`."""

import argparse
import subprocess
import sys
from time import perf_counter

from benchmarks import forget_compiled
from benchmarks._case import Result
from benchmarks._registry import NAMES, case
from benchmarks._report import cell, write_report
from benchmarks._store import save


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="case", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--full", action="store_true", help="the large size")
    parser.add_argument("--report", action="store_true", help="only write docs/performance.md")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(NAMES):
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if asked.report:
        write_report()
        return 0
    forget_compiled()
    failed = [name for name in asked.names or NAMES if not _run_apart(name, asked.full)]
    write_report()
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


def _run_apart(name: str, full: bool) -> bool:
    """In a process of its own: what one case compiles and keeps is no burden to the next."""
    work = f"from benchmarks.__main__ import run_case; run_case({name!r}, {full})"
    return subprocess.run([sys.executable, "-c", work]).returncode == 0


def run_case(name: str, full: bool) -> None:
    """Measure, show and store; the page is written when all that was asked for is there."""
    chosen = case(name)
    print(f"== {chosen.title}", flush=True)
    began = perf_counter()
    result = chosen.run(full, lambda text: print(f"   {text}", flush=True))
    seconds = perf_counter() - began
    _show(result)
    if not result.tables:
        print("   nothing was measured: the stored result stays as it is")
        return
    path = save(name, full, result, seconds)
    print(f"   {seconds:.0f} s, stored in {path.relative_to(path.parents[2])}")


def _show(result: Result) -> None:
    for table in result.tables:
        print(f"\n{table.caption}")
        rows = [list(map(cell, row)) for row in [table.columns, *table.rows]]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print(
                "   "
                + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
            )
    for bar in result.bars:
        said = {True: "reached", False: "NOT REACHED", None: "not measured"}[bar.holds]
        sign = "≥" if bar.at_least else "≤"
        print(f"   {bar.statement}: {cell(bar.measured)} ({sign} {cell(bar.required)}) {said}")
    for name, reason in result.skipped.items():
        print(f"   not run: {name} ({reason})")


if __name__ == "__main__":
    sys.exit(main())
