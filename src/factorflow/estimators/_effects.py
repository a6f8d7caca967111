"""Row and column effects: what a table says before any low-rank structure."""

from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from factorflow._errors import InputError
from factorflow.problems import Completion

Biases = Literal["none", "global", "rows+columns"]
BIASES = ("none", "global", "rows+columns")

Damping = tuple[float, float]
DAMPING_GRID = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

_SWEEPS = 15


@dataclass(frozen=True)
class Effects:
    """``mean + rows[i] + columns[j]``, with the damping that the effects were fitted with."""

    mean: float
    rows: np.ndarray
    columns: np.ndarray
    damping: Damping

    def at(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Values of the cells ``(rows[k], columns[k])``."""
        return self.mean + self.rows[rows] + self.columns[columns]

    def matrix(self) -> np.ndarray:
        """All values, ``(m, n)``."""
        return self.mean + self.rows[:, None] + self.columns

    def row_effect(self, residuals: np.ndarray) -> float:
        """Effect of a new row from what ``mean + columns`` leaves of its observed values."""
        if not self.rows.any():
            return 0.0
        return float(residuals.sum() / (len(residuals) + self.damping[0]))


def fit_effects(problem: Completion, biases: Biases, damping: Damping = (0.0, 0.0)) -> Effects:
    """Fit effects by alternating damped means.

    With residuals over the observed cells of each row or column,

        rows[i]    = sum_j (x_ij - mean - columns[j]) / (n_i + damping[0]),
        columns[j] = sum_i (x_ij - mean - rows[i])    / (n_j + damping[1]),

    which minimizes squared error plus ``damping`` times the squared effects. A row or column
    without observations has effect 0. ``biases="global"`` is the mean alone, ``"none"`` is zero.
    """
    m, n = problem.shape
    rows, columns = np.zeros(m), np.zeros(n)
    mean = 0.0 if biases == "none" else float(problem.values.mean())
    if biases != "rows+columns":
        return Effects(mean, rows, columns, damping)
    centred = problem.values - mean
    for _ in range(_SWEEPS):
        columns = _damped_means(problem.columns, centred - rows[problem.rows], n, damping[1])
        rows = _damped_means(problem.rows, centred - columns[problem.columns], m, damping[0])
    return Effects(mean, rows, columns, damping)


def tune_damping(train: Completion, held_out: Completion) -> Damping:
    """The damping of the grid with the least squared error on held-out entries."""

    def error(damping: Damping) -> float:
        effects = fit_effects(train, "rows+columns", damping)
        return rmse(effects.at(held_out.rows, held_out.columns), held_out.values)

    return min(product(DAMPING_GRID, DAMPING_GRID), key=error)


def rmse(predicted: np.ndarray, values: np.ndarray) -> float:
    """Root-mean-square error."""
    return float(np.sqrt(np.mean((predicted - values) ** 2)))


def check_biases(biases: str) -> None:
    """Refuse an unknown kind of biases."""
    if biases not in BIASES:
        raise InputError(f"biases must be one of {', '.join(BIASES)}; got {biases!r}.")


def _damped_means(groups: np.ndarray, values: np.ndarray, size: int, damping: float) -> np.ndarray:
    counts = np.bincount(groups, minlength=size)
    sums = np.bincount(groups, values, minlength=size)
    return sums / np.maximum(counts + damping, np.finfo(float).tiny)
