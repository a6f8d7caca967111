"""Tables of the report in the terminal."""

from rich.table import Table as Grid
from rich.text import Text

from factorflow.report import Mark, Table, cell_text, numeric_columns

_STYLES = {"good": "green", "part": "yellow", "bad": "bold red", "quiet": "dim"}


def grid(table: Table, title: str | None = None, whole_names: bool = False) -> Grid:
    """A table of the report for ``Console.print``, under its caption or another title.

    With ``whole_names`` the first column is never broken into lines.
    """
    shown = Grid(title=title or table.caption.rstrip("."), title_justify="left")
    for name, numeric in zip(table.columns, numeric_columns(table), strict=True):
        shown.add_column(name, justify="right" if numeric else "left", overflow="fold")
    shown.columns[0].no_wrap = whole_names
    for row in table.rows:
        # As Text, so that nothing in a cell is read as markup.
        shown.add_row(*(Text(cell_text(cell), style=_style(cell)) for cell in row))
    return shown


def _style(cell) -> str:
    return _STYLES[cell.tone] if isinstance(cell, Mark) else ""
