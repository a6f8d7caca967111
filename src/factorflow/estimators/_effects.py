"""Row and column effects: what a table says before any low-rank structure."""

from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from factorflow.problems import Completion

Biases = Literal["none", "global", "rows+columns"]
BIASES = ("none", "global", "rows+columns")

Damping = tuple[float, float]
DAMPING_GRID = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

_NO_EFFECTS = (np.inf, np.inf)
_SWEEPS = 15
_SWEEPS_TO_COMPARE = 5  # enough to tell one damping from another


@dataclass(frozen=True)
class Effects:
    """``mean + rows[i] + columns[j]``, with the damping that the effects were fitted with.

    Infinite damping stands for no effects of rows and columns.
    """

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

    def of_rows(self, cells) -> "Effects":
        """The same mean and columns with effects of other rows, from their observed cells."""
        left_over = cells.values - self.mean - self.columns[cells.columns]
        rows = damped_means(cells.rows, left_over, cells.shape[0], self.damping[0])
        return Effects(self.mean, rows, self.columns, self.damping)


def fit_effects(
    problem: Completion, biases: Biases, damping: Damping = (0.0, 0.0), n_sweeps: int = _SWEEPS
) -> Effects:
    """Fit effects by alternating damped means.

    With ``mean`` that of the observed values and sums over the observed cells of each row or
    column, sweeps of

        columns[j] = sum_i (x_ij - mean - rows[i])    / (n_j + damping[1]),
        rows[i]    = sum_j (x_ij - mean - columns[j]) / (n_i + damping[0])

    go towards the least squared error plus ``damping`` times the squared effects. A row or column
    without observations has effect 0. ``biases="global"`` is the mean alone, ``"none"`` is zero.
    """
    m, n = problem.shape
    rows, columns = np.zeros(m), np.zeros(n)
    mean = 0.0 if biases == "none" else float(problem.values.mean())
    if biases != "rows+columns":
        return Effects(mean, rows, columns, _NO_EFFECTS)
    centred = problem.values - mean
    for _ in range(n_sweeps):
        columns = damped_means(problem.columns, centred - rows[problem.rows], n, damping[1])
        rows = damped_means(problem.rows, centred - columns[problem.columns], m, damping[0])
    return Effects(mean, rows, columns, damping)


def tune_damping(train: Completion, held_out: Completion) -> Damping:
    """The damping of the grid with the least squared error on held-out entries."""

    def error(damping: Damping) -> float:
        effects = fit_effects(train, "rows+columns", damping, _SWEEPS_TO_COMPARE)
        return rmse(effects.at(held_out.rows, held_out.columns), held_out.values)

    return min(product(DAMPING_GRID, DAMPING_GRID), key=error)


def rmse(predicted: np.ndarray, values: np.ndarray) -> float:
    """Root-mean-square error."""
    return float(np.sqrt(np.mean((predicted - values) ** 2)))


def damped_means(groups: np.ndarray, values: np.ndarray, size: int, damping: float) -> np.ndarray:
    """Sums of the values of each group over their number plus the damping."""
    counts = np.bincount(groups, minlength=size)
    sums = np.bincount(groups, values, minlength=size)
    return sums / np.maximum(counts + damping, np.finfo(float).tiny)
