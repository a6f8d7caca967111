"""Arora, Cohen and Hazan 2018: no regularizer acts as depth does, shown by circulation and curl."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factorflow._random import stream
from factorflow.datasets import gas_sensor
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._tabulate import of_kind
from factorflow.plots import plot_recovery
from factorflow.problems import Regression
from factorflow.report import Table
from factorflow.theory import (
    acceleration_curl,
    acceleration_field,
    circulation,
    curl,
    linear_loss_circulation,
)

_DEPTHS = ("1", "1.5", "2", "2.5", "3", "4", "8", "inf")
_LOWEST = 3.0  # whole depth from which a linear loss shows it
_SIZE, _N_SAMPLES = 5, 40
_RADII = ((0.1, 1.0), (0.5, 2.0), (1e-3, 1.0))
_SHRINK = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)  # outer radii, of the best step from the origin
_INNER = 0.1  # inner radius over outer
_EXACT, _NUMERIC = 1e-8, 1e-6


@dataclass(frozen=True)
class LinearLossCase(AbstractCase):
    """Circulation of the end-to-end field of a linear loss, by quadrature and in closed form.

    Parameters
    ----------
    depth
        As text: ``"3"``, ``"2.5"`` or ``"inf"``.
    instance
        Seed of the gradient.
    """

    kind: ClassVar[str] = "circulation of the field of a linear loss"
    revision: ClassVar[int] = 1

    depth: str
    instance: int

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            gradient = stream(case.instance, "circulation", "gradient").standard_normal(_SIZE)
            depth = float(case.depth)
            along = acceleration_field(gradient, depth)
            closed = [linear_loss_circulation(gradient, depth, *radii) for radii in _RADII]
            # What the straight pieces alone contribute, up to a factor: the size of it all.
            scale = [_size(gradient, depth, R) for _, R in _RADII]
            point = stream(case.instance, "circulation", "point").standard_normal(_SIZE)
            result = {
                "quadrature": [circulation(along, *radii, gradient) for radii in _RADII],
                "closed": closed,
                "scale": scale,
                "curl": _relative_curl(along, point, gradient, depth),
            }
            finished(case, result)


@dataclass(frozen=True)
class RegressionLossCase(AbstractCase):
    """Circulation, and curl at a drawn point, of the end-to-end field of a regression.

    Parameters
    ----------
    depth
        As text: ``"3"``, ``"2.5"`` or ``"inf"``.
    power
        Of the loss.
    instance
        Seed of the samples and of the point.
    samples
        Hash of the samples, where they are measured.
    folder
        Where those lie.
    """

    kind: ClassVar[str] = "circulation of the field of a regression"
    revision: ClassVar[int] = 1

    depth: str
    power: int
    instance: int
    samples: str = ""
    folder: Path | None = field(default=None, compare=False)

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            problem = _regression(case)
            finished(case, _of_regression(problem, float(case.depth), case.instance))


def _regression(case: RegressionLossCase) -> Regression:
    if case.folder is not None:
        return _measured_samples(case.folder, case.power)
    rng = stream(case.instance, "circulation", "samples")
    inputs = rng.standard_normal((_N_SAMPLES, _SIZE)) * np.linspace(1.0, 2.0, _SIZE)
    noise = 0.3 * rng.standard_normal(_N_SAMPLES)
    return Regression(inputs, inputs @ rng.standard_normal(_SIZE) + noise, case.power)


def _measured_samples(folder: Path, power: int) -> Regression:
    found = gas_sensor(folder)
    return Regression(found.features, found.concentration, power).standardized()


def _of_regression(problem: Regression, depth: float, instance: int) -> dict[str, Any]:
    x, y, q = problem.inputs, problem.targets[:, 0], problem.power

    def slope(w: np.ndarray) -> np.ndarray:
        r = x @ w - y
        return x.T @ (np.sign(r) * np.abs(r) ** (q - 1)) / len(y)

    def curvature(w: np.ndarray) -> np.ndarray:
        return (q - 1) * (x.T * np.abs(x @ w - y) ** (q - 2)) @ x / len(y)

    along, origin = acceleration_field(slope, depth), slope(np.zeros(x.shape[1]))
    # As long as the best step along the gradient: minimizers may be far away, where inputs are
    # nearly dependent.
    unit = np.linalg.norm(origin) ** 3 / (origin @ curvature(np.zeros(x.shape[1])) @ origin)
    radii = [R * float(unit) for R in _SHRINK]
    found = [circulation(along, _INNER * R, R, origin) for R in radii]
    linear = [linear_loss_circulation(origin, depth, _INNER * R, R) for R in radii]
    point = stream(instance, "circulation", "point").standard_normal(x.shape[1])
    point *= unit / np.linalg.norm(point)
    closed = acceleration_curl(point, slope(point), curvature(point), depth)
    by_difference = curl(along, point)
    return {
        "circulation": found,
        "linear": linear,
        "scale": [_size(origin, depth, R) for R in radii],
        "curl": _relative_curl(along, point, slope(point), depth),
        "curl_apart": float(
            np.linalg.norm(by_difference - closed) / max(np.linalg.norm(closed), 1e-300)
        ),
    }


def _size(gradient: np.ndarray, depth: float, radius: float) -> float:
    """``||g|| N R^(3 - 2/N)``, or without `N` where it is infinite."""
    power = 3 - 2 / depth
    return float(np.linalg.norm(gradient) * (depth if isfinite(depth) else 1) * radius**power)


def _relative_curl(
    along: Callable[[np.ndarray], np.ndarray], point: np.ndarray, gradient: np.ndarray, depth: float
) -> float:
    """Norm of the curl over ``||g|| N ||w||^(1 - 2/N)``, the size of the field over the length."""
    length = float(np.linalg.norm(point))
    return float(np.linalg.norm(curl(along, point)) * length**2 / _size(gradient, depth, length))


def _cases(size: Size) -> list[AbstractCase]:
    seeds = range(size.seeds)
    linear = [LinearLossCase(depth, seed) for depth in _DEPTHS for seed in seeds]
    drawn = [
        RegressionLossCase(depth, power, seed)
        for depth in _DEPTHS
        for power in (2, 4)
        for seed in seeds
    ]
    if size.data is None:
        return [*linear, *drawn]
    samples = {power: _measured_samples(size.data, power).content_hash for power in (2, 4)}
    measured = [
        RegressionLossCase(depth, power, 0, samples[power], size.data)
        for depth in _DEPTHS
        for power in (2, 4)
    ]
    return [*linear, *drawn, *measured]


def _judge(results: Results) -> Finding:
    linear = of_kind(results, LinearLossCase)
    drawn = of_kind(results, RegressionLossCase, samples="")
    real = {case: run for case, run in of_kind(results, RegressionLossCase).items() if case.samples}
    seeds = sorted({case.instance for case in linear})
    measured, rows = [], []
    for depth in _DEPTHS:
        runs = [linear[LinearLossCase(depth, seed)] for seed in seeds]
        values = [run["quadrature"][0] / run["scale"][0] for run in runs]
        curls = [run["curl"] for run in runs]
        measured.append(Measured.of(_circulation_name(depth), values, seeds))
        squares = [drawn[RegressionLossCase(depth, 2, seed)]["curl"] for seed in seeds]
        measured.append(Measured.of(_curl_name(depth), squares, seeds))
        rows.append((depth, *(float(np.median(each)) for each in (values, curls, squares))))
    return Finding(
        measured=tuple(measured),
        checks=tuple(_checks(linear, drawn) + _real_checks(real)),
        tables=(Table(_TABLE, _COLUMNS, rows),),
        figures=((_CAPTION, _figure(linear, drawn)),),
        notes=(_NOTE, *((_REAL_NOTE,) if real else ())),
    )


def _checks(linear: dict, drawn: dict) -> list[Check]:
    apart = max(
        abs(found - closed) / scale
        for run in linear.values()
        for found, closed, scale in zip(run["quadrature"], run["closed"], run["scale"], strict=True)
    )
    flat = [run for case, run in linear.items() if case.depth in ("1", "2")]
    deep = [run for case, run in linear.items() if float(case.depth) >= _LOWEST]
    none = [abs(found) / scale for run in flat for found, scale in _pairs(run, "quadrature")]
    some = [found / scale for run in deep for found, scale in _pairs(run, "quadrature")]
    two = {case: run for case, run in drawn.items() if case.depth == "2"}
    one = {case: run for case, run in drawn.items() if case.depth == "1"}
    deeper = {case: run for case, run in drawn.items() if float(case.depth) >= _LOWEST}
    limits = [run["circulation"][-1] / run["linear"][-1] for run in deeper.values()]
    return [
        Check("linear loss: quadrature agrees with the closed form, largest difference",
              apart, "<=", _EXACT),
        Check("linear loss: no circulation at depth 1 and 2, largest", max(none), "<=", _EXACT),
        Check("linear loss: circulation at depth 3 and above, least", min(some), ">", 1e-3),
        Check("linear loss: no curl at depth 2, largest",
              max(run["curl"] for case, run in linear.items() if case.depth == "2"),
              "<=", _NUMERIC),
        Check("regression: no curl at depth 1, largest",
              max(run["curl"] for run in one.values()), "<=", _NUMERIC),
        Check("regression: curl at depth 2, least",
              min(run["curl"] for run in two.values()), ">", 1e-3),
        Check("regression: curl at depth 3 and above, least",
              min(run["curl"] for run in deeper.values()), ">", 1e-3),
        Check("regression: finite differences agree with the closed form of the curl, largest",
              max(run["curl_apart"] for case, run in drawn.items() if case.depth != "1"),
              "<=", _NUMERIC),
        Check("regression, depth 3 and above: near the origin the circulation is that of the "
              "linear loss, largest relative difference",
              max(abs(each - 1) for each in limits), "<=", 1e-2),
    ]  # fmt: skip


def _real_checks(real: dict) -> list[Check]:
    deep = [run for case, run in real.items() if float(case.depth) >= _LOWEST]
    if not deep:
        return []
    limits = [run["circulation"][-1] / run["linear"][-1] for run in deep]
    curls = [run["curl"] for case, run in real.items() if float(case.depth) >= 2]
    return [
        Check("gas sensors, depth 3 and above: near the origin the circulation is that of the "
              "linear loss, largest relative difference",
              max(abs(each - 1) for each in limits), "<=", 1e-2),
        Check("gas sensors: curl at depth 2 and above, least", min(curls), ">", 1e-3),
    ]  # fmt: skip


def _pairs(run: dict, name: str) -> list[tuple[float, float]]:
    return list(zip(run[name], run["scale"], strict=True))


def _circulation_name(depth: str) -> str:
    return f"depth {depth}: relative circulation, linear loss"


def _curl_name(depth: str) -> str:
    return f"depth {depth}: relative curl, squared loss"


def _figure(linear: dict, drawn: dict) -> Figure:
    figure, (closed, near, turning) = panels(3, width=4.6, height=4.2)
    seeds = sorted({case.instance for case in linear})
    around = {
        name: lambda d, s, key=key: _relative(linear[LinearLossCase(d, s)], key)[0]
        for name, key in (("closed form", "closed"), ("quadrature", "quadrature"))
    }
    _draw_over_depth(around, seeds, "Relative circulation, linear loss", closed)
    shown = [depth for depth in _DEPTHS if float(depth) >= _LOWEST]
    ratios = [
        [np.divide(*(drawn[RegressionLossCase(d, 4, s)][n] for n in ("circulation", "linear")))
         for s in seeds]
        for d in shown
    ]  # fmt: skip
    found = xr.DataArray(
        np.array(ratios),
        dims=("method", "instance", "radius"),
        coords={"method": [f"depth {d}" for d in shown], "radius": list(_SHRINK)},
        attrs={"long_name": "Circulation over that of the linear loss"},
        name="ratio",
    )
    found["radius"].attrs["long_name"] = "Outer radius over the best step"
    plot_recovery(found, "ratio", near, x="radius")
    near.set_xscale("log")
    curls = {
        "linear loss": lambda d, s: linear[LinearLossCase(d, s)]["curl"],
        "squared loss": lambda d, s: drawn[RegressionLossCase(d, 2, s)]["curl"],
        "fourth power": lambda d, s: drawn[RegressionLossCase(d, 4, s)]["curl"],
    }
    _draw_over_depth(curls, seeds, "Relative curl", turning)
    return figure


def _draw_over_depth(
    picks: Mapping[str, Callable[[str, int], float]], seeds: Sequence[int], words: str, ax: Axes
) -> None:
    """Lines over ``1 - 1/N``, where infinite depth has a place."""
    found = xr.DataArray(
        np.array([[[pick(d, s) for s in seeds] for d in _DEPTHS] for pick in picks.values()]),
        dims=("method", "step", "instance"),
        coords={"method": list(picks), "step": [1 - 1 / float(d) for d in _DEPTHS]},
        attrs={"long_name": words},
        name="value",
    )
    plot_recovery(found, "value", ax, x="step")
    ax.set_xticks([1 - 1 / float(d) for d in _DEPTHS], _DEPTHS)
    ax.set_xlabel("Depth")


def _relative(run: dict, name: str) -> list[float]:
    return [value / scale for value, scale in _pairs(run, name)]


_TABLE = (
    "Circulation along the curve of radii 0.1 and 1 for a linear loss, relative to the gradient "
    "times depth; curl at a drawn point for a linear and for a squared loss, relative to "
    "the gradient times depth as well. Medians."
)
_COLUMNS = ("depth", "circulation, linear", "curl, linear", "curl, squared")
_CAPTION = (
    "Left, relative circulation for linear losses against depth. Middle, "
    "circulation for fourth powers over that for the linear loss with their gradient at the "
    "origin, the smaller the curve the nearer to 1. Right, relative curl against depth: at depth 2 "
    "a linear loss has none, a curved one has."
)
_NOTE = (
    "A field that is the gradient of some function has no circulation and no curl. The end-to-end "
    "field of a linear loss has circulation 2 |g| (R^(3-2/N) - r^(3-2/N)) (N-1)(N-2)/(3N-2), "
    "derived here, which vanishes at depth 2 as well as at depth 1: there the field is the "
    "gradient of |w| <g, w>. So by circulation around the origin the statement holds from depth 3 "
    "on (above depth 2, for real depths), without any condition on curvature; at depth 2 it holds "
    "for curved losses, by curl, wherever the Hessian turns w. Between depth 1 and 2 the "
    "circulation is negative."
)
_REAL_NOTE = "Also for the regression of ethanol concentrations on the gas sensors of the folder."
_SOURCE = "Arora, Cohen, Hazan 2018, theorem that no regularizer does it"

CLAIM = Claim(
    id="arora2018.no-regularizer",
    title="Depth is no regularizer",
    statement="No function of the end-to-end vector has the field along which a deep linear "
    "network with one output descends as its gradient: around a curve near the origin the field "
    "has circulation, for depths of 3 and above.",
    source="Arora, Cohen, Hazan 2018 (arXiv:1802.06509), theorem that no regularizer does it",
    published=tuple(
        Published(_circulation_name(depth), "not zero", _SOURCE)
        for depth in _DEPTHS
        if inf > float(depth) >= _LOWEST
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=5,
    full_seeds=50,
)
