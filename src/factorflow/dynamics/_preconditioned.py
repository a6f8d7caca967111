"""The loss of the end-to-end matrix with the gradient that a balanced network would follow."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from factorflow.dynamics._by_differences import by_differences
from factorflow.factorizations import preconditioner_eigenvalues
from factorflow.problems import AbstractLoss


class PreconditionedLoss(AbstractLoss):
    """A loss of the matrix itself whose ``gradient`` is ``P_W G``; flow along it is end-to-end."""

    route: ClassVar[str] = "preconditioned"
    factorization: Any = eqx.field(static=True)
    loss: AbstractLoss
    depth: float

    def __init__(self, loss: AbstractLoss, depth: float):
        self.factorization = loss.factorization
        self.loss = loss
        self.depth = depth

    def __call__(self, factors):
        return self.loss(factors)

    def value_and_gradient(self, factors):
        # For implicit solvers: a singular value decomposition in full has no derivative.
        return by_differences(lambda given: self._value_and_gradient(given), tuple(factors))

    def _value_and_gradient(self, factors):
        value, (gradient,) = self.loss.value_and_gradient(factors)
        return value, (preconditioned(factors[0], gradient, self.depth),)


def preconditioned(matrix: Array, gradient: Array, depth: float) -> Array:
    """``P_W G``, ``(m, n)``; see :func:`preconditioner_eigenvalues`."""
    left, eigenvalues, right = _spectrum(matrix, depth)
    return left @ (eigenvalues * (left.T @ gradient @ right)) @ right.T


def layer_gradient_norm(matrix: Array, preconditioned_gradient: Array, depth: float) -> Array:
    """``sqrt(<G, P_W G>)``, what the gradient by all layers measures, from ``P_W G``."""
    left, eigenvalues, right = _spectrum(matrix, depth)
    core = left.T @ preconditioned_gradient @ right
    # Below that ``P_W G`` holds nothing but rounding.
    held = eigenvalues > jnp.finfo(matrix.dtype).eps * jnp.max(eigenvalues)
    shares = core**2 / jnp.where(held, eigenvalues, 1.0)
    return jnp.sqrt(jnp.sum(jnp.where(held, shares, 0.0)))


def _spectrum(matrix: Array, depth: float) -> tuple[Array, Array, Array]:
    m, n = matrix.shape
    left, values, right = jnp.linalg.svd(matrix, full_matrices=True)
    rows = jnp.zeros(m).at[: len(values)].set(values)
    columns = jnp.zeros(n).at[: len(values)].set(values)
    return left, preconditioner_eigenvalues(rows, columns, depth), right.T
