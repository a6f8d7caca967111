"""What every factorization of a matrix offers to losses, initializers and observables."""

import abc
from collections.abc import Sequence

import equinox as eqx
import jax
import numpy as np

Factors = tuple[jax.Array, ...]
Shape = tuple[int, int]


class AbstractFactorization(eqx.Module):
    """A way to write an unknown matrix as a function of a tuple of factors.

    A factorization holds no parameters: it maps a tuple of arrays, the *factors*, to the matrix
    that they stand for, so that one value serves any number of runs.
    """

    @abc.abstractmethod
    def shapes(self, shape: Shape) -> list[tuple[int, ...]]:
        """Shapes of the factors of an ``(m, n)`` matrix, first applied first."""

    @abc.abstractmethod
    def matrix(self, factors: Sequence[jax.Array]) -> jax.Array:
        """The end-to-end matrix, ``(m, n)``."""

    @abc.abstractmethod
    def halves(self, factors: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
        """``left (m, w)`` and ``right (w, n)`` whose product is the matrix; `w` is the width."""

    @abc.abstractmethod
    def width(self, shape: Shape) -> int:
        """The largest rank that the factorization can reach for an ``(m, n)`` matrix."""

    @abc.abstractmethod
    def singular_values(self, factors: Sequence[jax.Array]) -> jax.Array:
        """Singular values of the matrix in descending order, as many as its width."""

    @abc.abstractmethod
    def layer_shapes(self, shape: Shape) -> list[tuple[int, ...]]:
        """Shapes of the layers that an initializer draws, first applied first."""

    @abc.abstractmethod
    def from_layers(self, layers: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """The factors that stand for the product of such layers."""

    @abc.abstractmethod
    def from_matrix(self, matrix: np.ndarray) -> tuple[np.ndarray, ...]:
        """Factors of a given ``(m, n)`` matrix; of layers, balanced ones."""
