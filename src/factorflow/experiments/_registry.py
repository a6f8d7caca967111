"""All claims; a new one is entered here."""

from factorflow.experiments import (
    _arora2019_depth_order,
    _arora2019_dynamics,
    _arora2019_factor,
    _arora2019_grids,
    _arora2019_recipe,
    _arora2019_regime_map,
    _arora2019_schatten,
    _arora2019_slides,
    _arora2019_table1,
    _gunasekar2017_commuting,
)
from factorflow.experiments._claim import Claim

CLAIMS: tuple[Claim, ...] = (
    _arora2019_factor.CLAIM,
    _arora2019_table1.CLAIM,
    _arora2019_slides.CLAIM,
    _arora2019_depth_order.CLAIM,
    _arora2019_dynamics.SYNTHETIC,
    _arora2019_dynamics.MOVIELENS,
    _gunasekar2017_commuting.CLAIM,
    _arora2019_schatten.CLAIM,
    _arora2019_recipe.CLAIM,
    _arora2019_grids.COMPLETION,
    _arora2019_grids.SENSING,
    _arora2019_regime_map.CLAIM,
)


def claims() -> tuple[Claim, ...]:
    """All claims."""
    return CLAIMS
