"""Runs that complete a random tensor of low CP rank: flow, published recipe, zeros, TensorLy."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil
from typing import Any, ClassVar

import numpy as np

from factorflow._blas import one_blas_thread
from factorflow._cores import usable_cores
from factorflow._random import stream
from factorflow.datasets import low_rank_tensor
from factorflow.dynamics import GradientDescent, GradientFlow, Stop, group_rmsprop, solve_many
from factorflow.dynamics import solve as solve_one
from factorflow.experiments._case import AbstractCase
from factorflow.factorizations import CP
from factorflow.initializers import Gaussian
from factorflow.problems import Completion
from factorflow.theory import estimate_tensor_rank
from factorflow.trajectories import Record, Solution

TENSORLY = find_spec("tensorly") is not None
WITHOUT = "TensorLy is not installed (pip install 'factorflow[tensors]'): no rank was estimated."

_RANK_TOLERANCE = 1e-6  # mean squared error, as published
_LARGEST = 6  # components whose norms are kept
# The published loss is the mean of the squared residuals, twice ours, and so is its gradient:
# lr 2g / (|2g| + 1e-6) = lr g / (|g| + 5e-7).
_PUBLISHED_RATE, _PUBLISHED_EPS = 1e-2, 1e-6
_CHECKED_EVERY, _CHECKS = 100, 3  # steps, and how often in a row the train error must be small


@dataclass(frozen=True)
class TensorCase(AbstractCase):
    """Completion of a tensor of Frobenius norm 1, of equal dimensions, from random entries.

    Parameters
    ----------
    n_observed
        Number of entries.
    instance
        Seed of the tensor, of the entries and of the start.
    rank, order, size
        Of the tensor; ``size`` is each of its dimensions.
    """

    n_observed: int
    instance: int = 0
    rank: int = 1
    order: int = 3
    size: int = 8

    @property
    def problem(self) -> Completion:
        """The instance."""
        truth = low_rank_tensor((self.size,) * self.order, self.rank, seed=self.instance)
        return Completion.sample(truth, self.n_observed, seed=self.instance)

    @property
    def alike(self) -> tuple:
        """Part of the group: what one compiled program serves."""
        return self.order, self.size


@dataclass(frozen=True)
class StartedCase(TensorCase):
    """From a Gaussian start of CP components.

    Parameters
    ----------
    scale
        Standard deviation of the entries of all factors.
    components
        Their number; by default so many that they make every tensor.
    train_error
        Mean squared train error at the end.
    most
        Limit on the gradients.
    ranked
        Whether the rank of the end is estimated.
    """

    scale: float = 1e-3
    components: int | None = None
    train_error: float = 1e-12
    most: int = 20_000
    ranked: bool = TENSORLY

    @property
    def group(self):
        return *self.alike, self.components, self.train_error, self.most

    @property
    def factorization(self) -> CP:
        return CP(self.components)

    @property
    def start(self) -> Gaussian:
        return Gaussian(self.scale, scale_of="layer")


@dataclass(frozen=True)
class TensorFlowCase(StartedCase):
    """By gradient flow.

    Parameters
    ----------
    rtol
        Tolerance of the integrator.
    """

    kind: ClassVar[str] = "tensor completion by flow"
    revision: ClassVar[int] = 1
    rtol: float = 1e-2

    @property
    def group(self):
        return *super().group, self.rtol

    @classmethod
    def run_many(cls, cases, finished, progress):
        def tell(k: int, solution: Solution) -> None:
            finished(cases[k], _described(cases[k], solution), solution.seconds)

        one = cases[0]
        solve_many(
            [case.problem for case in cases],
            one.factorization,
            GradientFlow(rtol=one.rtol),
            init=[case.start for case in cases],
            seeds=[case.instance for case in cases],
            stop=Stop(train_error=one.train_error, n_gradients=one.most),
            record=Record([]),
            how="threads",  # in lockstep a run's last digits depend on those beside it
            progress=progress,
            finished=tell,
            throw=False,
        )


@dataclass(frozen=True)
class TensorRecipeCase(StartedCase):
    """By the descent of the published experiments.

    RMSprop with one scalar for all parameters, learning rate 1e-2. ``train_error`` is where its
    gradients are counted; with ``patience`` it goes on as published until the error was at or
    below that in three checks in a row, one every hundred steps.
    """

    kind: ClassVar[str] = "tensor completion by the published recipe"
    revision: ClassVar[int] = 1
    train_error: float = 1e-6
    patience: bool = False

    @classmethod
    def run_many(cls, cases, finished, progress):
        def one(case: "TensorRecipeCase") -> None:
            solution, first, seconds = _by_recipe(case)
            result = _described(case, solution) | {"n_gradients_to_train_error": first}
            finished(case, result, seconds)

        _in_threads(one, cases)


def _by_recipe(case: TensorRecipeCase) -> tuple[Solution, int | None, float]:
    """The end, the gradients to the train error, None if it was not reached, and seconds."""
    parts = (
        case.problem,
        case.factorization,
        GradientDescent(
            _PUBLISHED_RATE, group_rmsprop(_PUBLISHED_RATE, decay=0.99, eps=_PUBLISHED_EPS / 2)
        ),
    )
    common: Any = {"record": Record([]), "throw": False}
    stop = Stop(train_error=case.train_error, n_gradients=case.most)
    solution = solve_one(*parts, init=case.start, seed=case.instance, stop=stop, **common)
    seconds = solution.seconds
    if solution.status.name != "TRAIN_ERROR":
        return solution, None, seconds
    first: Any = solution.n_gradients
    passed, step = 0, ceil((first - 1) / _CHECKED_EVERY) * _CHECKED_EVERY
    while case.patience and passed < _CHECKS and step < case.most:
        stop = Stop(train_error=None, n_gradients=step + 1)  # one belongs to the start
        solution = solve_one(*parts, stop=stop, resume=solution, **common)
        seconds += solution.seconds
        passed = passed + 1 if solution.train_error <= case.train_error else 0
        step += _CHECKED_EVERY
    return solution, first, seconds


@dataclass(frozen=True)
class ZerosCase(TensorCase):
    """The observed entries, and zeros elsewhere: the published baseline.

    Parameters
    ----------
    bounded
        Whether the certain lower bound on its rank is taken.
    """

    kind: ClassVar[str] = "tensor completion by zeros"
    revision: ClassVar[int] = 2
    bounded: bool = TENSORLY

    @property
    def group(self):
        return self.alike

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            problem = case.problem
            filled = _filled(problem)
            result = {"relative_error": _relative(filled, problem), "train_error": 0.0}
            if case.bounded:  # no rank is sought: the bound costs nothing
                found = estimate_tensor_rank(filled, _RANK_TOLERANCE, max_rank=1, restarts=1)
                result["least_rank"] = found.lower_bound
            finished(case, result)


@dataclass(frozen=True)
class ZerosRankCase(TensorCase):
    """The estimated rank of the observed entries with zeros elsewhere.

    Nearly all the time of that baseline: no fit succeeds for a long way from the lower bound up.

    Parameters
    ----------
    starts
        Fits at each number of components, of which the best counts.
    """

    kind: ClassVar[str] = "rank of a tensor completed by zeros"
    revision: ClassVar[int] = 1
    starts: int = 1

    @property
    def group(self):
        return self.alike

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            finished(case, rank_of(_filled(case.problem), True, case.starts))


@dataclass(frozen=True)
class AlternatingCase(TensorCase):
    """By TensorLy: alternating least squares with a mask, the rank chosen on held-out entries.

    A tenth of the entries is held out. Each rank up to ``most_components`` is fitted from
    ``starts`` Gaussian starts to the rest; the rank of the least held-out error is then fitted to
    all entries from as many, and the fit of the least train error is taken.

    Parameters
    ----------
    most_components, starts, sweeps
        Ranks tried, starts at each, and the most sweeps of a start.
    """

    kind: ClassVar[str] = "tensor completion by TensorLy"
    revision: ClassVar[int] = 1
    most_components: int = 8
    starts: int = 3
    sweeps: int = 500

    @property
    def group(self):
        return *self.alike, self.most_components

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            finished(case, _by_alternating(case))


def _by_alternating(case: AlternatingCase) -> dict[str, Any]:
    problem, filled = case.problem, _filled(case.problem)
    rng = stream(case.instance, "alternating", "held out")
    known = tuple(np.asarray(each) for each in problem.indices)
    held = rng.permutation(problem.n_observed) < max(1, problem.n_observed // 10)
    kept, out = (tuple(each[chosen] for each in known) for chosen in (~held, held))

    def fit(components: int, cells: tuple, start: int) -> np.ndarray:
        seed = int(stream(case.instance, "alternating", str(start)).integers(2**31))
        return _masked_fit(filled, cells, components, case.sweeps, seed)

    def wrong(tensor: np.ndarray, cells: tuple) -> float:
        return float(np.mean((tensor[cells] - filled[cells]) ** 2))

    def best(components: int, cells: tuple) -> np.ndarray:
        fits = [fit(components, cells, start) for start in range(case.starts)]
        return min(fits, key=lambda tensor: wrong(tensor, cells))

    errors = {r: wrong(best(r, kept), out) for r in range(1, case.most_components + 1)}
    chosen = min(errors, key=lambda r: errors[r])
    tensor = best(chosen, known)
    return {
        "relative_error": _relative(tensor, problem),
        "train_error": wrong(tensor, known),
        "rank": chosen,
        "held_out_error": errors[chosen],
    }


def _masked_fit(filled: np.ndarray, cells: tuple, components: int, sweeps: int, seed: int):
    from tensorly.backend import BackendManager
    from tensorly.cp_tensor import cp_to_tensor
    from tensorly.decomposition import parafac

    mask = np.zeros_like(filled)
    mask[cells] = 1
    settings: Any = {"n_iter_max": sweeps, "tol": 1e-10, "init": "random", "random_state": seed}
    with one_blas_thread(), BackendManager.backend_context("numpy", local_threadsafe=True):
        try:
            found = parafac(filled * mask, components, mask=mask, **settings)
        except np.linalg.LinAlgError:  # components that coincide: no fit from this start
            return np.full_like(filled, np.inf)
        return np.asarray(cp_to_tensor(found))


def _described(case: StartedCase, solution: Solution) -> dict[str, Any]:
    norms = np.sort(solution.component_norms[0])[::-1]
    return {
        "relative_error": _relative(solution.tensor, case.problem),
        "train_error": solution.train_error,
        "status": solution.status.name,
        "n_gradients": solution.n_gradients,
        "time": solution.time,
        "largest_components": norms[:_LARGEST],
    } | rank_of(solution.tensor, case.ranked)


def rank_of(
    tensor: np.ndarray, ranked: bool, starts: int = 4, components: int | None = None
) -> dict[str, Any]:
    """The estimated rank, NaN where none was found or sought, and the certain lower bound.

    A tensor that is written with ``components`` has no higher rank, whatever the fits come to.
    """
    if not ranked:
        return {"rank": np.nan, "least_rank": np.nan}
    known = None if components is None else max(components, 1)
    found = estimate_tensor_rank(tensor, _RANK_TOLERANCE, max_rank=known, restarts=starts)
    rank = components if found.rank is None else found.rank
    return {"rank": np.nan if rank is None else rank, "least_rank": found.lower_bound}


def _filled(problem: Completion) -> np.ndarray:
    filled = np.zeros(problem.shape)
    filled[tuple(problem.indices)] = problem.values
    return filled


def _relative(tensor: np.ndarray, problem: Completion) -> float:
    truth: Any = problem.truth
    return float(np.linalg.norm(tensor - truth) / np.linalg.norm(truth))


def _in_threads(work: Callable[[Any], None], items: Sequence[Any]) -> None:
    """``work(item)`` for each, the first alone, since it compiles for all."""
    work(items[0])
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(work, items[1:]))
