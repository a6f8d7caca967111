"""Runs from a start with a chosen sign of the determinant: the 2x2 problem and larger ones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import diffrax
import numpy as np
import xarray as xr

from factorflow._random import stream
from factorflow.dynamics import EndToEndFlow, GradientDescent, Stop, solve_many
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
# Stiffness times time grows as the fourth power of the entry: no explicit method follows it far.
_SOLVER, _RTOL = diffrax.Kvaerno5(), 1e-3
_LATEST = 1e15
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

    @property
    def group(self):
        return self.depth, self.sign, self.loss, self.values, self.size

    @classmethod
    def run_many(cls, cases, finished, progress):
        first = cases[0]
        problem = problem_of(first.values, first.size)

        def keep(k: int, solution: Solution) -> None:
            finished(cases[k], _recorded(problem, solution), solution.seconds)

        solve_many(
            problem,
            LogSVD(),
            EndToEndFlow(float(first.depth), solver=_SOLVER, rtol=_RTOL),
            init=[StartAt(signed_start(case)) for case in cases],
            seeds=[case.instance for case in cases],
            stop=Stop(_train_error(problem, first.loss), time=_LATEST, n_gradients=None),
            record=_record(1),
            monitors=_monitors(problem, first),
            how="threads",
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
    size: ClassVar[int] = 2

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
            record=_record(64),
            how="threads",
            progress=progress,
            finished=keep,
            throw=False,
        )


_MOST_STEPS = 5_000_000  # as published


def problem_of(values: Sequence[float] = PUBLISHED, size: int = 2) -> Completion:
    """``[[*, z], [z', epsilon]]``, or the larger problem, its ones and zeros all but (1, 1)."""
    truth = np.eye(size)
    truth[:2, :2] = [[0.0, values[0]], [values[1], values[2]]]
    observed = np.ones((size, size), bool)
    observed[0, 0] = False
    return Completion.from_array(truth, observed)


def signed_start(case: DeterminantFlowCase | DeterminantDescentCase) -> np.ndarray:
    """Independent Gaussian entries; a determinant of the other sign is turned by its first row."""
    rng = stream(case.instance, "determinant", "start")
    matrix = rng.standard_normal((case.size, case.size)) * case.scale / np.sqrt(case.size)
    if np.linalg.slogdet(matrix)[0] != case.sign:
        matrix[0] *= -1
    return matrix


def over_loss(runs: Iterable[tuple[str, Mapping[str, Any]]]) -> xr.Dataset:
    """Named results side by side, over ``run`` and ``record``, for :func:`plot_blow_up`."""
    runs = list(runs)
    longest = max(len(result["loss"]) for _, result in runs)
    names = ("loss", "entry", "distance", "effective_rank")
    tables = {name: np.full((len(runs), longest), np.nan) for name in names}
    for i, (_, result) in enumerate(runs):
        for name in names:
            tables[name][i, : len(result[name])] = result[name]
    words = {
        "loss": "Loss, sum of half the squared residuals",
        "entry": "Size of the unobserved entry",
        "distance": "Distance from rank 1",
    }
    found = xr.Dataset(
        {name: (("run", "record"), table) for name, table in tables.items()},
        {"run": [name for name, _ in runs]},
    )
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


def least_over(result: Mapping[str, Any], bound: np.ndarray) -> float:
    """The least of ``|w_11| / bound`` where there is a bound; infinite where there never is."""
    there = np.isfinite(bound) & (bound > 0)
    return float(np.min(result["entry"][there] / bound[there])) if there.any() else float("inf")


def _train_error(problem: Completion, loss: float) -> float:
    return 2 * loss / problem.n_observed


def _record(stride: int) -> Record:
    return Record(
        [train_loss(), singular_values(), effective_rank(), determinant_sign(), _entry],
        schedule=EverySteps(stride, at_most=4096),
    )


def _entry(snapshot):
    return snapshot.matrix[0, 0]


def _monitors(problem: Completion, case: DeterminantFlowCase) -> list[Monitor]:
    if case.size > 2 or case.values != PUBLISHED:
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
        "distance": np.sqrt(np.sum(spectrum[:, 1:] ** 2, axis=1)),
        "least_value": spectrum[:, -1],
        "effective_rank": seen["effective_rank"].values,
        "sign": seen["determinant_sign"].values,
        "time": seen["time"].values,
        "status": solution.status.name,
        "n_steps": solution.n_steps,
        "monitors": {each.name: each.holds for each in solution.monitors},
        "checked": max((each.n_checked for each in solution.monitors), default=0),
    }
