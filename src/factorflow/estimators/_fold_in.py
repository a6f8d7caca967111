"""New rows against a fitted column space."""

import numpy as np

# Directions below this share of the largest are noise of the start, not structure.
_NEGLIGIBLE = 1e-6


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
    """

    def __init__(self, left: np.ndarray, right: np.ndarray, noise: float):
        q_left, r_left = np.linalg.qr(left)
        q_right, r_right = np.linalg.qr(right.T)
        _, values, directions = np.linalg.svd(r_left @ r_right.T)
        kept = values > _NEGLIGIBLE * max(values[0], np.finfo(float).tiny)
        # Rows of the scaled basis are V times the root of C: coefficients then vary by 1.
        spread = values[kept] / np.sqrt(len(left))
        self.basis = spread[:, None] * (directions[kept] @ q_right.T)
        self.noise = max(noise, 1e-12 * float(np.sum(spread**2)))

    def complete(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The whole row, ``(n,)``, from its values at the given columns."""
        seen = self.basis[:, columns]
        gram = seen @ seen.T + self.noise * np.eye(len(seen))
        return np.linalg.solve(gram, seen @ values) @ self.basis
