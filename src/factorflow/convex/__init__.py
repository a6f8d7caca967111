"""The classic programme: nuclear-norm minimization with a certificate, and soft-impute."""

from typing import TYPE_CHECKING

from factorflow._lazily import lazily

if TYPE_CHECKING:
    from factorflow.convex._certainty import Certainty
    from factorflow.convex._nuclear_norm import NuclearNormSolution, nuclear_norm
    from factorflow.convex._soft_impute import SoftImputePath, soft_impute
    from factorflow.convex._thin_svd import ThinSVD

_HOMES = {
    "_certainty": ("Certainty",),
    "_nuclear_norm": ("NuclearNormSolution", "nuclear_norm"),
    "_soft_impute": ("SoftImputePath", "soft_impute"),
    "_thin_svd": ("ThinSVD",),
}

__all__ = [
    "Certainty",
    "NuclearNormSolution",
    "SoftImputePath",
    "ThinSVD",
    "nuclear_norm",
    "soft_impute",
]

__getattr__ = lazily(__name__, _HOMES)
