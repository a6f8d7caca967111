"""The limit of infinitesimal initialization, met by a run from 1e-100."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow.datasets import low_rank
from factorflow.dynamics import EndToEndFlow, Stop, solve
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured
from factorflow.factorizations import LogSVD
from factorflow.initializers import Balanced
from factorflow.plots import plot_against_scale
from factorflow.problems import Completion
from factorflow.trajectories import Record

_DEPTHS = (2, 3, 4)
_SCALES = (1e-4, 1e-6, 1e-8, 1e-10, 1e-12)
_SMALLEST = 1e-100
_CAPTION = (
    "Relative distance of the end from that of a start of 1e-100; what is below 1e-4 is the "
    "tolerance of the stop."
)


@dataclass(frozen=True)
class EscapeCase(AbstractCase):
    """Completion of a ``20 x 20`` matrix of rank 2 by end-to-end flow, in logarithms."""

    kind: ClassVar[str] = "end-to-end flow from infinitesimal starts, completion"
    revision: ClassVar[int] = 1
    depth: int
    scale: float
    instance: int = 0
    size: int = 20
    rank: int = 2
    n_observed: int = 180
    train_error: float = 1e-8
    rtol: float = 1e-4

    @property
    def group(self):
        return self.depth, self.size, self.rank, self.n_observed, self.train_error, self.rtol

    @classmethod
    def run_many(cls, cases, finished, progress):
        _run(cases[0], progress)  # compiles, so that what follows is timed alike
        for case in cases:
            solution = _run(case, progress)
            result = {
                "matrix": solution.matrix,
                "n_gradients": solution.n_gradients,
                "n_steps": solution.n_steps,
                "run_seconds": solution.seconds,
                "time": solution.time,
                "status": solution.status.name,
            }
            finished(case, result, solution.seconds)


def _run(case: EscapeCase, progress):
    truth = low_rank((case.size, case.size), case.rank, seed=case.instance)
    return solve(
        Completion.sample(truth, case.n_observed, seed=case.instance),
        LogSVD(),
        EndToEndFlow(case.depth, rtol=case.rtol),
        init=Balanced(case.scale),
        seed=case.instance,
        stop=Stop(train_error=case.train_error),
        record=Record([]),
        progress=progress,
        throw=False,
    )


def _cases(size: Size) -> list[EscapeCase]:
    scales = (*_SCALES, _SMALLEST)
    return [EscapeCase(n, s, i) for n in _DEPTHS for i in range(size.seeds) for s in scales]


def _judge(results: Results) -> Finding:
    seeds = sorted({case.instance for case in results})
    distance = _distances(results, seeds)
    measured, checks = [], []
    for n in _DEPTHS:
        limits = [_extrapolated([_matrix(results, n, s, i) for s in _SCALES[-3:]]) for i in seeds]
        smallest = [_matrix(results, n, _SMALLEST, i) for i in seeds]
        apart = [_relative(a, b) for a, b in zip(limits, smallest, strict=True)]
        cost = {
            name: [
                results[EscapeCase(n, _SMALLEST, i)][name] / results[EscapeCase(n, 1e-4, i)][name]
                for i in seeds
            ]
            for name in ("n_gradients", "run_seconds")
        }
        measured += [
            Measured.of(f"depth {n}, distance of 1e-100 from the extrapolated limit", apart, seeds),
            Measured.of(f"depth {n}, distance of 1e-4 from 1e-100",
                        distance.sel(depth=n, scale=1e-4).values, seeds),
            Measured.of(f"depth {n}, gradients of 1e-100 over those of 1e-4",
                        cost["n_gradients"], seeds),
            Measured.of(f"depth {n}, time of 1e-100 over that of 1e-4", cost["run_seconds"], seeds),
        ]  # fmt: skip
        checks += [
            Check(f"depth {n}: 1e-100 ends where the smaller scales lead",
                  float(np.median(apart)), "<", 1e-3),
            Check(f"depth {n}: 1e-100 takes at most twice the gradients of 1e-4",
                  float(np.median(cost["n_gradients"])), "<=", 2.0),
            Check(f"depth {n}: and at most twice its time",
                  float(np.median(cost["run_seconds"])), "<=", 2.0, essential=False),
        ]  # fmt: skip
    ended = float(np.mean([each["status"] == "TRAIN_ERROR" for each in results.values()]))
    middle = distance.median("instance")
    deep, shallow = (float(middle.sel(depth=n, scale=1e-4)) for n in (3, 2))
    checks += [
        Check("every run comes to its train error", ended, ">=", 1.0),
        Check("at scale 1e-4 depth 3 is nearer to its limit than depth 2", deep, "<", shallow),
    ]
    return Finding(
        measured=tuple(measured),
        checks=tuple(checks),
        figures=((_CAPTION, _figure(distance)),),
        notes=(
            "20 x 20 matrices of rank 2, 180 entries observed, to a train error of 1e-8. The "
            "limit is extrapolated from the scales 1e-8, 1e-10 and 1e-12 by Aitken's formula.",
        ),
    )  # fmt: skip


def _distances(results: Results, seeds: list[int]) -> xr.DataArray:
    values = [
        [
            [_relative(_matrix(results, n, s, i), _matrix(results, n, _SMALLEST, i)) for i in seeds]
            for s in _SCALES
        ]
        for n in _DEPTHS
    ]
    return xr.DataArray(
        values,
        dims=("depth", "scale", "instance"),
        coords={"depth": list(_DEPTHS), "scale": list(_SCALES), "instance": seeds},
        name="relative_error",
    )


def _matrix(results: Results, depth: int, scale: float, instance: int) -> np.ndarray:
    return results[EscapeCase(depth, scale, instance)]["matrix"]


def _relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def _extrapolated(ends: list[np.ndarray]) -> np.ndarray:
    """The limit of three ends whose distances from it fall by one factor."""
    first, second = ends[1] - ends[0], ends[2] - ends[1]
    factor = np.vdot(second, first) / np.vdot(first, first)
    return ends[2] + second * factor / (1 - factor) if abs(factor) < 0.9 else ends[2]


def _figure(distance: xr.DataArray) -> Figure:
    figure, (ax,) = panels(1, 5.6, 4.0)
    plot_against_scale(distance.to_dataset(), "relative_error", ax)
    ax.set_ylabel("Relative distance from the end of 1e-100")
    return figure


CLAIM = Claim(
    id="factorflow.infinitesimal",
    title="The limit of infinitesimal initialization",
    statement="A run from scale 1e-100 ends at the limit to which runs from 1e-4 to 1e-12 lead, at "
    "the cost of an ordinary run; at depths 3 and 4 that limit is near at 1e-4, at depth 2 not.",
    source="This project; the limit is that of Li, Luo and Lyu 2021 (arXiv:2012.09839)",
    published=(),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=3,
    full_seeds=10,
)
