"""How singular values and vectors of the end-to-end matrix move."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from factorflow._errors import InputError
from factorflow.factorizations import preconditioner_eigenvalues
from factorflow.theory._singular_basis import (
    checked_gradient,
    checked_matrix,
    rounding,
    singular_basis,
)


class SingularVectors(NamedTuple):
    """Velocities of ``left (m, k)`` and ``right (n, k)`` singular vectors, in columns."""

    left: np.ndarray
    right: np.ndarray


class Alignment(NamedTuple):
    """Mean sizes of the entries of ``U^T G V`` on the diagonal and off it."""

    diagonal: float
    off_diagonal: float


def singular_value_velocities(matrix: ArrayLike, gradient: ArrayLike, depth: float) -> np.ndarray:
    """Velocities of the singular values under gradient flow of balanced layers.

        d sigma_r / dt = -N sigma_r^(2 - 2/N) <G, u_r v_r^T>

    From depth 2 on a value that is zero stays zero, and none changes its sign.

    Parameters
    ----------
    matrix, gradient
        `W` and the gradient `G` of the loss there, ``(m, n)``.
    depth
        `N`, a real number of 1 or more, or infinity: then velocities divided by `N`.

    Returns
    -------
    numpy.ndarray
        ``(min(m, n),)``, in descending order of the values. Among equal values they depend on
        the singular vectors that were chosen.

    Raises
    ------
    InputError
        If the matrix, gradient or depth is unusable.

    Notes
    -----
    Source: Arora, Cohen, Hu and Luo 2019 (arXiv:1905.13655). Weight decay would add
    ``-lambda N sigma_r``.
    """
    given = checked_matrix(matrix)
    left, values, right = singular_basis(given, full=False)
    inner = left.T @ checked_gradient(gradient, given.shape) @ right
    return -np.diag(preconditioner_eigenvalues(values, values, depth)) * np.diag(inner)


def singular_vector_velocities(
    matrix: ArrayLike, gradient: ArrayLike, depth: float
) -> SingularVectors:
    """Velocities of the singular vectors under gradient flow of balanced layers.

    With ``H = U^T G V`` of the thin decomposition ``W = U S V^T``, and
    ``F_rs = 1 / (sigma_s^(2/N) - sigma_r^(2/N))``, zero on its diagonal,

        dU/dt = -U (F * (H S + S H^T)) - (I - U U^T) G V S^(1 - 2/N)
        dV/dt = -V (F * (S H + H^T S)) - (I - V V^T) G^T U S^(1 - 2/N)

    where ``*`` is by entries. Weight decay does not move the vectors.

    Parameters
    ----------
    matrix, gradient
        `W` and the gradient `G` of the loss there, ``(m, n)``.
    depth
        `N`, a real number of 1 or more, or infinity: then velocities divided by `N`, where
        ``F_rs = 1 / (ln sigma_s^2 - ln sigma_r^2)`` and the last terms vanish.

    Returns
    -------
    SingularVectors
        Of the vectors that ``numpy.linalg.svd(matrix, full_matrices=False)`` gives; a pair of
        opposite sign has velocities of opposite sign.

    Raises
    ------
    InputError
        If singular values are equal or zero, as their vectors are not unique, or if the matrix,
        gradient or depth is unusable.

    Notes
    -----
    Source: Arora, Cohen, Hu and Luo 2019 (arXiv:1905.13655), for whole depths; for real depths
    it follows in the same way from the spectrum of :func:`preconditioner`, in which terms it is
    computed: ``F_rs = lambda_rs / (sigma_s^2 - sigma_r^2)`` loses nothing at large depths.
    """
    given = checked_matrix(matrix)
    left, values, right = singular_basis(given, full=False)
    _check_distinct(values, given.shape)
    slope = checked_gradient(gradient, given.shape)
    inner = left.T @ slope @ right
    turning = _turning(values, depth)
    outer = np.asarray(preconditioner_eigenvalues(values, np.zeros(1), depth))[:, 0] / values
    along, across = inner * values, values[:, None] * inner  # H S and S H
    turned_left = left @ (turning * (along + along.T))
    turned_right = right @ (turning * (across + across.T))
    beyond_left = (slope @ right - left @ inner) * outer
    beyond_right = (slope.T @ left - right @ inner.T) * outer
    return SingularVectors(-turned_left - beyond_left, -turned_right - beyond_right)


def _turning(values: np.ndarray, depth: float) -> np.ndarray:
    """``F``, ``(k, k)``."""
    rows, columns = values[:, None], values
    gaps = (columns - rows) * (columns + rows)
    np.fill_diagonal(gaps, np.inf)
    return np.asarray(preconditioner_eigenvalues(values, values, depth)) / gaps


def _check_distinct(values: np.ndarray, shape: tuple[int, ...]) -> None:
    if values[-1] == 0:
        raise InputError(
            "Singular vectors have a velocity where all singular values are positive; "
            f"{np.sum(values == 0)} of {len(values)} are zero."
        )
    gaps = -np.diff(values)
    if np.any(gaps <= rounding(shape, values)):
        equal = values[np.argmin(gaps)]
        raise InputError(
            "Singular vectors have a velocity where the singular values are distinct; "
            f"two are equal to {equal:g}."
        )


def alignment(matrix: ArrayLike, gradient: ArrayLike, rank: int | None = None) -> Alignment:
    """How far the singular vectors of `W` diagonalize the gradient.

    Where neither left nor right singular vectors move, at distinct positive singular values,
    ``U^T G V`` is diagonal; so along a run its diagonal comes to dominate.

    Parameters
    ----------
    matrix, gradient
        `W` and the gradient `G` of the loss there, ``(m, n)``.
    rank
        Look at the leading ``rank`` singular vectors alone; all ``min(m, n)`` by default. The
        vectors of values that are zero or nearly equal are arbitrary.

    Returns
    -------
    Alignment
        Means of the absolute values of the diagonal and of the other entries of ``U^T G V``;
        the latter is zero where there are none.

    Raises
    ------
    InputError
        If the matrix, gradient or rank is unusable.

    Notes
    -----
    Source: Arora, Cohen, Hu and Luo 2019 (arXiv:1905.13655), the corollary on singular vectors
    that are stationary, for depths of 2 and above.
    """
    given = checked_matrix(matrix)
    basis = singular_basis(given, full=False)
    kept = len(basis.values) if rank is None else rank
    if not 1 <= kept <= len(basis.values):
        raise InputError(f"rank must be from 1 to {len(basis.values)}; got {rank!r}.")
    slope = checked_gradient(gradient, given.shape)
    sizes = np.abs(basis.left[:, :kept].T @ slope @ basis.right[:, :kept])
    on = float(np.trace(sizes))
    off = float(sizes.sum()) - on
    return Alignment(on / kept, off / (kept * (kept - 1)) if kept > 1 else 0.0)
