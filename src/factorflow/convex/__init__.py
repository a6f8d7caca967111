"""The classic programme: nuclear-norm minimization with a certificate, and soft-impute."""

from factorflow.convex._nuclear_norm import Certainty, NuclearNormSolution, nuclear_norm
from factorflow.convex._regularized import PointStatus
from factorflow.convex._soft_impute import SoftImputePath, soft_impute
from factorflow.convex._thin_svd import ThinSVD

__all__ = [
    "Certainty",
    "NuclearNormSolution",
    "PointStatus",
    "SoftImputePath",
    "ThinSVD",
    "nuclear_norm",
    "soft_impute",
]
