"""The losses of linear measurements."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from factorflow._errors import InputError
from factorflow._placed import placed
from factorflow._x64 import double_precision
from factorflow.problems._loss import AbstractLoss, Factors
from factorflow.problems._stack_pass import half_squares, half_squares_and_gradient


class SensingLoss(AbstractLoss):
    """Mean over measurements of half the squared residual, by plain JAX operations.

        L(W) = 1/(2p) ||A(W) - y||^2,    dL/dW = A*(A(W) - y) / p

    Works on any device.

    Parameters
    ----------
    factorization
        Any factorization; only its ``matrix`` is used.
    shape
        ``(m, n)``.
    forward
        `A`, a pytree and linear function of JAX from ``(m, n)`` to ``(p,)``.
    values
        ``y``, shape ``(p,)``.
    """

    route: ClassVar[str] = "dense"
    factorization: Any = eqx.field(static=True)
    shape: tuple[int, int] = eqx.field(static=True)
    forward: Callable[[jax.Array], jax.Array]
    values: jax.Array

    def __init__(self, factorization: Any, shape: tuple[int, int], forward: Any, values: Any):
        self.factorization = factorization
        self.shape = shape
        self.forward = forward
        with double_precision():
            self.values = placed(values, jnp.float64)

    def __call__(self, factors: Factors) -> jax.Array:
        with double_precision():
            residuals = self.forward(_matrix(self, factors)) - self.values
            return 0.5 * jnp.sum(residuals**2) / self.values.shape[0]


class FusedLoss(AbstractLoss):
    """Mean over measurements of half the squared residual, by compiled kernels on a CPU.

        L(W) = 1/(2p) ||A w - y||^2,    dL/dw = A^T (A w - y) / p,    w = W flattened

    Residuals and gradient come out of one reading of the stack `A`, which is what a gradient
    costs; its elements may be kept in float32, then half as many bytes are read. All arithmetic
    is in float64 and does not depend on the number of threads.

    Parameters
    ----------
    factorization
        Any factorization; only its ``matrix`` is used.
    shape
        ``(m, n)``.
    stack
        `A`, shape ``(p, m n)``, float32 or float64: a flattened measurement matrix in each row.
    values
        ``y``, shape ``(p,)``.
    """

    route: ClassVar[str] = "fused"
    factorization: Any = eqx.field(static=True)
    shape: tuple[int, int] = eqx.field(static=True)
    stack: jax.Array
    values: jax.Array

    def __init__(self, factorization: Any, shape: tuple[int, int], stack: Any, values: Any):
        self.factorization = factorization
        self.shape = shape
        with double_precision():
            self.stack = placed(stack)
            self.values = placed(values, jnp.float64)

    def __call__(self, factors: Factors) -> jax.Array:
        with double_precision():
            w = _matrix(self, factors).ravel()
            return half_squares(self.stack, w, self.values) / self.values.shape[0]

    def value_and_gradient(self, factors: Factors) -> tuple[jax.Array, Factors]:
        count = self.values.shape[0]
        with double_precision():
            matrix, pull_back = jax.vjp(lambda given: _matrix(self, given), tuple(factors))
            value, gradient = half_squares_and_gradient(self.stack, matrix.ravel(), self.values)
            return value / count, pull_back(gradient.reshape(self.shape) / count)[0]


def _matrix(loss: SensingLoss | FusedLoss, factors: Factors) -> jax.Array:
    matrix = loss.factorization.tensor(factors)
    if matrix.shape != loss.shape:
        raise InputError(
            f"The factors make a matrix of shape {matrix.shape}, "
            f"the problem is of shape {loss.shape}."
        )
    return matrix.astype(jnp.float64)
