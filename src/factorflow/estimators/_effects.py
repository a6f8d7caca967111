"""Row and column effects: what a table says before any low-rank structure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import csr_array

from factorflow.problems import Completion

Biases = Literal["none", "global", "rows+columns"]
BIASES = ("none", "global", "rows+columns")

Damping = tuple[float, float]
DAMPING_GRID = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

_NO_EFFECTS = (np.inf, np.inf)
_TINY = np.finfo(float).tiny
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


def fit_effects(problem: Completion, biases: Biases, damping: Damping = (0.0, 0.0)) -> Effects:
    """Fit effects by alternating damped means.

    With ``mean`` that of the observed values and sums over the observed cells of each row or
    column, sweeps of

        columns[j] = sum_i (x_ij - mean - rows[i])    / (n_j + damping[1]),
        rows[i]    = sum_j (x_ij - mean - columns[j]) / (n_i + damping[0])

    go towards the least squared error plus ``damping`` times the squared effects. A row or column
    without observations has effect 0. ``biases="global"`` is the mean alone, ``"none"`` is zero.
    """
    mean = 0.0 if biases == "none" else float(problem.values.mean())
    if biases != "rows+columns":
        m, n = problem.shape
        return Effects(mean, np.zeros(m), np.zeros(n), _NO_EFFECTS)
    rows, columns = _Sums(problem, mean).alternate(damping[0], damping[1:], _SWEEPS)
    return Effects(mean, rows[:, 0], columns[:, 0], damping)


def tune_damping(train: Completion, held_out: Completion) -> Damping:
    """The damping of the grid with the least squared error on held-out entries."""
    mean = float(train.values.mean())
    sums, errors = _Sums(train, mean), {}
    for of_rows in DAMPING_GRID:
        rows, columns = sums.alternate(of_rows, DAMPING_GRID, _SWEEPS_TO_COMPARE)
        for k, of_columns in enumerate(DAMPING_GRID):
            damping = (of_rows, of_columns)
            effects = Effects(mean, rows[:, k], columns[:, k], damping)
            predicted = effects.at(held_out.rows, held_out.columns)
            errors[damping] = rmse(predicted, held_out.values)
    return min(errors, key=errors.__getitem__)


class _Sums:
    """What the sweeps need of the observed values."""

    def __init__(self, problem: Completion, mean: float):
        where = (problem.rows, problem.columns)
        centred = csr_array((problem.values - mean, where), shape=problem.shape)
        self.pattern = csr_array((np.ones(problem.n_observed), where), shape=problem.shape)
        self.of_rows, self.of_columns = (centred.sum(axis=k)[:, None] for k in (1, 0))
        self.row_counts, self.column_counts = (self.pattern.sum(axis=k)[:, None] for k in (1, 0))

    def alternate(
        self, row_damping: float, column_dampings: Sequence[float], n_sweeps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Effects ``(m, k)`` of rows and ``(n, k)`` of columns, for `k` dampings of the columns."""
        row_weights = np.maximum(self.row_counts + row_damping, _TINY)
        column_weights = np.maximum(self.column_counts + np.array(column_dampings), _TINY)
        rows = np.zeros((len(self.of_rows), len(column_dampings)))
        columns = np.zeros((len(self.of_columns), len(column_dampings)))
        for _ in range(n_sweeps):
            columns = (self.of_columns - self.pattern.T @ rows) / column_weights
            rows = (self.of_rows - self.pattern @ columns) / row_weights
        return rows, columns


def rmse(predicted: np.ndarray, values: np.ndarray) -> float:
    """Root-mean-square error."""
    return float(np.sqrt(np.mean((predicted - values) ** 2)))


def damped_means(groups: np.ndarray, values: np.ndarray, size: int, damping: float) -> np.ndarray:
    """Sums of the values of each group over their number plus the damping."""
    counts = np.bincount(groups, minlength=size)
    sums = np.bincount(groups, values, minlength=size)
    return sums / np.maximum(counts + damping, _TINY)
