"""Pictures of a run: matplotlib functions ``plot_x(trajectory, ax=None) -> Axes``."""

from factorflow.plots._effective_rank import plot_effective_rank
from factorflow.plots._errors import plot_errors
from factorflow.plots._matrix import color_range, plot_matrix
from factorflow.plots._singular_values import plot_singular_values
from factorflow.plots._spectrum import plot_spectrum

__all__ = [
    "color_range",
    "plot_effective_rank",
    "plot_errors",
    "plot_matrix",
    "plot_singular_values",
    "plot_spectrum",
]
