"""Convex functions of one entry of the matrix and of what was observed there."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from factorflow._placed import placed
from factorflow._x64 import double_precision
from factorflow.problems._numbers import positive_number


class AbstractCellFunction(eqx.Module):
    """``phi(w, y)``: what an entry `w` costs where `y` was observed; convex in `w`.

    A pytree: its numbers may change without anything being compiled anew. Entries and
    observations are arrays of one shape, and so is the result. It must be finite for every
    finite `w` at ``y = 0``, which stands where nothing was observed.
    """

    @abc.abstractmethod
    def __call__(self, entries: jax.Array, values: jax.Array) -> jax.Array:
        """``phi`` of each entry; differentiable."""


class Logistic(AbstractCellFunction):
    """Minus the logarithm of the likelihood of a sign, ``y = +1`` or ``-1``.

        phi(w, y) = log(1 + exp(-y w)),      phi' = -y / (1 + exp(y w))

    The sign is +1 with probability ``1 / (1 + exp(-w))``. Nothing overflows, however large `w`.
    """

    def __call__(self, entries: jax.Array, values: jax.Array) -> jax.Array:
        return jax.nn.softplus(-values * entries)


class PseudoHuber(AbstractCellFunction):
    """Half the squared residual where it is small, ``delta |w - y|`` where it is large; smooth.

        phi(w, y) = delta^2 (sqrt(1 + z^2) - 1),      phi' = delta z / sqrt(1 + z^2),
        z = (w - y) / delta

    so that ``|phi'| < delta`` and ``0 < phi'' <= 1``: however wrong an observation, it pulls
    with less than `delta`.

    Parameters
    ----------
    delta
        The threshold between small and large, positive.

    Raises
    ------
    InputError
        If `delta` is no positive finite number.
    """

    delta: jax.Array

    def __init__(self, delta: Any):
        with double_precision():
            self.delta = placed(positive_number(delta, "delta"), jnp.float64)

    def __call__(self, entries: jax.Array, values: jax.Array) -> jax.Array:
        residuals = entries - values
        # The difference of the formula above, without its cancellation at small residuals.
        return residuals**2 / (1 + jnp.sqrt(1 + (residuals / self.delta) ** 2))
