"""What every set of linear measurements of a matrix offers."""

import abc
import dataclasses
import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow.problems._loss import AbstractLoss


class AbstractOperator(abc.ABC):
    """Linear measurements ``A(W)_i = <A_i, W>`` of an ``(m, n)`` matrix, i = 1, ..., p.

    ``<A, W>`` is the sum of the products of the entries. Operators are values: their arrays cannot
    be written to, and two of them are equal if they are one object. All results are float64.

    Attributes
    ----------
    shape
        ``(m, n)`` of the matrix that is measured.
    """

    shape: tuple[int, int]

    @property
    @abc.abstractmethod
    def count(self) -> int:
        """Number `p` of measurements."""

    @property
    @abc.abstractmethod
    def content_hash(self) -> str:
        """SHA-256 of the shape and the measurements, in hexadecimal."""

    @abc.abstractmethod
    def forward(self, matrix: Any) -> np.ndarray:
        """``A(W)``, shape ``(p,)``, of a matrix ``(m, n)``."""

    @abc.abstractmethod
    def adjoint(self, values: Any) -> np.ndarray:
        """``A*(v) = sum_i v_i A_i``, shape ``(m, n)``, of values ``(p,)``."""

    @property
    @abc.abstractmethod
    def norms(self) -> np.ndarray:
        """Frobenius norms ``||A_i||``, shape ``(p,)``."""

    @abc.abstractmethod
    def gram(self) -> np.ndarray:
        """``A A*``, the products ``<A_i, A_j>``: ``(p, p)``; if diagonal that alone, ``(p,)``."""

    @abc.abstractmethod
    def solve_gram(self, values: Any) -> np.ndarray:
        """``(A A*)^-1 v``, shape ``(p,)``, of values ``(p,)``.

        The Gram matrix ``<A_i, A_j>`` is factorized once and kept. Where measurements depend on
        each other linearly, its pseudo-inverse is taken: for values that some matrix has,
        ``adjoint(solve_gram(values))`` is then the matrix of least norm that has them.
        """

    @abc.abstractmethod
    def subset(self, positions: Any) -> "AbstractOperator":
        """The measurements at the given positions."""

    @abc.abstractmethod
    def loss(self, factorization: Any, values: np.ndarray, route: str = "auto") -> AbstractLoss:
        """Mean over measurements of half the squared residual, as a function of the factors.

        Raises
        ------
        InputError
            If there is no such route.
        """

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: what was derived from them is derived again."""
        if not dataclasses.is_dataclass(self):
            return vars(self)
        return {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}


def checked_matrix(matrix: Any, shape: tuple[int, int]) -> np.ndarray:
    """A float64 matrix of the shape that an operator measures, C-contiguous."""
    given = np.asarray(matrix)
    if given.shape != shape:
        raise InputError(f"The operator measures matrices of shape {shape}; got {given.shape}.")
    _refuse_no_reals(given, "The matrix")
    return np.ascontiguousarray(given, np.float64)


def checked_values(values: Any, count: int) -> np.ndarray:
    """A float64 vector with a value for each measurement, C-contiguous."""
    given = np.asarray(values)
    if given.shape != (count,):
        raise InputError(
            f"values must be {count}, one for each measurement; got shape {given.shape}."
        )
    _refuse_no_reals(given, "values")
    return np.ascontiguousarray(given, np.float64)


def _refuse_no_reals(given: np.ndarray, name: str) -> None:
    if given.dtype.kind not in "biuf":
        raise InputError(f"{name} must be real numbers; got an array of {given.dtype}.")


def real_array(given: Any, name: str, n_axes: int) -> np.ndarray:
    """Real numbers, finite and some, as float32 if they are given so, else as float64.

    The array is the operator's own and cannot be written to; one that nobody can write to is
    taken as it is.
    """
    try:
        array = np.asarray(given)
    except ValueError:
        raise InputError(f"{name} must be an array; its parts have different lengths.") from None
    if array.ndim != n_axes or not array.size:
        raise InputError(
            f"{name} must be an array of {n_axes} axes, none of them empty; "
            f"got shape {array.shape}."
        )
    _refuse_no_reals(array, name)
    own = not array.flags.writeable and array.base is None
    dtype = np.float32 if array.dtype == np.float32 else np.float64
    array = np.array(array, dtype, order="C", copy=None if own else True)
    finite = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if not finite.all():
        k = int(np.argmin(finite))
        raise InputError(f"{name} must be finite; measurement {k} has a value that is not.")
    array.setflags(write=False)
    return array


def digest(shape: tuple[int, ...], arrays: Iterable[np.ndarray]) -> str:
    """SHA-256 of a shape and of arrays of numbers by their values, in hexadecimal."""
    result = hashlib.sha256(np.array(shape, "<i8").tobytes())
    for array in arrays:
        kind = "<f8" if array.dtype.kind == "f" else "<i8"
        for part in np.array_split(array, max(1, array.size // 1_000_000)):
            result.update((part.astype(kind) + 0).tobytes())  # -0.0 and 0.0 are equal
    return result.hexdigest()
