"""What every factorization offers to losses, initializers and observables."""

import abc
from collections.abc import Sequence

import equinox as eqx
import jax
import numpy as np

from factorflow._errors import InputError

Factors = tuple[jax.Array, ...]
Shape = tuple[int, ...]


class AbstractFactorization(eqx.Module):
    """A way to write an unknown matrix or tensor as a function of a tuple of factors.

    A factorization holds no parameters: it maps a tuple of arrays, the *factors*, to the array
    that they stand for, so that one value serves any number of runs.
    """

    @abc.abstractmethod
    def shapes(self, shape: Shape) -> list[tuple[int, ...]]:
        """Shapes of the factors of an unknown of this shape, in the order of the factors."""

    @abc.abstractmethod
    def tensor(self, factors: Sequence[jax.Array]) -> jax.Array:
        """The end-to-end tensor, of the shape of the unknown; of a matrix, the matrix."""

    @abc.abstractmethod
    def halves(self, factors: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
        """``left (m, w)`` and ``right (w, n)`` whose product is the unknown.

        Of a tensor, of its entries laid out as a matrix: the first modes by the last ones.
        """

    @abc.abstractmethod
    def layer_shapes(self, shape: Shape) -> list[tuple[int, ...]]:
        """Shapes of the layers that an initializer draws."""

    @abc.abstractmethod
    def fans(self, shape: Shape) -> list[float]:
        """What divides the variance of each layer's entries, for a product of a given scale.

        Layers with independent entries of variance ``scale^(2/N) / fan``, `N` of them, make a
        product with ``E ||W||_F^2 = d_1 scale^2``, `d_1` its first dimension.
        """

    @abc.abstractmethod
    def from_layers(self, layers: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """The factors that stand for the product of such layers."""


class AbstractMatrixFactorization(AbstractFactorization):
    """A way to write an unknown ``(m, n)`` matrix; its factors come first applied first."""

    @abc.abstractmethod
    def matrix(self, factors: Sequence[jax.Array]) -> jax.Array:
        """The end-to-end matrix, ``(m, n)``."""

    @abc.abstractmethod
    def width(self, shape: Shape) -> int:
        """The largest rank that the factorization can reach for an ``(m, n)`` matrix."""

    @abc.abstractmethod
    def singular_values(self, factors: Sequence[jax.Array]) -> jax.Array:
        """Singular values of the matrix in descending order, as many as its width."""

    @abc.abstractmethod
    def from_matrix(self, matrix: np.ndarray) -> tuple[np.ndarray, ...]:
        """Factors of a given ``(m, n)`` matrix; of layers, balanced ones."""

    def tensor(self, factors: Sequence[jax.Array]) -> jax.Array:
        return self.matrix(factors)

    def fans(self, shape: Shape) -> list[float]:
        return [float(columns) for _, columns in self.layer_shapes(shape)]


def sides(shape: Shape, factorization: AbstractMatrixFactorization) -> tuple[int, int]:
    """``(m, n)``, or an error that says what is for tensors."""
    if len(shape) != 2:
        raise InputError(
            f"{factorization!r} writes a matrix; the unknown has the shape {tuple(shape)}. "
            "CP() and HierarchicalTucker() write tensors."
        )
    return shape[0], shape[1]
