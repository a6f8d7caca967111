"""Arrays of the host given to JAX."""

from typing import Any

import jax
import numpy as np


def placed(array: Any, dtype: Any = None) -> jax.Array:
    """A copy on the device; what is there already stays.

    ``jnp.asarray`` compiles a program for every shape that it copies, which takes longer.
    """
    if isinstance(array, jax.Array):
        return array if dtype is None else array.astype(dtype)
    return jax.device_put(np.array(array, dtype))
