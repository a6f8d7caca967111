"""Li, Luo and Lyu 2021: how near gradient flow comes to the greedy path, by scale and depth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t

from factorflow.dynamics import GradientFlow, Stop, solve
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured
from factorflow.experiments._psd_completion import flow_from, greedy, sampled
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Identity
from factorflow.plots import plot_against_scale
from factorflow.report import Table
from factorflow.theory import aligned_distance, distance_to_points
from factorflow.trajectories import EverySteps, Record
from factorflow.trajectories import matrix as matrix_of

_DEPTHS = (2, 3, 4)
_SCALES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
_TINY = (1e-10, 1e-20, 1e-30)  # at depth 2 only
_EVERY_STEP = EverySteps(1, 4096)
_KEPT = 96  # records of a trajectory that its aligned distance is taken with
_ROOM = 2
_LEVEL = 0.95
_PATH, _ALIGNED = "path_error", "trajectory_error"
_WORDS = {
    _PATH: "Distance to the greedy saddles",
    _ALIGNED: "Aligned distance to the limiting trajectory",
}


@dataclass(frozen=True)
class TrajectoryCase(AbstractCase):
    """Completion of a random ``U U^T`` by gradient flow of a depth from ``scale I``."""

    kind: ClassVar[str] = "gradient flow beside its greedy path, semidefinite completion"
    revision: ClassVar[int] = 1
    depth: int
    scale: float
    instance: int = 0
    size: int = 15
    rank: int = 3
    oversampling: float = 2.0
    train_error: float = 1e-8
    rtol: float = 1e-4

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            finished(case, _run(case, progress))


def _run(case: TrajectoryCase, progress) -> dict[str, Any]:
    problem = sampled(case.size, case.rank, case.oversampling, case.instance)
    path = greedy(problem, case.rank + _ROOM)
    record = Record([matrix_of()], schedule=_EVERY_STEP)
    if case.depth == 2:
        flow = flow_from(
            problem, case.scale, rtol=case.rtol, train_error=case.train_error, record=record,
            progress=progress,
        )  # fmt: skip
    else:
        flow = solve(
            problem,
            DeepLinear(case.depth),
            GradientFlow(rtol=case.rtol),
            init=Identity(case.scale),
            stop=Stop(train_error=case.train_error),
            record=record,
            progress=progress,
            throw=False,
        )
    points = path.path.matrices
    nearest = distance_to_points(flow.trajectory, points)
    return {
        "distances": nearest.distances / np.linalg.norm(points[-1]),
        "trajectory": _thinned(flow.trajectory["matrix"].values, nearest.records),
        "status": flow.status.name,
        "n_gradients": flow.n_gradients,
        "greedy_status": path.status.name,
        "ends": [point.end.name for point in path.path.points],
        "gaps": [point.relative_gap for point in path.path.points],
    }


def _thinned(path: np.ndarray, corners: Sequence[int] | np.ndarray = ()) -> np.ndarray:
    """Records at nearly equal distances along a path, its ends and corners among them."""
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=(1, 2))
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    wanted = np.linspace(0, along[-1], _KEPT)
    evenly = np.searchsorted(along, wanted - 1e-12 * along[-1])
    return path[np.unique([*evenly, *corners])]


def _cases(size: Size) -> list[TrajectoryCase]:
    return [
        TrajectoryCase(depth, scale, i)
        for i in range(size.seeds)
        for depth in _DEPTHS
        for scale in (*_SCALES, *(_TINY if depth == 2 else ()))
    ]


def _judge(results: Results) -> Finding:
    used = sorted({case.instance for case in results if _passes(results[case])})
    table = _distances(results, used)
    slopes = {
        name: {depth: slopes_of(table[name].sel(depth=depth)) for depth in _DEPTHS}
        for name in (_PATH, _ALIGNED)
    }
    middle = table.median("instance")
    checks = [
        Check("instances whose greedy path is certified and stationary", len(used), ">=", 2),
        Check("every flow comes to its train error",
              float(np.mean([r["status"] == "TRAIN_ERROR" for r in results.values()])), ">=", 1),
    ]  # fmt: skip
    for depth in _DEPTHS:
        found = slopes[_PATH][depth]
        line = middle[_PATH].sel(depth=depth).dropna("scale")
        checks += [
            Check(f"depth {depth}: the distance to the saddles falls with the scale, lower "
                  "end of the slope's interval", interval(found)[0], ">", 0),
            Check(f"depth {depth}: its median falls at every step down in scale, least ratio",
                  _least_fall(line.values), ">", 1, essential=False),
        ]  # fmt: skip
    checks += [
        Check(f"{_WORDS[name].lower()}: depth {depth} has a larger slope than depth 2 on every "
              "instance", _excess(slopes[name], depth), ">", 0, essential=name == _PATH)
        for name in (_PATH, _ALIGNED)
        for depth in (3, 4)
    ]  # fmt: skip
    deep = [r["distances"][1:] for c, r in results.items() if c.depth > 2 and c.scale == 1e-7]
    checks.append(
        Check("from 1e-7 flow of depths 3 and 4 passes all critical points of the path of depth 2, "
              "largest distance", max(float(np.max(each)) for each in deep), "<", 0.01)
    )  # fmt: skip
    return Finding(
        measured=tuple(_measured(table, slopes, used)),
        checks=tuple(checks),
        tables=(_slope_table(slopes), _point_table(results, used)),
        figures=((_CAPTION, _figure(table, slopes)),),
        notes=(_HOW, _excluded(results, used)),
    )


_HOW = (
    "15 x 15 matrices of rank 3, 84 of 120 pairs observed; flow from scale times the identity, all "
    "steps recorded, to a train error of 1e-8. The saddles are the critical points that are left "
    "again, of ranks 1 and 2; the distance is the larger of the two least Frobenius distances over "
    "time, relative to the norm of the last point of the path. The other distance is the aligned "
    "one to the trajectory of the same depth from the smallest scale. Slopes are those of least "
    "squares in logarithms over 1e-1 to 1e-7, their intervals those of Student's t over the "
    "instances. The saddles are those of the path of depth 2; flow of depths 3 and 4 visits the "
    "same. No published rate is quoted: measured here."
)
_CAPTION = (
    "Distance from the greedy path against the scale of the start: median and quartiles over the "
    "instances. Dotted: the fitted slope, over 1e-1 to 1e-7."
)


def _passes(result: Mapping[str, Any]) -> bool:
    return result["greedy_status"] == "CERTIFIED" and set(result["ends"]) == {"STATIONARY"}


def _excluded(results: Results, used: Sequence[int]) -> str:
    left = sorted({case.instance for case in results} - set(used))
    if not left:
        return "The greedy path of every instance is certified and stationary."
    listed = ", ".join(map(str, left))
    return f"Left out, as the greedy path is not certified or a phase ran off: instances {listed}."


def _distances(results: Results, used: Sequence[int]) -> xr.Dataset:
    """Both distances over depth, scale and instance."""
    scales = sorted({case.scale for case in results})
    shape = len(_DEPTHS), len(scales), len(used)
    tables = {name: np.full(shape, np.nan) for name in (_PATH, _ALIGNED)}
    for case, result in results.items():
        if case.instance not in used:
            continue
        at = _DEPTHS.index(case.depth), scales.index(case.scale), used.index(case.instance)
        tables[_PATH][at] = np.max(result["distances"][1:-1])
        smallest = min(c.scale for c in results if c.depth == case.depth)
        if case.scale != smallest:
            limit = results[TrajectoryCase(case.depth, smallest, case.instance)]["trajectory"]
            tables[_ALIGNED][at] = aligned_distance(_as_trajectory(result["trajectory"]), limit)
    return xr.Dataset(
        {
            name: (("depth", "scale", "instance"), table, {"long_name": _WORDS[name]})
            for name, table in tables.items()
        },
        coords={"depth": list(_DEPTHS), "scale": scales, "instance": list(used)},
    )


def _as_trajectory(matrices: Any) -> xr.Dataset:
    return xr.Dataset({"matrix": (("record", "row", "column"), np.asarray(matrices))})


def slopes_of(distances: xr.DataArray) -> np.ndarray:
    """Slope of the logarithm of a distance against that of the scale, for each instance."""
    within = distances.sel(scale=[s for s in distances.scale.values if s in _SCALES])
    within = within.dropna("scale", how="all")
    logs = np.log(within.scale.values)
    columns = np.log(within.transpose("instance", "scale").values)
    return np.array([np.polyfit(logs, column, 1)[0] for column in columns])


def interval(slopes: np.ndarray) -> tuple[float, float]:
    """Confidence interval of a mean slope over the instances, by Student's t."""
    n = len(slopes)
    if n < 2:
        return float("nan"), float("nan")
    half = t.ppf((1 + _LEVEL) / 2, n - 1) * np.std(slopes, ddof=1) / np.sqrt(n)
    return float(np.mean(slopes) - half), float(np.mean(slopes) + half)


