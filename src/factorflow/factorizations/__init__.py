"""How the unknown matrix or tensor is written: products of factors."""

from factorflow.factorizations._abstract import AbstractFactorization, AbstractMatrixFactorization
from factorflow.factorizations._abstract_tensor import AbstractTensorFactorization, lengths
from factorflow.factorizations._balance import balanced_factors
from factorflow.factorizations._cp import CP, equal_norms
from factorflow.factorizations._deep_linear import DeepLinear
from factorflow.factorizations._graded_svd import graded_svd
from factorflow.factorizations._hierarchical_tucker import HierarchicalTucker
from factorflow.factorizations._log_svd import LogSVD
from factorflow.factorizations._preconditioner import (
    checked_real_depth,
    growth_power,
    preconditioner_eigenvalues,
    spectral_factor,
)
from factorflow.factorizations._symmetric import Symmetric, checked_width

__all__ = [
    "CP",
    "AbstractFactorization",
    "AbstractMatrixFactorization",
    "AbstractTensorFactorization",
    "DeepLinear",
    "HierarchicalTucker",
    "LogSVD",
    "Symmetric",
    "balanced_factors",
    "checked_real_depth",
    "checked_width",
    "equal_norms",
    "graded_svd",
    "growth_power",
    "lengths",
    "preconditioner_eigenvalues",
    "spectral_factor",
]
