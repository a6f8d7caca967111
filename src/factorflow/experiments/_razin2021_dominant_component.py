"""Razin, Maman and Cohen 2021: from a small start flow follows one component's own trajectory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow.datasets import low_rank_tensor
from factorflow.dynamics import GradientFlow, Stop, solve
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured
from factorflow.experiments._li2021_trajectory import interval
from factorflow.experiments._tabulate import tabulate
from factorflow.factorizations import CP
from factorflow.initializers import Balanced, Gaussian
from factorflow.plots import plot_modes, plot_recovery
from factorflow.problems import Completion, RobustCompletion
from factorflow.report import Table
from factorflow.theory import (
    aligned_distance,
    component_blow_up_time,
    component_growth_rates,
    component_norms,
)
from factorflow.trajectories import EverySteps, Observable, Record, Snapshot

_SIZES = {3: (6, 6, 6), 4: (4, 4, 4, 4)}
_BALANCED, _GAUSSIAN = "balanced", "Gaussian"
_SETTINGS = ((3, _BALANCED), (4, _BALANCED), (3, _GAUSSIAN))
_SCALES = (1e-1, 1e-2, 1e-3, 1e-4)
_FITTED = _SCALES[1:]
_SHOWN = (3, _BALANCED, 1e-3)
_RANK, _SHARE, _COMPONENTS = 3, 0.8, 6
_LEAD = 8.0  # by which the norm of the leading component is enlarged
_THRESHOLD = 0.1  # of the Huber loss, over the root-mean-square entry
_RTOL = 3e-5
_LEARNED = 1e-3  # train error at the end, over that of zero
_WAY = 0.95  # how much of its way the single component is followed
_AT_REST = 1e-2
_KEPT, _KEPT_REFERENCE = 192, 48  # records that distances are taken with
_NEAR = 0.01
_SLOPES = (0.8, 1.2)


@dataclass(frozen=True)
class DominantCase(AbstractCase):
    """Flow of 6 components on entries of a tensor of CP rank 3, beside one of them by itself.

    Parameters
    ----------
    order
        Of the tensor.
    start
        ``"balanced"`` or ``"Gaussian"``; the component by itself starts balanced.
    scale
        Of the start (of the product).
    instance
        Seed of the tensor, the entries and the start, which scales do not change but in size.
    """

    kind: ClassVar[str] = "flow beside its dominant component"
    revision: ClassVar[int] = 1

    order: int
    start: str
    scale: float
    instance: int

    @property
    def group(self):
        return self.order

    @property
    def setting(self) -> str:
        """In words."""
        return named(self.order, self.start)

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            finished(case, _run(case, progress))


def named(order: int, start: str) -> str:
    """A setting in words."""
    return f"order {order}, {start} start"


def _run(case: DominantCase, progress) -> dict[str, Any]:
    problem, factorization = _problem(case), CP(_COMPONENTS)
    initializer = (Balanced if case.start == _BALANCED else Gaussian)(case.scale)
    start = initializer(factorization, problem.shape, case.instance)
    at_zero, slope = _at_zero(problem)
    leader = _first_to_grow(start, slope)
    enlarged = np.where(np.arange(_COMPONENTS) == leader, _LEAD ** (1 / case.order), 1)
    start = tuple(factor * enlarged for factor in start)
    run = partial(
        solve,
        problem,
        dynamics=GradientFlow(rtol=_RTOL),
        record=Record([_TENSOR, _NORMS, _SLOWNESS], schedule=EverySteps(1, 2048)),
        progress=progress,
    )
    flow = run(
        factorization,
        init=lambda *_: start,
        stop=Stop(train_error=_LEARNED * at_zero, n_gradients=20_000),
    )
    paths = flow.trajectory["tensor"].values
    norms = flow.trajectory["norms"].values
    sizes = np.linalg.norm(paths, axis=(1, 2))
    alone = CP(1).balanced([factor[:, [leader]] for factor in start])
    # The balanced component is slower than an unbalanced one.
    single = run(
        CP(1),
        init=lambda *_: alone,
        stop=Stop(train_error=None, time=3 * flow.time, n_gradients=20_000),
    )
    reference = single.trajectory["tensor"].values
    slopes = single.trajectory["slowness"].values
    half = norms[int(np.argmax(sizes > np.linalg.norm(reference[-1]) / 2))]
    few = np.linspace(0, len(norms) - 1, 128).round().astype(int)
    return {
        "distance": _distance(paths, _followed(reference)),
        "leads": bool(np.argmax(half) == leader),
        "runner_up": float(np.max(np.delete(half, leader)) / half[leader]),
        "reached": float(np.linalg.norm(reference[-1])),
        "rest": float(slopes[-1] / slopes.max()),
        "status": flow.status.name,
        "n_gradients": (flow.n_gradients or 0) + (single.n_gradients or 0),
        "time": flow.trajectory["time"].values[few],
        "norms": np.roll(norms[few], -leader, axis=1),
        "single_time": single.trajectory["time"].values,
        "single_norm": single.trajectory["norms"].values,
    }


def _problem(case: DominantCase) -> RobustCompletion:
    truth = low_rank_tensor(_SIZES[case.order], _RANK, seed=case.instance)
    cells = Completion.sample(truth, round(_SHARE * truth.size), seed=case.instance)
    return RobustCompletion(cells, _THRESHOLD * float(np.sqrt(np.mean(truth**2))))


def _at_zero(problem: RobustCompletion) -> tuple[float, np.ndarray]:
    """Train error, and the gradient of the loss by the tensor, at zero."""
    pulls = problem.cells.values / problem.threshold
    roots = np.sqrt(1 + pulls**2)
    slope = np.zeros(problem.shape)
    slope[problem.cells.indices] = -problem.threshold * pulls / roots / problem.n_observed
    return 2 * problem.threshold**2 * float(np.mean(roots - 1)), slope


def _first_to_grow(start: Sequence[np.ndarray], slope: np.ndarray) -> int:
    """The component whose norm is the first to become infinite, by the law of a constant rate."""
    rates = component_growth_rates(start, slope)
    return int(np.argmin(component_blow_up_time(component_norms(start), rates, slope.ndim)))


def _unfolded(snapshot: Snapshot):
    return snapshot.tensor.reshape(snapshot.shape[0], -1)


def _norms(snapshot: Snapshot):
    return snapshot.component_norms[0]


def _gradient_norm(snapshot: Snapshot):
    return snapshot.gradient_norm


_TENSOR = Observable("tensor", _unfolded, ("row", "column"))
_NORMS = Observable("norms", _norms, ("component",))
_SLOWNESS = Observable("slowness", _gradient_norm)


def _followed(path: np.ndarray) -> np.ndarray:
    """The part of a path up to where most of its way is gone."""
    left = np.linalg.norm(path - path[-1], axis=(1, 2))
    return path[: int(np.argmax(left < (1 - _WAY) * left[0])) + 1]


def _distance(path: np.ndarray, reference: np.ndarray) -> float:
    """Least distance of a path from those points, passed in their order, at whatever times."""
    matrices = ("record", "row", "column"), _thinned(path, _KEPT)
    return aligned_distance(xr.Dataset({"matrix": matrices}), _thinned(reference, _KEPT_REFERENCE))


def _thinned(path: np.ndarray, n: int) -> np.ndarray:
    """Records at nearly equal distances along a path, its ends among them."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=(1, 2)))])
    wanted = np.linspace(0, along[-1], n) - 1e-12 * along[-1]
    return path[np.unique(np.searchsorted(along, wanted))]


