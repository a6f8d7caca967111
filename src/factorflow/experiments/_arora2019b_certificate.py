"""Arora, Cohen, Golowich and Hu 2019: convergence within a certified count, and where it fails."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow._random import stream
from factorflow.dynamics import EndToEndFlow, GradientDescent, GradientFlow, Stop, solve
from factorflow.experiments._case import AbstractCase, Progress, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._tabulate import of_kind, tabulate
from factorflow.factorizations import DeepLinear
from factorflow.initializers import StartAt
from factorflow.plots import plot_agreement, plot_losses
from factorflow.problems import Completion
from factorflow.report import Table
from factorflow.theory import (
    ConvergenceCertificate,
    deficiency_margin_monitor,
    descent_certificate,
    flow_certificate,
    stuck_start,
)
from factorflow.trajectories import AtTimes, EverySteps, Observable, Record, Snapshot, train_loss

_DEPTHS, _SIZES = (2, 3), (1, 2)
_SHARES = (0.9, 0.7)  # of the least singular value of the target: the margin at the start
_LEAST = 0.9  # least singular value of the targets of descents; the largest is 1
_EXCESS = 1e-3  # of the loss at the start, to be reached
_FLOW_DEPTHS, _FLOW_SIZE, _FLOW_EXCESS = ("1", "2", "2.5", "3", "4", "inf"), 4, 1e-6
_STUCK_DEPTHS, _STUCK_RATE, _STUCK_STEPS = (2, 3, 4), 0.01, 200_000
_APART = 100.0  # how unlike the layers of the stalled flow are
_TOO_LARGE = 2.5  # learning rate; above 1 the minimum of two scalar layers is unstable
_ROUNDING = 1e-9

STUCK = "no margin"
REACHED = "same target, with a margin"
BROKEN, KEPT = "unbalanced layers", "balanced layers"


@dataclass(frozen=True)
class CertifiedDescentCase(AbstractCase):
    """Descent at the largest certified learning rate, from layers as unbalanced as is allowed.

    Parameters
    ----------
    depth
        Of the network.
    size
        Of the square target; its singular values go from 1 to 0.9.
    share
        Margin at the start over the least singular value of the target.
    instance
        Seed of singular vectors and of the direction of the start from the target.
    """

    kind: ClassVar[str] = "descent with a certificate"
    revision: ClassVar[int] = 1

    depth: int
    size: int
    share: float
    instance: int

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            spectrum = np.linspace(1.0, _LEAST, case.size) if case.size > 1 else np.ones(1)
            target, start = _pair(spectrum, case.share, case.instance)
            finished(case, _certified_descent(target, start, case.depth, progress))


@dataclass(frozen=True)
class CertifiedFlowCase(AbstractCase):
    """End-to-end flow to a 4 x 4 target from a start with a margin of half its least value.

    Parameters
    ----------
    depth
        As text: ``"3"``, ``"2.5"`` or ``"inf"``.
    instance
        Seed of singular vectors and of the direction of the start from the target.
    """

    kind: ClassVar[str] = "flow with a certificate"
    revision: ClassVar[int] = 1

    depth: str
    instance: int

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            target, start = _pair(np.linspace(2, 1, _FLOW_SIZE), 0.5, case.instance)
            finished(case, _certified_flow(target, start, float(case.depth), progress))


@dataclass(frozen=True)
class FailingCase(AbstractCase):
    """A start that meets all assumptions but one, or its control that meets all.

    Parameters
    ----------
    name
        ``"no margin"``, ``"same target, with a margin"``, ``"unbalanced descent"``,
        ``"unbalanced flow"`` or ``"learning rate"``.
    depth
        Of the network; 2 where layers are unbalanced or the learning rate is too large.
    """

    kind: ClassVar[str] = "an assumption of convergence left out"
    revision: ClassVar[int] = 1

    name: str
    depth: int = 2

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            finished(case, _FAILURES[case.name](case.depth, progress))


def _pair(spectrum: np.ndarray, share: float, instance: int) -> tuple[np.ndarray, np.ndarray]:
    """A target of this spectrum, and a start whose margin is ``share`` of its least value."""
    rng = stream(instance, "certificate", "target")
    left, right, away = (rng.standard_normal((spectrum.size,) * 2) for _ in range(3))
    left, right = np.linalg.qr(left)[0], np.linalg.qr(right)[0]
    target = left * spectrum @ right
    return target, target - (1 - share) * spectrum[-1] * away / np.linalg.norm(away)


def _layers(start: np.ndarray, depth: int) -> list[np.ndarray]:
    return list(StartAt(start)(DeepLinear(depth), start.shape, 0))


def _descend(
    target: np.ndarray,
    layers: Sequence[np.ndarray],
    learning_rate: float,
    *,
    excess: float | None,
    most: int,
    record: Record,
    progress: Progress | None,
):
    """Descent on ``1/2 ||W - target||_F^2``; the problem takes the mean over the entries."""
    return solve(
        Completion.of(target),
        DeepLinear(len(layers)),
        GradientDescent(learning_rate * target.size),
        init=lambda *_: tuple(layers),
        stop=Stop(
            train_error=None if excess is None else 2 * excess / target.size, n_gradients=most + 1
        ),
        record=record,
        progress=progress,
        throw=False,
    )


def _certified_descent(
    target: np.ndarray, start: np.ndarray, depth: int, progress: Progress | None
) -> dict[str, Any]:
    layers = _layers(start, depth)
    _, balance, _ = descent_certificate(layers, target).assumptions
    # The product stays; the unbalancedness becomes 4 s ||W_1 W_1^T||, nine tenths of what may be.
    slack = 0.9 * balance.limit / (4 * np.linalg.norm(layers[0] @ layers[0].T))
    layers[0], layers[1] = layers[0] * (1 + slack), layers[1] / (1 + slack)
    certificate = descent_certificate(layers, target)
    rate = certificate.assumptions[-1].value
    excess = _EXCESS * certificate.excess_loss
    promised = ceil(certificate.until(excess))
    solution = _descend(
        target, layers, rate,
        excess=excess, most=2 * promised, record=Record([]), progress=progress,
    )  # fmt: skip
    return {
        "holds": certificate.holds,
        "promised": promised,
        "needed": solution.n_steps,
        "reached": solution.status.name == "TRAIN_ERROR",
        "margin": certificate.margin,
        "rate": rate,
    }


def _certified_flow(
    target: np.ndarray, start: np.ndarray, depth: float, progress: Progress | None
) -> dict[str, Any]:
    certificate = flow_certificate(start, target, depth)
    excess = _FLOW_EXCESS * certificate.excess_loss
    cells = target.size  # the problem takes the mean, so that its time runs as much slower
    solution = solve(
        Completion.of(target),
        DeepLinear(1),
        EndToEndFlow(depth, rtol=1e-8),
        init=StartAt(start),
        stop=Stop(train_error=2 * excess / cells, time=2 * cells * certificate.until(excess)),
        record=Record([train_loss(), Observable("least", _least)], schedule=EverySteps(1)),
        monitors=[deficiency_margin_monitor(target, certificate.margin, _ROUNDING)],
        progress=progress,
    )
    seen = solution.trajectory
    bound = certificate.excess_after(seen["time"].values / cells)
    (report,) = solution.monitors
    return {
        "holds": certificate.holds,
        "promised": certificate.until(excess),
        "needed": solution.time / cells,
        "reached": solution.status.name == "TRAIN_ERROR",
        "over_bound": float(np.max(seen["train_loss"].values * cells / bound)),
        "least": float(seen["least"].min()) / certificate.margin,
        "kept": report.holds,
    }


def _least(snapshot: Snapshot):
    return snapshot.singular_values[-1]


def _stuck(depth: int, progress: Progress | None) -> dict[str, Any]:
    given = stuck_start(depth)
    return _long_descent(given.target, given.factors, progress)


def _unstuck(depth: int, progress: Progress | None) -> dict[str, Any]:
    target = stuck_start(depth).target
    return _long_descent(target, _layers(0.9 * target, depth), progress)


def _long_descent(
    target: np.ndarray, layers: Sequence[np.ndarray], progress: Progress | None
) -> dict[str, Any]:
    steps = np.unique(np.round(np.geomspace(1, _STUCK_STEPS, 60)))
    moments = AtTimes(steps * _STUCK_RATE * target.size)
    solution = _descend(
        target, layers, _STUCK_RATE,
        excess=None, most=_STUCK_STEPS,
        record=Record([train_loss()], schedule=moments), progress=progress,
    )  # fmt: skip
    seen = solution.trajectory
    return {
        "steps": np.asarray(seen["step"].values, float),
        "loss": seen["train_loss"].values * target.size,
        "sign": float(np.prod([np.sign(np.linalg.det(each)) for each in solution.factors])),
        "status": solution.status.name,
    } | _met(descent_certificate(layers, target, _STUCK_RATE))


def _met(certificate: ConvergenceCertificate) -> dict[str, Any]:
    return {each.name: each.holds for each in certificate.assumptions}


def _unbalanced_descent(depth: int, progress: Progress | None) -> dict[str, Any]:
    """Two scalar layers of which one is so large that no step is short."""
    target, start = np.ones((1, 1)), np.full((1, 1), _SHARES[0])
    rate = {each.name: each.limit for each in _scalar_certificate(start, target).assumptions}
    eta = rate["learning rate"] * (1 - 1e-9)
    large = np.sqrt(5 / eta)
    layers = [np.full((1, 1), large), start / large]
    solution = _descend(
        target, layers, eta,
        excess=1e-12, most=1000, record=Record([train_loss()], schedule=EverySteps(1)),
        progress=progress,
    )  # fmt: skip
    losses = solution.trajectory["train_loss"].values
    found = {"status": solution.status.name, "steps": float(solution.n_steps)}
    found["loss"] = losses[np.isfinite(losses)]
    return found | _met(descent_certificate(layers, target, eta))


def _scalar_certificate(start: np.ndarray, target: np.ndarray) -> ConvergenceCertificate:
    return descent_certificate(_layers(start, 2), target, 1.0)


def _unbalanced_flow(depth: int, progress: Progress | None) -> dict[str, Any]:
    """Layers ``diag(1/K, K)`` and ``diag(K, 1/K)``, and a target off by an entry (2, 1).

    That entry moves at the rate ``2/K^2``, where balanced layers of the same product give 2.
    """
    start, target = np.eye(2), np.array([[1.0, 0.0], [0.5, 1.0]])
    balanced = flow_certificate(_layers(start, 2), target)
    excess = _EXCESS * balanced.excess_loss
    unlike = [np.diag([1 / _APART, _APART]), np.diag([_APART, 1 / _APART])]
    promised = balanced.until(excess)
    times = {}
    for name, layers in ((KEPT, _layers(start, 2)), (BROKEN, unlike)):
        solution = solve(
            Completion.of(target),
            DeepLinear(2),
            GradientFlow(rtol=1e-6),
            init=lambda *_, layers=layers: tuple(layers),
            stop=Stop(train_error=2 * excess / 4, time=4 * _APART**4 * promised),
            record=Record([]),
            progress=progress,
        )
        times[name] = solution.time / 4
    needed = {f"time, {name}": time / promised for name, time in times.items()}
    return needed | _met(flow_certificate(unlike, target))


def _large_rate(depth: int, progress: Progress | None) -> dict[str, Any]:
    target, start = np.ones((1, 1)), np.full((1, 1), _SHARES[0])
    layers = _layers(start, 2)
    solution = _descend(
        target, layers, _TOO_LARGE,
        excess=1e-4, most=100_000, record=Record([]), progress=progress,
    )  # fmt: skip
    found = {"status": solution.status.name}
    return found | _met(descent_certificate(layers, target, _TOO_LARGE))


_FAILURES = {
    STUCK: _stuck,
    REACHED: _unstuck,
    "unbalanced descent": _unbalanced_descent,
    "unbalanced flow": _unbalanced_flow,
    "learning rate": _large_rate,
}


def _cases(size: Size) -> list[AbstractCase]:
    seeds = range(size.seeds)
    return [
        *(
            CertifiedDescentCase(depth, n, share, seed)
            for depth in _DEPTHS
            for n in _SIZES
            for share in _SHARES
            for seed in seeds
        ),
        *(CertifiedFlowCase(depth, seed) for depth in _FLOW_DEPTHS for seed in seeds),
        *(FailingCase(name, depth) for depth in _STUCK_DEPTHS for name in (STUCK, REACHED)),
        *(FailingCase(name) for name in ("unbalanced descent", "unbalanced flow", "learning rate")),
    ]


def _judge(results: Results) -> Finding:
    descents = of_kind(results, CertifiedDescentCase)
    flows = of_kind(results, CertifiedFlowCase)
    measured, rows = [], []
    for depth in _DEPTHS:
        for n in _SIZES:
            runs = of_kind(descents, CertifiedDescentCase, depth=depth, size=n)
            seeds = sorted({case.instance for case in runs})
            for share in _SHARES:
                chosen = [descents[CertifiedDescentCase(depth, n, share, s)] for s in seeds]
                ratios = [run["needed"] / run["promised"] for run in chosen]
                measured.append(Measured.of(_ratio_name(depth, n, share), ratios, seeds))
                middle = [float(np.median([r[k] for r in chosen])) for k in ("promised", "needed")]
                text = f"depth {depth}, {n} x {n}, margin {share:g}"
                rows.append((text, *(f"{each:,.0f}" for each in middle), float(np.median(ratios))))
    for depth in _FLOW_DEPTHS:
        runs = of_kind(flows, CertifiedFlowCase, depth=depth)
        ratios = [run["needed"] / run["promised"] for run in runs.values()]
        measured.append(Measured.of(_flow_name(depth), ratios, [case.instance for case in runs]))
        middle = [float(np.median([r[k] for r in runs.values()])) for k in ("promised", "needed")]
        rows.append((f"flow, depth {depth}, 4 x 4", *middle, float(np.median(ratios))))
    stalled = results[FailingCase("unbalanced flow")]
    for name in (KEPT, BROKEN):
        text = f"flow from {name}: time over the certified time"
        measured.append(Measured.exact(text, stalled[f"time, {name}"]))
    return Finding(
        measured=tuple(measured),
        checks=(*_certified_checks(descents, flows), *_failing_checks(results)),
        tables=(Table(_TABLE, ("run", "certified", "needed", "ratio"), rows),),
        figures=(
            (_AGREEMENT_CAPTION, _agreement_figure(descents, flows)),
            (_STUCK_CAPTION, _stuck_figure(results)),
        ),
        notes=_NOTES,
    )


def _ratio_name(depth: int, size: int, share: float) -> str:
    return f"descent, depth {depth}, {size} x {size}, margin {share:g}: steps over certified steps"


def _flow_name(depth: str) -> str:
    return f"flow, depth {depth}: time over certified time"


def _certified_checks(descents: dict, flows: dict) -> list[Check]:
    every = [*descents.values(), *flows.values()]
    return [
        Check("the starts meet every assumption, share",
              float(np.mean([run["holds"] for run in every])), ">=", 1),
        Check("every descent gets there within its certified count: largest ratio",
              max(_needed(run) for run in descents.values()), "<=", 1),
        Check("every flow gets there within its certified time: largest ratio",
              max(_needed(run) for run in flows.values()), "<=", 1),
        Check("along flows the loss stays below its certified bound: largest ratio",
              max(run["over_bound"] for run in flows.values()), "<=", 1 + _ROUNDING),
        Check("along flows the least singular value stays above the margin: smallest ratio",
              min(run["least"] for run in flows.values()), ">=", 1 - _ROUNDING),
        Check("and so its monitors say, share",
              float(np.mean([run["kept"] for run in flows.values()])), ">=", 1),
    ]  # fmt: skip


def _needed(run: dict) -> float:
    return run["needed"] / run["promised"] if run["reached"] else np.inf


def _failing_checks(results: Results) -> list[Check]:
    stuck = [results[FailingCase(STUCK, depth)] for depth in _STUCK_DEPTHS]
    reached = [results[FailingCase(REACHED, depth)] for depth in _STUCK_DEPTHS]
    broken = results[FailingCase("unbalanced descent")]
    stalled = results[FailingCase("unbalanced flow")]
    large = results[FailingCase("learning rate")]
    met = {name for name in ("deficiency margin", "learning rate") if broken[name]}
    return [
        Check("without a margin the loss stays at 1/2 or above: least",
              float(min(run["loss"].min() for run in stuck)), ">=", 0.5 - _ROUNDING),
        Check("and the determinant keeps its sign, least",
              min(run["sign"] for run in stuck), ">", 0),
        Check("at depth 2 it ends at 1/2, from above",
              float(stuck[0]["loss"][-1]), "within", (0.5 - _ROUNDING, 0.5 + 1e-5)),
        Check("the same targets are reached from starts with a margin: largest loss",
              float(max(run["loss"][-1] for run in reached)), "<=", 1e-12),
        Check("an unbalanced start that meets the other assumptions diverges",
              float(broken["status"] == "DIVERGED" and len(met) == 2), ">=", 1),
        Check("an unbalanced flow with a margin takes longer than certified for balanced layers",
              stalled[f"time, {BROKEN}"], ">", 1),
        Check("and the balanced flow from the same product does not",
              stalled[f"time, {KEPT}"], "<=", 1),
        Check("a balanced start with a margin and too large a learning rate diverges",
              float(large["status"] == "DIVERGED" and large["balancedness"]), ">=", 1),
    ]  # fmt: skip


def _agreement_figure(descents: dict, flows: dict) -> Figure:
    figure, (left, right) = panels(2, width=4.9, height=4.6)
    axes = {
        "depth": lambda case: float(case.depth),
        "instance": lambda case: case.instance,
    }
    more = {"size": lambda case: case.size, "share": lambda case: case.share}
    steps = tabulate(descents, ["promised", "needed"], **axes, **more)
    times = tabulate(flows, ["promised", "needed"], **axes)
    labels = ("Certified steps", "Steps needed")
    plot_agreement(steps["promised"], steps["needed"], left, labels=labels, by="depth")
    labels = ("Certified time", "Time needed")
    plot_agreement(times["promised"], times["needed"], right, labels=labels, by="depth")
    return figure


def _stuck_figure(results: Results) -> Figure:
    figure, axes = panels(2, width=5)
    for name, ax in zip((STUCK, REACHED), axes, strict=True):
        runs = [results[FailingCase(name, depth)] for depth in _STUCK_DEPTHS]
        losses = xr.DataArray(
            [np.where(run["loss"] > 0, run["loss"], np.nan) for run in runs],
            dims=("method", "step"),
            coords={"method": [f"depth {d}" for d in _STUCK_DEPTHS], "step": runs[0]["steps"]},
            name="loss",
        )
        plot_losses(losses, ax)
        ax.set_title(name)
        if name == STUCK:
            ax.set(yscale="linear", ylim=(0, None))
    return figure


_TABLE = (
    f"Steps, or time, to {_EXCESS:g} of the first loss, or {_FLOW_EXCESS:g} for flows; medians."
)
_AGREEMENT_CAPTION = (
    "What was needed against what was certified: left steps of descent, right time of flows. "
    "Points below the dotted line keep the promise."
)
_STUCK_CAPTION = (
    "Descent to diag(-1, 1). Left from identity layers, whose product has a positive determinant "
    "and no margin: the loss tends to 1/2. Right from balanced layers of 0.9 times the target."
)
_NOTES = (
    "The loss is half the squared distance from the target. Descents have the largest certified "
    "learning rate and layers nine tenths as unbalanced as is allowed; targets have singular "
    f"values from 1 to {_LEAST:g}, and the margin is given as a share of the least. Flows go to "
    f"{_FLOW_SIZE} x {_FLOW_SIZE} targets with singular values from 2 to 1 from a margin of 1/2. "
    "The constants of the theorem are far from tight; beyond small instances the counts pass what "
    "can be run.",
    "What fails without each assumption. Margin: identity layers and a target of negative "
    "determinant; their entries fall to zero and never cross it. Balance, in descent: two scalar "
    "layers of product 0.9 whose larger one makes the certified step overshoot fourfold. Where "
    "it overshoots less than threefold the loss grows at first, the layers become alike, and it "
    "converges after all. Balance, in flow: layers diag(1/K, K) and diag(K, 1/K) of product "
    f"1 with K = {_APART:g}, where one entry moves K^2 times more slowly: it gets there, but not "
    f"in the certified time. Learning rate: {_TOO_LARGE:g} for two scalar layers, whose minimum is "
    "unstable above 1.",
)
_SOURCE = "Arora, Cohen, Golowich, Hu 2019, theorem on convergence of descent"

CLAIM = Claim(
    id="arora2019b.certificate",
    title="Certified convergence of descent",
    statement="From approximately balanced layers with a deficiency margin, descent on a deep "
    "linear network reaches any loss within a count that is known beforehand; without a margin "
    "or without balance it may not.",
    source="Arora, Cohen, Golowich, Hu 2019 (arXiv:1810.02281), theorem on convergence of descent",
    published=tuple(
        Published(_ratio_name(depth, size, share), "at most 1", _SOURCE)
        for depth in _DEPTHS
        for size in _SIZES
        for share in _SHARES
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=2,
    full_seeds=5,
)
