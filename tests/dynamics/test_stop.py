"""Each of the four stops ends a run with its own status."""

import numpy as np
import pytest
from small_problem import PROBLEM, SHAPE, gradient_by_hand, loss_by_hand, norm, start_at

from factorflow import (
    Balanced,
    DeepLinear,
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
from factorflow.trajectories import gradient_norm, train_error

# A dynamics is entered here.
DYNAMICS = {"flow": GradientFlow(), "descent": GradientDescent(0.3)}
every_dynamics = pytest.mark.parametrize("name", DYNAMICS)
RECORD = Record([train_error(), gradient_norm()], schedule=EverySteps(1, 10_000))


def run(name, stop, factors=None):
    init = Gaussian(0.5) if factors is None else start_at(factors)
    return solve(PROBLEM, DeepLinear(3), DYNAMICS[name], init=init, stop=stop, record=RECORD)


@every_dynamics
@pytest.mark.parametrize("target", [0.3, 1e-3])
def test_the_train_error_ends_a_run(name, target):
    solution = run(name, Stop(train_error=target))
    errors = solution.trajectory["train_error"].values
    assert solution.status is Status.TRAIN_ERROR
    assert solution.successful
    assert errors[-1] <= target < errors[-2]
    np.testing.assert_allclose(solution.train_error, errors[-1], rtol=1e-12)
    np.testing.assert_allclose(
        solution.train_error, 2 * loss_by_hand(PROBLEM, solution.factors), rtol=1e-9
    )


@every_dynamics
def test_stationarity_ends_a_run(name):
    target = 2e-3
    solution = run(name, Stop(train_error=None, gradient_norm=target))
    slopes = solution.trajectory["gradient_norm"].values
    assert solution.status is Status.STATIONARY
    assert solution.successful
    assert slopes[-1] <= target < slopes[-2]
    assert norm(gradient_by_hand(PROBLEM, solution.factors)) <= target * (1 + 1e-9)


@every_dynamics
@pytest.mark.parametrize("end", [0.7, 31.0])
def test_time_ends_a_run(name, end):
    solution = run(name, Stop(train_error=None, time=end))
    times = solution.trajectory.time.values
    assert solution.status is Status.TIME
    assert solution.successful
    assert times[-1] == solution.time
    if name == "flow":
        assert solution.time == end  # on it, not beside it
    else:
        assert times[-2] < end <= times[-1] < end + 0.3 + 1e-9
    assert times[-2] < end


@every_dynamics
def test_the_number_of_gradients_ends_a_run(name):
    solution = run(name, Stop(train_error=None, n_gradients=40))
    counts = solution.trajectory.n_gradients.values
    assert solution.status is Status.GRADIENT_LIMIT
    assert not solution.successful
    assert counts[-2] < 40 <= counts[-1] == solution.n_gradients


@every_dynamics
def test_the_first_stop_that_holds_is_the_status(name):
    first = run(name, Stop(train_error=0.3))
    stop = Stop(train_error=1e-9, gradient_norm=1e-9, time=first.time / 2, n_gradients=10**6)
    assert run(name, stop).status is Status.TIME
    late = Stop(train_error=0.3, gradient_norm=1e-9, time=2 * first.time, n_gradients=10**6)
    again = run(name, late)
    assert again.status is Status.TRAIN_ERROR
    assert again.n_steps == first.n_steps


@every_dynamics
def test_a_start_that_meets_the_stop_is_the_end(name):
    start = Balanced(0.5)(DeepLinear(3), SHAPE, 0)
    solution = run(name, Stop(train_error=1e6), start)
    assert solution.status is Status.TRAIN_ERROR
    assert (solution.n_steps, solution.time, solution.trajectory.sizes["record"]) == (0, 0, 1)
    for found, given in zip(solution.factors, start, strict=True):
        np.testing.assert_array_equal(found, given)


@pytest.mark.parametrize("name", ["train_error", "gradient_norm", "time", "n_gradients"])
@pytest.mark.parametrize("value", [0, -1, np.nan])
def test_a_stop_that_cannot_be(name, value):
    with pytest.raises(InputError, match=rf"Stop\({name}=...\) must be a positive number; got"):
        Stop(**{name: value})


def test_a_run_without_an_end():
    with pytest.raises(InputError, match="at least one of its four values"):
        Stop(train_error=None, n_gradients=None)
