"""What a benchmark is, and what it gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Table:
    """Rows under headings; a cell is a text, a number or None."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def __post_init__(self):
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.caption!r}: {len(self.columns)} columns, row {row!r}.")


@dataclass(frozen=True)
class Bar:
    """A measured number beside the one that it must reach.

    Parameters
    ----------
    statement
        What was measured, in words.
    measured, required
        The two numbers; ``measured`` is None if the run gave none.
    at_least
        Whether more is better.
    """

    statement: str
    measured: float | None
    required: float
    at_least: bool = True

    @property
    def holds(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured >= self.required if self.at_least else self.measured <= self.required


@dataclass(frozen=True)
class Result:
    """What one run of a case found.

    Parameters
    ----------
    tables
        For the reader.
    bars
        Measured beside required.
    skipped
        Peers that did not run, with the reason.
    data
        What the figure needs beyond the tables: plain lists, texts, numbers.
    notes
        Sentences below the tables: how to read them, what to take when.
    """

    tables: Sequence[Table]
    bars: Sequence[Bar] = ()
    skipped: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Case:
    """A question, how it is measured and drawn.

    Parameters
    ----------
    name
        Of the file that has it, and of its stored result.
    title, question
        Heading and first sentence of its section in docs/performance.md.
    run
        ``run(full, tell)``: measures; ``tell(text)`` says how far it is.
    figure
        Draws a result.
    """

    name: str
    title: str
    question: str
    run: Callable[[bool, Callable[[str], None]], Result]
    figure: Callable[[Result], Figure] | None = None
