"""How the programs of a run are compiled."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax

# XLA's newer emitters of fused loops take a quarter longer to compile these programs and make none
# of them faster. Another version of XLA may not know the option.
_OPTIONS = {"xla_cpu_use_fusion_emitters": False} if jax.__version_info__[:2] == (0, 10) else None


def compiled(function: Callable) -> Any:
    """``equinox.filter_jit`` with our options."""
    return eqx.filter_jit(function, compiler_options=_OPTIONS)  # pyright: ignore[reportCallIssue]
