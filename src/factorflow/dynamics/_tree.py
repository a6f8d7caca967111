"""Vectors that come as pytrees."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def norm(tree: Any) -> Array:
    """Euclidean norm over all leaves."""
    return jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(tree)))
