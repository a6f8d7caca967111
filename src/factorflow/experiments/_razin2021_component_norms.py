"""Razin, Maman and Cohen 2021 and 2022: how norms of components move, along real trajectories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import diffrax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factorflow.datasets import low_rank_tensor
from factorflow.dynamics import GradientFlow, Stop, solve
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._tabulate import of_kind, tabulate
from factorflow.factorizations import CP, AbstractTensorFactorization, HierarchicalTucker
from factorflow.initializers import Balanced, Gaussian
from factorflow.plots import plot_agreement, plot_component_norms, plot_recovery
from factorflow.problems import Completion
from factorflow.report import Table
from factorflow.theory import (
    component_effective_rank,
    component_norm_bounds,
    local_component_growth_rates,
    local_component_norms,
    local_component_unbalancedness,
    local_component_velocities,
)
from factorflow.trajectories import (
    EverySteps,
    Observable,
    Record,
    Snapshot,
    component_norms,
)

_KINDS: dict[str, tuple[AbstractTensorFactorization, tuple[int, ...]]] = {
    "CP, order 3": (CP(6), (6, 6, 6)),
    "CP, order 4": (CP(6), (4, 4, 4, 4)),
    "hierarchical, order 4": (HierarchicalTucker(3), (4, 4, 4, 4)),
}
_BALANCED, _GAUSSIAN = "balanced", "Gaussian"
_RANK, _SHARE, _SCALE = 2, 0.6, 0.1
_TRAIN_ERROR, _RTOL = 1e-5, 1e-10
_LIMIT = 8_000  # gradients; some runs come to rest elsewhere
_N_MOMENTS, _MOVING = 30, 0.01
_BESIDE = 3  # steps on either side of a moment that its slope is taken from
_AGREE, _NEAR_CORNERS, _DRIFT = 1e-3, 1e-2, 1e-8

_SIZES = {2: (16, 16), 3: (6, 6, 6), 4: (4, 4, 4, 4)}
_SCALES = (1e-1, 1e-2, 1e-3, 1e-4)
_COMPONENTS, _LEARNED = 8, 1e-6
_SHOWN = (3, 1e-3)  # order and scale of the run in the picture


@dataclass(frozen=True)
class NormVelocityCase(AbstractCase):
    """A flow on entries of a tensor of CP rank 2, velocities of norms predicted and measured.

    Parameters
    ----------
    factorization
        A name of ``_KINDS``.
    start
        ``"balanced"`` or ``"Gaussian"``, which is not balanced.
    instance
        Seed of the tensor, the entries and the start.
    """

    kind: ClassVar[str] = "velocities of component norms"
    revision: ClassVar[int] = 1

    factorization: str
    start: str
    instance: int

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            finished(case, _velocities(case, progress))


@dataclass(frozen=True)
class NormSpreadCase(AbstractCase):
    """A flow of 8 balanced components on entries of a tensor of CP rank 2, and where they end.

    Parameters
    ----------
    order, scale
        Of the tensor and of the start (of the product).
    instance
        Seed of the tensor, the entries and the start.
    """

    kind: ClassVar[str] = "spread of component norms"
    revision: ClassVar[int] = 1

    order: int
    scale: float
    instance: int

    @property
    def group(self):
        return self.order

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            solution = solve(
                _problem(_SIZES[case.order], case.instance),
                CP(_COMPONENTS),
                GradientFlow(),
                init=Balanced(case.scale),
                seed=case.instance,
                stop=Stop(train_error=_LEARNED),
                record=Record([component_norms()], schedule=EverySteps(1, 128)),
                progress=progress,
            )
            norms = np.asarray(solution.trajectory["component_norms"].values)
            result = {
                "effective_rank": component_effective_rank(norms[-1]),
                "beyond": float(norms[-1, _RANK] / norms[-1, 0]),
                "time": np.asarray(solution.trajectory["time"].values, float),
                "norms": norms,
                "n_gradients": solution.n_gradients,
            }
            finished(case, result, solution.seconds)


def _factors(snapshot: Snapshot):
    return jnp.concatenate([factor.ravel() for factor in snapshot.factors])


_FACTORS = Observable("factors", _factors, ("parameter",))


def _problem(shape: tuple[int, ...], instance: int) -> Completion:
    truth = low_rank_tensor(shape, _RANK, seed=instance)
    return Completion.sample(truth, round(_SHARE * truth.size), seed=instance)


def _velocities(case: NormVelocityCase, progress) -> dict[str, Any]:
    factorization, shape = _KINDS[case.factorization]
    problem = _problem(shape, case.instance)
    solution = solve(
        problem,
        factorization,
        GradientFlow(diffrax.Tsit5(), rtol=_RTOL),
        init=(Balanced if case.start == _BALANCED else Gaussian)(_SCALE),
        seed=case.instance,
        stop=Stop(train_error=_TRAIN_ERROR, n_gradients=_LIMIT),
        record=Record([_FACTORS], schedule=EverySteps(1, 4096)),
        progress=progress,
    )
    seen = _Seen(factorization, problem)
    times = np.asarray(solution.trajectory["time"].values, float)
    rows = solution.trajectory["factors"].values
    norms = np.array([seen.norms(row) for row in rows])
    moments = _moments(times, norms)
    unbalancedness = [seen.unbalancedness(rows[k]) for k in (0, *moments, -1)]
    windows = [slice(k - _BESIDE, k + _BESIDE + 1) for k in moments]
    found = [seen.laws(rows[k], unbalancedness[0]) for k in moments]
    return {
        "measured": np.array([_slope(times[each], norms[each]) for each in windows]),
        "norms": norms[moments],
        "vectors": np.array(seen.n_vectors()),
        **{name: np.array([each[name] for each in found]) for name in found[0]},
        "time": times[moments],
        "unbalancedness": unbalancedness[0],
        "drift": float(np.ptp(unbalancedness) / seen.largest_square(rows[-1])),
    }


def _moments(times: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Steps spread over those in which the norms do not nearly stand still."""
    speeds = np.linalg.norm(np.diff(norms, axis=0), axis=1) / np.diff(times)
    moving = np.flatnonzero(speeds >= _MOVING * speeds.max())
    moving = moving[(moving >= _BESIDE) & (moving < len(times) - _BESIDE)]
    return moving[np.linspace(0, len(moving) - 1, _N_MOMENTS).round().astype(int)]


