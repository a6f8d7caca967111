"""Gunasekar et al. 2017, and Arora, Cohen, Hu and Luo 2019 for deeper networks: under commuting
measurements the flow goes to the least nuclear norm as its start goes to zero."""

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow._random import stream
from factorflow._x64 import double_precision
from factorflow.dynamics import GradientFlow, Stop, solve_many
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._tabulate import of_kind, tabulate
from factorflow.factorizations import DeepLinear
from factorflow.initializers import AbstractInitializer, Identity
from factorflow.plots import plot_agreement, plot_duality_gap
from factorflow.problems import DenseOperator, Sensing
from factorflow.report import Table
from factorflow.theory import commuting_flow, kkt_certificate, least_trace
from factorflow.trajectories import Record, Solution, effective_rank_of

_SIZE, _N_MEASUREMENTS, _RANK = 10, 4, 2
_DEPTHS = (2, 3, 4, 5)
_SCALES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
# Depth 2 forgets its start with the logarithm of the scale alone.
_FARTHER = (1e-12, 1e-25, 1e-50)
_FLOW_SCALES, _MORE_FLOW_SCALES = (1e-1, 1e-2, 1e-3), (1e-4,)
_NUDGE, _NUDGED_SCALE, _FAR = 1e-8, 1e-6, 0.1
_RTOL = 3e-6
_TRAIN_ERROR = 1e-10


@dataclass(frozen=True)
class ClosedFormCase(AbstractCase):
    """The end of a flow in closed form, its certificate and the linear program.

    Parameters
    ----------
    depth, scale
        Of the network and of its start (of the product).
    instance
        Seed of the measurements and of the truth.
    """

    kind: ClassVar[str] = "commuting measurements in closed form"
    revision: ClassVar[int] = 1

    depth: int
    scale: float
    instance: int

    @property
    def group(self):
        return self.depth

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            eigenvalues, values = _measurements(case.instance)
            limit = commuting_flow(eigenvalues, values, case.depth, case.scale)
            certificate = kkt_certificate(eigenvalues, values, limit)
            least = least_trace(eigenvalues, values).sum()
            result = {
                "nuclear_norm": certificate.nuclear_norm,
                "bound": certificate.dual_value / float(least),
                "effective_rank": _effective_rank(limit.eigenvalues),
                "gap": certificate.gap,
                "excess": float(certificate.nuclear_norm / least - 1),
            }
            finished(case, result)


@dataclass(frozen=True)
class CommutingFlowCase(AbstractCase):
    """A gradient flow on the layers, in the common eigenbasis of the measurements.

    Parameters
    ----------
    depth, scale, instance
        As for :class:`ClosedFormCase`.
    nudge
        Size of Gaussian numbers that are added to the entries of every layer at the start,
        relative to its diagonal.
    """

    kind: ClassVar[str] = "gradient flow under commuting measurements"
    revision: ClassVar[int] = 1

    depth: int
    scale: float
    instance: int
    nudge: float = 0.0

    @property
    def group(self):
        return self.depth

    @classmethod
    def run_many(cls, cases, finished, progress):
        problems = {case.instance: _problem(case.instance) for case in cases}

        def keep(k: int, solution: Solution) -> None:
            finished(cases[k], _ended(cases[k], solution), solution.seconds)

        solve_many(
            [problems[case.instance] for case in cases],
            DeepLinear(cases[0].depth),
            GradientFlow(rtol=_RTOL),
            init=[_Nudged(case.scale, case.nudge) for case in cases],
            seeds=[case.instance for case in cases],
            stop=Stop(train_error=_TRAIN_ERROR),
            record=Record([]),
            route="dense",
            how="threads",
            progress=progress,
            finished=keep,
        )