def _least_fall(line: np.ndarray) -> float:
    return float(np.min(line[1:] / line[:-1])) if len(line) > 1 else float("nan")


def _excess(slopes: Mapping[int, np.ndarray], depth: int) -> float:
    return float(np.min(slopes[depth] - slopes[2], initial=np.inf))


def _measured(table: xr.Dataset, slopes: Mapping, used: Sequence[int]):
    for name, each in slopes.items():
        for depth, found in each.items():
            yield Measured.of(f"depth {depth}, slope: {_WORDS[name].lower()}", found, used)
    for depth in _DEPTHS:
        for scale in (1e-1, 1e-3, 1e-7):
            values = table[_PATH].sel(depth=depth, scale=scale).values
            yield Measured.of(f"depth {depth}, distance from {scale:g}", values, used)


def _slope_table(slopes: Mapping) -> Table:
    rows = []
    for name, each in slopes.items():
        for depth, found in each.items():
            low, high = interval(found)
            rows.append((
                _WORDS[name], str(depth), float(np.mean(found)), f"{low:.3f} to {high:.3f}",
                f"{np.min(found):.3f} to {np.max(found):.3f}",
            ))  # fmt: skip
    return Table(
        "Slopes in logarithms over the scales 1e-1 to 1e-7: mean, its 95 per cent interval, and "
        "the range over the instances.",
        ("distance", "depth", "mean slope", "interval", "range"),
        rows,
    )


