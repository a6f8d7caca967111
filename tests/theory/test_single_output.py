"""The single-output form against the general one, and momentum against descent on two layers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow import InputError
from factorflow.theory import end_to_end_velocity, momentum_form, single_output_velocity

depths = st.one_of(st.floats(1, 100), st.sampled_from([1, 2, 3, np.inf]))


@given(st.integers(0, 2**31), depths, st.integers(1, 6), st.floats(-6, 3))
def test_is_the_end_to_end_velocity_of_a_row(seed, depth, n, log_size):
    rng = np.random.default_rng(seed)
    row, gradient = rng.normal(size=(2, 1, n))
    row *= 10**log_size
    general = end_to_end_velocity(row, gradient, depth, weight_decay=0.2)
    single = single_output_velocity(row, gradient, depth, weight_decay=0.2)
    np.testing.assert_allclose(single, general, rtol=0, atol=1e-11 * np.abs(general).max())
    flat = single_output_velocity(row[0], gradient[0], depth, weight_decay=0.2)
    np.testing.assert_allclose(flat, single[0], rtol=1e-13)


@pytest.mark.parametrize("depth", [1, 1.5, 2, 3, np.inf])
def test_at_the_origin(depth):
    """At rest above depth 1, and moved by the gradient alone at depth 1."""
    gradient = np.array([1.0, -2.0, 0.5])
    velocity = single_output_velocity(np.zeros(3), gradient, depth, weight_decay=1.0)
    np.testing.assert_array_equal(velocity, -gradient if depth == 1 else np.zeros(3))


@pytest.mark.parametrize("depth", [2, 3, 5.5])
def test_rate_and_amplification(depth):
    """Along `w` the gradient counts `N` times; across it once; both by ``||w||^(2-2/N)``."""
    w = np.array([0.0, 0.3])
    along = single_output_velocity(w, np.array([0.0, 1.0]), depth)
    across = single_output_velocity(w, np.array([1.0, 0.0]), depth)
    np.testing.assert_allclose(along, [0, -depth * 0.3 ** (2 - 2 / depth)], rtol=1e-14)
    np.testing.assert_allclose(across, [-(0.3 ** (2 - 2 / depth)), 0], rtol=1e-14)


def after_descent(first, second, gradient, rate):
    """The product of the two layers after one step on each."""
    return (first - rate * second * gradient) * (second - rate * first @ gradient)


@given(st.integers(0, 2**31), st.integers(1, 5), st.floats(1e-4, 1))
def test_momentum_form_and_its_rest(seed, n, rate):
    rng = np.random.default_rng(seed)
    first, gradient = rng.normal(size=(2, n))
    second = rng.choice([-1, 1]) * rng.uniform(0.1, 2)
    form = momentum_form(first, second, gradient, rate)
    exact = after_descent(first, second, gradient, rate)
    size = 1 + np.abs(exact).max() + abs(form.decay)
    np.testing.assert_allclose(form.updated + form.cross_term, exact, rtol=0, atol=1e-12 * size)
    w = first * second
    by_coefficients = w - form.rate * gradient - form.decay * w
    np.testing.assert_allclose(form.updated, by_coefficients, rtol=0, atol=1e-13 * size)
    assert form.rate == pytest.approx(rate * second**2)
    assert form.decay == pytest.approx(rate * (first @ gradient) / second)


def test_what_is_left_out_is_of_second_order():
    rng = np.random.default_rng(0)
    first, gradient = rng.normal(size=(2, 4))

    def rest(rate):
        updated = momentum_form(first, 0.8, gradient, rate).updated
        return np.linalg.norm(after_descent(first, 0.8, gradient, rate) - updated)

    for rate in (1e-1, 1e-2):
        assert rest(rate) > 1e-6
        assert rest(rate) / rest(rate / 2) == pytest.approx(4, rel=1e-6)


def test_momentum_form_of_balanced_layers_is_the_flow_at_depth_two():
    rng = np.random.default_rng(1)
    w, gradient = rng.normal(size=(2, 4))
    size = np.linalg.norm(w)
    form = momentum_form(w / np.sqrt(size), np.sqrt(size), gradient, 1.0)
    velocity = single_output_velocity(w, gradient, 2)
    np.testing.assert_allclose(form.updated - w, velocity, rtol=1e-12)


def test_decay_is_a_combination_of_past_gradients():
    """From a first layer at zero, `w` stays in the span of the gradients that were seen."""
    rng = np.random.default_rng(2)
    first, second, seen = np.zeros(6), 0.5, []
    for _ in range(4):
        gradient = rng.normal(size=6)
        w = first * second
        if seen:
            rest = w - np.array(seen).T @ np.linalg.lstsq(np.array(seen).T, w)[0]
            assert np.linalg.norm(rest) < 1e-14 * (1 + np.linalg.norm(w))
        seen.append(gradient)
        move = 0.1 * second * gradient, 0.1 * first @ gradient
        first, second = first - move[0], second - move[1]
    assert np.linalg.norm(first) > 0.05


def test_unusable_inputs():
    with pytest.raises(InputError, match="w must be a row"):
        single_output_velocity(np.ones((2, 2)), np.ones((2, 2)), 2)
    with pytest.raises(InputError, match="gradient must have the shape"):
        single_output_velocity(np.ones(2), np.ones(3), 2)
    with pytest.raises(InputError, match="depth must be"):
        single_output_velocity(np.ones(2), np.ones(2), 0)
    with pytest.raises(InputError, match="other than zero"):
        momentum_form(np.ones(2), 0.0, np.ones(2), 0.1)
    with pytest.raises(InputError, match="other than zero"):
        momentum_form(np.ones(2), None, np.ones(2), 0.1)  # type: ignore[arg-type]
    for rate in (None, 0.0, np.inf):
        with pytest.raises(InputError, match="learning_rate must be a positive finite number"):
            momentum_form(np.ones(2), 1.0, np.ones(2), rate)  # type: ignore[arg-type]
