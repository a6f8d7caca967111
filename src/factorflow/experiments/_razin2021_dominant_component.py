"""Razin, Maman and Cohen 2021: from a small start flow follows one component's own trajectory."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow._x64 import double_precision
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
from factorflow.theory import aligned_distance
from factorflow.trajectories import EverySteps, Observable, Record, Snapshot

_SIZES = {3: (6, 6, 6), 4: (4, 4, 4, 4)}
_HUBER, _SQUARED = "Huber", "squared"
_BALANCED, _GAUSSIAN = "balanced", "Gaussian"
_SETTINGS = (
    (3, _HUBER, _BALANCED),
    (4, _HUBER, _BALANCED),
    (3, _SQUARED, _BALANCED),
    (3, _HUBER, _GAUSSIAN),
)
_SCALES = (1e-1, 1e-2, 1e-3, 1e-4)
_FITTED = _SCALES[1:]
_SHOWN = (3, _HUBER, _BALANCED, 1e-3)
_RANK, _SHARE, _COMPONENTS = 3, 0.6, 6
_THRESHOLD = 0.1  # of the Huber loss, over the root-mean-square entry
_RTOL = 1e-5
_LEARNED = 1e-3  # train error at the end, over that of zero
_WAY = 0.95  # how much of its way the single component is followed
_AT_REST = 1e-2
_KEPT, _KEPT_REFERENCE = 192, 48  # records that distances are taken with
_NEAR, _SLOPE = 0.01, (0.8, 1.2)


@dataclass(frozen=True)
class DominantCase(AbstractCase):
    """Flow of 6 components on entries of a tensor of CP rank 3, beside one of them by itself.

    Parameters
    ----------
    order
        Of the tensor.
    loss
        ``"Huber"``, its threshold a tenth of the root-mean-square entry, or ``"squared"``.
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
    loss: str
    start: str
    scale: float
    instance: int

    @property
    def group(self):
        return self.order, self.loss

    @property
    def setting(self) -> str:
        """In words."""
        return named(self.order, self.loss, self.start)

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            finished(case, _run(case, progress))


def named(order: int, loss: str, start: str) -> str:
    """A setting in words."""
    return f"order {order}, {loss} loss, {start} start"


def _run(case: DominantCase, progress) -> dict[str, Any]:
    problem = _problem(case)
    factorization = CP(_COMPONENTS)
    initializer = (Balanced if case.start == _BALANCED else Gaussian)(case.scale)
    start = initializer(factorization, problem.shape, case.instance)
    with double_precision():
        at_zero = 2 * float(problem.loss(factorization)([0 * factor for factor in start]))
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
    half = norms[int(np.argmax(sizes > sizes.max() / 2))]
    which = int(np.argmax(half))
    alone = CP(1).balanced([factor[:, [which]] for factor in start])
    # The balanced component is slower than an unbalanced one.
    single = run(
        CP(1),
        init=lambda *_: alone,
        stop=Stop(train_error=None, time=3 * flow.time, n_gradients=20_000),
    )
    reference = single.trajectory["tensor"].values
    slopes = single.trajectory["slowness"].values
    few = np.linspace(0, len(norms) - 1, 128).round().astype(int)
    return {
        "distance": _distance(paths, _followed(reference)),
        "which": which,
        "runner_up": float(np.sort(half)[-2] / half[which]),
        "reached": float(np.linalg.norm(reference[-1])),
        "rest": float(slopes[-1] / slopes.max()),
        "status": flow.status.name,
        "n_gradients": (flow.n_gradients or 0) + (single.n_gradients or 0),
        "time": flow.trajectory["time"].values[few],
        "norms": norms[few],
        "single_time": single.trajectory["time"].values,
        "single_norm": single.trajectory["norms"].values,
    }


def _problem(case: DominantCase) -> Completion | RobustCompletion:
    truth = low_rank_tensor(_SIZES[case.order], _RANK, seed=case.instance)
    cells = Completion.sample(truth, round(_SHARE * truth.size), seed=case.instance)
    if case.loss == _SQUARED:
        return cells
    return RobustCompletion(cells, _THRESHOLD * float(np.sqrt(np.mean(truth**2))))


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
