"""The versions that a run depends on."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "factorflow",
    "jax",
    "jaxlib",
    "numba",
    "numpy",
    "scipy",
    "diffrax",
    "equinox",
    "optax",
    "xarray",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "pillow",
    "matplotlib",
)


def versions() -> dict[str, str | None]:
    """Version of Python and of each package, None where it is missing; nothing is imported."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
