"""The limit of infinitesimal starts: reached at once, for the price of an ordinary run."""

from functools import cache
from math import inf

import numpy as np
import pytest
from small_problem import PROBLEM, SHAPE, gradient_by_hand, norm, start_at

from factorflow import (
    AtTimes,
    Completion,
    EndToEndFlow,
    Gaussian,
    LogSVD,
    Record,
    Status,
    Stop,
    solve,
)
from factorflow.initializers import balanced_factors
from factorflow.trajectories import effective_rank, gradient_norm, singular_values, train_loss

RTOL = 1e-6
LEFT, VALUES, RIGHT = np.linalg.svd(np.random.default_rng(0).normal(size=SHAPE), False)
RECORD = Record([train_loss(), gradient_norm(), effective_rank()])


@cache
def run(scale, skip=True):
    """From one matrix times a scale, at depth 3, to the end."""
    logs = np.log(VALUES / VALUES[0]) + np.log(scale)
    solution = solve(
        PROBLEM,
        LogSVD(),
        EndToEndFlow(3, rtol=RTOL, skip_plateaus=skip),
        init=start_at([LEFT, logs, RIGHT.T]),
        stop=Stop(train_error=1e-10, n_gradients=20_000),
        record=RECORD,
    )
    assert solution.status is Status.TRAIN_ERROR
    return solution


def from_limit(scale):
    return np.linalg.norm(run(scale).matrix - run(1e-100).matrix)


def test_a_start_of_1e_minus_100_is_the_limit_of_infinitesimal_ones():
    # First in proportion to the scale, then down to the tolerance, and there it stays.
    large, small = from_limit(1e-2), from_limit(1e-4)
    assert large < 1
    assert large / 500 < small < large / 30
    for scale in (1e-6, 1e-12):
        assert from_limit(scale) < min(100 * RTOL, small / 2)


@pytest.mark.parametrize("scale", [1e-4, 1e-6, 1e-12])
def test_it_costs_no_more_than_twice_an_ordinary_start(scale):
    tiny, ordinary = run(1e-100), run(scale)
    assert tiny.n_gradients <= 2 * ordinary.n_gradients
    assert tiny.time > 1e20 * ordinary.time


def test_steps_over_plateaus_are_as_accurate_as_the_others():
    skipped, whole = run(1e-8), run(1e-8, skip=False)
    assert skipped.n_steps < whole.n_steps
    np.testing.assert_allclose(skipped.matrix, whole.matrix, atol=100 * RTOL)
    np.testing.assert_allclose(skipped.time, whole.time, rtol=0.05)


def test_the_rank_grows_one_by_one_and_the_loss_never_rises():
    trajectory = run(1e-100).trajectory
    assert np.all(np.diff(trajectory["train_loss"]) <= 1e-12 * trajectory["train_loss"][0].item())
    ranks = trajectory["effective_rank"].values
    assert np.sum(np.abs(ranks - 1) < 1e-3) >= 3  # the first mode alone
    values = run(1e-100).singular_values
    assert values[1] > 1  # the truth has rank 2
    assert 0 < values[2] < 1e-95  # and the others are where they started


@pytest.mark.parametrize("scale", [1e-6, 1e-12])
def test_a_tiny_start_knows_the_norm_of_its_gradient(scale):
    factors = balanced_factors(
        LEFT * (VALUES / VALUES[0] * scale) @ RIGHT, [(5, 5), (5, 5), (6, 5)]
    )
    expected = norm(gradient_by_hand(PROBLEM, factors))
    found = run(scale).trajectory["gradient_norm"].values[0]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_records_at_given_times_follow_the_escape():
    logs = np.log(VALUES / VALUES[0]) + np.log(1e-30)
    solution = solve(
        PROBLEM,
        LogSVD(),
        EndToEndFlow(3, rtol=RTOL),
        init=start_at([LEFT, logs, RIGHT.T]),
        stop=Stop(train_error=1e-10),
        record=Record(
            [train_loss(), singular_values()], schedule=AtTimes.linear(run(1e-30).time, 40)
        ),
    )
    losses, values = (solution.trajectory[name] for name in ("train_loss", "singular_values"))
    assert np.isfinite(values).all()
    assert np.all(np.diff(losses) <= 1e-9 * losses[0].item())
    np.testing.assert_allclose(solution.matrix, run(1e-30).matrix, atol=100 * RTOL)


def test_at_infinite_depth_a_plateau_step_that_fails_does_not_end_the_run():
    full = Completion.from_array(np.random.default_rng(1).normal(size=(4, 4)))
    for scale in (1e-4, 1e-50):
        solution = solve(full, LogSVD(), EndToEndFlow(inf), init=Gaussian(scale), record=Record([]))
        assert solution.status is Status.TRAIN_ERROR
        np.testing.assert_allclose(solution.matrix, full.to_array(), atol=5e-3)
