"""Double precision, set where numbers are computed and never at import."""

from contextlib import AbstractContextManager

import jax

from factorflow._compilation_cache import keep_compiled


def double_precision() -> AbstractContextManager:
    """Context in which JAX computes in float64; a near-zero start is noise in float32.

    What it compiles is kept for the next process, see ``_compilation_cache``.
    """
    keep_compiled()
    return jax.enable_x64(True)
