"""A low-rank matrix by its singular values and vectors."""

from dataclasses import dataclass

import numpy as np

_NUMBERS_AT_ONCE = 2_000_000


@dataclass(frozen=True, eq=False, repr=False)
class ThinSVD:
    """``left @ diag(singular_values) @ right``.

    Attributes
    ----------
    left
        ``(m, k)``, orthonormal columns.
    singular_values
        ``(k,)``, descending.
    right
        ``(k, n)``, orthonormal rows.
    """

    left: np.ndarray
    singular_values: np.ndarray
    right: np.ndarray

    @classmethod
    def zero(cls, shape: tuple[int, int]) -> "ThinSVD":
        """The zero matrix, of rank 0."""
        m, n = shape
        return cls(np.zeros((m, 0)), np.zeros(0), np.zeros((0, n)))

    @classmethod
    def of_product(cls, left: np.ndarray, right: np.ndarray) -> "ThinSVD":
        """The decomposition of ``left @ right``, ``(m, w)`` times ``(w, n)``; zeros left out."""
        q_left, r_left = np.linalg.qr(left)
        q_right, r_right = np.linalg.qr(right.T)
        u, values, vt = np.linalg.svd(r_left @ r_right.T)
        kept = values > np.finfo(float).eps * values[:1].sum()
        return cls(q_left @ u[:, : len(values)][:, kept], values[kept], vt[kept] @ q_right.T)

    def __repr__(self) -> str:
        m, n = self.shape
        return f"<ThinSVD {m}x{n} of rank {self.rank}, nuclear norm {self.nuclear_norm:.6g}>"

    @property
    def shape(self) -> tuple[int, int]:
        """``(m, n)``."""
        return self.left.shape[0], self.right.shape[1]

    @property
    def rank(self) -> int:
        return len(self.singular_values)

    @property
    def nuclear_norm(self) -> float:
        """Sum of the singular values."""
        return float(self.singular_values.sum())

    @property
    def transposed(self) -> "ThinSVD":
        return ThinSVD(self.right.T, self.singular_values, self.left.T)

    def scaled(self, factor: float) -> "ThinSVD":
        """This times a positive number."""
        return ThinSVD(self.left, factor * self.singular_values, self.right)

    def halves(self) -> tuple[np.ndarray, np.ndarray]:
        """``(m, k)`` and ``(k, n)`` whose product it is, with equal Gram matrices."""
        root = np.sqrt(self.singular_values)
        return self.left * root, root[:, None] * self.right

    def matrix(self) -> np.ndarray:
        """All values, ``(m, n)``."""
        return (self.left * self.singular_values) @ self.right

    def at(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Values of the cells ``(rows[k], columns[k])``, given as vectors."""
        by_row = self.left * self.singular_values
        by_column = np.ascontiguousarray(self.right.T)
        found = np.empty(len(rows))
        step = max(1, _NUMBERS_AT_ONCE // max(1, self.rank))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            found[part] = np.einsum("kr,kr->k", by_row[rows[part]], by_column[columns[part]])
        return found
