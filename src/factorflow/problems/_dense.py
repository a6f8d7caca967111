"""The loss that forms the whole matrix or tensor."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from factorflow._errors import InputError
from factorflow._placed import placed
from factorflow._x64 import double_precision
from factorflow.problems._blas_gradient import value_and_gradient as by_blas
from factorflow.problems._loss import AbstractLoss, Factors
from factorflow.problems._products import worth_blas


class DenseLoss(AbstractLoss):
    """Mean over observations of half the squared residual, from the end-to-end matrix or tensor.

        L(W) = 1/(2p) sum_{(i, j) observed} (W_ij - Y_ij)^2,    dL/dW = observed * (W - Y) / p

    Beside the products of the factorization it costs one pass over all entries. On a CPU, products
    of 64 and more rows and columns are taken by BLAS, shared out among XLA's threads: ``solve``
    keeps BLAS itself to one thread meanwhile, and whoever compiles ``value_and_gradient`` for
    themselves should do so too (``threadpoolctl.threadpool_limits(1, "blas")``), or threads wait
    for threads.

    Parameters
    ----------
    factorization
        Any factorization; only its ``tensor`` is used.
    values
        ``Y``, of the shape of the unknown; what stands in unobserved cells is multiplied by zero,
        so it must be finite.
    observed
        Of the same shape, true or 1 where observed.
    count
        The number `p` that the sum is divided by.
    """

    route: ClassVar[str] = "dense"
    entrywise: ClassVar[bool] = True
    factorization: Any = eqx.field(static=True)
    values: jax.Array
    observed: jax.Array
    count: jax.Array
    in_company: bool = eqx.field(static=True)

    def __init__(self, factorization: Any, values: Any, observed: Any, count: Any):
        self.factorization, self.in_company = factorization, False
        self.values, self.observed, self.count = checked_grids(values, observed, count)

    def __call__(self, factors: Factors) -> jax.Array:
        with double_precision():
            return self.value(factors)

    def value(self, factors: Factors) -> jax.Array:
        """The loss, in double precision already."""
        residual = self.observed * (whole(self, factors) - self.values)
        return 0.5 * jnp.sum(residual**2) / self.count

    def value_and_gradient(self, factors: Factors) -> tuple[jax.Array, Factors]:
        company = "in company" if self.in_company else "alone"
        if not worth_blas(self.factorization, factors, company):
            return super().value_and_gradient(factors)
        _check_shape(self, (factors[-1].shape[0], factors[0].shape[1]))
        with double_precision():
            return by_blas(company, self, tuple(factors))

    def for_company(self) -> AbstractLoss:
        other = self.of(self.factorization)
        object.__setattr__(other, "in_company", True)
        return other


def checked_grids(values: Any, observed: Any, count: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The three as arrays, values and observed of one shape."""
    with double_precision():
        values, observed = placed(values, jnp.float64), placed(observed, jnp.float64)
        if values.ndim < 2 or values.shape != observed.shape:
            raise InputError(
                "values and observed must be of one shape, that of a matrix or tensor; "
                f"got {values.shape} and {observed.shape}."
            )
        return values, observed, placed(count, jnp.float64)


def whole(loss: Any, factors: Factors) -> jax.Array:
    """What the factors stand for, of the shape of the values of the loss."""
    tensor = loss.factorization.tensor(factors)
    _check_shape(loss, tensor.shape)
    return tensor


def _check_shape(loss: Any, shape: tuple[int, ...]) -> None:
    if shape != loss.values.shape:
        raise InputError(
            f"The factors make an unknown of shape {shape}, "
            f"the problem is of shape {loss.values.shape}."
        )
