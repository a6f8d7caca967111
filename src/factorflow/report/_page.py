"""The page of a report, written whole or not at all."""

import base64
import io
import os
from collections.abc import Sequence
from importlib import resources
from importlib.metadata import version

from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure

from factorflow._files import whole_file
from factorflow.report._table import Table, cell_text, numeric_columns

_DOTS_PER_INCH = 144  # sharp on a dense screen, tens of kilobytes a figure


def write_report(
    path: str | os.PathLike,
    *,
    title: str,
    summary: Sequence[tuple[str, str]] = (),
    tables: Sequence[Table] = (),
    figures: Sequence[tuple[str, Figure]] = (),
    notes: Sequence[str] = (),
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
        Paragraphs at the end. All text is escaped, so none of it is read as HTML.

    Raises
    ------
    InputError
        If the file cannot be written there.
    """
    with whole_file(path) as unfinished:
        page = _template().render(
            title=title,
            summary=summary,
            tables=tables,
            figures=[(caption, _described(figure), _png(figure)) for caption, figure in figures],
            notes=notes,
            version=version("factorflow"),
        )
        # "replace": a file name that is no UTF-8 may stand in the text
        unfinished.write_text(page, encoding="utf-8", errors="replace")


def _template():
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"cell": cell_text, "numeric": numeric_columns}
    source = resources.files("factorflow.report").joinpath("_page.html.j2")
    return environment.from_string(source.read_text(encoding="utf-8"))


# Pictures by matplotlib and not by Plotly, whose script adds more than 4 MB to every page and
# shows nothing in a mail or where scripts are off.
def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(
        buffer,
        format="png",
        dpi=_DOTS_PER_INCH,
        facecolor="white",
        bbox_inches="tight",
        metadata={"Software": None},
    )
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _described(figure: Figure) -> str:
    """What a figure shows, in words, for those who do not see it."""
    parts = []
    for ax in figure.axes:
        kind = "image" if ax.images else "plot"
        name = f"{kind} {ax.get_title()!r}" if ax.get_title() else kind
        if ax.images:
            parts.append(name)
        elif ax.get_xlabel() and ax.get_ylabel():
            parts.append(f"{name} of {ax.get_ylabel()} against {ax.get_xlabel()}")
    text = "; ".join(parts) or "figure"
    return text[0].upper() + text[1:] + "."
