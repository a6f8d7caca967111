"""The loss that is a convex function of every observed entry."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.problems._cell_functions import AbstractCellFunction
from factorflow.problems._dense import checked_grids, whole
from factorflow.problems._loss import AbstractLoss, Factors


class EntrywiseLoss(AbstractLoss):
    """Mean over observations of a function of the entry, from the end-to-end matrix or tensor.

        L(W) = 1/p sum_{(i, j) observed} phi(W_ij, Y_ij),    dL/dW = observed * phi'(W, Y) / p

    It is convex in `W` where `phi` is. Beside the products of the factorization it costs one pass
    over all entries.

    Parameters
    ----------
    factorization
        Any factorization; only its ``tensor`` is used.
    function
        ``phi``, for example ``Logistic()`` or ``PseudoHuber(0.1)``.
    values
        ``Y``, of the shape of the unknown; 0 where nothing was observed.
    observed
        Of the same shape, true or 1 where observed.
    count
        The number `p` that the sum is divided by.

    Raises
    ------
    InputError
        If values and observed are not of one shape, or the function is of another kind.
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
        self.factorization, self.function = factorization, function
        self.values, self.observed, self.count = checked_grids(values, observed, count)

    def __call__(self, factors: Factors) -> jax.Array:
        with double_precision():
            costs = self.function(whole(self, factors), self.values)
            return jnp.sum(self.observed * costs) / self.count
