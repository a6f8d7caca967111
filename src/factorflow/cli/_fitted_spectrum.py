"""The singular values of a fitted low-rank part."""

import numpy as np
from matplotlib.figure import Figure

from factorflow.convex import ThinSVD
from factorflow.estimators import AbstractMatrixCompletion
from factorflow.plots import plot_spectrum
from factorflow.trajectories import effective_rank_of

_SIZE = (6.4, 3.6)  # inches


def fitted_effective_rank(model: AbstractMatrixCompletion) -> float:
    """Effective rank of the low-rank part; 0 if there is none."""
    values = _singular_values(model)
    return float(effective_rank_of(values)) if values.size else 0.0


def spectrum_figures(model: AbstractMatrixCompletion) -> list[tuple[str, Figure]]:
    """The spectrum of the low-rank part; no figure if there is none."""
    values = _singular_values(model)
    if not values.size:
        return []
    figure = new_figure()
    plot_spectrum({"fit": values}, figure.subplots())
    return [("Singular values of the fit, without the biases.", figure)]


def new_figure() -> Figure:
    """A figure of the size that the report has."""
    return Figure(figsize=_SIZE, layout="constrained")


def _singular_values(model: AbstractMatrixCompletion) -> np.ndarray:
    return ThinSVD.of_product(model.left_, model.right_).singular_values
