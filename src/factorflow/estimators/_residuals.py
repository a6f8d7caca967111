"""What biases leave of the values, and the entries that are held out to fit both well."""

from dataclasses import replace
from typing import Any

import numpy as np

from factorflow.estimators._effects import (
    Biases,
    Damping,
    Effects,
    fit_effects,
    rmse,
    tune_damping,
)
from factorflow.estimators._table import Table
from factorflow.problems import Completion

_NOTHING = 1e-12  # share of the largest value below which residuals are rounding


def hold_out(
    problem: Completion, wanted: bool, fraction: float, seed: int
) -> tuple[Completion, Completion | None]:
    """Entries to fit and entries to validate on; None where unwanted, or there is but one."""
    if not wanted or problem.n_observed < 2:
        return problem, None
    return problem.split(fraction, seed)


def damping_for(biases: Biases, train: Completion, held_out: Completion | None) -> Damping:
    """The damping of row and column effects, tuned where there are entries for it."""
    if biases != "rows+columns" or held_out is None:
        return (1.0, 1.0)
    return tune_damping(train, held_out)


def effects_beside(
    table: Table, problem: Completion, train: Completion, held_out: Completion | None
) -> Effects:
    """Row and column effects of what the low-rank part of a fit leaves of a problem's values.

    Found alone, effects take up some of what a low-rank part would explain better. The damping is
    tuned anew, the fit being of ``train``.
    """

    def less_low_rank(part: Completion) -> Completion:
        low_rank = table.at(*part.indices) - table.effects.at(*part.indices)
        return with_values(part, part.values - low_rank)

    held_out = held_out and less_low_rank(held_out)
    damping = damping_for("rows+columns", less_low_rank(train), held_out)
    return fit_effects(less_low_rank(problem), "rows+columns", damping)


def less_effects(problem: Completion, effects: Any) -> np.ndarray:
    """The values less their biases, :class:`Effects` or :class:`AxisEffects`."""
    return problem.values - effects.at(*problem.indices)


def with_values(problem: Completion, values: np.ndarray) -> Completion:
    """Without the truth: that is in other units, and not less the biases."""
    return replace(problem, values=values, truth=None)


def are_rounding(residuals: np.ndarray, problem: Completion) -> bool:
    """Whether the biases fit every entry."""
    unit = float(np.sqrt(np.mean(residuals**2)))
    return unit <= _NOTHING * float(np.abs(problem.values).max())


def biases_alone(problem: Completion, effects: Effects) -> Table:
    """The fit where nothing is left over."""
    m, n = problem.shape
    return Table(effects, np.zeros((m, 1)), np.zeros((1, n)), 0.0)


def error_on(held_out: Completion, table: Any) -> float:
    """Root-mean-square error of a fit, :class:`Table` or :class:`TensorTable`, on entries."""
    return rmse(table.at(*held_out.indices), held_out.values)
