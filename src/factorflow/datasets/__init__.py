"""Where data come from: synthetic ground truths, MovieLens, photographs, digits, gas sensors."""

from typing import TYPE_CHECKING

from factorflow._lazily import lazily

if TYPE_CHECKING:
    from factorflow.datasets._digits import Digits, digits
    from factorflow.datasets._gas_sensor import GasSensor, gas_sensor
    from factorflow.datasets._low_rank import low_rank
    from factorflow.datasets._low_rank_psd import low_rank_psd
    from factorflow.datasets._low_rank_tensor import low_rank_tensor
    from factorflow.datasets._movielens import movielens
    from factorflow.datasets._photograph import photograph

_HOMES = {
    "_digits": ("Digits", "digits"),
    "_gas_sensor": ("GasSensor", "gas_sensor"),
    "_low_rank": ("low_rank",),
    "_low_rank_psd": ("low_rank_psd",),
    "_low_rank_tensor": ("low_rank_tensor",),
    "_movielens": ("movielens",),
    "_photograph": ("photograph",),
}

__all__ = [
    "Digits",
    "GasSensor",
    "digits",
    "gas_sensor",
    "low_rank",
    "low_rank_psd",
    "low_rank_tensor",
    "movielens",
    "photograph",
]

__getattr__ = lazily(__name__, _HOMES)
