"""The classic programme: nuclear-norm minimization with a certificate, and soft-impute."""

from factorflow.convex._certainty import Certainty
from factorflow.convex._nuclear_norm import NuclearNormSolution, nuclear_norm
from factorflow.convex._soft_impute import SoftImputePath, soft_impute
from factorflow.convex._thin_svd import ThinSVD

__all__ = [
    "Certainty",
    "NuclearNormSolution",
    "SoftImputePath",
    "ThinSVD",
    "nuclear_norm",
    "soft_impute",
]
