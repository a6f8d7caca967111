"""The singular bases in which the theory of a balanced product is written."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from factorflow._errors import InputError


class SingularBasis(NamedTuple):
    """``W = U S V^T`` with vectors in columns; `U` and `V` square or thin."""

    left: np.ndarray
    values: np.ndarray
    right: np.ndarray


def singular_basis(matrix: np.ndarray, full: bool) -> SingularBasis:
    """The decomposition of a checked matrix; values that are rounding are zero.

    A fractional power would make a direction of them: 1e-16 ** (2/5) is 4e-7.
    """
    left, values, right = np.linalg.svd(matrix, full_matrices=full)
    values[values <= rounding(matrix.shape, values)] = 0
    return SingularBasis(left, values, right.T)


def rounding(shape: tuple[int, ...], values: np.ndarray) -> float:
    """How far the computed singular values of such a matrix may be from its own."""
    return max(shape) * np.finfo(float).eps * float(values[0])


def checked_matrix(matrix: ArrayLike) -> np.ndarray:
    """A float64 matrix.

    Raises
    ------
    InputError
        If it has not two dimensions, has no entries or has one that is not finite.
    """
    given = np.asarray(matrix, dtype=np.float64)
    if given.ndim != 2 or not given.size:
        raise InputError(f"matrix must have two dimensions and entries; got shape {given.shape}.")
    if not np.all(np.isfinite(given)):
        raise InputError("matrix has entries that are not finite.")
    return given


def checked_gradient(gradient: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """A float64 gradient of a loss at a point of this shape.

    Raises
    ------
    InputError
        If the shape differs or an entry is not finite.
    """
    given = np.asarray(gradient, dtype=np.float64)
    if given.shape != tuple(shape):
        raise InputError(
            f"gradient must have the shape {tuple(shape)} of what it is taken at; "
            f"got {given.shape}."
        )
    if not np.all(np.isfinite(given)):
        raise InputError("gradient has entries that are not finite.")
    return given