def _cases(size: Size) -> list[DominantCase]:
    return [
        DominantCase(*setting, scale, seed)
        for setting in _SETTINGS
        for scale in _SCALES
        for seed in range(size.seeds)
    ]


def _judge(results: Results) -> Finding:
    table = tabulate(
        results,
        ["distance", "runner_up"],
        method=lambda case: case.setting,
        scale=lambda case: case.scale,
        instance=lambda case: case.instance,
    )
    seeds = table["instance"].values
    slopes = {
        name: _slopes(table["distance"].sel({"method": name})) for name in table["method"].values
    }
    balanced = [named(*setting) for setting in _SETTINGS if setting[1] == _BALANCED]
    smallest = table["distance"].sel(scale=_SCALES[-1])
    measured = [
        *(
            Measured.of(f"{name}, slope in logarithms", each, seeds)
            for name, each in slopes.items()
        ),
        *(
            Measured.of(
                f"{name}, distance from {_SCALES[-1]:g}",
                smallest.sel({"method": name}).values,
                seeds,
            )
            for name in slopes
        ),
    ]
    checks = [
        Check("every flow comes to its train error", _share_ended(results), ">=", 1),
        Check("every component by itself comes to rest from the two smallest scales, largest "
              "gradient left", _largest(results, "rest"), "<=", _AT_REST),
    ]  # fmt: skip
    for name in balanced:
        middle = float(smallest.sel({"method": name}).median())
        mean = float(np.mean(slopes[name]))
        checks += [
            Check(f"{name}: the distance falls with the scale, lower end of the slope's interval",
                  interval(slopes[name])[0], ">", 0),
            Check(f"{name}: median distance from {_SCALES[-1]:g}", middle, "<=", _NEAR),
            Check(f"{name}: mean slope near 1", mean, "within", _SLOPES, essential=False),
        ]  # fmt: skip
    uneven = named(*_SETTINGS[-1])
    checks += [
        Check(f"{uneven}: the distance to the balanced component falls with the scale, mean slope",
              float(np.mean(slopes[uneven])), ">", 0),
        Check(f"from {_SCALES[-1]:g} the component that leads is the one foreseen, share",
              _foreseen(results), ">=", 1, essential=False),
    ]  # fmt: skip
    return Finding(
        measured=tuple(measured),
        checks=tuple(checks),
        tables=(_distance_table(table), _slope_table(slopes)),
        figures=((_CAPTION, _figure(results, table)),),
        notes=(_NOTE,),
    )


