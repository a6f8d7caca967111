"""The page of a report, written whole or not at all."""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version

from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure

from factorflow._files import whole_file
from factorflow.report._picture import described, picture
from factorflow.report._table import (
    Link,
    Mark,
    Table,
    cell_text,
    is_unbroken,
    numeric_columns,
)


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading of its own.

    Parameters
    ----------
    title
        The heading.
    anchor
        Name by which a :class:`Link` leads here: small letters, digits, dots and dashes.
    mark
        A judgement beside the heading.
    lead
        Paragraphs below it.
    summary, tables, figures, notes
        As in :func:`write_report`.
    """

    title: str
    anchor: str
    mark: Mark | None = None
    lead: Sequence[str] = ()
    summary: Sequence[tuple[str, str]] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[tuple[str, Figure]] = ()
    notes: Sequence[str] = ()


def write_report(
    path: str | os.PathLike,
    *,
    title: str,
    summary: Sequence[tuple[str, str]] = (),
    tables: Sequence[Table] = (),
    figures: Sequence[tuple[str, Figure]] = (),
    notes: Sequence[str] = (),
    sections: Sequence[Section] = (),
) -> None:
    """Write one HTML page that needs no other file, no script and no network.

    Parameters
    ----------
    path
        The file to write. It appears whole or not at all.
    title
        Heading of the page.
    summary
        Pairs of a name and its value, at the top.
    tables
        Tables, each with its caption.
    figures
        Pairs of a caption and a matplotlib figure. The figures stay open.
    notes
        Paragraphs after them. All text is escaped, so none of it is read as HTML.
    sections
        Parts with headings of their own, at the end.

    Raises
    ------
    InputError
        If the file cannot be written there.
    """
    with whole_file(path) as unfinished:
        page = _template().render(
            title=title,
            page={
                "summary": summary,
                "tables": tables,
                "figures": figures,
                "notes": notes,
                "sections": sections,
            },
            version=version("factorflow"),
        )
        # "replace": a file name that is no UTF-8 may stand in the text
        unfinished.write_text(page, encoding="utf-8", errors="replace")


def _template():
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"cell": cell_text, "numeric": numeric_columns}
    environment.filters |= {"described": described, "encoded": _encoded}
    environment.tests |= {
        "a_link": lambda cell: isinstance(cell, Link),
        "a_mark": lambda cell: isinstance(cell, Mark),
        "unbroken": is_unbroken,
    }
    source = resources.files("factorflow.report").joinpath("_page.html.j2")
    return environment.from_string(source.read_text(encoding="utf-8"))


def _encoded(figure: Figure) -> str:
    return base64.b64encode(picture(figure)).decode("ascii")
