"""New rows against a fitted column space."""

from collections.abc import Iterator

import numpy as np

from factorflow.estimators._effects import Effects
from factorflow.estimators._table import Table

# Directions below this share of the largest are noise of the start, not structure.
_NEGLIGIBLE = 1e-6
_LEAST_NOISE = 1e-12
_NUMBERS_AT_ONCE = 4_000_000


class ColumnSpace:
    """The column space of a fitted low-rank part, with what its rows tell about new ones.

    The fitted low-rank part is ``L V`` with orthonormal rows of `V`. A new row ``x`` with observed
    columns `O` gets the coefficients

        c = argmin ||x_O - c V_O||^2 / noise + c C^(-1) c^T,    C = L^T L / m,

    the most probable ones if the coefficients of rows vary as those of the fitted rows do and an
    observation deviates by the mean squared train error ``noise``. As the noise goes to zero the
    row interpolates its observations with the smallest ``c C^(-1) c^T``; a row of the training
    data whose observations determine it gets its own reconstruction.

    Parameters
    ----------
    left, right
        ``(m, w)`` and ``(w, n)``: the low-rank part as a product.
    noise
        Mean squared train error.

    Attributes
    ----------
    basis
        ``(r, n)``: ``C^(1/2) V`` along its principal directions, so that coefficients of the
        fitted rows have mean square 1.
    """

    def __init__(self, left: np.ndarray, right: np.ndarray, noise: float):
        q_right, r_right = np.linalg.qr(right.T)
        _, values, directions = np.linalg.svd(np.linalg.qr(left, mode="r") @ r_right.T)
        kept = values > _NEGLIGIBLE * max(values[0], np.finfo(float).tiny)
        spread = values[kept] / np.sqrt(len(left))
        self.basis = spread[:, None] * (directions[kept] @ q_right.T)
        self.noise = max(noise, _LEAST_NOISE * float(np.sum(spread**2)))

    def fold_in(self, effects: Effects, cells) -> Table:
        """A table of new rows, ``(k, n)``, from their observed cells.

        The mean and the column effects are those of ``effects``; row effects and coefficients
        come from each row's own cells. A row without any gets the mean and the column effects.
        """
        own = effects.of_rows(cells)
        left_over = cells.values - own.at(cells.rows, cells.columns)
        left = self.coefficients(cells.shape[0], cells.rows, cells.columns, left_over)
        return Table(own, left, self.basis, self.noise)

    def complete(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The whole row, ``(n,)``, from its values at the given columns."""
        rows = np.zeros(len(columns), int)
        return self.coefficients(1, rows, np.asarray(columns), np.asarray(values))[0] @ self.basis

    def coefficients(
        self, n_rows: int, rows: np.ndarray, columns: np.ndarray, values: np.ndarray
    ) -> np.ndarray:
        """Coefficients of rows, ``(n_rows, r)``, from cells that are sorted by row."""
        found = np.zeros((n_rows, len(self.basis)))
        by_column = np.ascontiguousarray(self.basis.T)
        for group, cells in _rows_alike(n_rows, rows, len(self.basis)):
            found[group] = self._solved(by_column[columns[cells]], values[cells])
        return found

    def _solved(self, seen: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Ridge solutions ``(k, r)`` of stacked rows: ``seen`` (k, p, r), ``values`` (k, p)."""
        across = seen.transpose(0, 2, 1)
        # The smaller system of the two is the better conditioned one.
        if seen.shape[1] < seen.shape[2]:
            weights = np.linalg.solve(self._damped(seen @ across), values[..., None])
            return (across @ weights)[..., 0]
        return np.linalg.solve(self._damped(across @ seen), across @ values[..., None])[..., 0]

    def _damped(self, gram: np.ndarray) -> np.ndarray:
        return gram + self.noise * np.eye(gram.shape[-1])


def _rows_alike(
    n_rows: int, rows: np.ndarray, rank: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows with as many cells as one another, ``(k,)``, and positions of these, ``(k, p)``."""
    counts = np.bincount(rows, minlength=n_rows)
    starts = np.cumsum(counts) - counts
    for count in np.unique(counts[counts > 0]):
        alike = np.flatnonzero(counts == count)
        at_once = max(1, _NUMBERS_AT_ONCE // (int(count) * max(rank, 1)))
        for first in range(0, len(alike), at_once):
            group = alike[first : first + at_once]
            yield group, starts[group, None] + np.arange(count)
