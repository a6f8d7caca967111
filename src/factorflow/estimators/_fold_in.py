"""New rows against a fitted column space."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

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
    damping
        Of a row's effect, if that is fitted at once with its coefficients; None if before them.
    """

    def __init__(
        self,
        left: np.ndarray,
        right: np.ndarray,
        noise: float,
        damping: float | None = None,
    ):
        self._left, self._right, self._noise = left, right, noise
        self._damping = damping

    # Worked out where it is wanted: many a fit is asked for its own cells alone.
    @cached_property
    def basis(self) -> np.ndarray:
        """``(r, n)``: ``C^(1/2) V`` along its principal directions.

        So coefficients of the fitted rows have mean square 1.
        """
        q_right, r_right = np.linalg.qr(self._right.T)
        _, values, directions = np.linalg.svd(np.linalg.qr(self._left, mode="r") @ r_right.T)
        kept = values > _NEGLIGIBLE * max(values[0], np.finfo(float).tiny)
        spread = values[kept] / np.sqrt(len(self._left))
        return spread[:, None] * (directions[kept] @ q_right.T)

    @property
    def noise(self) -> float:
        """Mean squared deviation of an observation."""
        return max(self._noise, _LEAST_NOISE * float(np.sum(self.basis**2)))

    def fold_in(self, effects: Effects, cells) -> Table:
        """A table of new rows, ``(k, n)``, from their observed cells.

        The mean and the column effects are those of ``effects``; row effects and coefficients
        come from each row's own cells. A row without any gets the mean and the column effects.
        """
        if self._damping is not None:
            return self._with_effects(effects, cells, self._damping)
        own = effects.of_rows(cells)
        left_over = cells.values - own.at(cells.rows, cells.columns)
        left = self.coefficients(cells.shape[0], cells.rows, cells.columns, left_over)
        return Table(own, left, self.basis, self.noise)

    def _with_effects(self, effects: Effects, cells, damping: float) -> Table:
        """Row effects and coefficients at once: the effect is one of a level direction."""
        size = np.sqrt(self.noise / damping)
        level = np.full((1, self.basis.shape[1]), size)
        basis = np.vstack([self.basis, level])
        left_over = cells.values - effects.mean - effects.columns[cells.columns]
        n_rows, rows, columns = cells.shape[0], cells.rows, cells.columns
        found = _coefficients(basis, self.noise, n_rows, rows, columns, left_over)
        own = replace(effects, rows=size * found[:, -1])
        return Table(own, found[:, :-1], self.basis, self.noise)

    def complete(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The whole row, ``(n,)``, from its values at the given columns."""
        rows = np.zeros(len(columns), int)
        return self.coefficients(1, rows, np.asarray(columns), np.asarray(values))[0] @ self.basis

    def coefficients(
        self, n_rows: int, rows: np.ndarray, columns: np.ndarray, values: np.ndarray
    ) -> np.ndarray:
        """Coefficients of rows, ``(n_rows, r)``, from cells that are sorted by row."""
        return _coefficients(self.basis, self.noise, n_rows, rows, columns, values)


def _coefficients(
    basis: np.ndarray,
    noise: float,
    n_rows: int,
    rows: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
) -> np.ndarray:
    found = np.zeros((n_rows, len(basis)))
    by_column = np.ascontiguousarray(basis.T)
    for group, cells in _rows_alike(n_rows, rows, len(basis)):
        found[group] = _solved(by_column[columns[cells]], values[cells], noise)
    return found


def _solved(seen: np.ndarray, values: np.ndarray, noise: float) -> np.ndarray:
    """Ridge solutions ``(k, r)`` of stacked rows: ``seen`` (k, p, r), ``values`` (k, p)."""
    across = seen.transpose(0, 2, 1)
    # The smaller system of the two is the better conditioned one.
    if seen.shape[1] < seen.shape[2]:
        weights = np.linalg.solve(_damped(seen @ across, noise), values[..., None])
        return (across @ weights)[..., 0]
    return np.linalg.solve(_damped(across @ seen, noise), across @ values[..., None])[..., 0]


def _damped(gram: np.ndarray, noise: float) -> np.ndarray:
    return gram + noise * np.eye(gram.shape[-1])


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
