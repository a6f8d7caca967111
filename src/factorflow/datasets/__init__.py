"""Where data come from: synthetic ground truths, MovieLens, photographs, digits, gas sensors."""

from factorflow.datasets._digits import Digits, digits
from factorflow.datasets._gas_sensor import GasSensor, gas_sensor
from factorflow.datasets._low_rank import low_rank
from factorflow.datasets._low_rank_psd import low_rank_psd
from factorflow.datasets._low_rank_tensor import low_rank_tensor
from factorflow.datasets._movielens import movielens
from factorflow.datasets._photograph import photograph

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
