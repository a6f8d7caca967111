"""The symmetric positive semidefinite product W = U U^T."""

from collections.abc import Sequence
from operator import index

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from factorflow._errors import InputError
from factorflow.factorizations._abstract import AbstractMatrixFactorization, Shape, sides

_OFF = 1e-9  # asymmetry or negative eigenvalue that passes for rounding, as a share of the largest


class Symmetric(AbstractMatrixFactorization):
    """A positive semidefinite matrix as ``W = U U^T``, with the one factor `U`, ``(d, k)``.

    Parameters
    ----------
    width
        Number `k` of columns, the largest rank; by default `d`.

    Notes
    -----
    The loss that a dynamics descends is ``f(U U^T)``, so that gradient flow is
    ``dU/dt = -(G + G^T) U`` with ``G = df/dW``: twice as fast as in Li, Luo and Lyu 2021
    (arXiv:2012.09839), who descend half of it, and as a balanced network of depth 2. A deep
    symmetric product of any real depth `P` is ``EndToEndFlow(P)`` on ``LogSVD(symmetric=True)``.

    An initializer draws two layers; `U` is the last of them. ``Balanced``, whose product is
    not symmetric, has no such factor.

    Raises
    ------
    InputError
        If the width is no whole number of 1 or more; in use, if a matrix is not square, or, to be
        factored, not positive semidefinite or of larger rank.
    """

    width_: int | None = eqx.field(static=True)

    def __init__(self, width: int | None = None):
        self.width_ = None if width is None else checked_width(width, "width")

    def shapes(self, shape: Shape) -> list[tuple[int, ...]]:
        return [(shape[0], self.width(shape))]

    def width(self, shape: Shape) -> int:
        m, n = sides(shape, self)
        if m != n:
            raise InputError(f"Symmetric needs a square matrix; this one has shape {shape}.")
        return shape[0] if self.width_ is None else self.width_

    def matrix(self, factors: Sequence[jax.Array]) -> jax.Array:
        return factors[0] @ factors[0].T

    def halves(self, factors: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
        return factors[0], factors[0].T

    def singular_values(self, factors: Sequence[jax.Array]) -> jax.Array:
        return jnp.linalg.svd(factors[0], compute_uv=False) ** 2

    def layer_shapes(self, shape: Shape) -> list[tuple[int, ...]]:
        d, k = shape[0], self.width(shape)
        return [(k, d), (d, k)]

    def from_layers(self, layers: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        return (layers[-1],)

    def from_matrix(self, matrix: np.ndarray) -> tuple[np.ndarray, ...]:
        k = self.width(np.shape(matrix))
        values, vectors = semidefinite_eigenpairs(matrix)
        if np.count_nonzero(values > _OFF * values[0]) > k:
            raise InputError(f"The matrix has a rank above the width {k} of {self!r}.")
        factor = np.zeros((len(matrix), k))
        kept = min(k, len(matrix))
        factor[:, :kept] = (vectors * np.sqrt(values))[:, :kept]
        return (factor,)

    def __repr__(self) -> str:
        return f"Symmetric(width={self.width_})"


def semidefinite_eigenpairs(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, largest first and none below zero, and eigenvectors of a semidefinite matrix.

    Raises
    ------
    InputError
        If it is not symmetric positive semidefinite, up to rounding.
    """
    if matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"A semidefinite matrix is square; this one has shape {matrix.shape}.")
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    room = _OFF * max(np.max(np.abs(values)), np.finfo(float).tiny)
    if np.max(np.abs(matrix - matrix.T)) > room or values[0] < -room:
        raise InputError(
            "Only positive semidefinite matrices can be written so; this one is not symmetric or "
            f"has the eigenvalue {values[0]:.3g}."
        )
    return np.maximum(values, 0)[::-1], vectors[:, ::-1]


def checked_width(width: int, name: str) -> int:
    """A whole number of 1 or more, or an error that names it."""
    try:
        whole = 0 if isinstance(width, bool) else index(width)
    except TypeError:
        whole = 0
    if whole < 1:
        raise InputError(f"{name} must be a whole number of 1 or more; got {width!r}.")
    return whole
