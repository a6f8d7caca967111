"""Double precision, set where numbers are computed and never at import."""

from contextlib import AbstractContextManager

import jax


def double_precision() -> AbstractContextManager:
    """Context in which JAX computes in float64; a near-zero start is noise in float32."""
    return jax.enable_x64(True)
