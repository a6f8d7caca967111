"""Record and its schedules as values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow import (
    AtTimes,
    Completion,
    DeepLinear,
    EverySteps,
    FunctionProblem,
    InputError,
    Observable,
    Record,
)
from factorflow.trajectories import effective_rank, nuclear_norm, singular_values

TRUTH = np.outer([1.0, 2.0, 3.0], [1.0, -1.0])


def names(record, problem):
    return [observable.name for observable in record.resolve(problem, DeepLinear(2))]


def test_the_error_is_recorded_where_the_truth_is_known():
    with_truth = Completion.sample(TRUTH, 4)
    without = Completion.from_array(TRUTH)
    user = FunctionProblem((3, 2), lambda matrix: (matrix**2).sum())
    common = [
        "train_loss", "train_error", "gradient_norm", "singular_values", "effective_rank",
        "nuclear_norm",
    ]  # fmt: skip
    assert names(Record(), with_truth) == [*common, "reconstruction_error"]
    assert names(Record(), without) == common
    assert names(Record(), user) == common


def test_extra_observables_stand_beside_the_default_or_the_given_ones():
    def largest(snapshot):
        return snapshot.singular_values[0]

    problem = Completion.sample(TRUTH, 4)
    assert names(Record(extra=[largest]), problem) == [*names(Record(), problem), "largest"]
    assert names(Record([effective_rank()], extra=[largest]), problem) == [
        "effective_rank",
        "largest",
    ]
    assert names(Record([]), problem) == []


@pytest.mark.parametrize(
    "record",
    [
        Record(extra=[nuclear_norm()]),
        Record([singular_values(), singular_values(2)]),
        Record([], extra=[lambda snapshot: 0, lambda snapshot: 1]),
    ],
)
def test_two_observables_of_one_name(record):
    with pytest.raises(InputError, match="Two observables are named"):
        record.resolve(Completion.sample(TRUTH, 4), DeepLinear(2))


@pytest.mark.parametrize("name", ["time", "step", "n_gradients"])
def test_the_names_of_the_coordinates_are_taken(name):
    with pytest.raises(InputError, match=name):
        Record(extra=[Observable(name, lambda s: s.train_loss)]).resolve(
            Completion.sample(TRUTH, 4), DeepLinear(2)
        )


@pytest.mark.parametrize("given", ["train_loss", 3, None])
def test_no_observable(given):
    with pytest.raises(InputError, match="An observable is an Observable or a function"):
        Record([given])


@pytest.mark.parametrize("times", [[], [np.nan], [1, np.inf], [-1, 2], [1, 1], [2, 1]])
def test_times_that_cannot_be(times):
    with pytest.raises(InputError, match="AtTimes"):
        AtTimes(times)


@pytest.mark.parametrize("ends", [(0, 1, 3), (1, np.inf, 3), (2, 1, 3), (1, 2, 0)])
def test_geometric_times_that_cannot_be(ends):
    with pytest.raises(InputError, match="AtTimes needs positive finite times"):
        AtTimes.geometric(*ends)


@pytest.mark.parametrize("settings", [{"stride": 0}, {"stride": -4}, {"at_most": 3}])
def test_steps_that_cannot_be(settings):
    with pytest.raises(InputError, match="EverySteps needs"):
        EverySteps(**settings)


@given(end=st.floats(1e-3, 1e6), n=st.integers(1, 50))
def test_linear_times(end, n):
    times = np.array(AtTimes.linear(end, n).times)
    assert len(times) == n
    assert times[-1] == end
    np.testing.assert_allclose(np.diff(times, prepend=0.0), end / n, rtol=1e-9)


@given(start=st.floats(1e-3, 1e3), ratio=st.floats(1.5, 1e4), n=st.integers(2, 50))
def test_geometric_times(start, ratio, n):
    times = np.array(AtTimes.geometric(start, start * ratio, n).times)
    assert len(times) == n
    np.testing.assert_allclose(times[[0, -1]], [start, start * ratio], rtol=1e-12)
    np.testing.assert_allclose(np.diff(np.log(times)), np.log(ratio) / (n - 1), rtol=1e-6)


@given(step=st.integers(0, 10_000), stride=st.integers(1, 64), time=st.floats(0, 100))
def test_a_schedule_names_what_comes_next(step, stride, time):
    due, moment = EverySteps().next_after(step, time, stride)
    assert moment is None
    assert step < due <= step + stride
    assert due % stride == 0
    times = (0.0, 1.0, 10.0, 50.0)
    due, moment = AtTimes(times).next_after(step, time, stride)
    assert due is None
    assert moment == min((t for t in times if t > time), default=None)
