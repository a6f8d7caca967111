"""The discrete end-to-end update against descent on balanced layers."""

from functools import cache
from math import inf

import numpy as np
import pytest
from small_problem import PROBLEM, SHAPE, gradient_by_hand, norm, product, steps

from factorflow import (
    DeepLinear,
    EndToEndDescent,
    InputError,
    LogSVD,
    Record,
    StartAt,
    solve,
)
from factorflow.initializers import balanced_factors
from factorflow.theory import end_to_end_velocity

_RNG = np.random.default_rng(2)
STARTS = {
    "full rank": _RNG.normal(size=SHAPE),
    "rank 2": _RNG.normal(size=(6, 2)) @ _RNG.normal(size=(2, 5)),
}
RATE = 0.1


@cache
def stepped(depth, rate, decay=0.0, start="full rank", n=1):
    dynamics = EndToEndDescent(depth, rate, decay)
    init = StartAt(STARTS[start])
    return solve(
        PROBLEM, DeepLinear(1), dynamics, init=init, stop=steps(n), record=Record([]), throw=False
    )


def layers(depth, start):
    return balanced_factors(STARTS[start], DeepLinear(depth).shapes(SHAPE))


def layerwise(depth, rate, decay, start):
    """The product after one step of descent on balanced layers."""
    factors = layers(depth, start)
    gradients = gradient_by_hand(PROBLEM, factors)
    return product([w - rate * (g + decay * w) for w, g in zip(factors, gradients, strict=True)])


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("start", STARTS)
def test_a_step_is_that_of_the_layers_to_first_order(depth, decay, start):
    gaps = [
        np.linalg.norm(
            stepped(depth, rate, decay, start).matrix - layerwise(depth, rate, decay, start)
        )
        for rate in (RATE, RATE / 8)
    ]
    moved = np.linalg.norm(stepped(depth, RATE, decay, start).matrix - STARTS[start])
    assert 1e-6 < gaps[0] < 0.5 * moved
    np.testing.assert_allclose(gaps[0] / gaps[1], 64, rtol=0.25)


@pytest.mark.parametrize(
    ("depth", "decay"), [(1, 0.0), (1.5, 0.2), (2.5, 0.2), (7.3, 0.0), (inf, 0.0)]
)
def test_a_step_of_any_depth_is_the_velocity_times_the_rate(depth, decay):
    matrix = STARTS["full rank"]
    gradient = gradient_by_hand(PROBLEM, [matrix])[0]
    velocity = end_to_end_velocity(matrix, gradient, depth, decay)
    found = stepped(depth, RATE, decay)
    np.testing.assert_allclose(found.matrix, matrix + RATE * velocity, rtol=1e-12, atol=1e-13)
    assert (found.n_steps, found.n_gradients, found.time) == (1, 2, RATE)


def test_the_norm_of_the_gradient_is_that_of_the_layers():
    found = stepped(3, RATE / 8)
    factors = balanced_factors(found.matrix, DeepLinear(3).shapes(SHAPE))
    expected = norm(gradient_by_hand(PROBLEM, factors))
    np.testing.assert_allclose(found.state.gradient_norm, expected, rtol=1e-10)


def test_many_small_steps_complete_the_matrix():
    found = stepped(2, RATE, n=3000)
    assert found.train_error < 1e-3 * stepped(2, RATE).train_error


def test_what_cannot_be():
    for rate in (0.0, inf, float("nan"), None):
        with pytest.raises(InputError, match="learning_rate must be a positive finite number"):
            EndToEndDescent(2, rate)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="weight_decay must be 0 or more"):
        EndToEndDescent(2, 0.1, -1.0)
    with pytest.raises(InputError, match="no limit at infinite depth"):
        EndToEndDescent(inf, 0.1, 0.1)
    with pytest.raises(InputError, match="depth must be a real number"):
        EndToEndDescent(0.5, 0.1)


@pytest.mark.parametrize("network", [DeepLinear(2), LogSVD()])
def test_layers_and_logarithms_are_refused(network):
    with pytest.raises(InputError, match=r"write DeepLinear\(1\)"):
        solve(PROBLEM, network, EndToEndDescent(2, 0.1))
