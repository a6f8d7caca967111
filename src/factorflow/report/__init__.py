"""One self-contained HTML page per run."""

from factorflow.report._completion_figures import completion_figures
from factorflow.report._page import Section, write_report
from factorflow.report._picture import picture
from factorflow.report._table import Link, Mark, Table, Tone, cell_text, numeric_columns

__all__ = [
    "Link",
    "Mark",
    "Section",
    "Table",
    "Tone",
    "cell_text",
    "completion_figures",
    "numeric_columns",
    "picture",
    "write_report",
]
