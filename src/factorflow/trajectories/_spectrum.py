"""Numbers of a spectrum."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from factorflow._placed import placed
from factorflow._x64 import double_precision


def schatten_norm_of(singular_values: Array, p: float) -> Array:
    """``(sum sigma^p)^(1/p)`` of values in descending order; traceable."""
    # The largest value is taken out, so that no power under- or overflows.
    top = jnp.where(singular_values[0] > 0, singular_values[0], 1)
    return top * jnp.sum((singular_values / top) ** p) ** (1 / p)


def effective_rank_of(singular_values: ArrayLike) -> Array:
    """``exp(-sum p ln p)`` with ``p = sigma / sum(sigma)`` and ``0 ln 0 = 0``; NaN if all are zero.

    Source: Roy and Vetterli 2007.
    """
    with double_precision():
        return _effective_rank(placed(singular_values))


@jax.jit  # one small program instead of one for each operation
def _effective_rank(values: Array) -> Array:
    p = values / jnp.sum(values)
    return jnp.exp(-jnp.sum(p * jnp.log(jnp.where(p > 0, p, 1))))
