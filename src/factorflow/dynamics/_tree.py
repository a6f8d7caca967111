"""Vectors that come as pytrees."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def norm(tree: Any) -> Array:
    """Euclidean norm over all leaves."""
    return jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(tree)))


def unit(tree: Any) -> Any:
    """The same direction, of length 1; zero stays zero."""
    size = norm(tree)
    return jax.tree.map(lambda leaf: leaf / jnp.where(size > 0, size, 1), tree)
