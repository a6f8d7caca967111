"""The loss of a multilinear model on samples."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.problems._loss import AbstractLoss, Factors


class MultilinearLoss(AbstractLoss):
    """Mean over samples of half the squared residual of what a tensor makes of their vectors.

        L(T) = 1/(2 p) sum_i (<T, x_i1 (x) ... (x) x_iN> - y_i)^2

    The tensor is never formed: a sample costs the products of its vectors with the factors, and
    memory is that of the features, ``8 p R`` bytes for each mode of width `R`.

    Parameters
    ----------
    factorization
        Any factorization of tensors.
    inputs
        A matrix ``(p, d_n)`` for each mode.
    targets
        ``(p,)``.
    """

    route: ClassVar[str] = "samples"
    factorization: Any = eqx.field(static=True)
    inputs: tuple[jax.Array, ...]
    targets: jax.Array

    def __init__(self, factorization: Any, inputs: Sequence[Any], targets: Any):
        self.factorization = factorization
        with double_precision():
            self.inputs = tuple(jnp.asarray(each, jnp.float64) for each in inputs)
            self.targets = jnp.asarray(targets, jnp.float64)

    def __call__(self, factors: Factors) -> jax.Array:
        with double_precision():
            self._check(self.factorization.sizes(factors))
            residuals = self.factorization.evaluate(factors, self.inputs) - self.targets
            return jnp.mean(residuals**2) / 2

    def _check(self, shape: tuple[int, ...]) -> None:
        wanted = tuple(each.shape[1] for each in self.inputs)
        if tuple(shape) != wanted:
            raise InputError(
                f"The factors make a tensor of shape {tuple(shape)}, the problem is of shape "
                f"{wanted}."
            )
