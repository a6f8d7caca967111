"""A synthetic ground truth of known rank and norm."""

import math
from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow._random import stream


def low_rank(
    shape: tuple[int, int] = (100, 100),
    rank: int = 5,
    norm: float | None = None,
    seed: int = 0,
) -> np.ndarray:
    """A random matrix of known rank: ``c U Vᵀ`` with standard Gaussian ``U`` and ``V``.

    ``U`` is (m, rank), ``V`` is (n, rank), their entries are independent draws of N(0, 1), and
    ``c`` makes the Frobenius norm equal to ``norm``.

    Parameters
    ----------
    shape
        Number of rows m and of columns n.
    rank
        Rank of the matrix, from 1 to min(m, n).
    norm
        Frobenius norm of the matrix; by default ``sqrt(m n)``, so that the root-mean-square
        entry is 1 (a 100 x 100 matrix has norm 100).
    seed
        The same seed gives the same matrix.

    Returns
    -------
    numpy.ndarray
        The matrix, float64 of shape (m, n).

    Raises
    ------
    InputError
        If the shape is not a pair of positive integers, if no matrix of that shape has the
        rank, if the norm is not a positive finite number, or if the seed is unusable.

    Notes
    -----
    Source: the ground truth of the experiments of Arora, Cohen, Hu and Luo 2019,
    arXiv:1905.13655 (100 x 100, rank 5, Frobenius norm 100).
    """
    m, n = _checked_shape(shape)
    if not is_positive_integer(rank) or rank > min(m, n):
        raise InputError(
            f"rank must be an integer from 1 to {min(m, n)} for a {m} x {n} matrix; got {rank!r}."
        )
    left = stream(seed, "low_rank", "left").standard_normal((m, rank))
    right = stream(seed, "low_rank", "right").standard_normal((n, rank))
    return scaled_to(left @ right.T, norm)


def scaled_to(matrix: np.ndarray, norm: float | None) -> np.ndarray:
    """A multiple of a matrix with a Frobenius norm, by default with a mean square of 1."""
    target = math.sqrt(matrix.size) if norm is None else _checked_norm(norm)
    return matrix * (target / np.linalg.norm(matrix))


def is_positive_integer(value: Any) -> bool:
    """Whether a value is an integer of 1 or more, and no truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= 1


def _checked_shape(shape: Any) -> tuple[int, int]:
    pair = tuple(shape) if isinstance(shape, tuple | list) else ()
    if len(pair) != 2 or not all(map(is_positive_integer, pair)):
        raise InputError(
            "shape must be a pair of positive integers (rows, columns), for instance (100, 100); "
            f"got {shape!r}."
        )
    return int(pair[0]), int(pair[1])


def _checked_norm(norm: Any) -> float:
    number = isinstance(norm, int | float | np.integer | np.floating) and not isinstance(norm, bool)
    if not number or not 0 < norm < math.inf:
        raise InputError(
            f"norm must be a positive finite number, or None for sqrt(m n); got {norm!r}."
        )
    return float(norm)
