"""Runs whose singular values are watched over training, from an identity start."""

from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from factorflow.datasets import low_rank, movielens
from factorflow.dynamics import GradientFlow, Stop, solve
from factorflow.experiments._case import AbstractCase
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Identity
from factorflow.problems import Completion
from factorflow.trajectories import AtTimes, Record, held_out_error, mean_squared_error
from factorflow.trajectories import singular_values as singular_values_of

# 200,000 published steps of 0.01 on a loss that is twice ours, so that time runs twice as fast.
TIME = 200_000 * 0.01 * 2
SCALE = 1e-3
COMPONENTS = 10


@dataclass(frozen=True)
class SyntheticTrainingCase(AbstractCase):
    """Flow on 2,000 entries of a 100 x 100 matrix of rank 5, from layers ``1e-3^(1/depth) I``."""

    kind: ClassVar[str] = "singular values in training, synthetic"
    revision: ClassVar[int] = 1
    depth: int
    instance: int = 0
    time: float = TIME
    scale: float = SCALE
    n_records: int = 200

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            truth = low_rank((100, 100), 5, seed=case.instance)
            problem = Completion.sample(truth, 2000, seed=case.instance)
            error = mean_squared_error(problem)
            found = _trained(problem, case, error, progress)
            finished(case, {**found, "test_error": found.pop(error.name)})


@dataclass(frozen=True)
class MovieLensTrainingCase(AbstractCase):
    """Flow on nine tenths of the raw ratings of MovieLens, from layers ``1e-3^(1/depth) I``.

    Parameters
    ----------
    ratings
        Hash of the ratings.
    folder
        Where they lie.
    """

    kind: ClassVar[str] = "singular values in training, MovieLens"
    revision: ClassVar[int] = 1
    depth: int
    ratings: str
    folder: Path = field(compare=False)
    time: float = TIME
    scale: float = SCALE
    n_records: int = 40

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            train, test = ratings_of(case.folder)[1].split(0.1, seed=0)
            error = held_out_error(test)
            found = _trained(train, case, error, progress)
            found["test_error"] = found.pop(error.name) ** 2
            finished(case, {**found, "shape": train.shape, "n_ratings": train.n_observed})


@lru_cache(maxsize=1)
def ratings_of(folder: Path) -> tuple[str, Completion]:
    """Hash and problem of a folder of MovieLens: films by users, raw ratings."""
    frame = movielens(folder)
    problem = Completion.from_long_frame(frame, "item", "user", "rating")
    return sha256(problem.content_hash.encode()).hexdigest(), problem


def trajectory_of(result: dict[str, Any]) -> xr.Dataset:
    """What :func:`factorflow.plots.plot_singular_values` draws, from the result of a case."""
    return xr.Dataset(
        {"singular_values": (("record", "component"), result["singular_values"])},
        coords={"time": ("record", result["time"])},
    )


def _trained(
    problem, case: SyntheticTrainingCase | MovieLensTrainingCase, error, progress
) -> dict[str, Any]:
    widths = None if case.depth == 1 else [min(problem.shape)] * (case.depth - 1)
    moments = AtTimes.linear(case.time, case.n_records)
    solution = solve(
        problem,
        DeepLinear(case.depth, widths),
        GradientFlow(),
        init=Identity(case.scale),
        stop=Stop(train_error=None, time=case.time),
        record=Record([singular_values_of(COMPONENTS), error], schedule=moments),
        progress=progress,
    )
    seen = solution.trajectory
    return {
        "time": np.asarray(seen.time.values, float),
        "singular_values": seen.singular_values.values,
        error.name: np.asarray(seen[error.name].values, float),
        "train_error": solution.train_error,
        "n_gradients": solution.n_gradients,
        "status": solution.status.name,
    }