class _Nudged(AbstractInitializer):
    """Multiples of the identity, each entry off by a little."""

    scale: float
    nudge: float

    def __call__(self, factorization, shape, seed) -> tuple[np.ndarray, ...]:
        layers = Identity(self.scale)(factorization, shape, seed)
        rng = stream(seed, "commuting", "nudge")
        size = self.nudge * np.max(layers[0])
        return tuple(layer + size * rng.standard_normal(layer.shape) for layer in layers)


@cache
def _measurements(instance: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues ``(p, n)`` of the operators, and the values of a truth of rank 2.

    The operators have trace zero: of the trace, which the claim says is minimized, they tell
    nothing by themselves, and matrices with all eigenvalues positive fit in every instance.
    """
    rng = stream(instance, "commuting", "operators")
    eigenvalues = rng.standard_normal((_N_MEASUREMENTS, _SIZE))
    eigenvalues -= eigenvalues.mean(axis=1, keepdims=True)
    truth = np.zeros(_SIZE)
    truth[:_RANK] = stream(instance, "commuting", "truth").uniform(0.5, 1.5, _RANK)
    return eigenvalues, eigenvalues @ truth


def _effective_rank(eigenvalues: np.ndarray) -> float:
    with double_precision():
        return float(effective_rank_of(eigenvalues))


def _problem(instance: int) -> Sensing:
    # In their eigenbasis, where the entries off the diagonal stay zero to the last bit: in
    # another one rounding takes the part of the nudge below.
    eigenvalues, values = _measurements(instance)
    return Sensing(DenseOperator(eigenvalues[:, :, None] * np.eye(_SIZE)), values)


def _ended(case: CommutingFlowCase, solution: Solution) -> dict[str, Any]:
    eigenvalues, values = _measurements(case.instance)
    limit = commuting_flow(eigenvalues, values, case.depth, case.scale).eigenvalues
    distance = np.linalg.norm(solution.matrix - np.diag(limit)) / np.linalg.norm(limit)
    return {
        "distance": float(distance),
        "nuclear_norm": solution.nuclear_norm,
        "effective_rank": solution.effective_rank,
        "status": solution.status.name,
        "n_gradients": solution.n_gradients,
    }


def _cases(size: Size) -> list[AbstractCase]:
    seeds = range(size.seeds)
    closed = [
        ClosedFormCase(depth, scale, seed)
        for depth in _DEPTHS
        for scale in (*_SCALES, *(_FARTHER if depth == 2 else ()))
        for seed in seeds
    ]
    scales = _FLOW_SCALES + (_MORE_FLOW_SCALES if size.full else ())
    flows = [
        CommutingFlowCase(depth, scale, seed)
        for depth in _DEPTHS
        for scale in scales
        for seed in seeds
    ]
    nudged = [
        CommutingFlowCase(depth, _NUDGED_SCALE, seed, _NUDGE) for depth in _DEPTHS for seed in seeds
    ]
    return [*closed, *flows, *nudged]


def _judge(results: Results) -> Finding:
    numbers = ["gap", "excess", "bound", "nuclear_norm", "effective_rank"]
    closed = tabulate(of_kind(results, ClosedFormCase), numbers, **_AXES)
    closed = closed.sortby("scale", ascending=False)
    quantities = ["distance", "nuclear_norm", "effective_rank"]
    flows = tabulate(of_kind(results, CommutingFlowCase, nudge=0.0), quantities, **_AXES)
    nudged = tabulate(of_kind(results, CommutingFlowCase, nudge=_NUDGE), quantities, **_AXES)
    nudged = nudged.isel(scale=0)
    return Finding(
        measured=_measured(closed, flows, nudged),
        checks=_checks(closed, flows),
        tables=(_table(closed, flows), _nudged_table(closed, nudged)),
        figures=(
            (_GAP_CAPTION, _gap_figure(closed)),
            (_FLOW_CAPTION, _flow_figure(closed, flows)),
        ),
        notes=(_SETTING, _told(nudged)),
    )


_AXES = {
    "depth": lambda case: case.depth,
    "scale": lambda case: case.scale,
    "instance": lambda case: case.instance,
}
_SETTING = (
    f"{_N_MEASUREMENTS} commuting measurements of trace zero of {_SIZE} x {_SIZE} positive "
    f"semidefinite matrices of rank {_RANK}. Every layer starts at a multiple of the identity; "
    "the scale is that of the product. The limit of infinite time is computed in closed form, "
    f"and compared with gradient flows on the layers (tolerance {_RTOL:g}, to a mean squared "
    f"train error of {_TRAIN_ERROR:g}) in the eigenbasis of the measurements."
)
_GAP_CAPTION = (
    "The relative duality gap that the flow's own multipliers certify (thick, with quartiles), and "
    "the distance of its end from the least nuclear norm (thin, medians). Right: depth 2 alone, "
    "down to scales that only the closed form reaches."
)
_FLOW_CAPTION = (
    "Nuclear norm at the end of gradient flows on the layers, against the closed form; all "
    "depths, scales and instances."
)


def _smallest(found: xr.DataArray, depth: int) -> xr.DataArray:
    """Over instances, at the smallest scale that a depth has."""
    return found.sel(depth=depth).dropna("scale").isel(scale=-1)


def _excess(depth: int) -> str:
    return f"nuclear norm over the least, minus 1, at the smallest scale, depth {depth}"


def _measured(closed: xr.Dataset, flows: xr.Dataset, nudged: xr.Dataset) -> tuple[Measured, ...]:
    def over_instances(name: str, found: xr.DataArray) -> Measured:
        return Measured.of(name, found.values.tolist(), found["instance"].values.tolist())

    found = []
    for depth in _DEPTHS:
        small = _smallest(closed["gap"], depth)
        at = f"at scale {float(small['scale']):g}, depth {depth}"
        distance = flows["distance"].sel(depth=depth).max("scale")
        away = nudged["distance"].sel(depth=depth)
        found += [
            over_instances(_excess(depth), _smallest(closed["excess"], depth)),
            over_instances(f"relative duality gap {at}", small),
            over_instances(f"distance of the flow from the closed form, depth {depth}", distance),
            over_instances(f"distance after a nudge of {_NUDGE:g}, depth {depth}", away),
        ]
    return tuple(found)


def _checks(closed: xr.Dataset, flows: xr.Dataset) -> tuple[Check, ...]:
    checks = []
    for depth in _DEPTHS:
        gap = closed["gap"].sel(depth=depth).dropna("scale")
        rises = float(gap.diff("scale").max())
        smallest = f"at depth {depth} and scale {float(gap['scale'][-1]):g}"
        left = float(gap.isel(scale=-1).median())
        excess = float(_smallest(closed["excess"], depth).max())
        away = float(flows["distance"].sel(depth=depth).max())
        checks += [
            Check(f"at depth {depth} the gap falls with the scale", rises, "<", 0),
            Check(f"the relative duality gap {smallest} is below a hundredth", left, "<", 0.01),
            Check(f"the nuclear norm {smallest} is the least, to a hundredth", excess, "<", 0.01),
            Check(f"the flow ends on the closed form at depth {depth}", away, "<", 1e-3),
        ]
    text = "the bound by the flow's own multipliers is never above the least nuclear norm"
    return (*checks, Check(text, float(closed["bound"].max()), "<=", 1 + 1e-6))


def _table(closed: xr.Dataset, flows: xr.Dataset) -> Table:
    rows = []
    for depth in _DEPTHS:
        for scale in closed["gap"].sel(depth=depth).dropna("scale")["scale"].values:
            here = closed.sel(depth=depth, scale=scale).median("instance")
            ran = scale in flows["scale"]
            distance = float(flows["distance"].sel(depth=depth, scale=scale).max()) if ran else None
            rows.append((depth, f"{scale:g}", float(here["gap"]), float(here["excess"]), distance))
    return Table(
        "Medians of the relative duality gap and of the distance from the least nuclear norm; the "
        "largest relative distance of a flow on the layers from the closed form.",
        ("depth", "scale", "gap", "above the least", "flow to closed form"),
        rows,
    )


def _nudged_table(closed: xr.Dataset, nudged: xr.Dataset) -> Table:
    ends = nudged.median("instance")
    limits = closed.sel(scale=_NUDGED_SCALE).median("instance")
    rows = []
    for depth in _DEPTHS:
        end, limit = ends.sel(depth=depth), limits.sel(depth=depth)
        norms = float(limit["nuclear_norm"]), float(end["nuclear_norm"])
        ranks = float(limit["effective_rank"]), float(end["effective_rank"])
        rows.append((depth, float(end["distance"]), *norms, *ranks))
    columns = ("nuclear norm, closed form", "flow", "effective rank, closed form", "flow")
    return Table(
        f"Medians at the end of flows of scale {_NUDGED_SCALE:g} whose layers start off the "
        f"identity by {_NUDGE:g} of their size, beside the closed form.",
        ("depth", "distance", *columns),
        rows,
    )


def _told(nudged: xr.Dataset) -> str:
    away = (nudged["distance"] > _FAR).sum("instance")
    ranks = nudged["effective_rank"].median("instance")
    each = "; ".join(
        f"depth {depth}: {int(away.sel(depth=depth))} of {nudged.sizes['instance']}, "
        f"effective rank {float(ranks.sel(depth=depth)):.3g}"
        for depth in _DEPTHS
    )
    return (
        "The theorem is of starts at exact multiples of the identity. Off them, the entries "
        "between an eigenvalue that has grown to w and one that waits to grow, at gradient g, "
        "grow as exp(|g| w^(1-2/N) t). The wait t is of the order log(1/scale) at depth 2, and "
        "scale^(2/N-1) at depth N > 2, where this outgrows every power of the scale: rounding "
        "alone can then lead away from the commuting path. Instances that ended more than "
        f"{_FAR:g} from the closed form, relative, after a nudge of {_NUDGE:g} at scale "
        f"{_NUDGED_SCALE:g}, and the median effective rank: {each}."
    )


def _gap_figure(closed: xr.Dataset) -> Figure:
    figure = Figure(figsize=(10, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    plot_duality_gap(closed.sel(scale=list(_SCALES)), left)
    plot_duality_gap(closed.sel(depth=[2]), right)
    return figure


def _flow_figure(closed: xr.Dataset, flows: xr.Dataset) -> Figure:
    figure = Figure(figsize=(4.8, 4.6), layout="constrained")
    labels = ("Nuclear norm in closed form", "Nuclear norm of the flow")
    norms = closed["nuclear_norm"], flows["nuclear_norm"]
    plot_agreement(*norms, figure.subplots(), labels=labels, by="depth")
    return figure


_PROVED = {2: "Gunasekar et al. 2017, theorem on commuting measurements"} | {
    depth: "Arora, Cohen, Hu, Luo 2019, theorem on commuting measurements"
    for depth in _DEPTHS
    if depth > 2
}

CLAIM = Claim(
    id="gunasekar2017.commuting",
    title="Commuting measurements and the nuclear norm",
    statement=(
        "Where the measurements commute, gradient flow on a network of any depth that starts at a "
        "multiple of the identity goes, as its scale goes to zero, to the positive semidefinite "
        "matrix of least nuclear norm that fits."
    ),
    source=(
        "Gunasekar et al. 2017 (arXiv:1705.09280) for depth 2; Arora, Cohen, Hu, Luo 2019 "
        "(arXiv:1905.13655) for depth 3 and above"
    ),
    published=tuple(
        Published(_excess(depth), "0 in the limit", _PROVED[depth]) for depth in _DEPTHS
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=5,
    full_seeds=20,
)
