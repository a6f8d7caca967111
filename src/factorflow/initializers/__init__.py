"""Where the parameters start."""

from factorflow.factorizations import balanced_factors
from factorflow.initializers._initializers import (
    AbstractInitializer,
    Balanced,
    Gaussian,
    Identity,
    Orthogonal,
    StartAt,
)

__all__ = [
    "AbstractInitializer",
    "Balanced",
    "Gaussian",
    "Identity",
    "Orthogonal",
    "StartAt",
    "balanced_factors",
]
