"""How the programs of a run are compiled."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax

# XLA's newer emitters of fused loops take a quarter longer to compile these programs and make none
# of them faster. Another version of XLA may not know the options.
_OPTIONS = {"xla_cpu_use_fusion_emitters": False}
_HASTY = {"xla_backend_optimization_level": 0}
_KNOWN = jax.__version_info__[:2] == (0, 10)


def compiled(function: Callable) -> Any:
    """``equinox.filter_jit`` with our options."""
    return _jitted(function, _OPTIONS)


def compiled_hastily(function: Callable) -> Any:
    """The same for what is called once and does little: compiled in half the time, slower."""
    return _jitted(function, _OPTIONS | _HASTY)


def _jitted(function: Callable, options: dict) -> Any:
    known = options if _KNOWN else None
    return eqx.filter_jit(function, compiler_options=known)  # pyright: ignore[reportCallIssue]
