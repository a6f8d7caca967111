"""The loss that forms the whole matrix."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.problems._loss import AbstractLoss, Factors


class DenseLoss(AbstractLoss):
    """Mean over observations of half the squared residual, from the end-to-end matrix.

        L(W) = 1/(2p) sum_{(i, j) observed} (W_ij - Y_ij)^2,    dL/dW = observed * (W - Y) / p

    Beside the matrix products of the factorization it costs one pass over the ``m n`` entries.

    Parameters
    ----------
    factorization
        Any factorization; only its ``matrix`` is used.
    values
        ``Y``, shape ``(m, n)``; what stands in unobserved cells is multiplied by zero, so it must
        be finite.
    observed
        Shape ``(m, n)``, true or 1 where observed.
    count
        The number `p` that the sum is divided by.
    """

    route: ClassVar[str] = "dense"
    entrywise: ClassVar[bool] = True
    factorization: Any = eqx.field(static=True)
    values: jax.Array
    observed: jax.Array
    count: jax.Array

    def __init__(self, factorization: Any, values: Any, observed: Any, count: Any):
        with double_precision():
            self.factorization = factorization
            self.values = jnp.asarray(values, jnp.float64)
            self.observed = jnp.asarray(observed, jnp.float64)
            self.count = jnp.asarray(count, jnp.float64)
        if self.values.ndim != 2 or self.values.shape != self.observed.shape:
            raise InputError(
                "values and observed must be matrices of one shape; "
                f"got {self.values.shape} and {self.observed.shape}."
            )

    def __call__(self, factors: Factors) -> jax.Array:
        with double_precision():
            residual = self._residual(self.factorization.matrix(factors))
            return 0.5 * jnp.sum(residual**2) / self.count

    def _residual(self, matrix: jax.Array) -> jax.Array:
        if matrix.shape != self.values.shape:
            raise InputError(
                f"The factors make a matrix of shape {matrix.shape}, "
                f"the problem is of shape {self.values.shape}."
            )
        return self.observed * (matrix - self.values)
