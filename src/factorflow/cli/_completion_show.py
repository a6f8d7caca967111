"""The result of a completion as tables of the terminal."""

from rich.console import Console
from rich.table import Table as Grid

from factorflow.cli._completion_facts import error_rows, facts
from factorflow.cli._completion_run import Outcome
from factorflow.cli._input import Image


def show(outcome: Outcome, total: float, console: Console) -> None:
    """Print the errors and the facts."""
    marked = " (interrupted: of where the run had come to)" if outcome.interrupted else ""
    if outcome.test is not None:
        console.print(error_grid(outcome, f"Error on {tested(outcome)}{marked}"))
    described = Grid(show_header=False, box=None, pad_edge=False, title_justify="left")
    if outcome.test is None:
        described.title = f"Fit{marked}"
    described.add_column(style="bold", no_wrap=True)
    described.add_column(overflow="fold")
    for name, value in facts(outcome, total):
        described.add_row(name, value)
    console.print(described)


def error_grid(outcome: Outcome, title: str) -> Grid:
    """The errors on the test entries as a table of the terminal."""
    grid = Grid(title=title, title_justify="left")
    grid.add_column("method")
    grid.add_column("RMSE", justify="right")
    if outcome.is_image:
        grid.add_column("PSNR", justify="right")
    grid.add_column("factorflow's RMSE against it", justify="right")
    for name, error, psnr, difference in error_rows(outcome):
        cells = [name, f"{error:.5g}"]
        if psnr is not None:
            cells.append(f"{psnr:.2f} dB")
        cells.append("" if difference is None else f"{difference:+.2f} %")
        grid.add_row(*cells, style="bold" if name == "factorflow" else None)
    return grid


def tested(outcome: Outcome) -> str:
    """How many entries or pixels the test has."""
    assert outcome.test is not None
    count = outcome.test.n_observed
    if isinstance(outcome.source.layout, Image):
        return f"{count // outcome.source.layout.channels:,} test pixels"
    return f"{count:,} test entries"
