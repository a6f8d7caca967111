"""Pictures of a run or of many: matplotlib functions ``plot_x(data, ax=None) -> Axes``."""

from factorflow.plots._against_depth import plot_against_depth
from factorflow.plots._against_scale import plot_against_scale
from factorflow.plots._agreement import plot_agreement
from factorflow.plots._alignment import plot_alignment
from factorflow.plots._blow_up import plot_blow_up
from factorflow.plots._duality_gap import plot_duality_gap
from factorflow.plots._effective_rank import plot_effective_rank
from factorflow.plots._errors import plot_errors
from factorflow.plots._factor import plot_factor
from factorflow.plots._losses import plot_losses
from factorflow.plots._map import plot_map
from factorflow.plots._matrix import color_range, plot_matrix
from factorflow.plots._methods import plot_methods
from factorflow.plots._modes import plot_modes
from factorflow.plots._pairs import plot_pairs
from factorflow.plots._path import plot_path
from factorflow.plots._recovery import plot_recovery
from factorflow.plots._relation import plot_relation
from factorflow.plots._schatten import plot_schatten
from factorflow.plots._singular_values import plot_component_norms, plot_singular_values
from factorflow.plots._spectrum import plot_spectrum

__all__ = [
    "color_range",
    "plot_against_depth",
    "plot_against_scale",
    "plot_agreement",
    "plot_alignment",
    "plot_blow_up",
    "plot_component_norms",
    "plot_duality_gap",
    "plot_effective_rank",
    "plot_errors",
    "plot_factor",
    "plot_losses",
    "plot_map",
    "plot_matrix",
    "plot_methods",
    "plot_modes",
    "plot_pairs",
    "plot_path",
    "plot_recovery",
    "plot_relation",
    "plot_schatten",
    "plot_singular_values",
    "plot_spectrum",
]
