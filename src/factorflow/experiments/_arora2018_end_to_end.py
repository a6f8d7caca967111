"""Arora, Cohen and Hazan 2018: the end-to-end matrix moves by itself, whatever the layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import diffrax
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from factorflow.datasets import low_rank
from factorflow.dynamics import (
    AbstractDynamics,
    EndToEndDescent,
    EndToEndFlow,
    GradientDescent,
    GradientFlow,
    Stop,
    solve,
)
from factorflow.experiments._case import AbstractCase, Progress, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._tabulate import of_kind
from factorflow.factorizations import AbstractFactorization, DeepLinear
from factorflow.initializers import Balanced
from factorflow.plots import plot_recovery
from factorflow.problems import Completion
from factorflow.report import Table
from factorflow.trajectories import AtTimes, Observable, Record, Snapshot

_DEPTHS = (2, 3, 4)
_SHAPE, _RANK, _N_OBSERVED, _SCALE = (8, 6), 2, 30, 0.3
# Powers of two, so that every moment is a whole number of steps and is met exactly.
_TIME, _N_MOMENTS = 256.0, 32
_RATES = (0.0625, 0.03125, 0.015625, 0.0078125)
_RTOL = 1e-10
_WIDER = 3  # how much each hidden layer exceeds the one before

FLOW, WIDE = "end-to-end flow", "wider layers"
DESCENT, RULE = "descent on the layers", "end-to-end rule"


@dataclass(frozen=True)
class SamePathCase(AbstractCase):
    """A balanced start followed by flows and descents on layers and on the product alone.

    Parameters
    ----------
    depth
        Of the network.
    instance
        Seed of the matrix, its observed entries and the start.
    """

    kind: ClassVar[str] = "end-to-end dynamics beside the layers"
    revision: ClassVar[int] = 1

    depth: int
    instance: int

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            finished(case, _followed(case.depth, case.instance, progress))


def _matrix(snapshot: Snapshot):
    return snapshot.matrix


def _followed(depth: int, instance: int, progress: Progress | None) -> dict[str, Any]:
    """Relative distances of paths along the way; those of descents for each learning rate."""
    truth = low_rank(_SHAPE, _RANK, seed=instance)
    problem = Completion.sample(truth, _N_OBSERVED, seed=instance)
    times = np.arange(1, _N_MOMENTS + 1) * (_TIME / _N_MOMENTS)

    def path(factorization: AbstractFactorization, dynamics: AbstractDynamics) -> np.ndarray:
        solution = solve(
            problem,
            factorization,
            dynamics,
            init=Balanced(_SCALE),
            seed=instance,
            stop=Stop(train_error=None, time=_TIME, n_gradients=None),
            record=Record([Observable("matrix", _matrix)], schedule=AtTimes(times)),
            progress=progress,
        )
        return solution.trajectory["matrix"].values[1 : _N_MOMENTS + 1]

    tight = {"solver": diffrax.Dopri8(), "rtol": _RTOL}
    layers, alone = DeepLinear(depth), DeepLinear(1)
    widths = [min(_SHAPE) + _WIDER * j for j in range(1, depth)]
    flow = path(layers, GradientFlow(**tight))
    descents = [path(layers, GradientDescent(rate)) for rate in _RATES]
    rules = [path(alone, EndToEndDescent(depth, rate)) for rate in _RATES]
    return {
        "time": times,
        "train_error": [_train_error(problem, flow[0]), _train_error(problem, flow[-1])],
        FLOW: _distance(path(alone, EndToEndFlow(depth, **tight)), flow),
        WIDE: _distance(path(DeepLinear(depth, widths), GradientFlow(**tight)), flow),
        DESCENT: np.array([_distance(each, flow) for each in descents]),
        RULE: np.array([_distance(rule, each) for rule, each in zip(rules, descents, strict=True)]),
    }


def _distance(path: np.ndarray, other: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(other, axis=(1, 2))
    return np.linalg.norm(path - other, axis=(1, 2)) / size


def _train_error(problem: Completion, matrix: np.ndarray) -> float:
    return float(np.mean((problem.operator.forward(matrix) - problem.values) ** 2))


def _cases(size: Size) -> list[SamePathCase]:
    return [SamePathCase(depth, seed) for depth in _DEPTHS for seed in range(size.seeds)]


_LIMIT = 1e-6
_SLOPE = (0.9, 1.1)


def _judge(results: Results) -> Finding:
    measured, checks, rows = [], [], []
    for depth in _DEPTHS:
        runs = of_kind(results, SamePathCase, depth=depth)
        seeds = [case.instance for case in runs]
        for name in (FLOW, WIDE):
            worst = [float(np.max(run[name])) for run in runs.values()]
            text = f"depth {depth}: {name}, largest relative distance from the flow on the layers"
            measured.append(Measured.of(text, worst, seeds))
            checks.append(Check(text, max(worst), "<=", _LIMIT))
        for name, other in ((DESCENT, "the flow"), (RULE, DESCENT)):
            worst = [np.max(run[name], axis=1) for run in runs.values()]
            slopes = [_slope(each) for each in worst]
            text = f"depth {depth}: {name} from {other}, power of the learning rate"
            measured.append(Measured.of(text, slopes, seeds))
            checks.append(Check(text, float(np.median(slopes)), "within", _SLOPE))
            rows.append((f"{depth}, {name} from {other}", *np.median(worst, axis=0).tolist()))
    columns = ("depth, distance of", *(f"rate {rate:g}" for rate in _RATES))
    return Finding(
        measured=tuple(measured),
        checks=tuple(checks),
        tables=(Table("Largest relative distance along the path; medians.", columns, rows),),
        figures=((_CAPTION, _figure(results)),),
        notes=(_note(results),),
    )


def _slope(distances: Sequence[float]) -> float:
    return float(np.polyfit(np.log(_RATES), np.log(distances), 1)[0])


def _note(results: Results) -> str:
    last = max(float(run["train_error"][-1]) for run in results.values())
    return (
        f"{_N_OBSERVED} entries of {_SHAPE[0]} x {_SHAPE[1]} matrices of rank {_RANK}, balanced "
        f"start of scale {_SCALE:g}, up to time {_TIME:g}, where the train error is below "
        f"{last:.2g}. Flows have the tolerance {_RTOL:g}. In wider networks every hidden layer has "
        f"{_WIDER} units more than the one before, the narrowest {min(_SHAPE) + _WIDER}. A step "
        "of descent moves the product as the end-to-end rule does up to the square of the "
        "learning rate, so that the paths are apart in proportion to it."
    )


def _figure(results: Results) -> Figure:
    figure, (path, rule) = panels(2, width=5.2, height=4.2)
    seeds = sorted({case.instance for case in results})

    def over(name: str, dim: str, places: Sequence[float], pick) -> xr.DataArray:
        values = [
            [pick(results[SamePathCase(depth, seed)][name]) for seed in seeds] for depth in _DEPTHS
        ]
        return xr.DataArray(
            np.array(values),
            dims=("depth", "instance", dim),
            coords={"depth": list(_DEPTHS), dim: list(places)},
        )

    time = results[SamePathCase(_DEPTHS[0], seeds[0])]["time"]
    along = {FLOW: lambda each: each, WIDE: lambda each: each, DESCENT: lambda each: each[-1]}
    paths = [
        over(name, "time", time, pick).assign_coords(method=name) for name, pick in along.items()
    ]
    # Depths as instances: their lines lie on each other.
    stacked = xr.concat([each.stack(run=("depth", "instance")) for each in paths], "method")
    stacked = stacked.drop_vars(["run", "depth", "instance"]).rename(run="instance")
    _draw(stacked, "time", "Gradient-flow time", "Distance from the flow on the layers", path)
    rates = [
        over(name, "rate", _RATES, lambda each: np.max(each, axis=1))
        .sel(depth=depth, drop=True)
        .assign_coords(method=f"depth {depth}, {name}")
        for name in (DESCENT, RULE)
        for depth in _DEPTHS
    ]
    _draw(xr.concat(rates, "method"), "rate", "Learning rate", "Largest distance on the path", rule)
    rule.set_xscale("log")
    rule.set_xticks(_RATES, [f"1/{1 / rate:g}" for rate in _RATES], minor=False)
    rule.xaxis.set_minor_locator(NullLocator())
    return figure


def _draw(found: xr.DataArray, dim: str, across: str, up: str, ax: Axes) -> None:
    found = found.rename("relative_error")
    found.attrs["long_name"] = up
    found[dim].attrs["long_name"] = across
    plot_recovery(found, "relative_error", ax, x=dim)


_CAPTION = (
    "Left, relative distance from the flow on the layers along the path, medians and quartiles "
    f"over depths and instances; the descent has the learning rate {_RATES[-1]:g}. Right, the "
    "largest distance along the path against the "
    "learning rate: of descent on the layers from their flow, and of the end-to-end rule from "
    "that descent."
)
_SOURCE = "Arora, Cohen, Hazan 2018, theorem on end-to-end dynamics"

CLAIM = Claim(
    id="arora2018.end-to-end",
    title="End-to-end dynamics",
    statement="From a balanced start the product of the layers follows a closed flow of its own, "
    "whatever the hidden widths; descent on the layers follows the end-to-end update rule up to "
    "its learning rate.",
    source="Arora, Cohen, Hazan 2018 (arXiv:1802.06509), theorem on end-to-end dynamics",
    published=tuple(
        Published(
            f"depth {depth}: {name}, largest relative distance from the flow on the layers",
            "the same path",
            _SOURCE,
        )
        for depth in _DEPTHS
        for name in (FLOW, WIDE)
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=1,
    full_seeds=5,
)
