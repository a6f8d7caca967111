"""Arora, Cohen, Hu and Luo 2019: how singular values and vectors move, along real trajectories."""

from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any, ClassVar

import diffrax
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow.datasets import low_rank
from factorflow.dynamics import EndToEndFlow, GradientFlow, Stop, solve
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._tabulate import of_kind
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Balanced, Identity
from factorflow.plots import plot_agreement, plot_alignment
from factorflow.problems import Completion
from factorflow.report import Table
from factorflow.theory import alignment, singular_value_velocities, singular_vector_velocities
from factorflow.trajectories import AtTimes, EverySteps, Observable, Record, Snapshot

_DEPTHS = ("1", "2", "2.5", "3", "4", "inf")
_SIZE, _RANK, _N_OBSERVED, _SCALE = 12, 2, 80, 0.1
_TRAIN_ERROR, _RTOL = 1e-4, 1e-11
_N_MOMENTS = 30
_SPREAD = 0.005  # how far values and vectors move, relative, between the differenced records
_AGREE = 1e-4
_ALIGNED_DEPTHS = (2, 3)
_ALIGNED_SIZE, _ALIGNED_RANK, _ALIGNED_OBSERVED, _ALIGNED_SCALE = 100, 5, 2000, 1e-3
_LEARNED = 1e-3  # train error up to which alignment is asked for


@dataclass(frozen=True)
class VelocityCase(AbstractCase):
    """A flow on 80 entries of a 12 x 12 matrix of rank 2, its velocities predicted and measured.

    Parameters
    ----------
    depth
        Of the network, as text: ``"3"``, ``"2.5"`` or ``"inf"``. A whole one is a flow on layers,
        any other the end-to-end flow.
    instance
        Seed of the matrix, the entries and the start.
    """

    kind: ClassVar[str] = "velocities of singular values and vectors"
    revision: ClassVar[int] = 1

    depth: str
    instance: int

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            finished(case, _velocities(float(case.depth), case.instance, progress))


@dataclass(frozen=True)
class AlignmentCase(AbstractCase):
    """A flow in the setting of the published figure, and ``U^T G V`` along it.

    Parameters
    ----------
    depth
        Of the network.
    instance
        Seed of the matrix and the entries.
    """

    kind: ClassVar[str] = "alignment of singular vectors and gradient"
    revision: ClassVar[int] = 1

    depth: int
    instance: int

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            problem = _problem(_ALIGNED_SIZE, _ALIGNED_RANK, _ALIGNED_OBSERVED, case.instance)
            seen = solve(
                problem,
                DeepLinear(case.depth),
                GradientFlow(rtol=1e-4),
                init=Identity(_ALIGNED_SCALE),
                stop=Stop(train_error=1e-5),
                record=Record([_MATRIX, _ERROR], schedule=EverySteps(1, 128)),
                progress=progress,
            ).trajectory
            parts = [
                alignment(matrix, _gradient(problem, matrix), _ALIGNED_RANK)
                for matrix in seen["matrix"].values
            ]
            result = {
                "time": np.asarray(seen["time"].values, float),
                "train_error": np.asarray(seen["error"].values, float),
                "diagonal": np.array([part.diagonal for part in parts]),
                "off_diagonal": np.array([part.off_diagonal for part in parts]),
            }
            finished(case, result)


def _matrix(snapshot: Snapshot):
    return snapshot.matrix


def _error(snapshot: Snapshot):
    return 2 * snapshot.train_loss


_MATRIX, _ERROR = Observable("matrix", _matrix), Observable("error", _error)


def _problem(size: int, rank: int, n_observed: int, instance: int) -> Completion:
    return Completion.sample(low_rank((size, size), rank, seed=instance), n_observed, seed=instance)


def _gradient(problem: Completion, matrix: np.ndarray) -> np.ndarray:
    residual = problem.operator.forward(matrix) - problem.values
    return np.asarray(problem.operator.adjoint(residual)) / problem.n_observed


def _velocities(depth: float, instance: int, progress) -> dict[str, Any]:
    problem = _problem(_SIZE, _RANK, _N_OBSERVED, instance)
    layers = isfinite(depth) and depth.is_integer()
    tight = {"solver": diffrax.Dopri8(), "rtol": _RTOL}
    run = partial(
        solve,
        problem,
        DeepLinear(int(depth) if layers else 1),
        GradientFlow(**tight) if layers else EndToEndFlow(depth, **tight),
        init=Balanced(_SCALE),
        seed=instance,
        progress=progress,
    )
    first = run(
        stop=Stop(train_error=_TRAIN_ERROR, n_gradients=None),
        record=Record([_MATRIX], schedule=EverySteps(1, 256)),
    )
    moments, spreads = _moments(problem, depth, first.trajectory)
    times = moments[:, None] + spreads[:, None] * np.arange(-2, 3)
    again = run(
        stop=Stop(train_error=None, time=first.time, n_gradients=None),
        record=Record([_MATRIX], schedule=AtTimes(times.ravel())),
    )
    # The first and the last record are the ends of the run.
    near = again.trajectory["matrix"].values[1:-1].reshape(*times.shape, _SIZE, _SIZE)
    found = [
        _compared(depth, five, spread, _gradient(problem, five[2]))
        for five, spread in zip(near, spreads, strict=True)
    ]
    return {
        "time": moments,
        **{name: np.array([each[name] for each in found]) for name in found[0]},
    }


