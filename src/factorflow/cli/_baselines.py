"""What a fit must beat: the mean, and row and column effects, tuned as the fit is."""

import numpy as np

from factorflow.estimators import (
    AxisEffects,
    Effects,
    fibre_axes,
    fit_axis_effects,
    fit_effects,
    split_fibres,
    tune_axis_damping,
    tune_damping,
)
from factorflow.problems import Completion


def baselines(
    train: Completion, validation_fraction: float, seed: int
) -> dict[str, Effects] | dict[str, AxisEffects]:
    """Baselines fitted to the training entries.

    The damping of the effects is tuned on the validation entries that the estimator takes from the
    training ones for its own choices, then the effects are fitted to all of them, as the estimator
    does with its own. Of a tensor they are effects of all its axes.
    """
    if train.order != 2:
        return _of_axes(train, validation_fraction, seed)
    damping = (1.0, 1.0)
    if train.n_observed > 1:
        damping = tune_damping(*train.split(validation_fraction, seed))
    return {
        "mean": fit_effects(train, "global"),
        "row_column_effects": fit_effects(train, "rows+columns", damping),
    }


def _of_axes(train: Completion, validation_fraction: float, seed: int) -> dict[str, AxisEffects]:
    damping = 1.0
    if train.n_observed > 1:
        axes = fibre_axes("auto", train)
        damping = tune_axis_damping(*split_fibres(train, axes, validation_fraction, seed))
    return {
        "mean": fit_axis_effects(train, "global"),
        "axis_effects": fit_axis_effects(train, "axes", damping),
    }


def psnr(rmse: float) -> float:
    """Peak signal-to-noise ratio in decibels, for a peak of 1."""
    return float(-20 * np.log10(rmse)) if rmse else float("inf")