def _slope(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Slope at the middle of the times of the polynomial through the values, ``(times, k)``."""
    middle, width = times[len(times) // 2], times[-1] - times[0]
    powers = np.vander((times - middle) / width, increasing=True)
    return np.linalg.solve(powers, values)[1] / width


@dataclass(frozen=True)
class _Seen:
    """What the norms of all (local) components are and do, all nodes in one vector."""

    factorization: AbstractTensorFactorization
    problem: Completion

    def unpacked(self, row: np.ndarray) -> list[np.ndarray]:
        shapes = self.factorization.shapes(self.problem.shape)
        cuts = np.cumsum([prod(shape) for shape in shapes])[:-1]
        return [
            part.reshape(shape) for part, shape in zip(np.split(row, cuts), shapes, strict=True)
        ]

    def norms(self, row: np.ndarray) -> np.ndarray:
        return np.concatenate(local_component_norms(self.factorization, self.unpacked(row)))

    def unbalancedness(self, row: np.ndarray) -> float:
        return local_component_unbalancedness(self.factorization, self.unpacked(row))

    def largest_square(self, row: np.ndarray) -> float:
        return max(float(np.max(np.sum(factor**2, axis=0))) for factor in self.unpacked(row))

    def n_vectors(self) -> list[int]:
        """`K` of each local component."""
        order = len(self.problem.shape)
        heights = self.factorization.shapes(self.problem.shape)
        if not isinstance(self.factorization, HierarchicalTucker):
            return [order] * heights[0][1]
        nodes = self.factorization.nodes(order)
        return [len(children) + 1 for node, children in nodes for _ in range(heights[node][0])]

    def laws(self, row: np.ndarray, unbalancedness: float) -> dict[str, np.ndarray]:
        """The law of balanced components, the exact velocities and the bounds."""
        factors, vectors = self.unpacked(row), np.array(self.n_vectors())
        given = self.factorization, factors, self.gradient(factors)
        rates = np.concatenate(local_component_growth_rates(*given))
        norms = self.norms(row)
        bounds = np.array([
            np.ravel(component_norm_bounds(c, rate, unbalancedness, int(k)))
            for c, rate, k in zip(norms, rates, vectors, strict=True)
        ])  # fmt: skip
        return {
            "law": vectors * rates * norms ** (2 - 2 / vectors),
            "exact": np.concatenate(local_component_velocities(*given)),
            "low": bounds[:, 0],
            "high": bounds[:, 1],
        }

    def gradient(self, factors: Sequence[np.ndarray]) -> np.ndarray:
        """Of the loss by the tensor."""
        slope = np.zeros(self.problem.shape)
        cells = tuple(self.problem.indices)
        entries = np.asarray(self.factorization.entries(factors, cells))
        slope[cells] = (entries - self.problem.values) / self.problem.n_observed
        return slope


def _cases(size: Size) -> list[AbstractCase]:
    return [
        *(
            NormVelocityCase(kind, start, seed)
            for kind in _KINDS
            for start in (_BALANCED, _GAUSSIAN)
            for seed in range(size.seeds)
        ),
        *(
            NormSpreadCase(order, scale, seed)
            for order in _SIZES
            for scale in _SCALES
            for seed in range(size.seeds)
        ),
    ]


def _judge(results: Results) -> Finding:
    measured, checks, rows = [], [], []
    for kind in _KINDS:
        balanced, gaussian = (
            of_kind(results, NormVelocityCase, factorization=kind, start=start)
            for start in (_BALANCED, _GAUSSIAN)
        )
        seeds = [case.instance for case in balanced]
        found = {
            _LAW: [_apart(run, "law") for run in balanced.values()],
            _EXACT: [_apart(run, "exact") for run in gaussian.values()],
            _BOUNDS: [_beyond(run) for run in gaussian.values()],
        }
        for name, each in found.items():
            worst = [float(np.max(one)) for one in each]
            measured.append(Measured.of(f"{kind}: {name}", worst, seeds))
            most = _NEAR_CORNERS if name == _EXACT else _AGREE
            checks.append(Check(f"{kind}: {name}", max(worst), "<=", most))
        for start, runs in ((_BALANCED, balanced), (_GAUSSIAN, gaussian)):
            drifts = [float(run["drift"]) for run in runs.values()]
            measured.append(Measured.of(f"{kind}, {start} start: {_KEPT}", drifts, seeds))
            checks.append(Check(f"{kind}, {start} start: {_KEPT}", max(drifts), "<=", _DRIFT))
        speed = np.concatenate([_speed(run).ravel() for run in gaussian.values()])
        room = np.concatenate([_most(run).ravel() for run in gaussian.values()])
        rows.append((
            kind, float(np.median(np.concatenate(found[_LAW]))), float(np.max(found[_LAW])),
            float(np.median(speed)), float(np.max(speed)), float(np.median(room)),
        ))  # fmt: skip
    spread = _spread(results)
    middle = spread.median("instance")
    measured += _measured_spread(spread)
    checks += _spread_checks(middle["effective_rank"])
    return Finding(
        measured=tuple(measured),
        checks=tuple(checks),
        tables=(Table(_TABLE, _COLUMNS, rows), _spread_table(middle)),
        figures=(
            (_VELOCITY_CAPTION, _velocity_figure(results)),
            (_SPREAD_CAPTION, _spread_figure(results, spread)),
        ),
        notes=_NOTES,
    )


_LAW = "velocities against the law, balanced start, largest relative difference"
_EXACT = "velocities against the exact formula, Gaussian start, largest relative difference"
_BOUNDS = "velocities beyond the two-sided bounds, Gaussian start, largest relative excess"
_KEPT = "largest change of the unbalancedness"


def _apart(run: dict[str, Any], name: str) -> np.ndarray:
    """Relative difference of predicted and measured velocities at each moment."""
    predicted, measured = np.asarray(run[name]), np.asarray(run["measured"])
    return np.linalg.norm(predicted - measured, axis=1) / np.linalg.norm(measured, axis=1)


def _beyond(run: dict[str, Any]) -> np.ndarray:
    """By how much a velocity is out of its bounds, relative to all of its moment; 0 if within."""
    low, high, measured = (np.asarray(run[name]) for name in ("low", "high", "measured"))
    excess = np.maximum(np.maximum(low - measured, measured - high), 0).max(axis=1)
    return excess / np.linalg.norm(measured, axis=1)


def _speed(run: dict[str, Any]) -> np.ndarray:
    """Measured velocities over those of balanced components, ``(moments, components)``."""
    return np.asarray(run["measured"]) / np.asarray(run["law"])


def _uneven_by(run: dict[str, Any]) -> np.ndarray:
    """``epsilon / c^(2/K)`` of each component at each moment."""
    return float(run["unbalancedness"]) / np.asarray(run["norms"]) ** (2 / _vectors(run))


def _most(run: dict[str, Any]) -> np.ndarray:
    """The upper bound over the velocity of balanced components."""
    return (1 + _uneven_by(run)) ** (_vectors(run) - 1)


def _vectors(run: dict[str, Any]) -> np.ndarray:
    return np.asarray(run["vectors"], float)


def _spread(results: Results) -> xr.Dataset:
    return tabulate(
        of_kind(results, NormSpreadCase),
        ["effective_rank", "beyond"],
        method=lambda case: f"order {case.order}",
        scale=lambda case: case.scale,
        instance=lambda case: case.instance,
    )


def _measured_spread(spread: xr.Dataset) -> list[Measured]:
    found = spread["effective_rank"]
    return [
        Measured.of(
            f"{name}, scale {scale:g}: effective number of components",
            found.sel({"method": name, "scale": scale}).values,
            found["instance"].values,
        )
        for name in found["method"].values
        for scale in (_SCALES[0], _SCALES[-1])
    ]


def _spread_checks(middle: xr.DataArray) -> list[Check]:
    largest, smallest = _SCALES[0], _SCALES[-1]
    at = {
        order: [
            float(middle.sel({"method": f"order {order}", "scale": s})) for s in (largest, smallest)
        ]
        for order in _SIZES
    }
    checks = [
        Check(
            f"order {order}: effective number of components from {smallest:g}, less than from "
            f"{largest:g}", at[order][1], "<", at[order][0],
        )
        for order in (3, 4)
    ]  # fmt: skip
    checks += [
        Check(
            f"effective number of components from {smallest:g} at order {order}, less than half "
            "of that at order 2", at[order][1], "<", at[2][1] / 2,
        )
        for order in (3, 4)
    ]  # fmt: skip
    text = f"effective number of components from {largest:g}, order 4 below order 3"
    return [*checks, Check(text, at[4][0], "<", at[3][0], essential=False)]


def _spread_table(middle: xr.Dataset) -> Table:
    rows = [
        (
            str(name),
            f"{scale:g}",
            float(middle["effective_rank"].sel({"method": name, "scale": scale})),
            float(middle["beyond"].sel({"method": name, "scale": scale})),
        )
        for name in middle["method"].values
        for scale in middle["scale"].values
    ]
    return Table(_SPREAD_TABLE, ("order", "scale", "effective number", "third over first"), rows)


def _velocity_figure(results: Results) -> Figure:
    figure, (left, right) = panels(2, width=5.2, height=4.8)
    labels = ("Speed of a norm, measured", "Speed of a norm by the law")
    measured, law = (_stacked(results, name) for name in ("measured", "law"))
    plot_agreement(measured, law, left, labels, by="factorization")
    left.set_title("balanced start", fontsize="medium")
    _draw_bounds(results, right, _styles(left))
    right.set_title("Gaussian start", fontsize="medium")
    return figure


def _stacked(results: Results, name: str) -> xr.DataArray:
    """Sizes over factorization, moment and component, of the first instance."""
    runs = [results[NormVelocityCase(kind, _BALANCED, 0)] for kind in _KINDS]
    widest = max(np.shape(run[name])[1] for run in runs)
    table = np.full((len(runs), _N_MOMENTS, widest), np.nan)
    for each, run in zip(table, runs, strict=True):
        values = np.abs(run[name])
        each[:, : values.shape[1]] = values
    dims = ("factorization", "moment", "component")
    return xr.DataArray(table, dims=dims, coords={"factorization": list(_KINDS)})


def _draw_bounds(results: Results, ax: Axes, styles: Mapping[str, Mapping[str, Any]]) -> None:
    """Speeds over those of balanced components, and how far the bounds let them go."""
    runs = {kind: results[NormVelocityCase(kind, _GAUSSIAN, 0)] for kind in _KINDS}
    places = {kind: _uneven_by(run).ravel() for kind, run in runs.items()}
    for kind, run in runs.items():
        ax.plot(places[kind], _speed(run).ravel(), **styles[kind], label=kind)
    every = np.concatenate(list(places.values()))
    x = np.geomspace(every.min(), every.max(), 100)
    for vectors, dash in ((3, ":"), (4, "--")):
        style: dict[str, Any] = {"color": "black", "linestyle": dash, "linewidth": 1.0}
        ax.plot(x, (1 + x) ** (vectors - 1), **style, label=f"upper bound, {vectors} vectors")
    ax.axhline(1, color="black", linewidth=1.0, label="lower bound")
    ax.set(xscale="log", yscale="log")
    ax.set_xlabel("Unbalancedness over the mean squared norm of a vector")
    ax.set_ylabel("Speed over that of a balanced component")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small")


def _styles(ax: Axes) -> dict[str, dict[str, Any]]:
    """How the factorizations look in a picture of points."""
    return {
        str(line.get_label()): {
            "color": line.get_color(), "marker": line.get_marker(), "markersize": 4,
            "linestyle": "none", "alpha": 0.75,
        }
        for line in ax.get_lines()
    }  # fmt: skip


def _spread_figure(results: Results, spread: xr.Dataset) -> Figure:
    figure, (left, right) = panels(2, width=5.4, height=4.2)
    found = spread.rename(effective_rank="number")
    found["number"].attrs["long_name"] = "Effective number of components"
    plot_recovery(found, "number", left, x="scale")
    left.axhline(_RANK, color="black", linestyle=":", linewidth=0.9)
    order, scale = _SHOWN
    run = results[NormSpreadCase(order, scale, 0)]
    trajectory = xr.Dataset(
        {"component_norms": (("record", "component"), run["norms"])},
        coords={"time": ("record", run["time"])},
    )
    plot_component_norms(trajectory.isel(record=slice(1, None)), right, k=_COMPONENTS, log=True)
    right.set_title(f"order {order}, scale {scale:g}", fontsize="medium")
    return figure


_TABLE = (
    "Balanced start: relative difference of the velocities from the law, all components of a "
    "moment taken together. Gaussian start: velocities over those of balanced components of the "
    "same norms, which the bounds allow from 1 up to the last column."
)
_COLUMNS = (
    "factorization", "law, median", "law, largest", "Gaussian, median", "Gaussian, largest",
    "allowed, median",
)  # fmt: skip
_SPREAD_TABLE = (
    f"{_COMPONENTS} components at the end: the effective number (exponential of the entropy) and "
    "the third largest norm over the largest, medians; the truth has rank 2."
)
_VELOCITY_CAPTION = (
    "Instance 0, each (local) component at 30 moments. Left: speeds by the law "
    "K gamma c^(2 - 2/K), from factors and gradient alone, against those of the run. Right: speeds "
    "from unbalanced starts between their bounds."
)
_SPREAD_CAPTION = (
    "Left: how many of 8 components are in use at the end, median and quartiles, against the scale "
    "of a balanced start; dotted the rank of the truth. Right: the norms along one run."
)
_NOTES = (
    f"Velocities: {_SHARE:.0%} of the entries of tensors of CP rank 2 and norm 1 (6 x 6 x 6 and "
    f"4 x 4 x 4 x 4), starts of scale {_SCALE:g}, to a train error of {_TRAIN_ERROR:g} or "
    f"{_LIMIT:,} gradients. They are measured, not computed: slopes of the polynomial through the "
    "recorded norms of seven steps of a flow on the factors with relative tolerance "
    f"{_RTOL:g}, which knows nothing of components. Moments at which the norms move less than "
    f"{_MOVING:g} times as fast as at most are left out: there the flow's own error is what moves. "
    "An unbalanced component may pass near zero, far faster than a balanced one; its norm then has "
    "nearly a corner, where such slopes are less exact.",
    "Of a hierarchical factorization these are the norms of all local components, of three "
    "vectors each. The bounds are those that we derive; the published lower one, as we know it, is "
    "weaker.",
    f"Numbers of components: {_COMPONENTS} balanced ones, flow to a train error of {_LEARNED:g}; "
    "16 x 16 matrices, 6 x 6 x 6 and 4 x 4 x 4 x 4 tensors of rank 2. At order 2 the law is "
    "linear, so that components that point the same way keep the ratio they began with; at higher "
    "order the largest runs away. No published number: measured here.",
)
_SOURCE = "Razin, Maman and Cohen 2021, dynamics of component norms"
_LOCAL_SOURCE = "Razin, Maman and Cohen 2022, dynamics of local component norms"

CLAIM = Claim(
    id="razin2021.component-norms",
    title="Velocities of component norms",
    statement="Along a balanced flow the norm of a component of K vectors moves by K times its "
    "power 2 - 2/K, times minus the gradient along it, in CP and hierarchical factorizations; "
    "unbalanced ones stay between two bounds, and large components run away from small ones.",
    source="Razin, Maman and Cohen 2021 (arXiv:2102.09972); 2022 (arXiv:2201.11729)",
    published=tuple(
        Published(f"{kind}: {_LAW}", "equal", _SOURCE if "CP" in kind else _LOCAL_SOURCE)
        for kind in _KINDS
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=3,
    full_seeds=10,
)
