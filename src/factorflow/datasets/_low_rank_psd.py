"""A synthetic symmetric ground truth without negative eigenvalues."""

from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow._random import stream
from factorflow.datasets._low_rank import is_positive_integer, scaled_to

_RANK = 5


def low_rank_psd(
    size: int = 100,
    rank: int | None = None,
    norm: float | None = None,
    seed: int = 0,
    eigenvalues: Any = None,
) -> np.ndarray:
    """A random symmetric positive semidefinite matrix of known rank.

    ``c U Uᵀ`` with independent standard Gaussian entries of ``U``, (size, rank), and ``c`` such
    that the Frobenius norm is ``norm``; or, with eigenvalues given, ``Q diag(eigenvalues) Qᵀ``
    with orthonormal columns of ``Q``, (size, rank), uniformly distributed.

    Parameters
    ----------
    size
        Number n of rows and columns.
    rank
        Rank of the matrix, from 1 to n; by default 5, or the number of eigenvalues given.
    norm
        Frobenius norm of the matrix; by default n, so that the root-mean-square entry is 1.
        Given eigenvalues have their own.
    seed
        The same seed gives the same matrix, and with eigenvalues the same ``Q``.
    eigenvalues
        The positive eigenvalues, in any order; all others are 0.

    Returns
    -------
    numpy.ndarray
        The matrix, float64 of shape (n, n), exactly symmetric.

    Raises
    ------
    InputError
        If the size is no positive integer, no matrix of that size has the rank, the norm is no
        positive finite number, the eigenvalues are no positive finite numbers, or a rank or a
        norm is given beside eigenvalues that do not have it.
    """
    if not is_positive_integer(size):
        raise InputError(f"size must be a positive integer; got {size!r}.")
    if eigenvalues is not None:
        values = _checked_eigenvalues(eigenvalues, rank, norm)
        _check_rank(len(values), size)
        vectors = _orthonormal(size, len(values), seed)
        return _symmetric((vectors * values) @ vectors.T)
    rank = _RANK if rank is None else rank
    _check_rank(rank, size)
    factor = stream(seed, "low_rank_psd", "factor").standard_normal((size, rank))
    return scaled_to(_symmetric(factor @ factor.T), norm)


def _check_rank(rank: Any, size: int) -> None:
    if not is_positive_integer(rank) or rank > size:
        raise InputError(
            f"rank must be an integer from 1 to {size} for a {size} x {size} matrix; got {rank!r}."
        )


def _checked_eigenvalues(given: Any, rank: int | None, norm: float | None) -> np.ndarray:
    values = np.asarray(given)
    usable = values.ndim == 1 and values.size and values.dtype.kind in "iuf"
    if not usable or not (np.isfinite(values) & (values > 0)).all():
        raise InputError(f"eigenvalues must be a vector of positive finite numbers; got {given!r}.")
    if norm is not None or rank not in (None, len(values)):
        raise InputError(
            f"{len(values)} eigenvalues fix the rank and the norm; leave rank and norm out."
        )
    return values.astype(np.float64)


def _orthonormal(size: int, rank: int, seed: int) -> np.ndarray:
    """Orthonormal columns from the uniform distribution."""
    draws = stream(seed, "low_rank_psd", "vectors").standard_normal((size, rank))
    vectors, triangle = np.linalg.qr(draws)
    return vectors * np.sign(np.diag(triangle))  # QR alone prefers some signs


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return (matrix + matrix.T) / 2