def _moments(problem: Completion, depth: float, seen: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Times spread over the records of a run, and how far apart to difference at each."""
    times = seen["time"].values
    places = np.linspace(0, len(times) - 1, _N_MOMENTS + 2)[1:-1]
    before = np.floor(places).astype(int)
    room = times[before + 1] - times[before]
    moments = times[before] + np.clip(places - before, 0.2, 0.8) * room
    # Short where values and vectors change fast, as where two values nearly meet.
    rates = np.array([_fastest(problem, depth, matrix) for matrix in seen["matrix"].values])
    rates = np.maximum(rates[before], rates[before + 1])
    return moments, np.minimum(_SPREAD / rates, 0.05 * room)


def _fastest(problem: Completion, depth: float, matrix: np.ndarray) -> float:
    """The largest relative rate of a singular value, or rate of a vector."""
    gradient = _gradient(problem, matrix)
    values = np.linalg.svd(matrix, compute_uv=False)
    rates = singular_value_velocities(matrix, gradient, depth) / values
    turns = np.concatenate(singular_vector_velocities(matrix, gradient, depth))
    return float(max(np.abs(rates).max(), np.linalg.norm(turns, axis=0).max()))


def _compared(
    depth: float, matrices: np.ndarray, spread: float, gradient: np.ndarray
) -> dict[str, Any]:
    """Predicted and measured velocities at the third of five matrices at equal distances."""
    left, values, right = _continuous(matrices)
    rates = singular_value_velocities(matrices[2], gradient, depth)
    turns = singular_vector_velocities(matrices[2], gradient, depth)
    predicted = np.concatenate([turns.left, turns.right])
    measured = np.concatenate([_slope(left, spread), _slope(right, spread)])
    return {
        "predicted": rates,
        "measured": _slope(values, spread),
        "predicted_turn": np.linalg.norm(predicted, axis=0),
        "measured_turn": np.linalg.norm(measured, axis=0),
        "turn_apart": np.linalg.norm(predicted - measured) / np.linalg.norm(measured),
    }


def _continuous(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Singular vectors of each, of the signs of those of the third, and singular values."""
    left, values, rows = np.linalg.svd(matrices, full_matrices=False)
    right = rows.swapaxes(1, 2)
    signs = np.sign(np.einsum("kir,ir->kr", left, left[2]))[:, None, :]
    return left * signs, values, right * signs


def _slope(five: np.ndarray, spread: float) -> np.ndarray:
    """Central difference of fourth order."""
    return (8 * (five[3] - five[1]) - (five[4] - five[0])) / (12 * spread)


def _cases(size: Size) -> list[AbstractCase]:
    return [
        *(VelocityCase(depth, seed) for depth in _DEPTHS for seed in range(size.seeds)),
        *(AlignmentCase(depth, seed) for depth in _ALIGNED_DEPTHS for seed in range(size.seeds)),
    ]


def _judge(results: Results) -> Finding:
    measured, rows, checks = [], [], []
    for depth in _DEPTHS:
        runs = of_kind(results, VelocityCase, depth=depth)
        seeds = [case.instance for case in runs]
        apart = {
            "values": [_apart(run) for run in runs.values()],
            "vectors": [np.asarray(run["turn_apart"]) for run in runs.values()],
        }
        for name, each in apart.items():
            worst = [float(np.max(one)) for one in each]
            text = f"depth {depth}: velocities of singular {name}, largest relative difference"
            measured.append(Measured.of(text, worst, seeds))
            checks.append(Check(text, max(worst), "<=", _AGREE))
        middle = [float(np.median(np.concatenate(each))) for each in apart.values()]
        rows.append((depth, middle[0], measured[-2].median, middle[1], measured[-1].median))
    for depth in _ALIGNED_DEPTHS:
        runs = of_kind(results, AlignmentCase, depth=depth)
        ratios = [_ratios(run) for run in runs.values()]
        medians = [float(np.median(each)) for each in ratios]
        name = f"depth {depth}: mean size on the diagonal of U^T G V over that off it"
        measured.append(Measured.of(name, medians, [case.instance for case in runs]))
        checks.append(Check(f"{name}, median along the run", min(medians), ">=", 5))
        least = float(min(each.min() for each in ratios))
        checks.append(Check(f"{name}, least along the run", least, ">", 1, essential=False))
    return Finding(
        measured=tuple(measured),
        checks=tuple(checks),
        tables=(Table(_TABLE, _COLUMNS, rows),),
        figures=(
            (_AGREEMENT_CAPTION, _agreement_figure(results)),
            (_ALIGNMENT_CAPTION, _alignment_figure(results)),
        ),
        notes=_NOTES,
    )


def _apart(run: dict[str, Any]) -> np.ndarray:
    """Relative difference of predicted and measured velocities at each moment."""
    predicted, measured = np.asarray(run["predicted"]), np.asarray(run["measured"])
    return np.linalg.norm(predicted - measured, axis=1) / np.linalg.norm(measured, axis=1)


def _ratios(run: dict[str, Any]) -> np.ndarray:
    """Diagonal over off-diagonal, from past the start until the matrix is learned."""
    known = np.asarray(run["train_error"]) >= _LEARNED
    known[0] = False  # at a multiple of the identity the vectors are arbitrary
    return np.asarray(run["diagonal"])[known] / np.asarray(run["off_diagonal"])[known]


def _agreement_figure(results: Results) -> Figure:
    figure, axes = panels(2, width=4.9, height=4.6)
    for ax, name, label in zip(axes, ("", "_turn"), ("a singular value", "vectors"), strict=True):
        measured = _stacked(results, f"measured{name}")
        predicted = _stacked(results, f"predicted{name}")
        labels = (f"Speed of {label}, measured", f"Speed of {label}, predicted")
        plot_agreement(measured, predicted, ax, labels=labels, by="depth")
    return figure


def _stacked(results: Results, name: str) -> xr.DataArray:
    """Sizes over depth, moment and component, of the first instance."""
    runs = [results[VelocityCase(depth, 0)] for depth in _DEPTHS]
    return xr.DataArray(
        np.abs([run[name] for run in runs]),
        dims=("depth", "moment", "component"),
        coords={"depth": list(map(float, _DEPTHS))},
    )


def _alignment_figure(results: Results) -> Figure:
    figure, axes = panels(len(_ALIGNED_DEPTHS), width=5)
    for depth, ax in zip(_ALIGNED_DEPTHS, axes, strict=True):
        run = results[AlignmentCase(depth, 0)]
        names = ("diagonal", "off_diagonal")
        sizes = xr.Dataset(
            {name: ("record", run[name]) for name in names},
            coords={"time": ("record", run["time"])},
        )
        plot_alignment(sizes, ax)
        ax.set_title(f"depth {depth}")
    return figure


_TABLE = (
    "Relative difference of predicted and measured velocities, all singular values or vectors of "
    "a moment taken together: medians over all moments, and the median over instances of the "
    "largest."
)
_COLUMNS = ("depth", "values", "values, largest", "vectors", "vectors, largest")
_AGREEMENT_CAPTION = (
    "Velocities along the runs of instance 0, each component at 30 moments: predicted from the "
    "matrix and its gradient alone, against finite differences of the run. Left singular values, "
    "right singular vectors."
)
_ALIGNMENT_CAPTION = (
    "Entries of the gradient in the five leading pairs of singular vectors: the diagonal, which "
    "moves singular values, and the rest, which turns vectors. Instance 0."
)
_NOTES = (
    f"Velocities: {_N_OBSERVED} entries of {_SIZE} x {_SIZE} matrices of rank {_RANK}, balanced "
    f"start of scale {_SCALE:g}, to a train error of {_TRAIN_ERROR:g}. At whole depths the run is "
    "a flow on the layers themselves, which know nothing of the formulas; at depth 2.5 and at "
    "infinite depth (time multiplied by depth) only the end-to-end flow exists, so that there the "
    "comparison tests the velocities, not the flow. Differences are of fourth order, over times in "
    "which no value or vector moves by more than a tenth.",
    f"Alignment: {_ALIGNED_OBSERVED:,} entries of {_ALIGNED_SIZE} x {_ALIGNED_SIZE} matrices of "
    f"rank {_ALIGNED_RANK}, layers that start at {_ALIGNED_SCALE:g}^(1/depth) times the identity, "
    f"up to a train error of {_LEARNED:g}; later the gradient is what is left of it, in directions "
    "that hardly move, and the ratio falls.",
)
_SOURCE = "Arora, Cohen, Hu, Luo 2019, dynamics of singular values and vectors"

CLAIM = Claim(
    id="arora2019.velocities",
    title="Velocities of singular values and vectors",
    statement="Along a balanced flow a singular value moves by depth times its power 2 - 2/depth, "
    "times minus the gradient along its vectors; the vectors turn by the closed form, and come to "
    "diagonalize the gradient.",
    source="Arora, Cohen, Hu, Luo 2019 (arXiv:1905.13655), theorem on singular values",
    published=tuple(
        Published(
            f"depth {depth}: velocities of singular {name}, largest relative difference",
            "equal",
            _SOURCE,
        )
        for depth in _DEPTHS
        if depth not in ("2.5", "inf")
        for name in ("values", "vectors")
    )
    + tuple(
        Published(
            f"depth {depth}: mean size on the diagonal of U^T G V over that off it",
            "the diagonal is much larger",
            _SOURCE,
        )
        for depth in _ALIGNED_DEPTHS
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=1,
    full_seeds=5,
)
