"""A user's own loss of the end-to-end matrix."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import jax

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.problems._loss import AbstractLoss, Factors


class FunctionLoss(AbstractLoss):
    """``function(matrix)``, a JAX function of the end-to-end matrix that returns a scalar.

    Parameters
    ----------
    factorization
        Any factorization; only its ``matrix`` is used.
    function
        Maps an ``(m, n)`` float64 array to a scalar; traceable and differentiable by JAX. It is
        static: pass the same function object again and nothing is compiled anew.
    """

    route: ClassVar[str] = "function"
    factorization: Any = eqx.field(static=True)
    function: Callable[[jax.Array], jax.Array] = eqx.field(static=True)

    def __call__(self, factors: Factors) -> jax.Array:
        with double_precision():
            return self.function(self.factorization.tensor(factors))


@dataclass(frozen=True)
class FunctionProblem:
    """A problem that is given by a function of the matrix or tensor alone.

    Parameters
    ----------
    shape
        ``(m, n)`` of the unknown matrix, or ``(d_1, ..., d_N)`` of a tensor.
    function
        Maps an array of that shape to a scalar; traceable and differentiable by JAX. No mean is
        taken: the number that it returns is the loss.
    """

    shape: tuple[int, ...]
    function: Callable[[jax.Array], jax.Array]

    def loss(self, factorization: Any, route: str = "auto") -> FunctionLoss:
        """The loss of the factors of a factorization.

        Raises
        ------
        InputError
            If `route` is neither ``"auto"`` nor ``"function"``.
        """
        if route not in ("auto", "function"):
            raise InputError(
                f"A function of the matrix has one route, 'function'; got route={route!r}."
            )
        return FunctionLoss(factorization, self.function)