def _point_table(results: Results, used: Sequence[int]) -> Table:
    rows = []
    for depth in _DEPTHS:
        for scale in sorted({c.scale for c in results if c.depth == depth}, reverse=True):
            here = [results[TrajectoryCase(depth, scale, i)]["distances"][1:] for i in used]
            longest = max(map(len, here), default=0)
            medians = [
                f"{np.median([each[r] for each in here if len(each) > r]):.2e}"
                for r in range(longest)
            ]
            rows.append((str(depth), f"{scale:g}", ", ".join(medians)))
    return Table(
        "Median of the least distance over time to the critical points of ranks 1, 2, ...",
        ("depth", "scale", "distances"),
        rows,
    )


def _figure(table: xr.Dataset, slopes: Mapping) -> Figure:
    figure, axes = panels(2, 5.4, 4.4)
    for name, ax in zip((_PATH, _ALIGNED), axes, strict=True):
        _draw_fits(ax, table[name], slopes[name])
        plot_against_scale(table, name, ax)
    return figure


def _draw_fits(ax: Axes, distances: xr.DataArray, slopes: Mapping[int, np.ndarray]) -> None:
    """The fitted lines, and their slopes in a free corner."""
    said = ["fitted slopes"]
    for depth, found in slopes.items():
        chosen = distances.sel(depth=depth, scale=sorted(_SCALES)).dropna("scale", how="all")
        logs = np.log(chosen["scale"].values)
        slope, center = float(np.mean(found)), float(np.mean(np.log(chosen.values)))
        line = np.exp(center + slope * (logs - np.mean(logs)))
        ax.plot(np.exp(logs), line, color="#404040", linewidth=1.0, linestyle=":", zorder=4)
        said.append(f"depth {depth}: {slope:.2f}")
    ax.text(0.03, 0.04, "\n".join(said), transform=ax.transAxes, fontsize="small")


CLAIM = Claim(
    id="li2021.trajectory",
    title="Flow beside the greedy path",
    statement="As the scale of the start shrinks, gradient flow comes ever nearer to the critical "
    "points of greedy low-rank learning, at depths 3 and 4 much faster than at depth 2.",
    source="Li, Luo and Lyu 2021 (arXiv:2012.09839)",
    published=(),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=4,
    full_seeds=20,
)
