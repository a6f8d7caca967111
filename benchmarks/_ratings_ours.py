"""Our estimators on ratings, as their users call them."""

import warnings
from itertools import product

from benchmarks._ratings import Method, Predict, Ratings
from factorflow import (
    Completion,
    DeepMatrixCompletion,
    FactorflowWarning,
    GreedyLowRankCompletion,
    SoftImpute,
)

_MODULE = "benchmarks._ratings_ours"


def _fitted(model, ratings: Ratings) -> Predict:
    problem = Completion(ratings.shape, (ratings.rows, ratings.columns), ratings.values)
    with warnings.catch_warnings():
        # Films without a rating in this part get their bias, as everywhere.
        warnings.simplefilter("ignore", FactorflowWarning)
        return model.fit(problem).predict


def deep(ratings: Ratings, setting: dict, trial: bool) -> Predict:
    return _fitted(DeepMatrixCompletion(biases="rows+columns", refit=not trial, **setting), ratings)


def greedy(ratings: Ratings, setting: dict, trial: bool) -> Predict:
    model = GreedyLowRankCompletion(biases="rows+columns", refit=not trial, **setting)
    return _fitted(model, ratings)


def soft_impute(ratings: Ratings, setting: dict, trial: bool) -> Predict:
    return _fitted(SoftImpute(biases="rows+columns", **setting), ratings)


_SOFT = [
    {"weight": 12.0, "damping": (5.0, 3.0)},
    {"weight": 10.5, "damping": (5.0, 3.0)},
    {"weight": 14.0, "damping": (5.0, 3.0)},
    {"weight": 12.0, "damping": (2.0, 2.0)},
    *({"weight": weight, "damping": (8.0, 3.0)} for weight in (9.0, 11.0, 13.0)),
    *({"weight": weight, "damping": (3.0, 4.0)} for weight in (10.0, 12.0, 16.0)),
]


def _deep_grid(
    depth: int, widths: tuple[int, ...], scales: tuple[float, ...], patience: float
) -> list[dict]:
    return [
        {"depth": depth, "scale": scale, "widths": (width,) * (depth - 1), "patience": patience}
        for width, scale in product(widths, scales)
    ]


METHODS = (
    Method("SoftImpute", _MODULE, soft_impute, _SOFT, splits=(5, 5), peer=False),
    Method(
        "DeepMatrixCompletion, depth 2",
        _MODULE,
        deep,
        _deep_grid(2, (64, 32), (1e-3, 1e-2, 3e-3, 1e-4, 3e-4), 1.5),
        splits=(1, 3),
        peer=False,
    ),
    Method(
        "DeepMatrixCompletion, depth 3",
        _MODULE,
        deep,
        _deep_grid(3, (32, 64), (1e-2, 3e-2, 3e-3, 1e-1, 1e-3), 1.5),
        splits=(0, 2),
        peer=False,
        why_not="quick size: less exact than depth 2, and slower; see the full size",
    ),
    Method(
        "GreedyLowRankCompletion",
        _MODULE,
        greedy,
        [{"max_rank": 2}],
        splits=(0, 1),
        peer=False,
        why_not="quick size: each rank takes as long as all the rest; see the full size",
    ),
)
