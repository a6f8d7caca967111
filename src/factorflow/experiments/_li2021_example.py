"""Li, Luo and Lyu 2021: a completion whose limit has not the least nuclear norm."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factorflow.dynamics import EndToEndFlow, GreedyLowRank, Rosenbrock, Stop, solve
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured
from factorflow.experiments._tabulate import of_kind, tabulate
from factorflow.factorizations import LogSVD, Symmetric
from factorflow.initializers import Identity
from factorflow.plots import plot_against_scale
from factorflow.report import Table
from factorflow.theory import nuclear_norm_counterexample
from factorflow.trajectories import Record

_RATIOS = (3.0, 10.0, 100.0)
_DEPTHS = (2, 3, 4, 6)
_SCALES = tuple(float(f"1e-{k}") for k in range(1, 10))
_SMALLEST = (1e-100, 1e-300)
_NEAR = 1e-3  # of the greedy limit, relative
_GREEDY = 1e-6
_PRACTICAL = 1e-4


@dataclass(frozen=True)
class GreedyExampleCase(AbstractCase):
    """The greedy limit; run twice, so that its seconds hold no compilation.

    Parameters
    ----------
    ratio
        `R` of :func:`nuclear_norm_counterexample`.
    """

    kind: ClassVar[str] = "greedy limit of the counterexample to the nuclear norm"
    revision: ClassVar[int] = 1

    ratio: float

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            problem = nuclear_norm_counterexample(case.ratio).problem
            first, last = (
                solve(problem, Symmetric(4), GreedyLowRank(), progress=progress) for _ in range(2)
            )
            origin, point = last.path.point(0), last.path.last
            result = {
                **_spectrum(last.matrix),
                "rank": point.rank,
                "escape": point.escape / origin.escape,
                "gap": origin.relative_gap,
                "duality_gap": point.duality_gap,
                "n_gradients": last.n_gradients,
                "run_seconds": last.seconds,
                "status": last.status.name,
            }
            finished(case, result, first.seconds + last.seconds)


@dataclass(frozen=True)
class DeepStartCase(AbstractCase):
    """End-to-end flow from a multiple of the identity: the deep symmetric product.

    Parameters
    ----------
    ratio
        `R` of :func:`nuclear_norm_counterexample`.
    depth
        A number of 2 or more.
    scale
        The end-to-end matrix starts at ``scale I``.
    train_error
        Mean squared residual at the end, as a share of ``R^2``.
    rtol
        Tolerance of the flow.
    """

    kind: ClassVar[str] = "deep flow on the counterexample to the nuclear norm"
    revision: ClassVar[int] = 2

    ratio: float
    depth: float
    scale: float
    train_error: float = 1e-14
    rtol: float = 1e-4

    @property
    def group(self):
        return self.depth, self.rtol

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            solution = solve(
                nuclear_norm_counterexample(case.ratio).problem,
                LogSVD(symmetric=True),
                EndToEndFlow(case.depth, Rosenbrock(), rtol=case.rtol),
                init=Identity(case.scale),
                stop=Stop(train_error=case.train_error * case.ratio**2),
                record=Record([]),
                progress=progress,
                throw=False,
            )
            result = {
                **_spectrum(solution.matrix),
                "n_gradients": solution.n_gradients,
                "time": solution.time,
                "status": solution.status.name,
            }
            finished(case, result, solution.seconds)


def _spectrum(matrix: np.ndarray) -> dict[str, float]:
    values = np.linalg.svd(matrix, compute_uv=False)
    shares = values[values > 0] / values.sum()
    return {
        "trace": float(np.trace(matrix)),
        "nuclear_norm": float(values.sum()),
        "effective_rank": float(np.exp(-np.sum(shares * np.log(shares)))),
    }


def _cases(size: Size) -> list[AbstractCase]:
    return [
        *(GreedyExampleCase(ratio) for ratio in _RATIOS),
        *(
            DeepStartCase(ratio, depth, scale)
            for depth in _DEPTHS
            for ratio in _RATIOS
            for scale in (*_SCALES, *_SMALLEST)
        ),
    ]


def _judge(results: Results) -> Finding:
    flows = of_kind(results, DeepStartCase)
    greedy = {case.ratio: run for case, run in of_kind(results, GreedyExampleCase).items()}
    table = tabulate(
        flows,
        ["trace", "effective_rank"],
        ratio=lambda case: case.ratio,
        depth=lambda case: case.depth,
        scale=lambda case: case.scale,
    )
    trace = table["trace"]
    return Finding(
        measured=tuple(_measured(greedy, trace)),
        checks=(*_greedy_checks(greedy), *_norm_checks(greedy), *_flow_checks(flows, trace)),
        tables=(_greedy_table(greedy), *(_table(table[name], words) for name, words in _TABLES)),
        figures=((_CAPTION, _figure(trace, greedy)),),
        notes=_NOTES,
    )


def _least(ratio: float) -> float:
    return 4 * ratio


def _rank_one(ratio: float) -> float:
    return 2 * ratio**2 + 2


def _apart(value: float, ratio: float) -> float:
    return abs(value / _rank_one(ratio) - 1)


def _measured(greedy: dict[float, dict[str, Any]], trace: xr.DataArray) -> list[Measured]:
    found = []
    for ratio, run in greedy.items():
        found += [
            Measured.exact(f"R = {ratio:g}: trace of the greedy limit", run["trace"]),
            Measured.exact(f"R = {ratio:g}: gradients of the greedy limit", run["n_gradients"]),
            Measured.exact(f"R = {ratio:g}: seconds of the greedy limit", run["run_seconds"]),
        ]
        found += [
            Measured.exact(
                f"R = {ratio:g}, depth {depth:g}: trace from {scale:g}",
                float(trace.sel(ratio=ratio, depth=depth, scale=scale)),
            )
            for depth in _DEPTHS
            for scale in (_PRACTICAL, _SCALES[-1], *_SMALLEST)
        ]
    return found


def _greedy_checks(greedy: dict[float, dict[str, Any]]) -> Iterable[Check]:
    for ratio, run in greedy.items():
        here = f"R = {ratio:g}, greedy limit"
        yield Check(f"{here}: certified", float(run["status"] == "CERTIFIED"), ">=", 1)
        yield Check(f"{here}: rank", run["rank"], "within", (1, 1))
        yield Check(
            f"{here}: relative distance of its trace from 2 R^2 + 2",
            _apart(run["trace"], ratio),
            "<=",
            _GREEDY,
        )
        yield Check(
            f"{here}: escape that is left, relative to that from zero",
            run["escape"],
            "<=",
            GreedyLowRank().tolerance,
        )
        seconds = run["run_seconds"]
        yield Check(f"{here}: seconds, compiled", seconds, "<", 5, essential=False)


def _norm_checks(greedy: dict[float, dict[str, Any]]) -> Iterable[Check]:
    for ratio, run in greedy.items():
        example = nuclear_norm_counterexample(ratio)
        least, observed = example.least_nuclear_norm, example.problem.to_array()
        seen = np.isfinite(observed)
        bound = np.sum(example.dual[seen] * observed[seen]) / np.linalg.norm(example.dual, 2)
        outside = np.abs(example.dual[~seen]).max() + np.abs((least - observed)[seen]).max()
        here = f"R = {ratio:g}, least nuclear norm"
        yield Check(
            f"{here}: excess of 4 R over its lower bound by duality",
            float(np.linalg.norm(least, "nuc") / bound - 1),
            "<=",
            1e-12,
        )
        yield Check(
            f"{here}: misfit of the solution and of the dual matrix", float(outside), "<=", 0
        )
        yield Check(f"R = {ratio:g}: nuclear norm of the greedy limit over the least",
                    run["nuclear_norm"] / _least(ratio), ">", 1.5)  # fmt: skip


def _flow_checks(flows: dict[Any, dict[str, Any]], trace: xr.DataArray) -> Iterable[Check]:
    def at(ratio: float, depth: float, scale: float) -> float:
        return float(trace.sel(ratio=ratio, depth=depth, scale=scale))

    ended = np.mean([run["status"] == "TRAIN_ERROR" for run in flows.values()])
    yield Check("every flow fits the observed entries", float(ended), ">=", 1)
    for ratio in _RATIOS:
        for depth in _DEPTHS[1:]:
            yield Check(
                f"R = {ratio:g}, depth {depth}: relative distance of the end of 1e-100 from the "
                "greedy limit", _apart(at(ratio, depth, 1e-100), ratio), "<=", _NEAR)  # fmt: skip
    for ratio, scale in ((3.0, 1e-100), (10.0, 1e-300)):
        yield Check(
            f"R = {ratio:g}, depth 2: the same from {scale:g}",
            _apart(at(ratio, 2, scale), ratio), "<=", 2 * _NEAR)  # fmt: skip
    for ratio in _RATIOS[1:]:
        yield Check(
            f"R = {ratio:g}, depth 2: trace from 1e-9 over the least nuclear norm",
            at(ratio, 2, 1e-9) / _least(ratio), "within", (1, 1.1))  # fmt: skip
    yield Check("R = 10, scale 1e-4: trace at depth 2", at(10.0, 2, _PRACTICAL), "<", 41)
    yield Check("R = 10, scale 1e-4: trace at depth 4", at(10.0, 4, _PRACTICAL), ">", 195)
    falls = trace.sortby("scale", ascending=False).diff("scale") / trace.min("scale")
    yield Check(
        "the smaller the start, the larger the trace: least relative rise from a scale to the next",
        float(falls.min()),
        ">=",
        -_NEAR,
    )
    deeper = trace.sel(scale=list(_SCALES[:4])).diff("depth")
    yield Check("and the deeper, the larger: least rise from a depth to the next, 1e-1 to 1e-4",
                float(deeper.min()), ">", 0)  # fmt: skip


def _greedy_table(greedy: dict[float, dict[str, Any]]) -> Table:
    rows = [
        (
            f"{ratio:g}",
            _least(ratio),
            _rank_one(ratio),
            run["trace"],
            run["rank"],
            run["gap"],
            run["escape"],
            run["n_gradients"],
            run["run_seconds"],
        )
        for ratio, run in greedy.items()
    ]
    columns = ("R", "4 R", "2 R^2 + 2", "trace", "rank", "gap at zero", "escape left", "gradients",
               "seconds")  # fmt: skip
    return Table("The greedy limit, with the relative gap of the two modes that grow from zero.",
                 columns, rows)  # fmt: skip


_TABLES = (
    ("trace", "Trace of the solution that flow comes to, by its start."),
    ("effective_rank", "And its effective rank."),
)


def _table(found: xr.DataArray, caption: str) -> Table:
    scales = (*_SCALES, *_SMALLEST)
    rows = [
        (f"{ratio:g}", f"{depth:g}", *map(float, found.sel(ratio=ratio, depth=depth)))
        for ratio in _RATIOS
        for depth in _DEPTHS
    ]
    return Table(caption, ("R", "depth", *(f"{scale:g}" for scale in scales)), rows)


_PLACES = {1e-100: 1e-11, 1e-300: 1e-13}  # on the axis of the scale
_TICKS = {
    1e-1: "$10^{-1}$", 1e-5: "$10^{-5}$", 1e-9: "$10^{-9}$", 1e-11: "$10^{-100}$",
    1e-13: "$10^{-300}$",
}  # fmt: skip
_TRACES = {3.0: (12, 14, 16, 18, 20), 10.0: (40, 60, 100, 200), 100.0: (400, 1000, 4000, 20000)}


def _figure(trace: xr.DataArray, greedy: dict[float, dict[str, Any]]) -> Figure:
    figure, axes = panels(len(_RATIOS), width=4.6, height=4.2)
    for ratio, ax in zip(_RATIOS, axes, strict=True):
        found = trace.sel(ratio=ratio).expand_dims(instance=[0]).assign_attrs(long_name="Trace")
        ax.set_yscale("log")
        limit = xr.DataArray([greedy[ratio]["trace"]], dims="instance", name="greedy limit")
        plot_against_scale(found.sel(scale=list(_SCALES)), "trace", ax, baseline=limit)
        low, high = ax.get_ylim()
        _draw_smallest(ax, found.isel(instance=0))
        _draw_norms(ax, ratio)
        # Room for the legend, which more data would take away, and for a name below.
        ax.set_ylim(low / (high / low) ** 0.04, high)
        ax.set_yticks(_TRACES[ratio], [f"{value:g}" for value in _TRACES[ratio]])
        ax.set_yticks([], minor=True)
        ax.set_title(f"R = {ratio:g}")
    return figure


def _draw_norms(ax: Axes, ratio: float) -> None:
    named = {"4R": (_least(ratio), "top", -2), "2R² + 2": (_rank_one(ratio), "bottom", 2)}
    for words, (value, side, off) in named.items():
        ax.axhline(value, color="black", linewidth=0.9, linestyle=":", zorder=1)
        place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        ax.annotate(words, (0.02, value), xytext=(0, off), va=side, fontsize="small", **place)


def _draw_smallest(ax: Axes, found: xr.DataArray) -> None:
    """Points at places of their own: true to scale the rest would have no room."""
    lines = [line for line in ax.lines if str(line.get_label()).startswith("depth")]
    for line, depth in zip(lines, _DEPTHS, strict=True):
        style = {"color": line.get_color(), "marker": line.get_marker(), "linestyle": "none"}
        values = found.sel(depth=depth, scale=list(_PLACES)).values
        ax.plot(list(_PLACES.values()), values, **style, markerfacecolor="white", markersize=5)
    ax.set_xticks(list(_TICKS), list(_TICKS.values()), fontsize="small")
    ax.set_xticks([], minor=True)


_CAPTION = (
    "Trace of the solution that flow from a multiple of the identity comes to, against that "
    "multiple; hollow: from 1e-100 and 1e-300, not to scale. Dotted, the least nuclear norm of "
    "all solutions and the trace of that of rank 1."
)
_NOTES = (
    "All matrices on the way are positive semidefinite, and written so that they stay so; "
    "the trace is the nuclear norm. No "
    "published number is compared: the two solutions and their norms follow by hand, and the "
    "traces that flows come to are measured here.",
    "At depth 2 the limit is out of reach for large R, even from 1e-300. Derived: after the first "
    "mode has escaped and fitted the four large entries, it creeps along u = (a, a, R/a, R/a) from "
    "a = sqrt(R) to 1, and over that way the second mode grows by (R^2 - 1)/2 + ln R e-folds. It "
    "starts behind by ln(1/scale) times the relative gap of the two, 1/(R + 1/2), so that about "
    "ln(1/scale) > (R + 1/2) ((R^2 - 1)/2 + ln R) is needed, and a little more: an integration of "
    "the two modes gives 1e-13 at R = 3, 1e-270 at R = 10, and 1e-219000 at R = 100, which no "
    "floating-point number holds. Above depth 2 a small mode hardly grows meanwhile.",
)

CLAIM = Claim(
    id="li2021.example",
    title="A limit of flow without the least nuclear norm",
    statement="On six entries of a 4x4 matrix the flow from a vanishing start ends at rank 1 and "
    "trace 2 R^2 + 2, where the least nuclear norm is 4 R: it does not minimize the nuclear norm. "
    "At depth 2 only starts far out of reach show it, at depth 4 practical ones do.",
    source="Li, Luo and Lyu 2021 (arXiv:2012.09839), their example against the conjecture that the "
    "limit minimizes the nuclear norm; the flows are ours",
    published=(),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=1,
    full_seeds=1,
)
