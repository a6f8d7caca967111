"""The flow that keeps the determinant's sign, far out: the 2x2 problem down to a loss of 1e-8."""

import math

import numpy as np
import pytest

from factorflow import (
    Completion,
    DeepLinear,
    EndToEndFlow,
    EverySteps,
    GradientDescent,
    LogSVD,
    Record,
    StartAt,
    Status,
    Stop,
    solve,
)
from factorflow.dynamics import Rosenbrock
from factorflow.trajectories import determinant_sign, effective_rank, singular_values, train_loss

PROBLEM = Completion.from_triples([0, 1, 1], [1, 0, 1], [1.0, 1.0, 0.0], (2, 2))
SCALES = {2: 1e-6, 3: 1e-6, math.inf: 1e-2}
LEAST = 1e-8  # of the sum of half the squared residuals, three times the library's mean


def entry(snapshot):
    return snapshot.matrix[0, 0]


def start(scale, sign, seed=0):
    matrix = np.random.default_rng(seed).standard_normal((2, 2)) * scale / np.sqrt(2)
    return matrix if np.linalg.det(matrix) * sign > 0 else matrix * [[-1], [1]]


def flowed(depth, sign, loss=LEAST):
    solution = solve(
        PROBLEM,
        LogSVD(),
        EndToEndFlow(depth, solver=Rosenbrock()),
        init=StartAt(start(SCALES[depth], sign)),
        stop=Stop(train_error=2 * loss / 3, n_gradients=50_000),
        record=Record(
            [train_loss(), singular_values(), effective_rank(), determinant_sign(), entry],
            schedule=EverySteps(1, 4096),
        ),
    )
    assert solution.status is Status.TRAIN_ERROR
    return solution.trajectory


def reach(trajectory):
    """``s``, the norm of the residual."""
    return np.sqrt(2 * 3 * trajectory["train_loss"].values)


@pytest.mark.parametrize("depth", SCALES)
def test_from_a_positive_determinant_the_exact_bounds_hold_at_every_record(depth):
    trajectory = flowed(depth, 1)
    s, grown = reach(trajectory), np.abs(trajectory["entry"].values)
    assert np.all(trajectory["determinant_sign"] == 1)
    low = s < 1
    assert np.all(grown[low] >= (1 - s[low]) ** 2 / s[low])
    assert np.all(trajectory["singular_values"].values[:, 1] <= s)
    assert grown[-1] > 7000  # (1 - s)^2 / s at the loss of 1e-8 is 7069
    # Those that were published follow.
    loss, spectrum = s**2 / 2, trajectory["singular_values"].values
    for p in (0.5, 1, 2):
        kappa = max(1, 2 ** (1 / p - 1))
        a = 1 / (math.sqrt(2) * kappa)
        norm = np.sum(spectrum**p, axis=1) ** (1 / p)
        assert np.all(norm >= a / np.sqrt(loss) - max(math.sqrt(2) * a, 8 * kappa**2))
    rank = trajectory["effective_rank"].values
    assert np.all(rank <= 1 + 2 * math.sqrt(12) / math.log(2) * np.sqrt(loss))
    assert np.all(spectrum[:, 1] <= 3 * math.sqrt(2) * np.sqrt(loss))


@pytest.mark.parametrize("depth", [2, 3])
def test_from_a_negative_determinant_the_entry_comes_to_rest(depth):
    trajectory = flowed(depth, -1)
    grown, losses = np.abs(trajectory["entry"].values), reach(trajectory) ** 2 / 2
    assert np.all(trajectory["determinant_sign"] == -1)
    assert grown.max() < 100
    late = grown[losses < 1e-6]
    assert late.max() < 1.02 * late.min()


def test_descent_at_depth_two_crosses_a_determinant_of_zero():
    """The flow from the same start does not; the steps do, and end on another plateau."""
    rate, begin = 3e-3, start(1e-6, 1)
    record = Record([determinant_sign(), entry], schedule=EverySteps(256))
    parts = {"init": StartAt(begin), "record": record}
    until = Stop(train_error=2 * 1e-4 / 3, n_gradients=200_000)
    descended = solve(PROBLEM, DeepLinear(2), GradientDescent(3 * rate), stop=until, **parts)
    assert descended.status is Status.TRAIN_ERROR
    signs = descended.trajectory["determinant_sign"].values
    assert signs[0] == 1
    assert signs[-1] == -1
    assert np.linalg.det(descended.matrix) == pytest.approx(-0.9, abs=0.1)
    assert 6 <= abs(descended.matrix[0, 0]) <= 9
    assert abs(flowed(2, 1, 1e-4)["entry"].values[-1]) > 68.7


def test_descent_at_depth_three_keeps_its_sign():
    rate = 3e-3
    solution = solve(
        PROBLEM,
        DeepLinear(3),
        GradientDescent(3 * rate),
        init=StartAt(start(1e-6, 1)),
        stop=Stop(train_error=2 * 1e-3 / 3, n_gradients=1_000_000),
        record=Record([determinant_sign()], schedule=EverySteps(256)),
    )
    assert solution.status is Status.TRAIN_ERROR
    assert np.all(solution.trajectory["determinant_sign"] == 1)
    s = np.sqrt(2e-3)
    assert abs(solution.matrix[0, 0]) >= (1 - s) ** 2 / s
