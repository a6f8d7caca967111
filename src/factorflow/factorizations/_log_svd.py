"""A matrix as singular vectors and logarithms of singular values."""

from collections.abc import Sequence
from operator import index

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from factorflow._errors import InputError
from factorflow.factorizations._abstract import AbstractMatrixFactorization, Shape, sides
from factorflow.factorizations._symmetric import semidefinite_eigenpairs


class LogSVD(AbstractMatrixFactorization):
    """The matrix as ``W = U diag(exp s) V^T``: singular vectors and logarithms of singular values.

    The factors are ``(U, s, V)`` of shapes ``(m, k)``, ``(k,)`` and ``(n, k)``. However small a
    singular value, it keeps its full relative accuracy: the rank stays `k` and the sign of a
    determinant stays what it is, where the entries of `W` would hold nothing but rounding.
    :class:`EndToEndFlow` is the dynamics that moves it.

    Parameters
    ----------
    rank
        Number `k` of singular values that are kept; by default all ``min(m, n)``. A balanced
        network of hidden widths `k` has this rank for ever.
    symmetric
        Whether the matrix is positive semidefinite, ``U = V``, and stays so. A flow from such a
        start stays so by itself, but rounding grows where ``-dL/dW`` has a negative eigenvalue that
        is larger in size than one that is learned. This is the deep symmetric product of Li, Luo
        and Lyu 2021 (arXiv:2012.09839): at depth `P`, ``M = W^(2/P)`` follows
        ``dM/dt = -(G M^(P/2) + M^(P/2) G)``, `G` the symmetric part of ``dL/dW``.

    Raises
    ------
    InputError
        If the rank is no whole number of 1 or more; in use, if a symmetric one is to start at a
        matrix that is not positive semidefinite.
    """

    rank: int | None = eqx.field(static=True, default=None)
    symmetric: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if self.rank is not None and _whole(self.rank) < 1:
            raise InputError(f"rank must be 1 or more; got {self.rank!r}.")

    def shapes(self, shape: Shape) -> list[tuple[int, ...]]:
        m, n = shape
        k = self.width(shape)
        return [(m, k), (k,), (n, k)]

    def width(self, shape: Shape) -> int:
        return min(shape) if self.rank is None else min(*shape, self.rank)

    def matrix(self, factors: Sequence[jax.Array]) -> jax.Array:
        left, log_values, right = factors
        return (left * jnp.exp(log_values)[None, :]) @ right.T

    def halves(self, factors: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
        raise InputError("LogSVD has no halves; take its matrix instead.")

    def singular_values(self, factors: Sequence[jax.Array]) -> jax.Array:
        return jnp.exp(jnp.sort(factors[1])[::-1])

    def determinant_sign(self, factors: Sequence[jax.Array]) -> jax.Array:
        """Sign of the determinant of a square matrix of full rank, exact at any size of it."""
        left, _, right = factors
        if not left.shape[0] == left.shape[1] == right.shape[0]:
            raise InputError("The sign of a determinant needs a square matrix and its full rank.")
        return jnp.linalg.slogdet(left)[0] * jnp.linalg.slogdet(right)[0]

    def layer_shapes(self, shape: Shape) -> list[tuple[int, ...]]:
        return [sides(shape, self)]

    def from_layers(self, layers: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        return self.from_matrix(layers[0])

    def from_matrix(self, matrix: np.ndarray) -> tuple[np.ndarray, ...]:
        matrix = np.asarray(matrix, float)
        k = self.width(matrix.shape)
        if self.symmetric:
            values, left = semidefinite_eigenpairs(matrix)
            right = left.T
        else:
            left, values, right = np.linalg.svd(matrix, full_matrices=False)
        rounding = max(matrix.shape) * np.finfo(float).eps * values[0]
        rank = np.count_nonzero(values > rounding)
        if rank < k:
            raise InputError(
                f"The matrix has rank {rank}, which no flow of LogSVD raises; write "
                f"LogSVD(rank=...) with that rank or less instead of {k}."
            )
        return left[:, :k], np.log(values[:k]), right[:k].T


def _whole(rank: int) -> int:
    try:
        return index(rank)
    except TypeError:
        raise InputError(f"rank must be a whole number of 1 or more; got {rank!r}.") from None
