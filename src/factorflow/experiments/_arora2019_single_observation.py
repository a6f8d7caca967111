"""Arora, Cohen, Hu and Luo 2019: one observation, and the curve on which singular values move."""

from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import ClassVar

import diffrax
import numpy as np
from matplotlib.figure import Figure

from factorflow._random import stream
from factorflow.dynamics import EndToEndFlow, GradientFlow, Stop, solve
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._tabulate import of_kind
from factorflow.factorizations import DeepLinear
from factorflow.initializers import StartAt
from factorflow.plots import plot_relation
from factorflow.problems import DenseOperator, Sensing
from factorflow.report import Table
from factorflow.theory import SingleObservationRelation, single_observation_relation
from factorflow.trajectories import EverySteps, Observable, Record, Snapshot

_DEPTHS = ("1", "2", "2.5", "3", "4", "inf")
_LAYERS, _PRODUCT = "layers", "product"
_SHAPE = (3, 4)
_STRENGTHS = (1.0, 0.6, 0.3)  # singular values of the measurement
_VALUE = 5.0
_SCALES = (1e-2, 1e-3)
_RTOL, _TRAIN_ERROR = 1e-10, 1e-8
_AGREE = 1e-6


@dataclass(frozen=True)
class PairCase(AbstractCase):
    """A flow on one measurement from an aligned start with equal singular values.

    Parameters
    ----------
    depth
        Of the network, as text: ``"3"``, ``"2.5"`` or ``"inf"``.
    moved
        ``"layers"`` or, for any depth, ``"product"``, the end-to-end flow.
    scale
        The singular values at the start.
    instance
        Seed of the singular vectors of the measurement.
    """

    kind: ClassVar[str] = "singular values under one measurement"
    revision: ClassVar[int] = 1

    depth: str
    moved: str
    scale: float
    instance: int

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            left, right = _vectors(case.instance)
            problem = Sensing(
                DenseOperator((left * _STRENGTHS @ right.T)[None]), np.array([_VALUE])
            )
            tight = {"solver": diffrax.Dopri8(), "rtol": _RTOL}
            on_layers = case.moved == _LAYERS
            solution = solve(
                problem,
                DeepLinear(int(case.depth) if on_layers else 1),
                GradientFlow(**tight) if on_layers else EndToEndFlow(float(case.depth), **tight),
                init=StartAt(case.scale * left @ right.T),
                stop=Stop(train_error=_TRAIN_ERROR),
                record=Record([Observable("matrix", _matrix)], schedule=EverySteps(1, 128)),
                progress=progress,
            )
            inner = left.T @ solution.trajectory["matrix"].values @ right
            values = np.einsum("kii->ki", inner)
            off = np.abs(inner - values[:, :, None] * np.eye(len(_STRENGTHS)))
            result = {"values": values, "off": float(off.max()), "status": solution.status.name}
            finished(case, result, solution.seconds)


def _matrix(snapshot: Snapshot):
    return snapshot.matrix


