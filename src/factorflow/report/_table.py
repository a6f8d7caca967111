"""Tables of the report."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

from factorflow._errors import InputError

_NUMBER = r"[-+]?(\d[\d.,]*(e[-+]?\d+)?|inf|nan)%?"
_NUMBERS = re.compile(rf"({_NUMBER}|<=?|>=?|to|within|of|or|and|,|–|\s)+")
_SHORT = 24  # characters: as many as fill the least width of a column of longer text

Tone = Literal["good", "part", "bad", "quiet"]


@dataclass(frozen=True)
class Link:
    """A cell that leads to the section of the page with that anchor."""

    text: str
    anchor: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Mark:
    """A judgement in a word or two, with a colour: never the colour alone."""

    text: str
    tone: Tone

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first cell of a row is its heading.

    Parameters
    ----------
    caption
        What the table shows.
    columns
        Headings of the columns.
    rows
        One cell for each column. A float is written with four significant digits, None as a
        dash, a :class:`Link` and a :class:`Mark` as such, any other value as ``str`` gives it.

    Raises
    ------
    InputError
        If there is no column, or a row has another number of cells.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def __post_init__(self):
        if not self.columns:
            raise InputError(f"The table {self.caption!r} has no columns; give at least one.")
        for i, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise InputError(
                    f"Row {i} of the table {self.caption!r} has {len(row)} cells for "
                    f"{len(self.columns)} columns; give one cell for each column."
                )


def cell_text(value: Any) -> str:
    """A cell as it is written."""
    if value is None:
        return "–"
    # By the abstract classes, which NumPy's numbers belong to as well.
    if isinstance(value, Real) and not isinstance(value, Integral):
        return f"{float(value):.4g}"
    return str(value)


def is_unbroken(value: Any) -> bool:
    """Whether a cell is kept on one line: short text, or numbers and what stands between them."""
    text = cell_text(value)
    return len(text) <= _SHORT or _NUMBERS.fullmatch(text) is not None


def numeric_columns(table: Table) -> list[bool]:
    """For each column whether it holds numbers alone, which then stand at its right."""
    return [_numeric([row[i] for row in table.rows]) for i in range(len(table.columns))]


def _numeric(cells: list) -> bool:
    known = [cell for cell in cells if cell is not None]
    return bool(known) and all(
        isinstance(cell, Real) and not isinstance(cell, bool) for cell in known
    )
