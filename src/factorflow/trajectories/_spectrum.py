"""Numbers of a spectrum."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from factorflow._x64 import double_precision


def schatten_norm_of(singular_values: Array, p: float) -> Array:
    """``(sum sigma^p)^(1/p)`` of values in descending order; traceable."""
    # The largest value is taken out, so that no power under- or overflows.
    top = jnp.where(singular_values[0] > 0, singular_values[0], 1)
    return top * jnp.sum((singular_values / top) ** p) ** (1 / p)


def effective_rank_of(singular_values: ArrayLike) -> Any:
    """``exp(-sum p ln p)`` with ``p = sigma / sum(sigma)`` and ``0 ln 0 = 0``; NaN if all are zero.

    Traceable; a number of NumPy for values of NumPy, which need no program compiled for them.
    Source: Roy and Vetterli 2007.
    """
    traced = isinstance(singular_values, jax.Array)
    values, ns = (singular_values, jnp) if traced else (np.asarray(singular_values, float), np)
    with double_precision(), np.errstate(invalid="ignore"):
        p = values / ns.sum(values)
        return ns.exp(-ns.sum(p * ns.log(ns.where(p > 0, p, 1))))