@cache
def _vectors(instance: int) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal columns, ``(3, 3)`` and ``(4, 3)``."""
    rng = stream(instance, "single observation", "vectors")
    tall = (rng.standard_normal((rows, len(_STRENGTHS))) for rows in _SHAPE)
    left, right = (np.linalg.qr(each)[0] for each in tall)
    return left, right


def _moved(depth: str) -> list[str]:
    number = float(depth)
    whole = isfinite(number) and number.is_integer() and number > 1
    return [_LAYERS, _PRODUCT] if whole else [_PRODUCT]


def _cases(size: Size) -> list[PairCase]:
    return [
        PairCase(depth, moved, scale, seed)
        for depth in _DEPTHS
        for moved in _moved(depth)
        for scale in _SCALES
        for seed in range(size.seeds)
    ]


def _relation(depth: str, scale: float, which: int = 1) -> SingleObservationRelation:
    return single_observation_relation(float(depth), _STRENGTHS[which] / _STRENGTHS[0], scale)


def _judge(results: Results) -> Finding:
    measured, checks, rows, ends = [], [], [], {}
    for depth in _DEPTHS:
        for moved in _moved(depth):
            runs = of_kind(results, PairCase, depth=depth, moved=moved)
            seeds = sorted({case.instance for case in runs})
            name = f"depth {depth}, {_WORDS[moved]}: largest relative distance from the curve"
            apart = [
                max(_apart(c, run) for c, run in runs.items() if c.instance == s) for s in seeds
            ]
            measured.append(Measured.of(name, apart, seeds))
            checks.append(Check(name, max(apart), "<=", _AGREE))
        last = {c: run["values"][-1, 1] for c, run in runs.items()}
        ends[depth] = [
            np.median([value for case, value in last.items() if case.scale == scale])
            for scale in _SCALES
        ]
        cap = _relation(depth, _SCALES[0]).cap
        if isfinite(cap):
            over = max(value / _relation(depth, case.scale).cap for case, value in last.items())
            checks.append(
                Check(f"depth {depth}: the second value stays below its cap", over, "<", 1)
            )
        rows.append((depth, *map(float, ends[depth]), cap if isfinite(cap) else None))
    checks += _orders(ends)
    aligned = max(run["off"] for run in results.values())
    checks.append(Check("singular vectors stay those of the measurement", aligned, "<=", 1e-8))
    stops = float(np.mean([run["status"] == "TRAIN_ERROR" for run in results.values()]))
    checks.append(Check("every flow ends at its train error", stops, ">=", 1))
    columns = ("depth", *(f"start {scale:g}" for scale in _SCALES), f"cap, start {_SCALES[0]:g}")
    return Finding(
        measured=(*measured, *_shrinking(ends)),
        checks=tuple(checks),
        tables=(Table(_TABLE, columns, rows),),
        figures=((_CAPTION, _figure(results)),),
        notes=(_NOTE,),
    )


def _apart(case: PairCase, run: dict) -> float:
    """Largest relative distance of both smaller values from their curves."""
    values = run["values"]
    curves = [_relation(case.depth, case.scale, k)(values[:, 0]) for k in (1, 2)]
    return max(
        float(np.max(np.abs(values[:, k] / curve - 1))) for k, curve in enumerate(curves, start=1)
    )


def _orders(ends: dict[str, list[float]]) -> list[Check]:
    firsts = np.array([each[0] for each in ends.values()])
    return [
        Check("the deeper, the smaller the second value at the end: largest ratio of one depth to "
              "the next lower", float(np.max(firsts[1:] / firsts[:-1])), "<", 1),
        *(
            Check(f"depth {depth}: from a start ten times smaller the second value ends about ten "
                  "times smaller", ends[depth][0] / ends[depth][1], "within", (5, 10.0 + 1e-6))
            for depth in _DEPTHS if float(depth) > 2.5
        ),
    ]  # fmt: skip


def _shrinking(ends: dict[str, list[float]]) -> list[Measured]:
    return [
        Measured.exact(_shrunk(depth), first / second) for depth, (first, second) in ends.items()
    ]


def _shrunk(depth: str) -> str:
    return f"depth {depth}: second value at the end over that from a start ten times smaller"


def _figure(results: Results) -> Figure:
    figure, axes = panels(2, width=5, height=4.2)
    curves = {}
    for depth in _DEPTHS:
        run = results[PairCase(depth, _moved(depth)[0], _SCALES[0], 0)]
        values = run["values"]
        picked = np.searchsorted(values[:, 0], np.linspace(_SCALES[0], values[-1, 0], 14))
        picked = np.unique(np.clip(picked, 0, len(values) - 1))
        curves[_relation(depth, _SCALES[0])] = values[picked, 0], values[picked, 1]
    for ax, scale in zip(axes, ("linear", "log"), strict=True):
        plot_relation(curves, ax)
        ax.set_yscale(scale)
    return figure


_WORDS = {_LAYERS: "flow on the layers", _PRODUCT: "end-to-end flow"}
_TABLE = "Second singular value at the end, medians, and what it would never pass."
_CAPTION = (
    f"Second singular value against the first, from equal starts of {_SCALES[0]:g}: points "
    "measured, lines closed form, dotted lines caps. Right, the same on a logarithmic axis."
)
_NOTE = (
    f"One measurement of value {_VALUE:g} with singular values "
    f"{', '.join(f'{each:g}' for each in _STRENGTHS)}, so that the second singular value moves "
    f"with the ratio {_STRENGTHS[1]:g} to the first; singular vectors are drawn, and the matrix "
    "starts with those of the measurement. The power law of depth 2 and the cap above it are one "
    "family: between them, at depth 2.5, the cap is there but far away, and at infinite depth it "
    "is the start over 1 minus the ratio."
)
_SOURCE = "Arora, Cohen, Hu, Luo 2019, single observation"
_LAWS = {"1": "linear", "2": "polynomial", "3": "asymptotic", "4": "asymptotic"}

CLAIM = Claim(
    id="arora2019.single-observation",
    title="Singular values under one observation",
    statement="Under one observation, one singular value is a linear function of another at depth "
    "1, a power of it at depth 2, and approaches a cap in proportion to the start above depth 2.",
    source="Arora, Cohen, Hu, Luo 2019 (arXiv:1905.13655), evolution under a single observation",
    published=tuple(
        Published(_shrunk(depth), f"{law} separation", _SOURCE) for depth, law in _LAWS.items()
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=2,
    full_seeds=10,
)
