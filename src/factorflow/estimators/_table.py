"""What an estimator has fitted: biases and a low-rank part."""

from dataclasses import dataclass, replace

import numpy as np

from factorflow.estimators._effects import Effects

_NUMBERS_AT_ONCE = 4_000_000
_CHEAPER_WHOLE = 10  # cells in all over those asked for, up to which all are computed


@dataclass(frozen=True)
class Table:
    """``mean + rows[i] + columns[j] + (left @ right)[i, j]``.

    Attributes
    ----------
    effects
        Mean, row and column effects.
    left, right
        ``(m, w)`` and ``(w, n)``.
    train_error
        Mean squared error on the observed entries.
    """

    effects: Effects
    left: np.ndarray
    right: np.ndarray
    train_error: float

    def matrix(self) -> np.ndarray:
        """All values, ``(m, n)``."""
        matrix = self.left @ self.right
        matrix += self.effects.matrix()
        return matrix

    def at(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Values of the cells ``(rows[k], columns[k])`` of index arrays of one shape."""
        return self.effects.at(rows, columns) + self._low_rank_at(rows, columns)

    def without(self, rows: np.ndarray, columns: np.ndarray) -> "Table":
        """The same with nothing low-rank in some rows and columns."""
        left, right = self.left.copy(), self.right.copy()
        left[rows] = 0
        right[:, columns] = 0
        return replace(self, left=left, right=right)

    def _low_rank_at(self, rows, columns) -> np.ndarray:
        (m, width), n = self.left.shape, self.right.shape[1]
        if m * n <= _CHEAPER_WHOLE * rows.size:  # a product is faster than to gather its factors
            return (self.left @ self.right)[rows, columns]
        found = np.empty(rows.size)
        flat_rows, flat_columns, by_column = rows.ravel(), columns.ravel(), self.right.T
        step = max(1, _NUMBERS_AT_ONCE // max(1, width))
        for start in range(0, rows.size, step):
            part = slice(start, start + step)
            left, right = self.left[flat_rows[part]], by_column[flat_columns[part]]
            found[part] = np.einsum("kw,kw->k", left, right)
        return found.reshape(rows.shape)
