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
from factorflow.initializers._spectral import Spectral

__all__ = [
    "AbstractInitializer",
    "Balanced",
    "Gaussian",
    "Identity",
    "Orthogonal",
    "Spectral",
    "StartAt",
    "balanced_factors",
]
