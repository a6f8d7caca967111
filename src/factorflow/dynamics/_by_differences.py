"""Derivatives of a field along directions, by central differences."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from factorflow.dynamics._tree import norm


def by_differences(field: Callable[[Any], Any], y: Any) -> Any:
    """``f(y)``, with ``(f(y + h v) - f(y - h v)) / 2h`` as its derivative along `v`.

    Implicit solvers ask for derivatives. A field that goes through a singular value decomposition
    is smooth where two singular values meet, but its parts are not, so that the chain rule fails.
    What else the field depends on counts as constant.
    """
    pure, constants = jax.closure_convert(field, y)
    return _evaluated(pure, y, *constants)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _evaluated(field, y, *constants):
    return field(y, *constants)


@_evaluated.defjvp
def _derivative(field, primals, tangents):
    (y, *constants), v = primals, tangents[0]
    size, length = norm(y), norm(v)
    cube_root = jnp.finfo(size.dtype).eps ** (1 / 3)
    h = cube_root * jnp.where(size > 0, size, 1) / jnp.where(length > 0, length, 1)
    ahead = field(jax.tree.map(lambda a, b: a + h * b, y, v), *constants)
    behind = field(jax.tree.map(lambda a, b: a - h * b, y, v), *constants)
    slope = jax.tree.map(lambda a, b: (a - b) / (2 * h), ahead, behind)
    return field(y, *constants), slope
