"""Circulation and curl: which updates are gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow import InputError
from factorflow.theory import (
    acceleration_curl,
    acceleration_field,
    circulation,
    curl,
    end_to_end_velocity,
    linear_loss_circulation,
)

DEPTHS = [1, 1.4, 2, 2.5, 3, 4, 8, 30, np.inf]
depths = pytest.mark.parametrize("depth", DEPTHS)


def quadratic(n, seed=0):
    """Gradient and Hessian of ``w^T A w / 2 + <b, w>``."""
    rng = np.random.default_rng(seed)
    square = rng.normal(size=(n, n))
    hessian, offset = square + square.T, rng.normal(size=n)
    return (lambda w: hessian @ w + offset), hessian


@depths
@pytest.mark.parametrize(("r", "R"), [(0.5, 1.0), (0.01, 2.0), (1e-6, 0.1)])
def test_linear_loss_in_closed_form(depth, r, R):
    gradient = np.array([0.6, -1.2, 0.3])
    field = acceleration_field(gradient, depth)
    closed = linear_loss_circulation(gradient, depth, r, R)
    assert circulation(field, r, R, gradient) == pytest.approx(closed, abs=1e-8)
    other = np.array([1.0, 0.2, -0.4])
    closed = linear_loss_circulation(gradient, depth, r, R, direction=other)
    assert circulation(field, r, R, other) == pytest.approx(closed, abs=1e-8)
    reverse = linear_loss_circulation(gradient, depth, r, R, direction=-other)
    assert reverse == -closed


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 8])
def test_published_closed_form(depth):
    gradient, r, R = np.array([3.0, 4.0]), 0.4, 1.1
    power = 3 - 2 / depth
    expected = 2 * 5.0 * (R**power - r**power) * (depth**2 / (3 * depth - 2) - 1)
    found = linear_loss_circulation(gradient, depth, r, R)
    assert found == pytest.approx(expected, rel=1e-13, abs=1e-14)
    assert (found == 0) == (depth in (1, 2))
    assert found >= 0


def test_infinite_depth_is_the_limit():
    gradient = np.array([3.0, 4.0])
    deep = linear_loss_circulation(gradient, 1e8, 0.5, 1.0) / 1e8
    limit = linear_loss_circulation(gradient, np.inf, 0.5, 1.0)
    assert limit == pytest.approx(2 * 5 * (1 - 0.125) / 3)
    assert deep == pytest.approx(limit, rel=1e-6)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_gradient_has_neither(n):
    """Of ``exp(<a, w>) + |w|^4``."""
    a = np.random.default_rng(1).normal(size=n)

    def field(w):
        return np.exp(a @ w) * a + 4 * (w @ w) * w

    assert circulation(field, 0.3, 1.2, a) == pytest.approx(0, abs=1e-12)
    assert circulation(field, 0.3, 1.2, np.eye(n)[0]) == pytest.approx(0, abs=1e-12)
    point = np.random.default_rng(2).normal(size=n)
    np.testing.assert_allclose(curl(field, point), 0, atol=1e-8)


def test_depth_two_and_a_linear_loss_is_a_gradient():
    """Of ``||w|| <g, w>``: no curl anywhere, no circulation on any curve."""
    rng = np.random.default_rng(3)
    gradient = rng.normal(size=3)
    field = acceleration_field(gradient, 2)
    for point in rng.normal(size=(5, 3)):
        np.testing.assert_allclose(curl(field, point), 0, atol=1e-9)
        assert circulation(field, 0.2, 0.9, point) == pytest.approx(0, abs=1e-9)
        unit = 1e-6 * rng.normal(size=3)

        def potential(w):
            return np.linalg.norm(w) * (gradient @ w)

        rise = potential(point + unit) - potential(point - unit)
        assert rise == pytest.approx(2 * field(point) @ unit, rel=1e-5, abs=1e-14)


def test_depth_two_and_a_quadratic_loss_is_none():
    """The curl is ``(w (Aw)^T - (Aw) w^T) / ||w||``: zero at eigenvectors, not elsewhere."""
    square = np.random.default_rng(4).normal(size=(3, 3))
    hessian = square + square.T
    field = acceleration_field(lambda w: hessian @ w, 2)
    point = np.array([0.4, -0.9, 0.7])
    turned = np.outer(point, hessian @ point)
    expected = (turned - turned.T) / np.linalg.norm(point)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(curl(field, point), expected, rtol=0, atol=1e-8)
    for vector in np.linalg.eigh(hessian)[1].T:
        np.testing.assert_allclose(curl(field, 0.7 * vector), 0, rtol=0, atol=1e-8)


@depths
@pytest.mark.parametrize("n", [2, 4])
def test_curl_in_closed_form(depth, n):
    gradient, hessian = quadratic(n)
    field = acceleration_field(gradient, depth)
    for point in np.random.default_rng(5).normal(size=(4, n)):
        closed = acceleration_curl(point, gradient(point), hessian, depth)
        tolerance = 1e-9 * (1 + np.abs(closed).max())
        np.testing.assert_allclose(curl(field, point), closed, rtol=0, atol=tolerance)
        np.testing.assert_array_equal(closed, -closed.T)


@pytest.mark.parametrize("depth", [1, 2, 3, 5.5])
def test_stokes(depth):
    """The circulation is the integral of the curl over the half ring that the curve bounds."""
    gradient, hessian = quadratic(2, seed=6)
    field = acceleration_field(gradient, depth)
    spots, weights = np.polynomial.legendre.leggauss(30)
    radii, angles = 0.75 + spots / 4, (spots + 1) / 2 * np.pi
    total = 0.0
    # From -e over the second axis to e on the inside: the ring is on the left of the curve.
    for radius, outer in zip(radii, weights, strict=True):
        for angle, inner in zip(angles, weights, strict=True):
            w = radius * np.array([np.cos(angle), np.sin(angle)])
            turned = acceleration_curl(w, gradient(w), hessian, depth)[1, 0]
            total += outer / 4 * inner / 2 * np.pi * radius * turned
    assert circulation(field, 0.5, 1.0, [1.0, 0.0]) == pytest.approx(total, abs=1e-9)


@given(st.integers(0, 2**31), st.floats(1, 50), st.integers(1, 5))
def test_field_is_what_depth_descends_along(seed, depth, n):
    rng = np.random.default_rng(seed)
    w, gradient = rng.normal(size=(2, n))
    general = -end_to_end_velocity(w[None], gradient[None], depth)[0]
    found = acceleration_field(gradient, depth)(w)
    np.testing.assert_allclose(found, general, rtol=0, atol=1e-10 * np.abs(general).max())


def test_curl_of_a_rotation():
    """Stokes on the plane: the rotation by one radian per second has curl 2."""
    found = curl(lambda w: np.array([-w[1], w[0]]), np.zeros(2))
    np.testing.assert_allclose(found, [[0, -2], [2, 0]], atol=1e-12)
    around = circulation(lambda w: np.array([-w[1], w[0]]), 1.0, 2.0, [1.0, 0.0])
    assert around == pytest.approx(2 * np.pi * (4 - 1) / 2)


def test_unusable_inputs():
    field = acceleration_field(np.ones(2), 3)
    for r, R in ((0, 1), (1, 1), (2, 1), (1, np.inf)):
        with pytest.raises(InputError, match="0 < r < R"):
            circulation(field, r, R, np.ones(2))
        with pytest.raises(InputError, match="0 < r < R"):
            linear_loss_circulation(np.ones(2), 3, r, R)
    for direction in (np.zeros(2), np.ones(1), np.ones((2, 2)), np.full(2, np.nan)):
        with pytest.raises(InputError, match="direction must be"):
            circulation(field, 0.5, 1, direction)
    with pytest.raises(InputError, match="depth must be"):
        acceleration_field(np.ones(2), 0.5)
    with pytest.raises(InputError, match="w must not be zero"):
        acceleration_curl(np.zeros(2), np.ones(2), np.eye(2), 3)
