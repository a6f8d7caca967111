"""The loss that is a convex function of every observed entry."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.problems._cell_functions import AbstractCellFunction
from factorflow.problems._loss import AbstractLoss, Factors


class EntrywiseLoss(AbstractLoss):
    """Mean over observations of a function of the entry, from the end-to-end matrix.

        L(W) = 1/p sum_{(i, j) observed} phi(W_ij, Y_ij),    dL/dW = observed * phi'(W, Y) / p

    It is convex in `W` where `phi` is. Beside the matrix products of the factorization it costs
    one pass over the ``m n`` entries.

    Parameters
    ----------
    factorization
        Any factorization; only its ``matrix`` is used.
    function
        ``phi``, for example ``Logistic()`` or ``PseudoHuber(0.1)``.
    values
        ``Y``, shape ``(m, n)``; 0 where nothing was observed.
    observed
        Shape ``(m, n)``, true or 1 where observed.
    count
        The number `p` that the sum is divided by.

    Raises
    ------
    InputError
        If values and observed are not matrices of one shape, or the function is of another kind.
    """

    route: ClassVar[str] = "dense"
    entrywise: ClassVar[bool] = True
    factorization: Any = eqx.field(static=True)
    function: AbstractCellFunction
    values: jax.Array
    observed: jax.Array
    count: jax.Array

    def __init__(
        self,
        factorization: Any,
        function: AbstractCellFunction,
        values: Any,
        observed: Any,
        count: Any,
    ):
        if not isinstance(function, AbstractCellFunction):
            raise InputError(
                "function must be one of a cell, such as Logistic() or PseudoHuber(0.1); "
                f"got {function!r}."
            )
        with double_precision():
            self.factorization = factorization
            self.function = function
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
            matrix = self.factorization.matrix(factors)
            if matrix.shape != self.values.shape:
                raise InputError(
                    f"The factors make a matrix of shape {matrix.shape}, "
                    f"the problem is of shape {self.values.shape}."
                )
            return jnp.sum(self.observed * self.function(matrix, self.values)) / self.count
