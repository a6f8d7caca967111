"""Measurements under which no Schatten quasi-norm is what a flow minimizes."""

from dataclasses import dataclass

import numpy as np

from factorflow._errors import InputError
from factorflow.theory._numbers import checked_whole


@dataclass(frozen=True, eq=False)
class SchattenCounterexample:
    """The constraints ``W_11 = W_22`` and ``W_11 = W_kk + 1`` for ``k >= 3``.

    Attributes
    ----------
    eigenvalues
        ``(n - 1, n)``: row `i` is the diagonal of the measurement operator ``A_i``; all are
        diagonal and so commute.
    values
        ``(n - 1,)``.
    minimizer
        ``diag(1, 1, 0, ..., 0)``, ``(n, n)``, to which flows of every depth go as their scale
        goes to zero; its trace 2 is the least of all positive semidefinite matrices that fit.
    """

    eigenvalues: np.ndarray
    values: np.ndarray
    minimizer: np.ndarray

    @property
    def operators(self) -> np.ndarray:
        """The measurement operators, ``(n - 1, n, n)``."""
        return self.eigenvalues[:, :, None] * np.eye(self.minimizer.shape[0])

    def perturbed(self, epsilon: float) -> np.ndarray:
        """The minimizer with ``epsilon`` in the entries (1, 2) and (2, 1).

        No operator sees these entries. The eigenvalues become ``1 + epsilon`` and
        ``1 - epsilon``, so that the trace stays and every Schatten-p quasi-norm with ``p < 1``
        falls: however near, there is a better point than the one that the flow finds.

        Raises
        ------
        InputError
            If ``epsilon`` is beyond 1, where the matrix is no longer positive semidefinite.
        """
        if not abs(epsilon) <= 1:
            raise InputError(
                f"epsilon must be from -1 to 1, or an eigenvalue is negative; got {epsilon!r}."
            )
        moved = self.minimizer.copy()
        moved[0, 1] = moved[1, 0] = epsilon
        return moved


def schatten_counterexample(n: int = 4) -> SchattenCounterexample:
    """The instance of size ``n`` by ``n``, with ``n - 1`` measurements.

    Raises
    ------
    InputError
        If ``n`` is below 3: there would be no eigenvalue that is to vanish.

    Notes
    -----
    Source: Arora, Cohen, Hu and Luo 2019 (arXiv:1905.13655), the remark that follows from their
    theorem on commuting measurements.
    """
    size = checked_whole("n", n, 3)
    eigenvalues = np.zeros((size - 1, size))
    eigenvalues[:, 0] = 1
    eigenvalues[np.arange(size - 1), np.arange(1, size)] = -1
    values = np.ones(size - 1)
    values[0] = 0
    return SchattenCounterexample(eigenvalues, values, np.diag([1.0, 1.0] + [0.0] * (size - 2)))


def schatten_power(matrix: np.ndarray, p: float) -> float:
    """``sum_r sigma_r^p``, the `p`-th power of the Schatten-p quasi-norm.

    Parameters
    ----------
    matrix
        Any matrix, ``(m, n)``.
    p
        Positive; a norm from 1 on, and for ``p -> 0`` the number of nonzero singular values.

    Raises
    ------
    InputError
        If ``p`` is not positive and finite.
    """
    if not 0 < p < np.inf:
        raise InputError(f"p must be positive and finite; got {p!r}.")
    # Not the norm to the power p: for small p the norm is a huge number.
    return float(np.sum(np.linalg.svd(matrix, compute_uv=False) ** p))