def _slopes(distances: xr.DataArray) -> np.ndarray:
    """Slope of the logarithm of the distance against that of the scale, for each instance."""
    chosen = distances.sel(scale=list(_FITTED)).transpose("instance", "scale")
    logs = np.log(chosen["scale"].values)
    return np.array([np.polyfit(logs, row, 1)[0] for row in np.log(chosen.values)])


def _share_ended(results: Results) -> float:
    return float(np.mean([run["status"] == "TRAIN_ERROR" for run in results.values()]))


def _largest(results: Results, name: str) -> float:
    return max(run[name] for case, run in results.items() if case.scale in _SCALES[-2:])


def _foreseen(results: Results) -> float:
    return float(
        np.mean([run["leads"] for case, run in results.items() if case.scale == _SCALES[-1]])
    )


def _distance_table(table: xr.Dataset) -> Table:
    rows = []
    for name in table["method"].values:
        for scale in table["scale"].values:
            here = table.sel({"method": name, "scale": scale})
            low, middle, high = np.quantile(here["distance"].values, [0.25, 0.5, 0.75])
            rows.append((
                str(name), f"{scale:g}", float(middle), f"{low:.2e} to {high:.2e}",
                float(here["runner_up"].median()),
            ))  # fmt: skip
    return Table(
        "Distance to the trajectory of the component by itself, relative to its size: median and "
        "quartiles; and the next largest component, relative, where the tensor is half as large as "
        "that component becomes.",
        ("setting", "scale", "distance", "quartiles", "next component"),
        rows,
    )


def _slope_table(slopes: Mapping[str, np.ndarray]) -> Table:
    rows = []
    for name, found in slopes.items():
        low, high = interval(found)
        rows.append((
            str(name), float(np.mean(found)), f"{low:.2f} to {high:.2f}",
            f"{np.min(found):.2f} to {np.max(found):.2f}",
        ))  # fmt: skip
    return Table(
        f"Slopes in logarithms over the scales {_FITTED[0]:g} to {_FITTED[-1]:g}: mean, its 95 per "
        "cent interval, and the range over the instances.",
        ("setting", "mean slope", "interval", "range"),
        rows,
    )


def _figure(results: Results, table: xr.Dataset) -> Figure:
    figure, (left, right) = panels(2, width=5.4, height=4.4)
    named_error = table.rename(distance="error")
    named_error["error"].attrs["long_name"] = "Distance to the trajectory of one component"
    plot_recovery(named_error, "error", left, x="scale")
    run = results[DominantCase(*_SHOWN, 0)]
    single = np.asarray(run["single_time"]), np.asarray(run["single_norm"])
    # What comes before is at rest.
    grown = single[0] > _FROM * single[0][-1]
    curve = single[0][grown], single[1][grown]
    times = np.asarray(run["time"])
    shown = times > _FROM * single[0][-1]
    plot_modes(times[shown], np.asarray(run["norms"])[shown], right, curves=curve)
    right.set_xlim(right=times[-1] * 1.1)
    right.set_ylabel("Norm of a component")
    right.set_title(f"{named(*_SHOWN[:2])}, scale {_SHOWN[2]:g}", fontsize="medium")
    return figure


_FROM = 0.01  # times drawn, from this share of the last
_CAPTION = (
    "Left: distance of flow from the trajectory of one of its components by itself, median and "
    "quartiles, against the scale of the start. Right: norms of all components along a run "
    "(points) and that of the one component by itself (line)."
)
_NOTE = (
    f"{_COMPONENTS} components on {_SHARE:.0%} of the entries of tensors of CP rank {_RANK} and "
    "norm 1 (6 x 6 x 6 and 4 x 4 x 4 x 4); pseudo-Huber loss with a threshold of a tenth of the "
    "root-mean-square entry. The dominant component is the first to become infinite by the law of "
    f"a constant growth rate at zero, its norm then made {_LEAD:g} times as large. It is followed "
    f"by itself, from a balanced start of the same norm, over {_WAY:.0%} of its way to rest; the "
    "distance is the largest over its points, each compared with the nearest that flow passes in "
    "the same order, at whatever time and before or after whatever else grows. The statement is "
    "given from memory of the paper and checked here; no rate was published. It is for components "
    "that lead: in trials without the enlargement two could grow side by side, and the distance "
    "fell more slowly or, at these scales, not at all. In proportion to the scale, slope 1, is "
    "what the other components are of the tensor; a Gaussian start, whose component first has to "
    "turn as an unbalanced one, comes nearer more slowly."
)

CLAIM = Claim(
    id="razin2021.dominant-component",
    title="One component at first",
    statement="From a small start in which one component dominates, gradient flow with a Huber "
    "loss of small threshold follows the trajectory of that component by itself, of rank 1, the "
    "more closely the smaller the start.",
    source="Razin, Maman and Cohen 2021 (arXiv:2102.09972), theorem on rank-one trajectories",
    published=(),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=4,
    full_seeds=20,
)
