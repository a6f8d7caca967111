"""Depth as a dial: completion by end-to-end flow at real depths from 1 to infinity."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow.datasets import low_rank
from factorflow.dynamics import EndToEndFlow, Stop, solve_many
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured
from factorflow.experiments._tabulate import tabulate
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Balanced
from factorflow.plots import plot_against_depth
from factorflow.problems import Completion
from factorflow.trajectories import Record, effective_rank_of

_INFINITE = "infinite"
_DEPTHS = (1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 3, 4, 8, 30, _INFINITE)
_SCALES = (1e-3, 1e-2)
_FULL_SCALES = (1e-4, 1e-3, 1e-2, 1e-1)
_QUANTITIES = ("relative_error", "effective_rank", "nuclear_norm")


@dataclass(frozen=True)
class DialCase(AbstractCase):
    """Completion of a ``size x size`` matrix of a rank by end-to-end flow of a real depth.

    ``depth`` is a number of 1 or more, or the word "infinite".
    """

    kind: ClassVar[str] = "end-to-end flow of real depth, completion"
    revision: ClassVar[int] = 1
    depth: float | str
    scale: float
    instance: int = 0
    size: int = 40
    rank: int = 2
    n_observed: int = 450
    train_error: float = 1e-6
    n_gradients: int = 20_000

    @property
    def number(self) -> float:
        """The depth as a number."""
        return np.inf if self.depth == _INFINITE else float(self.depth)

    @property
    def group(self):
        return self.depth, self.size, self.rank, self.n_observed, self.train_error, self.n_gradients

    @classmethod
    def run_many(cls, cases, finished, progress):
        first = cases[0]

        def end(k, solution):
            case, truth = cases[k], problems[k].truth
            assert truth is not None
            result = {
                "relative_error": np.linalg.norm(solution.matrix - truth) / np.linalg.norm(truth),
                "effective_rank": solution.effective_rank,
                "nuclear_norm": solution.nuclear_norm,
                "true_effective_rank": float(
                    effective_rank_of(np.linalg.svd(truth, compute_uv=False))
                ),
                "n_gradients": solution.n_gradients,
                "status": solution.status.name,
            }
            finished(case, result, solution.seconds)

        problems = [case.problem() for case in cases]
        solve_many(
            problems,
            DeepLinear(1),
            EndToEndFlow(first.number),
            init=[Balanced(case.scale) for case in cases],
            seeds=[case.instance for case in cases],
            stop=Stop(train_error=first.train_error, n_gradients=first.n_gradients),
            record=Record([]),
            how="threads",
            progress=progress,
            finished=end,
            throw=False,
        )

    def problem(self) -> Completion:
        truth = low_rank((self.size, self.size), self.rank, seed=self.instance)
        return Completion.sample(truth, self.n_observed, seed=self.instance)


def _cases(size: Size) -> list[DialCase]:
    scales = _FULL_SCALES if size.full else _SCALES
    return [DialCase(n, s, i) for n in _DEPTHS for s in scales for i in range(size.seeds)]


def _judge(results: Results) -> Finding:
    table = tabulate(
        results,
        [*_QUANTITIES, "true_effective_rank"],
        depth=lambda case: case.number,
        scale=lambda case: case.scale,
        instance=lambda case: case.instance,
    )
    ended = np.mean([each["status"] == "TRAIN_ERROR" for each in results.values()])
    main = table.sel(scale=1e-3)
    error, rank = main.relative_error.median("instance"), main.effective_rank.median("instance")
    true_rank = float(main.true_effective_rank.median())
    between = error.sel(depth=slice(1, 3))
    return Finding(
        measured=_measured(main),
        checks=(
            Check("every run comes to its train error", float(ended), ">=", 1.0, essential=False),
            Check("from depth 1 to 3 the median error falls with every step of depth",
                  float(between.diff("depth").max()), "<", 0.0),
            Check("so does the effective rank",
                  float(rank.sel(depth=slice(1, 3)).diff("depth").max()), "<", 0.0),
            Check("depth 2.5 errs a third of depth 2 or less",
                  float(error.sel(depth=2.5)), "<=", float(error.sel(depth=2)) / 3),
            Check("from depth 3 to infinity the effective rank is the true one to a twentieth",
                  float(abs(rank.sel(depth=slice(3, np.inf)) / true_rank - 1).max()), "<", 0.05),
            Check("and the error stays within a factor 3 of that of depth 3",
                  float(error.sel(depth=slice(3, np.inf)).max()), "<",
                  3 * float(error.sel(depth=3))),
        ),
        figures=(
            ("Error and effective rank at the end against real depth.", _figure(table)),
        ),
        notes=(
            "40 x 40 matrices of rank 2, 450 entries observed, end-to-end flow from a balanced "
            "Gaussian start to a train error of 1e-6. Depths that are no whole numbers belong to "
            "no network of layers: they are real in the closed equation alone.",
        ),
    )  # fmt: skip


def _measured(table: xr.Dataset) -> tuple[Measured, ...]:
    seeds: Any = table.instance.values
    return tuple(
        Measured.of(
            f"depth {n:g}, {name.replace('_', ' ')}", table[name].sel(depth=n).values, seeds
        )
        for n in table.depth.values
        for name in ("relative_error", "effective_rank")
    )


def _figure(table: xr.Dataset) -> Figure:
    figure, (left, right) = panels(2, 5.0, 4.0)
    plot_against_depth(table, "relative_error", left)
    truth = float(table.true_effective_rank.median())
    plot_against_depth(table, "effective_rank", right, truth=truth)
    return figure


CLAIM = Claim(
    id="factorflow.depth-dial",
    title="Depth as a dial",
    statement="On completion, error and effective rank fall continuously as real depth rises from "
    "1 to 3, and from there to infinite depth they stay.",
    source="This project; no publication has it",
    published=(),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=3,
    full_seeds=10,
)
