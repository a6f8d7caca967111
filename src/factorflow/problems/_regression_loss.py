"""The loss of a linear model on samples."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from factorflow._errors import InputError
from factorflow._placed import placed
from factorflow._x64 import double_precision
from factorflow.problems._loss import AbstractLoss, Factors


class RegressionLoss(AbstractLoss):
    """Mean over samples of ``1/q`` times the sum of the `q`-th powers of the residuals.

        L(W) = 1/(p q) sum |X W^T - Y|^q,      dL/dW = 1/p (sign(R) |R|^(q-1))^T X,   R = X W^T - Y

    Beside the products of the factors it costs two products with the inputs, one to and one fro.

    Parameters
    ----------
    factorization
        Any factorization.
    inputs, targets
        ``X``, shape ``(p, d_in)``, and ``Y``, shape ``(p, d_out)``.
    power
        `q`, 1 or more.
    """

    route: ClassVar[str] = "dense"
    factorization: Any = eqx.field(static=True)
    inputs: jax.Array
    targets: jax.Array
    power: float = eqx.field(static=True)

    def __init__(self, factorization: Any, inputs: Any, targets: Any, power: float):
        self.factorization = factorization
        self.power = power
        with double_precision():
            self.inputs = placed(inputs, jnp.float64)
            self.targets = placed(targets, jnp.float64)

    def __call__(self, factors: Factors) -> jax.Array:
        with double_precision():
            residuals = self._outputs(factors) - self.targets
            powers = residuals**self.power if self._is_even else jnp.abs(residuals) ** self.power
            return jnp.sum(powers) / (self.power * len(self.targets))

    @property
    def _is_even(self) -> bool:
        # An even power needs no absolute value, and compiles to products.
        return isinstance(self.power, int) and self.power % 2 == 0

    def _outputs(self, factors: Factors) -> jax.Array:
        """``X W^T``, by the halves of the matrix where these are the shorter way."""
        n_samples, d_in = self.inputs.shape
        d_out = self.targets.shape[1]
        if len(factors) > 1:
            left, right = self.factorization.halves(factors)
            self._check((left.shape[0], right.shape[1]))
            width = right.shape[0]
            if n_samples * width * (d_out + d_in) < (n_samples + width) * d_out * d_in:
                return (self.inputs @ right.T) @ left.T
        matrix = self.factorization.tensor(factors)
        self._check(matrix.shape)
        return self.inputs @ matrix.T

    def _check(self, shape: tuple[int, ...]) -> None:
        wanted = (self.targets.shape[1], self.inputs.shape[1])
        if shape != wanted:
            raise InputError(
                f"The factors make a matrix of shape {shape}, the problem is of shape {wanted}."
            )
