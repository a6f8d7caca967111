"""Runs that recover a random low-rank matrix from measurements: flow, published recipe, convex."""

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any, ClassVar

import numpy as np

from factorflow._cores import usable_cores
from factorflow.convex import nuclear_norm
from factorflow.datasets import low_rank
from factorflow.dynamics import (
    AbstractDynamics,
    GradientDescent,
    GradientFlow,
    Stop,
    group_rmsprop,
    solve_many,
)
from factorflow.experiments._case import AbstractCase, Finished, Progress
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Gaussian
from factorflow.problems import Completion, Sensing
from factorflow.trajectories import Record, Solution, effective_rank_of

ENTRIES, GAUSSIAN = "entries", "gaussian"

# The published loss is the mean of the squared residuals, twice ours, and so is its gradient:
# lr 2g / (sqrt(mean (2g)^2) + 1e-4) = lr g / (sqrt(mean g^2) + 5e-5).
_PUBLISHED_EPS = 1e-4
_CAP = 1_000_000


@dataclass(frozen=True)
class RecoveryCase(AbstractCase):
    """Recovery of a ``size x size`` matrix of root-mean-square entry 1 from measurements.

    Parameters
    ----------
    n_measurements
        Their number.
    instance
        Seed of the matrix, of the measurements and of the start.
    measurements
        ``"entries"``, or ``"gaussian"`` for dense matrices of N(0, 1) / size.
    rank, size
        Of the matrix.
    """

    n_measurements: int
    instance: int = 0
    measurements: str = ENTRIES
    rank: int = 5
    size: int = 100

    @property
    def problem(self) -> Completion | Sensing:
        """The instance."""
        return _problem(self.measurements, self.size, self.rank, self.n_measurements, self.instance)

    @property
    def instances_together(self) -> tuple:
        """Part of the group: measurement matrices in full are too large for several at once."""
        alike = (self.n_measurements, self.measurements, self.rank, self.size)
        return alike if self.measurements == ENTRIES else (*alike, self.instance)


@dataclass(frozen=True)
class FlowCase(RecoveryCase):
    """Recovery by gradient flow from a Gaussian start.

    Parameters
    ----------
    depth, scale
        Of the network and of its start (of the product).
    rtol
        Tolerance of the integrator.
    train_error
        Mean squared train error at the end.
    """

    kind: ClassVar[str] = "recovery by flow"
    revision: ClassVar[int] = 1
    depth: int = 3
    scale: float = 1e-3
    rtol: float = 1e-3
    train_error: float = 1e-6

    @property
    def method(self) -> str:
        return f"depth {self.depth}"

    @property
    def group(self) -> Hashable:
        return (*self.instances_together, self.depth, self.rtol, self.train_error)

    @classmethod
    def run_many(cls, cases, finished, progress):
        stop = Stop(train_error=cases[0].train_error)
        _solve_together(cases, GradientFlow(rtol=cases[0].rtol), stop, finished, progress)


@dataclass(frozen=True)
class RecipeCase(RecoveryCase):
    """Recovery by the descent of the published experiments, with its own stop.

    RMSprop with one scalar for all parameters (decay 0.99, eps 1e-4 for the published loss, which
    is twice ours) until the mean squared train error is 1e-6, at most a million steps.
    """

    kind: ClassVar[str] = "recovery by the published recipe"
    revision: ClassVar[int] = 1
    depth: int = 3
    scale: float = 1e-3
    learning_rate: float = 1e-3

    @property
    def method(self) -> str:
        return f"depth {self.depth}"

    @property
    def group(self) -> Hashable:
        return (*self.instances_together, self.depth, self.learning_rate)

    @classmethod
    def run_many(cls, cases, finished, progress):
        rate = cases[0].learning_rate
        descent = GradientDescent(rate, group_rmsprop(rate, decay=0.99, eps=_PUBLISHED_EPS / 2))
        _solve_together(cases, descent, Stop(n_gradients=_CAP), finished, progress)


@dataclass(frozen=True)
class NuclearNormCase(RecoveryCase):
    """Recovery by nuclear-norm minimization to a certified relative gap of ``tol``."""

    kind: ClassVar[str] = "recovery by nuclear-norm minimization"
    revision: ClassVar[int] = 1
    tol: float = 1e-6

    @property
    def method(self) -> str:
        return "nuclear norm"

    @property
    def group(self) -> Hashable:
        return self.instances_together

    @classmethod
    def run_many(cls, cases, finished, progress):
        def one(case: "NuclearNormCase") -> None:
            problem = case.problem
            solution = nuclear_norm(problem, case.tol)
            result = recovered(solution.matrix, solution.singular_values, problem.truth)
            result |= {
                "gap": solution.gap,
                "rank": solution.rank,
                "status": solution.status.name,
                "n_iterations": solution.n_iterations,
            }
            finished(case, result, solution.seconds)

        _in_threads(one, cases)


def recovered(matrix: np.ndarray, singular_values: np.ndarray, truth: Any) -> dict[str, float]:
    """Errors, norm and effective rank of a recovered matrix, those of the truth beside them."""
    true_values = np.linalg.svd(truth, compute_uv=False)
    return {
        "mean_squared_error": float(np.mean((matrix - truth) ** 2)),
        "relative_error": float(np.linalg.norm(matrix - truth) / np.linalg.norm(truth)),
        "nuclear_norm": float(np.sum(singular_values)),
        "effective_rank": float(effective_rank_of(singular_values)),
        "true_nuclear_norm": float(np.sum(true_values)),
        "true_effective_rank": float(effective_rank_of(true_values)),
    }


def _solve_together(
    cases: Sequence[FlowCase | RecipeCase],
    dynamics: AbstractDynamics,
    stop: Stop,
    finished: Finished,
    progress: Progress | None,
) -> None:
    """Seeds and scales of one depth as one batch."""
    problems = {case.instance: case.problem for case in cases}

    def tell(k: int, solution: Solution) -> None:
        case, matrix = cases[k], solution.matrix
        result = recovered(matrix, solution.singular_values, problems[case.instance].truth)
        result |= {
            "train_error": solution.train_error,
            "status": solution.status.name,
            "n_gradients": solution.n_gradients,
            "time": solution.time,
        }
        finished(case, result, solution.seconds)

    solve_many(
        [problems[case.instance] for case in cases],
        DeepLinear(cases[0].depth),
        dynamics,
        init=[Gaussian(case.scale) for case in cases],
        seeds=[case.instance for case in cases],
        stop=stop,
        record=Record([]),
        how="threads",  # in lockstep a run's last digits depend on those beside it
        progress=progress,
        finished=tell,
        throw=False,
    )


def _in_threads(work: Callable[[Any], None], items: Sequence[Any]) -> None:
    """``work(item)`` for each; LAPACK leaves Python's lock, so that each core takes one."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(work, items))


_lock = Lock()


def _problem(measurements: str, *of: int) -> Completion | Sensing:
    with _lock:  # an instance that two threads want is drawn once
        return _drawn(measurements, *of)


@lru_cache(maxsize=1)
def _drawn(measurements: str, size: int, rank: int, count: int, seed: int) -> Completion | Sensing:
    truth = low_rank((size, size), rank, seed=seed)
    if measurements == ENTRIES:
        return Completion.sample(truth, count, seed=seed)
    return Sensing.gaussian(truth, count, seed=seed)
