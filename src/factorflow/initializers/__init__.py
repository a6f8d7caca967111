"""Where the parameters start."""

from factorflow.initializers._balance import balanced_factors
from factorflow.initializers._initializers import (
    AbstractInitializer,
    Balanced,
    Gaussian,
    Identity,
    Orthogonal,
)

__all__ = [
    "AbstractInitializer",
    "Balanced",
    "Gaussian",
    "Identity",
    "Orthogonal",
    "balanced_factors",
]
