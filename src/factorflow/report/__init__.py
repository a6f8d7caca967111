"""One self-contained HTML page per run."""

from factorflow.report._completion_figures import completion_figures
from factorflow.report._page import write_report
from factorflow.report._table import Table

__all__ = ["Table", "completion_figures", "write_report"]
