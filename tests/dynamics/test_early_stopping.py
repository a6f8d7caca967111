"""Early stopping returns the point of the run with the least held-out error."""

from functools import cache

import numpy as np
import pytest
from small_problem import PROBLEM

from factorflow import (
    AtTimes,
    Completion,
    DeepLinear,
    EarlyStopping,
    EverySteps,
    Gaussian,
    GradientDescent,
    GradientFlow,
    InputError,
    Record,
    Status,
    Stop,
    solve,
)
from factorflow.trajectories import train_loss

_RNG = np.random.default_rng(4)
NOISY = Completion.sample(
    _RNG.normal(size=(12, 2)) @ _RNG.normal(size=(2, 10)), 90, noise=0.5, seed=2
)
TRAIN, HELD_OUT = NOISY.split(0.25, seed=0)
STOP = Stop(train_error=1e-5, n_gradients=20_000)

EVERY_STEP = EverySteps(1, 10_000)
RUNS = {
    "flow": (GradientFlow(), EVERY_STEP),
    "flow, thinned": (GradientFlow(), EverySteps(1, 8)),
    "flow, now and then": (GradientFlow(), EverySteps(50)),
    "flow, at times": (GradientFlow(), AtTimes.geometric(1.0, 1e5, 60)),
    "descent": (GradientDescent(1.0), EVERY_STEP),
}
runs = pytest.mark.parametrize("name", RUNS)


def root_mean_square(matrix, problem):
    return np.sqrt(np.mean((matrix[problem.rows, problem.columns] - problem.values) ** 2))


@cache
def stopped(name):
    dynamics, schedule = RUNS[name]
    return solve(
        TRAIN, DeepLinear(2), dynamics, init=Gaussian(1e-2), stop=STOP,
        record=Record([train_loss()], schedule=schedule),
        early_stopping=EarlyStopping(HELD_OUT, patience=2.0),
    )  # fmt: skip


@runs
def test_the_least_held_out_error_is_returned(name):
    solution, errors = stopped(name), stopped(name).trajectory["held_out_error"].values
    found = root_mean_square(solution.matrix, HELD_OUT)
    if isinstance(RUNS[name][1], EverySteps):  # that point is recorded, whatever the stride
        np.testing.assert_allclose(found, errors.min(), rtol=1e-9)
        times = solution.trajectory.time.values
        assert times[np.argmin(errors)] == solution.time
        assert (np.diff(times) > 0).all()
    else:  # every step is judged, also those between the times
        assert found <= errors.min() * (1 + 1e-3)
    assert errors[0] > found
    assert errors[-1] > 1.02 * found  # the run went on past it


@runs
def test_the_rest_of_the_solution_belongs_to_the_same_point(name):
    solution = stopped(name)
    error = root_mean_square(solution.matrix, TRAIN) ** 2
    np.testing.assert_allclose(solution.train_error, error, rtol=1e-9)
    # A run without early stopping comes by there at the same time.
    until = Stop(train_error=None, time=solution.time)
    passing = solve(TRAIN, DeepLinear(2), RUNS[name][0], init=Gaussian(1e-2), stop=until)
    np.testing.assert_allclose(passing.matrix, solution.matrix, atol=1e-2)
    assert np.abs(passing.matrix).max() > 1


@runs
def test_the_run_ends_when_nothing_better_has_come_for_its_patience(name):
    solution = stopped(name)
    assert solution.status is Status.HELD_OUT
    assert solution.successful
    end = float(solution.trajectory.time[-1])
    assert end > 2.0 * solution.time
    assert solution.train_error > 10 * STOP.train_error


def test_recorded_held_out_errors_are_those_of_numpy():
    def matrix(snapshot):
        return snapshot.matrix

    trajectory = solve(
        TRAIN, DeepLinear(2), GradientDescent(1.0), init=Gaussian(1e-2),
        record=Record([], extra=[matrix]), early_stopping=EarlyStopping(HELD_OUT),
    ).trajectory  # fmt: skip
    expected = [root_mean_square(W, HELD_OUT) for W in trajectory["matrix"].values]
    np.testing.assert_allclose(trajectory["held_out_error"], expected, rtol=1e-10)


def test_a_run_that_only_gets_better_is_not_cut_short():
    clean = Completion.sample(np.outer(np.arange(1.0, 13), np.linspace(1, 2, 10)) / 12, 90)
    train, held_out = clean.split(0.25, seed=0)
    early = EarlyStopping(held_out)
    solution = solve(train, DeepLinear(2), init=Gaussian(1e-4), early_stopping=early)
    assert solution.status is Status.TRAIN_ERROR
    assert root_mean_square(solution.matrix, held_out) < 0.02


def test_held_out_entries_of_another_shape():
    with pytest.raises(InputError, match=r"shape \(12, 10\).*\(6, 5\)"):
        solve(PROBLEM, DeepLinear(2), early_stopping=EarlyStopping(HELD_OUT))


@pytest.mark.parametrize("patience", [1, 0.5, -3, np.nan])
def test_a_patience_that_cannot_be(patience):
    with pytest.raises(InputError, match="patience is a factor of time above 1"):
        EarlyStopping(HELD_OUT, patience)
