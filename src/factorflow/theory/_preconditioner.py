"""What depth does to a gradient: the preconditioner of the end-to-end matrix."""

from dataclasses import dataclass
from functools import cached_property
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike

from factorflow.factorizations import preconditioner_eigenvalues
from factorflow.theory._singular_basis import checked_gradient, checked_matrix, singular_basis


@dataclass(frozen=True, eq=False)
class Preconditioner:
    """The symmetric positive semidefinite ``P`` of ``dW/dt = -P(dl/dW)``.

    Attributes
    ----------
    depth
        `N`, or infinity, where everything is divided by `N`.
    singular_values
        Of the matrix `W`, ``(min(m, n),)``, descending; those that are rounding are zero.
    left, right
        All its singular vectors in columns, ``(m, m)`` and ``(n, n)``.
    eigenvalues
        ``lambda_rs``, ``(m, n)``, of the eigenvectors ``vec(u_r v_s^T)``.
    """

    depth: float
    singular_values: np.ndarray
    left: np.ndarray
    right: np.ndarray
    eigenvalues: np.ndarray

    def apply(self, gradient: ArrayLike) -> np.ndarray:
        """``P(G) = sum_rs lambda_rs <G, u_r v_s^T> u_r v_s^T``, ``(m, n)``.

        Raises
        ------
        InputError
            If the gradient has another shape than the matrix, or an entry that is not finite.
        """
        given = checked_gradient(gradient, self.eigenvalues.shape)
        return self.left @ (self.eigenvalues * (self.left.T @ given @ self.right)) @ self.right.T

    @cached_property
    def eigenvectors(self) -> np.ndarray:
        """``(mn, mn)``: ``vec(u_r v_s^T)`` in column ``s m + r``, as ``vec`` stacks columns.

        The eigenvalues in this order are ``eigenvalues.ravel(order="F")``.
        """
        return np.kron(self.right, self.left)

    @cached_property
    def matrix(self) -> np.ndarray:
        """``P``, ``(mn, mn)``, acting on ``vec(G)``, the columns of `G` on top of each other."""
        return self.eigenvectors * self.eigenvalues.ravel(order="F") @ self.eigenvectors.T

    @property
    def least_eigenvalue(self) -> float:
        """The smallest of the eigenvalues, at least ``sigma_min^(2 - 2/N)``.

        It is ``N sigma_min^(2 - 2/N)`` for a square `W`, which above depth 1 is positive if and
        only if `W` has full rank. At infinite depth, divided by `N`, it is ``sigma_min^2`` for a
        square `W` and zero for all others.
        """
        return float(self.eigenvalues.min())


def preconditioner(matrix: ArrayLike, depth: float) -> Preconditioner:
    """The preconditioner that a balanced product of ``depth`` layers puts before its gradient.

    With singular values ``sigma_1, ..., sigma_m`` on the left and ``sigma_1, ..., sigma_n`` on the
    right, the missing ones zero, its eigenvalues are

        lambda_rs = sum_j sigma_r^(2(N-j)/N) sigma_s^(2(j-1)/N)
                  = (sigma_r^2 - sigma_s^2) / (sigma_r^(2/N) - sigma_s^(2/N)),

    and ``N sigma_r^(2 - 2/N)`` where the two are equal; the second form is for any real `N`.

    Parameters
    ----------
    matrix
        The end-to-end matrix `W`, ``(m, n)``, of any rank.
    depth
        `N`, a real number of 1 or more, or infinity: then ``lambda / N``, the logarithmic mean of
        the squares.

    Raises
    ------
    InputError
        If the matrix or the depth is unusable.

    Notes
    -----
    Source: Arora, Cohen and Hazan 2018 (arXiv:1802.06509), for whole depths.
    """
    given = checked_matrix(matrix)
    left, values, right = singular_basis(given, full=True)
    rows, columns = (np.pad(values, (0, size - len(values))) for size in given.shape)
    eigenvalues = np.asarray(preconditioner_eigenvalues(rows, columns, depth))
    return Preconditioner(float(depth), values, left, right, eigenvalues)


def end_to_end_velocity(
    matrix: ArrayLike, gradient: ArrayLike, depth: float, weight_decay: float = 0.0
) -> np.ndarray:
    """Velocity of the end-to-end matrix under gradient flow of balanced layers.

        dW/dt = -lambda N W - sum_j [W W^T]^((N-j)/N) G [W^T W]^((j-1)/N)

    whatever the hidden widths, as long as they do not limit the rank. One step of descent on the
    layers moves their product by ``learning_rate`` times this, up to the square of the learning
    rate.

    Parameters
    ----------
    matrix, gradient
        `W` and the gradient `G` of the loss there, ``(m, n)``.
    depth
        `N`, a real number of 1 or more, or infinity: then the velocity divided by `N`.
    weight_decay
        ``lambda`` of a penalty ``(lambda/2) sum_j ||W_j||_F^2`` on the layers.

    Returns
    -------
    numpy.ndarray
        ``(m, n)``.

    Raises
    ------
    InputError
        If the matrix, gradient or depth is unusable.

    Notes
    -----
    Source: Arora, Cohen and Hazan 2018 (arXiv:1802.06509), for whole depths. Powers of ``W W^T``
    are taken through the singular values of `W`: its own eigenvalues are zero only to rounding.
    """
    operator = preconditioner(matrix, depth)
    layers = depth if isfinite(depth) else 1
    decay = weight_decay * layers * np.asarray(matrix, dtype=np.float64)
    return -operator.apply(gradient) - decay
