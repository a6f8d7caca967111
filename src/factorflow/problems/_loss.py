"""What every loss offers to the dynamics."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from factorflow._placed import placed
from factorflow._x64 import double_precision

Factors = tuple[jax.Array, ...]


class AbstractLoss(eqx.Module):
    """A scalar loss of the factors of a factorization.

    A loss is a pytree of JAX arrays, so that ``jax.jit`` takes it as an argument and ``jax.vmap``
    maps over factors (with ``in_axes=None`` for the loss) or over stacked losses of one shape.
    All arrays are float64: call it where JAX computes in double precision.

    Attributes
    ----------
    route
        How the loss is computed: ``"dense"``, ``"entries"``, ``"fused"`` or ``"function"``.
    factorization
        The map from factors to the matrix; static, hence hashable.
    entrywise
        Whether the loss is a sum of functions of single entries of the matrix, so that its
        Hessian by the matrix is diagonal.
    """

    factorization: eqx.AbstractVar[Any]
    route: eqx.AbstractClassVar[str]
    entrywise: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, factors: Factors) -> jax.Array:
        """The loss, a scalar; differentiable."""

    def value_and_gradient(self, factors: Factors) -> tuple[jax.Array, Factors]:
        """The loss and its gradient by every factor, at the cost of one forward-backward pass."""
        with double_precision():
            return jax.value_and_grad(self.__call__)(tuple(factors))

    def gradient(self, factors: Factors) -> Factors:
        """The gradient by every factor."""
        return self.value_and_gradient(factors)[1]

    def of(self, factorization: Any) -> "AbstractLoss":
        """The same loss as a function of another factorization's factors."""
        other = object.__new__(type(self))
        for name, value in vars(self).items():
            object.__setattr__(other, name, factorization if name == "factorization" else value)
        return other

    def for_company(self) -> "AbstractLoss":
        """The same loss, computed so that runs side by side leave each other the processor."""
        return self

    # JAX would read a pickled float64 array as float32 wherever double precision is not set.

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: jax.tree.map(lambda x: np.asarray(x) if isinstance(x, jax.Array) else x, value)
            for name, value in vars(self).items()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        with double_precision():
            for name, value in state.items():
                arrays = jax.tree.map(
                    lambda x: placed(x) if isinstance(x, np.ndarray) else x, value
                )
                object.__setattr__(self, name, arrays)
