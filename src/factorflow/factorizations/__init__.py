"""How the unknown matrix is written: products of factors."""

from factorflow.factorizations._abstract import AbstractFactorization
from factorflow.factorizations._deep_linear import DeepLinear

__all__ = ["AbstractFactorization", "DeepLinear"]
