"""When a run is recorded, and that recording changes nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_problem import MATRIX, PROBLEM, SHAPE, steps

from factorflow import (
    AtTimes,
    DeepLinear,
    EverySteps,
    Gaussian,
    GradientDescent,
    GradientFlow,
    InputError,
    Observable,
    Record,
    Stop,
    solve,
)
from factorflow.dynamics._recorder import Recorder
from factorflow.trajectories import singular_values, train_loss

DESCENT, FLOW = GradientDescent(0.25), GradientFlow()
UNTIL = Stop(train_error=None, time=60.0)
BARE = [train_loss()]


def run(dynamics, stop, record):
    return solve(PROBLEM, DeepLinear(3), dynamics, init=Gaussian(0.5), stop=stop, record=record)


@settings(max_examples=25)
@given(n=st.integers(0, 300), stride=st.integers(1, 7), at_most=st.integers(4, 20))
def test_records_are_thinned_evenly_between_start_and_end(n, stride, at_most):
    record = Record(BARE, schedule=EverySteps(stride, at_most))
    seen = run(DESCENT, steps(n), record).trajectory.step.values
    assert seen[0] == 0
    assert seen[-1] == n
    # The end is recorded whether it falls on the stride or not.
    gaps = np.diff(seen)
    assert len(set(gaps[:-1])) <= 1
    if len(gaps) > 1:
        assert 0 < gaps[-1] <= gaps[0]
        assert gaps[0] % stride == 0
        assert np.log2(gaps[0] / stride) % 1 == 0
    assert len(seen) <= at_most
    if n // stride >= at_most:
        assert len(seen) >= at_most / 2


def test_records_of_a_resumed_run_are_thinned_evenly_too():
    first = run(DESCENT, steps(13), Record(BARE))
    record = Record(BARE, schedule=EverySteps(4, 8))
    resumed = solve(
        PROBLEM, DeepLinear(3), DESCENT, stop=steps(200), record=record, resume=first
    ).trajectory.step.values
    assert resumed[0] == 13
    assert resumed[-1] == 200
    assert 4 <= len(resumed) <= 8
    # The start need not fall on the stride, nor the end.
    assert len(set(np.diff(resumed)[1:-1])) == 1


def test_a_flow_is_recorded_at_its_accepted_steps():
    seen = run(FLOW, UNTIL, Record(BARE, schedule=EverySteps(1, 1000))).trajectory
    np.testing.assert_array_equal(seen.step, np.arange(len(seen.step)))
    thinned = run(FLOW, UNTIL, Record(BARE, schedule=EverySteps(3, 1000))).trajectory
    np.testing.assert_array_equal(thinned.step[:-1], seen.step[:-1:3][: len(thinned.step) - 1])
    np.testing.assert_array_equal(
        thinned["train_loss"], seen["train_loss"].isel(record=thinned.step.values)
    )


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((1.0, 2.5, 7.0), (0, 1, 2.5, 7, 60)),
        ((0.0, 60.0), (0, 60)),
        ((0.25, 1e3), (0, 0.25, 60)),
        (np.linspace(59, 60, 30), (0, *np.linspace(59, 60, 30))),  # many within one step
    ],
)
def test_a_flow_is_recorded_at_exactly_the_times_asked_for(times, expected):
    seen = run(FLOW, UNTIL, Record(BARE, schedule=AtTimes(times))).trajectory
    np.testing.assert_array_equal(seen.time, expected)
    assert np.all(np.diff(seen["train_loss"]) < 0)


def test_a_descent_is_recorded_at_the_first_step_at_or_after_a_time():
    schedule = AtTimes((0.1, 0.5, 0.9, 1.1, 60.0))
    seen = run(DESCENT, UNTIL, Record(BARE, schedule=schedule)).trajectory
    np.testing.assert_array_equal(seen.step, [0, 1, 2, 4, 5, 240])
    np.testing.assert_array_equal(seen.time, 0.25 * seen.step)


def _corner(snapshot):
    return snapshot.matrix[0, 0]


def _sum_of_factors(snapshot):
    return sum(factor.sum() for factor in snapshot.factors)


RECORDS = {
    "nothing": Record([]),
    "every step": Record(schedule=EverySteps(1, 1000)),
    "few": Record([singular_values(1)], schedule=EverySteps(1, 4)),
    "linear times": Record(schedule=AtTimes.linear(60.0, 17)),
    "geometric times": Record(BARE, schedule=AtTimes.geometric(1e-3, 1e3, 25)),
    "own functions": Record(extra=[_corner, _sum_of_factors, MATRIX]),
}


@pytest.mark.parametrize("dynamics", [FLOW, DESCENT], ids=["flow", "descent"])
@pytest.mark.parametrize("name", RECORDS)
def test_a_record_does_not_change_the_run(dynamics, name):
    plain = run(dynamics, UNTIL, Record())
    observed = run(dynamics, UNTIL, RECORDS[name])
    for a, b in zip(plain.factors, observed.factors, strict=True):
        np.testing.assert_array_equal(a, b)
    costs = [(each.n_gradients, each.n_steps, each.time) for each in (plain, observed)]
    assert costs[0] == costs[1]


def test_own_functions_and_observables_become_variables():
    solution = run(FLOW, UNTIL, RECORDS["own functions"])
    trajectory = solution.trajectory
    assert trajectory["matrix"].dims == ("record", "row", "column")
    assert trajectory["matrix"].shape[1:] == SHAPE
    assert trajectory["_corner"].dims == ("record",)
    np.testing.assert_allclose(trajectory["_corner"], trajectory["matrix"][:, 0, 0], rtol=1e-12)
    expected = sum(factor.sum() for factor in solution.factors)
    np.testing.assert_allclose(trajectory["_sum_of_factors"][-1], expected, rtol=1e-12)
    np.testing.assert_allclose(trajectory["matrix"][-1], solution.matrix, rtol=1e-12)


def test_more_dimensions_than_an_observable_gives():
    wrong = Observable("corner", _corner, ("row", "column"))
    with pytest.raises(InputError, match="'corner' names 2 dimensions, but gives arrays of 0"):
        run(DESCENT, steps(3), Record([wrong]))


def test_the_trajectory_says_how_it_came_about():
    attributes = run(FLOW, UNTIL, Record(BARE)).trajectory.attrs
    assert attributes["status"] == "TIME"
    assert attributes["status_sentence"] == "The run reached its end time."
    assert attributes["factorization"] == "DeepLinear(depth=3, widths=None)"
    assert "GradientFlow" in attributes["dynamics"]
    assert attributes["route"] == "dense"
    assert attributes["seed"] == 0


def test_a_run_whose_time_stands_still_is_recorded_to_its_end():
    # Beside a time of 1e100 no step makes a difference in float64, and yet the run goes on.
    recorder = Recorder(EverySteps(), BARE)
    for step, time in ((0, 0.0), (1, 1e100), (2, 1e100), (3, 1e100), (3, 1e100)):
        numbers = {"step": step, "time": time, "n_gradients": step, "train_loss": 1.0 / (1 + step)}
        recorder.add({name: np.array([value]) for name, value in numbers.items()})
    seen = recorder.trajectory(0, {})
    np.testing.assert_array_equal(seen.step, [0, 1, 2, 3])
    assert seen["train_loss"][-1] == 0.25
