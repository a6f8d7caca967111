"""How the factors move: descent and flow under one loop."""

from typing import TYPE_CHECKING

from factorflow._lazily import lazily

if TYPE_CHECKING:
    from factorflow.dynamics._abstract import AbstractDynamics, State
    from factorflow.dynamics._damped_newton import DampedNewton
    from factorflow.dynamics._early_stopping import EarlyStopping
    from factorflow.dynamics._end_to_end_descent import EndToEndDescent
    from factorflow.dynamics._end_to_end_flow import EndToEndFlow
    from factorflow.dynamics._gradient_descent import GradientDescent
    from factorflow.dynamics._gradient_flow import GradientFlow
    from factorflow.dynamics._greedy_low_rank import GreedyLowRank
    from factorflow.dynamics._greedy_path import CriticalPoint, GreedyPath, PhaseEnd
    from factorflow.dynamics._group_rmsprop import group_rmsprop
    from factorflow.dynamics._least_rank import least_rank
    from factorflow.dynamics._quasi_newton import QuasiNewton
    from factorflow.dynamics._rank_search import RankAttempt, RankSearch
    from factorflow.dynamics._rkc import RKC
    from factorflow.dynamics._rock4 import ROCK4
    from factorflow.dynamics._rosenbrock import Rosenbrock
    from factorflow.dynamics._solve import solve
    from factorflow.dynamics._solve_many import solve_many
    from factorflow.dynamics._stop import Stop

_HOMES = {
    "_abstract": ("AbstractDynamics", "State"),
    "_damped_newton": ("DampedNewton",),
    "_early_stopping": ("EarlyStopping",),
    "_end_to_end_descent": ("EndToEndDescent",),
    "_end_to_end_flow": ("EndToEndFlow",),
    "_gradient_descent": ("GradientDescent",),
    "_gradient_flow": ("GradientFlow",),
    "_greedy_low_rank": ("GreedyLowRank",),
    "_greedy_path": ("CriticalPoint", "GreedyPath", "PhaseEnd"),
    "_group_rmsprop": ("group_rmsprop",),
    "_least_rank": ("least_rank",),
    "_quasi_newton": ("QuasiNewton",),
    "_rank_search": ("RankAttempt", "RankSearch"),
    "_rkc": ("RKC",),
    "_rock4": ("ROCK4",),
    "_rosenbrock": ("Rosenbrock",),
    "_solve": ("solve",),
    "_solve_many": ("solve_many",),
    "_stop": ("Stop",),
}

__all__ = [
    "RKC",
    "ROCK4",
    "AbstractDynamics",
    "CriticalPoint",
    "DampedNewton",
    "EarlyStopping",
    "EndToEndDescent",
    "EndToEndFlow",
    "GradientDescent",
    "GradientFlow",
    "GreedyLowRank",
    "GreedyPath",
    "PhaseEnd",
    "QuasiNewton",
    "RankAttempt",
    "RankSearch",
    "Rosenbrock",
    "State",
    "Stop",
    "group_rmsprop",
    "least_rank",
    "solve",
    "solve_many",
]

__getattr__ = lazily(__name__, _HOMES)
