"""Singular values over training at depth 1, 2 and 3: synthetic matrix and MovieLens."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from factorflow._errors import InputError
from factorflow.experiments._case import Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._training import (
    MovieLensTrainingCase,
    SyntheticTrainingCase,
    ratings_of,
    trajectory_of,
)
from factorflow.plots import plot_singular_values

_DEPTHS = (1, 2, 3)
_RANK = 5
_SYNTHETIC = (0.8195, 0.0988, 0.00167)
_MOVIELENS = (13.73, 1.450, 1.398)
_MOVIELENS_LARGEST = {2: 3350.0, 3: 3770.0}
_MOVIELENS_SHAPE = (1682, 943)
_NOTEBOOK = "Arora et al. 2019, published notebook"

_Runs = dict[int, list[Mapping[str, Any]]]


def _synthetic_cases(size: Size) -> list[SyntheticTrainingCase]:
    return [SyntheticTrainingCase(depth, i) for i in range(size.seeds) for depth in _DEPTHS]


def _movielens_cases(size: Size) -> list[MovieLensTrainingCase]:
    if size.data is None:
        raise InputError("Give the folder of MovieLens 100k with --data.")
    ratings, _ = ratings_of(size.data)
    return [MovieLensTrainingCase(depth, ratings, size.data) for depth in _DEPTHS]


def _judge_synthetic(results: Results) -> Finding:
    runs, seeds = _by_depth(results), sorted({case.instance for case in results})
    sixth = {n: np.array([_last(run, _RANK) / _last(run, 0) for run in runs[n]]) for n in _DEPTHS}
    spread = {n: np.array([_spread(run) for run in runs[n]]) for n in _DEPTHS}
    errors = {n: np.array([min(run["test_error"]) for run in runs[n]]) for n in _DEPTHS}
    measured = []
    for n in _DEPTHS:
        measured += [
            Measured.of(f"depth {n}, least mean squared error", errors[n], seeds),
            Measured.of(f"depth {n}, sixth over first singular value at the end", sixth[n], seeds),
            Measured.of(f"depth {n}, time of the fifth over that of the first", spread[n], seeds),
        ]
    middle = {n: float(np.median(errors[n])) for n in _DEPTHS}
    return Finding(
        measured=tuple(measured),
        checks=(
            Check("depth 1: the sixth singular value rises with the others",
                  float(np.median(sixth[1])), ">", 0.3),
            Check("depth 2: the sixth singular value stays small, but not zero",
                  float(np.median(sixth[2])), "within", (0.01, 0.2)),
            Check("depth 3: the sixth singular value stays near zero",
                  float(np.median(sixth[3])), "<", 0.01),
            Check("the deeper, the further apart the singular values rise: depth 2 after depth 1",
                  float(np.median(spread[2])), ">", float(np.median(spread[1]))),
            Check("and depth 3 after depth 2",
                  float(np.median(spread[3])), ">", float(np.median(spread[2]))),
            Check("the deeper, the smaller the error: depth 2 below depth 1",
                  middle[2], "<", middle[1]),
            Check("and depth 3 below depth 2", middle[3], "<", middle[2]),
            *(
                Check(f"depth {n}: the published error is within a factor 3 of the measured one",
                      published, "within", (middle[n] / 3, 3 * middle[n]), essential=False)
                for n, published in zip(_DEPTHS, _SYNTHETIC, strict=True)
            ),
        ),
        figures=(("Ten largest singular values over training, instance 0.", _figure(runs)),),
        notes=(
            "A flow to the time of 200,000 published steps of 0.01; the published loss is twice "
            "ours. The time of a singular value is when it first passes half of its last value.",
        ),
    )  # fmt: skip


def _judge_movielens(results: Results) -> Finding:
    runs = _by_depth(results)
    errors = {n: float(min(runs[n][0]["test_error"])) for n in _DEPTHS}
    share = {n: _last(runs[n][0], 1) / _last(runs[n][0], 0) for n in _DEPTHS}
    first = runs[_DEPTHS[0]][0]
    same = tuple(first["shape"]) == _MOVIELENS_SHAPE
    published = [
        Check(f"depth {n}: the published error is within 15 per cent of the measured one",
              value / errors[n], "within", (0.85, 1.15), essential=False)
        for n, value in zip(_DEPTHS, _MOVIELENS, strict=True)
        if same
    ]  # fmt: skip
    shape = " x ".join(map(str, first["shape"]))
    return Finding(
        measured=tuple(
            measured
            for n in _DEPTHS
            for measured in (
                Measured.exact(f"depth {n}, least mean squared test error", errors[n]),
                Measured.exact(f"depth {n}, largest singular value", _last(runs[n][0], 0)),
                Measured.exact(f"depth {n}, second over first singular value", share[n]),
            )
        ),
        checks=(
            Check("depth 2: one singular value dominates", share[2], "<", 0.3),
            Check("depth 3: one singular value dominates", share[3], "<", 0.3),
            Check("depth 2 errs a fifth of depth 1 or less", errors[2], "<", errors[1] / 5),
            Check("depth 3 errs no more than depth 2", errors[3], "<=", errors[2], essential=False),
            Check("the ratings are those of MovieLens 100k", float(same), ">=", 1, essential=False),
            *published,
        ),
        figures=(("Ten largest singular values over training.", _figure(runs)),),
        notes=(
            f"Trained on {first['n_ratings']:,} raw ratings, a matrix of {shape}, a tenth held "
            "out. The published configuration trains on all ratings, so its hold-out is unknown.",
            *(
                ()
                if same
                else ("These ratings are not MovieLens 100k: published numbers do not compare.",)
            ),
        ),
    )


def _by_depth(results: Results) -> _Runs:
    runs: _Runs = {depth: [] for depth in _DEPTHS}
    for case, result in results.items():
        runs[case.depth].append(result)
    return runs


def _last(run: Mapping[str, Any], component: int) -> float:
    return float(run["singular_values"][-1, component])


def _spread(run: Mapping[str, Any]) -> float:
    """When the fifth singular value rises, over when the first does."""
    values, times = run["singular_values"], run["time"]
    rises = [times[np.argmax(values[:, i] >= values[-1, i] / 2)] for i in (0, _RANK - 1)]
    return float(rises[1] / max(rises[0], times[1]))


def _figure(runs: _Runs) -> Figure:
    figure, axes = panels(len(_DEPTHS))
    for depth, ax in zip(_DEPTHS, axes, strict=True):
        plot_singular_values(trajectory_of(dict(runs[depth][0])), ax)
        ax.set_title(f"depth {depth}")
        ax.set_xscale("linear")
    return figure


SYNTHETIC = Claim(
    id="arora2019.dynamics",
    title="Singular values over training",
    statement="At depth 1 all singular values rise together, at depth 2 in stages with small ones "
    "left over, at depth 3 one after the other with those past the rank near zero.",
    source="Arora et al. 2019, blog post, Figure 2",
    published=tuple(
        Published(f"depth {n}, least mean squared error", value, _NOTEBOOK)
        for n, value in zip(_DEPTHS, _SYNTHETIC, strict=True)
    ),
    cost="quick",
    cases=_synthetic_cases,
    judge=_judge_synthetic,
    seeds=3,
    full_seeds=10,
)

MOVIELENS = Claim(
    id="arora2019.dynamics-movielens",
    title="The same on MovieLens",
    statement="On MovieLens 100k depth 2 and 3 learn one dominant singular value and err far less "
    "than depth 1.",
    source="Arora et al. 2019, blog post, Figure 2",
    published=(
        *(
            Published(f"depth {n}, least mean squared test error", value, _NOTEBOOK)
            for n, value in zip(_DEPTHS, _MOVIELENS, strict=True)
        ),
        *(
            Published(f"depth {n}, largest singular value", value, _NOTEBOOK + ", read off")
            for n, value in _MOVIELENS_LARGEST.items()
        ),
    ),
    cost="full",
    cases=_movielens_cases,
    judge=_judge_movielens,
    seeds=1,
    full_seeds=1,
    needs="a folder with the ratings of MovieLens 100k (u.data)",
)
