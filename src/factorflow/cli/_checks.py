"""The checks of ``factorflow doctor``; each imports what it needs, for it may be what is broken."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factorflow._cores import usable_cores
from factorflow.cli._versions import versions

_AGREEMENT = 1e-12  # of two ways to compute one gradient in float64


@dataclass(frozen=True)
class Check:
    """One check: whether it works, what was found, and the mend where it does not."""

    name: str
    works: bool
    sentence: str


def checks() -> Iterator[Check]:
    """Every check in turn; an exception in one is its failure and not that of the others."""
    for name, (check, mend) in _CHECKS.items():
        try:
            works, found = check()
        except Exception as error:
            works, found = False, " ".join(f"{type(error).__name__}: {error}".split())
        yield Check(name, works, found if works else f"{found.rstrip('.')}. {mend}")


def _packages() -> tuple[bool, str]:
    missing = [name for name, version in versions().items() if version is None]
    return not missing, f"missing: {', '.join(missing)}" if missing else "all are installed."


def _devices() -> tuple[bool, str]:
    import jax

    devices = jax.devices()
    names = ", ".join(f"{device.platform}:{device.id} ({device.device_kind})" for device in devices)
    return bool(devices), f"JAX sees {names}."


def _cores() -> tuple[bool, str]:
    return True, f"this process may use {usable_cores()} of {os.cpu_count()}."


def _float64() -> tuple[bool, str]:
    import jax.numpy as jnp

    from factorflow._x64 import double_precision

    with double_precision():
        left_over = float((jnp.asarray(1.0) + 1e-12) - 1.0)
    works = abs(left_over - 1e-12) < 1e-15
    return works, f"(1 + 1e-12) - 1 is {left_over:.4g} in JAX."


def _kernel() -> tuple[bool, str]:
    import jax
    import numpy as np

    from factorflow._x64 import double_precision
    from factorflow.datasets import low_rank
    from factorflow.factorizations import DeepLinear
    from factorflow.initializers import Gaussian
    from factorflow.problems import Completion, DenseLoss, EntriesLoss

    problem = Completion.sample(low_rank((30, 20), 3), 200)
    network = DeepLinear(2)
    factors: Any = Gaussian(1.0)(network, problem.shape, 0)
    filled = np.nan_to_num(problem.to_array())
    cells = (problem.indices, problem.values)
    with double_precision(), jax.default_device(jax.devices("cpu")[0]):
        dense = DenseLoss(network, filled, problem.observed, problem.n_observed)
        entries = EntriesLoss(network, problem.shape, *cells, kernel="numba")
        pairs = zip(entries.gradient(factors), dense.gradient(factors), strict=True)
        gap = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
    return gap < _AGREEMENT, f"the gradient by entries differs from the dense one by {gap:.1e}."


def _cache() -> tuple[bool, str]:
    import pooch

    folder = Path(pooch.os_cache("factorflow"))
    works = _can_be_written(folder)
    return works, f"{folder} {'can' if works else 'cannot'} be written."


def _compiled() -> tuple[bool, str]:
    from factorflow._compilation_cache import VARIABLE, folder_in_use, held

    folder = folder_in_use()
    if folder is None:
        return True, f"none are kept: {VARIABLE}, JAX's own settings or its version say so."
    if not _can_be_written(folder):
        return False, f"{folder} cannot be written."
    count, size = held(folder)
    kept = f"{count:,} of {size / 2**20:,.1f} MB" if count else "none yet"
    return True, f"kept in {folder}: {kept}. Delete it to have them compiled anew."


def _can_be_written(folder: Path) -> bool:
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK)


_CHECKS: dict[str, tuple[Callable[[], tuple[bool, str]], str]] = {
    "packages": (_packages, "Install factorflow again, which brings them."),
    "devices": (_devices, "Install a jaxlib that fits this machine, or set JAX_PLATFORMS=cpu."),
    "cores": (_cores, "Give the process a core."),
    "float64": (_float64, "Unset JAX_ENABLE_X64, or install a newer jax."),
    "Numba kernel": (
        _kernel,
        "Install numba and jaxlib again in versions that fit each other; until then "
        'solve(..., route="dense") goes without the kernel.',
    ),
    "cache folder": (
        _cache,
        "Make the folder writable, or set XDG_CACHE_HOME to one that is; only downloads of data "
        "need it.",
    ),
    "compiled programs": (
        _compiled,
        "Until it can, each process compiles for itself. Make it writable, or set "
        "FACTORFLOW_CACHE to a folder that is, or to off.",
    ),
}
