"""Two samples with labels of unlike size: steps by depth."""

import numpy as np
import pytest

from factorflow._errors import InputError
from factorflow.theory import single_output_velocity, two_sample_steps

RATES = np.logspace(-6, 1, 85)


def best(ratio, power, depth):
    return two_sample_steps((ratio, 1.0), power, depth, RATES, most=30_000).min()


def test_depth_two_accelerates_the_fourth_power():
    gains = [best(ratio, 4, 1) / best(ratio, 4, 2) for ratio in (3.0, 10.0, 30.0)]
    assert gains[0] >= 5
    assert gains[2] >= 15
    assert gains[0] < gains[1] < gains[2]


@pytest.mark.parametrize("ratio", [3.0, 30.0])
def test_depth_slows_the_square(ratio):
    assert best(ratio, 2, 1) < best(ratio, 2, 2) < best(ratio, 2, 3)


@pytest.mark.parametrize("depth", [1, 2, 2.5, 3])
@pytest.mark.parametrize("power", [2, 4])
def test_steps_are_those_of_the_single_output_rule(power, depth):
    """Counted by a loop over the rule as it stands elsewhere."""
    labels, rate = np.array([2.0, 1.0]), 0.05
    w, steps = np.full(2, 0.01), 0
    while np.sum((w - labels) ** power) / power > 1e-4:
        w = w + rate * single_output_velocity(w, (w - labels) ** (power - 1), depth)
        steps += 1
    assert two_sample_steps((2.0, 1.0), power, depth, [rate])[0] == steps


def test_squares_without_depth_have_a_closed_form():
    """Each residual shrinks by 1 - eta a step."""
    rate, start = 0.1, 0.01
    size = np.sum((np.array([3.0, 1.0]) - start) ** 2) / 2
    wanted = np.ceil(np.log(1e-4 / size) / (2 * np.log(1 - rate)))
    assert two_sample_steps((3.0, 1.0), 2, 1, [rate], start=start)[0] == wanted


def test_what_does_not_arrive_is_infinite():
    found = two_sample_steps((10.0, 1.0), 4, 1, [10.0, 1e-9, 1e-2], most=10_000)
    assert np.isinf(found).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": (1.0,)}, "labels must be two finite numbers"),
        ({"power": 3}, "power must be an even number"),
        ({"depth": 0.5}, "depth must be a real number of 1 or more"),
        ({"learning_rates": []}, "learning_rates must be positive"),
        ({"learning_rates": [0.1, -1]}, "learning_rates must be positive"),
        ({"tolerance": 0.0}, "tolerance must be a positive"),
        ({"start": np.nan}, "start must be a positive"),
    ],
)
def test_what_is_refused(change, message):
    given = {"labels": (3.0, 1.0), "power": 4, "depth": 2, "learning_rates": [0.1]} | change
    with pytest.raises(InputError, match=message):
        two_sample_steps(**given)
