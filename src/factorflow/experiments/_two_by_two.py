"""Runs from a start with a chosen sign of the determinant: the 2x2 problem and larger ones."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import xarray as xr

from factorflow._random import stream
from factorflow.dynamics import (
    RKC,
    EndToEndFlow,
    GradientDescent,
    Rosenbrock,
    Stop,
    solve_many,
)
from factorflow.experiments._case import AbstractCase
from factorflow.factorizations import DeepLinear, LogSVD
from factorflow.initializers import StartAt
from factorflow.problems import Completion
from factorflow.theory import (
    determinant_sign_monitor,
    distance_monitor,
    effective_rank_monitor,
    norm_monitor,
    unobserved_entry_monitor,
)
from factorflow.trajectories import (
    AbstractSchedule,
    AtTimes,
    EverySteps,
    Monitor,
    Record,
    Solution,
    determinant_sign,
    effective_rank,
    singular_values,
    train_loss,
)

PUBLISHED = (1.0, 1.0, 0.0)
_RTOL = 1e-3
_MOST_STEPS = 5_000_000
_DENSE = 5  # up to this size a Jacobian is the cheaper way
_NORM = 1.0  # p of the Schatten norm that is watched


@dataclass(frozen=True)
class DeterminantFlowCase(AbstractCase):
    """The end-to-end flow, which keeps the sign of the determinant exactly.

    Parameters
    ----------
    depth
        A number of 2 or more, or ``"inf"``.
    sign
        Of the determinant at the start.
    scale
        Of the start, as that of ``Balanced``.
    loss
        The sum of half the squared residuals at which the run ends.
    instance
        Seed of the start.
    values
        ``(z, z', epsilon)`` of the 2x2 problem.
    size
        Above 2 that of the larger problem, whose values are zeros and ones.
    watched
        Whether the sign and, from a positive determinant, the bounds of the published 2x2 problem
        are checked after every step.
    """

    kind: ClassVar[str] = "flow from a chosen sign of the determinant"
    revision: ClassVar[int] = 1

    depth: float | str
    sign: int
    scale: float
    loss: float
    instance: int
    values: tuple[float, float, float] = PUBLISHED
    size: int = 2
    watched: bool = False

    @property
    def group(self):
        return self.depth, self.sign, self.loss, self.values, self.size, self.watched

    @classmethod
    def run_many(cls, cases, finished, progress):
        first = cases[0]
        problem = problem_of(first.values, first.size)
        # Stiffness times time grows as the fourth power of the entry: an explicit method does not
        # follow it far.
        solver, most = (Rosenbrock(), 40_000) if first.size <= _DENSE else (RKC(), 1_000_000)

        def keep(k: int, solution: Solution) -> None:
            finished(cases[k], _recorded(problem, solution), solution.seconds)

        solve_many(
            problem,
            LogSVD(),
            EndToEndFlow(float(first.depth), solver=solver, rtol=_RTOL),
            init=[StartAt(signed_start(case, first.size)) for case in cases],
            seeds=[case.instance for case in cases],
            stop=Stop(_train_error(problem, first.loss), n_gradients=most),
            record=_record(EverySteps(1, 4096)),
            monitors=_monitors(problem, first),
            how="loop",
            progress=progress,
            finished=keep,
            throw=False,
        )


@dataclass(frozen=True)
class DeterminantDescentCase(AbstractCase):
    """Gradient descent on the layers, from the same starts, 2x2.

    Parameters
    ----------
    depth, sign, scale, loss, instance
        As for :class:`DeterminantFlowCase`; the depth is a whole number.
    learning_rate
        On the sum of half the squared residuals.
    """

    kind: ClassVar[str] = "descent from a chosen sign of the determinant"
    revision: ClassVar[int] = 1

    depth: int
    sign: int
    scale: float
    loss: float
    instance: int
    learning_rate: float

    @property
    def group(self):
        return self.depth, self.loss, self.learning_rate

    @classmethod
    def run_many(cls, cases, finished, progress):
        first, problem = cases[0], problem_of()

        def keep(k: int, solution: Solution) -> None:
            finished(cases[k], _recorded(problem, solution), solution.seconds)

        solve_many(
            problem,
            DeepLinear(first.depth),
            GradientDescent(first.learning_rate * problem.n_observed),
            init=[StartAt(signed_start(case)) for case in cases],
            seeds=[case.instance for case in cases],
            stop=Stop(_train_error(problem, first.loss), n_gradients=_MOST_STEPS),
            record=_record(_moments(first.learning_rate * problem.n_observed)),
            how="threads",
            progress=progress,
            finished=keep,
            throw=False,
        )


def problem_of(values: Sequence[float] = PUBLISHED, size: int = 2) -> Completion:
    """``[[*, z], [z', epsilon]]``, or the larger problem, its ones and zeros all but (1, 1)."""
    truth = np.eye(size)
    truth[:2, :2] = [[0.0, values[0]], [values[1], values[2]]]
    observed = np.ones((size, size), bool)
    observed[0, 0] = False
    return Completion.from_array(truth, observed)


class Start(Protocol):
    """What says where a run starts."""

    @property
    def sign(self) -> int: ...
    @property
    def scale(self) -> float: ...
    @property
    def instance(self) -> int: ...


def signed_start(case: Start, size: int = 2) -> np.ndarray:
    """Independent Gaussian entries; a determinant of the other sign is turned by its first row."""
    rng = stream(case.instance, "determinant", "start")
    matrix = rng.standard_normal((size, size)) * case.scale / np.sqrt(size)
    if np.linalg.slogdet(matrix)[0] != case.sign:
        matrix[0] *= -1
    return matrix


def over_loss(
    runs: Iterable[tuple[str, Mapping[str, Any]]], quantity: str, least: float
) -> xr.Dataset:
    """Named results side by side, for :func:`plot_blow_up`, where a quantity is ``least`` or more.

    ``rank_less_1`` is the effective rank less 1.
    """
    runs = list(runs)
    longest = max(len(result["loss"]) for _, result in runs)
    names = ("loss", "entry", "distance", "least_value", "effective_rank")
    tables = {name: np.full((len(runs), longest), np.nan) for name in names}
    for i, (_, result) in enumerate(runs):
        for name in names:
            tables[name][i, : len(result[name])] = result[name]
    words = {
        "loss": "Loss, sum of half the squared residuals",
        "entry": "Size of the unobserved entry",
        "distance": "Distance from rank 1",
        "least_value": "Least singular value",
        "rank_less_1": "Effective rank less 1",
    }
    found = xr.Dataset(
        {name: (("run", "record"), table) for name, table in tables.items()},
        {"run": [name for name, _ in runs]},
    )
    found["rank_less_1"] = found["effective_rank"] - 1
    found = found.where(found[quantity] >= least)
    for name, text in words.items():
        found[name].attrs["long_name"] = text
    return found


def entry_at(result: Mapping[str, Any], loss: float) -> float:
    """``|w_11|`` where the loss first is this, by the logarithms of the two records around it."""
    losses, entries = result["loss"], result["entry"]
    passed = np.flatnonzero(losses <= loss)
    if not passed.size:
        return float("nan")
    last = int(passed[0])
    around = slice(max(last - 1, 0), last + 1)
    x, y = np.log(losses[around])[::-1], np.log(entries[around])[::-1]
    return float(np.exp(np.interp(np.log(loss), x, y)))


def least_over(result: Mapping[str, Any], bound: Callable[[np.ndarray], np.ndarray]) -> float:
    """The least of ``|w_11|`` over its bound by the loss; infinite where there never is one."""
    least = bound(result["loss"])
    there = least > 0
    return float(np.min(result["entry"][there] / least[there], initial=np.inf))


def growth_of(result: Mapping[str, Any], decades: float) -> float:
    """Factor by which ``|w_11|`` changes over the last decades of the loss."""
    return float(result["entry"][-1] / entry_at(result, result["loss"][-1] * 10**decades))


def _train_error(problem: Completion, loss: float) -> float:
    return 2 * loss / problem.n_observed


def _record(schedule: AbstractSchedule) -> Record:
    seen = [train_loss(), singular_values(), effective_rank(), determinant_sign(), _entry]
    return Record(seen, schedule=schedule)


def _moments(learning_rate: float) -> AtTimes:
    """Some that are even in the logarithm, since descent slows down so much."""
    return AtTimes.geometric(100 * learning_rate, _MOST_STEPS * learning_rate, 800)


def _entry(snapshot):
    return snapshot.matrix[0, 0]


def _monitors(problem: Completion, case: DeterminantFlowCase) -> list[Monitor]:
    if not case.watched:
        return []
    kept = determinant_sign_monitor(case.sign)
    if case.sign < 0:
        return [kept]
    return [
        kept,
        unobserved_entry_monitor(problem),
        distance_monitor(problem),
        effective_rank_monitor(problem),
        norm_monitor(problem, _NORM),
    ]


def _recorded(problem: Completion, solution: Solution) -> dict[str, Any]:
    seen = solution.trajectory
    spectrum = seen["singular_values"].values
    return {
        "loss": problem.n_observed * seen["train_loss"].values,
        "entry": np.abs(seen["_entry"].values),
        "entry_sign": float(np.sign(seen["_entry"].values[-1])),
        "distance": np.sqrt(np.sum(spectrum[:, 1:] ** 2, axis=1)),
        "least_value": spectrum[:, -1],
        "effective_rank": seen["effective_rank"].values,
        "sign": seen["determinant_sign"].values,
        "time": seen["time"].values,
        "step": seen["step"].values,
        "status": solution.status.name,
        "n_steps": solution.n_steps,
        "n_gradients": solution.n_gradients,
        "monitors": {each.name: each.holds for each in solution.monitors},
        "checked": max((each.n_checked for each in solution.monitors), default=0),
    }
