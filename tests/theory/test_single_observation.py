"""The laws of a single observation against the differential equation of the singular values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from factorflow import InputError
from factorflow.theory import single_observation_relation, singular_value_velocities

settings = {"method": "DOP853", "rtol": 1e-13, "atol": 1e-16}


def path(depth, weights, starts, value, time):
    """``sigma' = -N sigma^(2-2/N) (<a, sigma> - y) a`` at a few times."""
    weights = np.array(weights)
    scale = 1 if np.isinf(depth) else depth

    def slope(_, sigma):
        return -scale * np.abs(sigma) ** (2 - 2 / depth) * (weights @ sigma - value) * weights

    ends, at = [], np.array(starts, dtype=float)
    for _ in range(6):
        at = solve_ivp(slope, (0, time / 6), at, **settings).y[:, -1]
        ends.append(at)
    return np.array(ends)


@pytest.mark.parametrize("depth", [1, 1.3, 1.8, 2, 2.2, 3, 4, 7.5, 50, np.inf])
@pytest.mark.parametrize("ratio", [0.6, 1.4, -0.3, 0.0, 1.0])
def test_the_law_holds_along_the_flow(depth, ratio):
    starts = (0.11, 0.1)  # sigma_r, sigma_s
    sigma = path(depth, (ratio, 1.0), starts, 0.9, 4.0)
    assert sigma[-1, 1] > 0.12
    relation = single_observation_relation(depth, ratio, *starts)
    np.testing.assert_allclose(relation(sigma[:, 1]), sigma[:, 0], rtol=0, atol=1e-8)
    if ratio != 0 and np.all(sigma > 0):
        back = relation.inverse()(sigma[:, 0])
        np.testing.assert_allclose(back, sigma[:, 1], rtol=0, atol=1e-8)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_the_law_holds_for_a_matrix(depth):
    """Along the velocities of a matrix whose vectors diagonalize the observation."""
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(n, 2)))[0] for n in (4, 3))
    observed = left * [1.0, 0.6] @ right.T

    def slope(_, sigma):
        matrix = left * sigma @ right.T
        gradient = (np.sum(observed * matrix) - 2.0) * observed
        return singular_value_velocities(matrix, gradient, depth)[:2]

    end = solve_ivp(slope, (0, 3), [0.25, 0.2], **settings).y[:, -1]
    relation = single_observation_relation(depth, 0.6, 0.2, 0.25)
    assert relation(end[0]) == pytest.approx(end[1], abs=1e-8)


def test_published_forms():
    other, start, first = np.linspace(0.02, 6, 9), 0.01, 0.015
    cases = {
        1: lambda c: 0.6 * other + c,
        2: lambda c: c * other**0.6,
        3: lambda c: (0.6 * other ** (-1 / 3) + c) ** -3,
        4: lambda c: (0.6 * other ** (-1 / 2) + c) ** -2,
    }
    for depth, law in cases.items():
        relation = single_observation_relation(depth, 0.6, start, first)
        np.testing.assert_allclose(relation(other), law(relation.constant), rtol=1e-12)
        assert relation(first) == pytest.approx(start, rel=1e-14)


@pytest.mark.parametrize(
    ("depth", "second", "cap"),
    [(1, 2.21, np.inf), (2, 0.404, np.inf), (3, 0.0928, 0.15625), (4, 0.0549, 0.0625)],
)
def test_deeper_leaves_the_second_value_smaller(depth, second, cap):
    """Ends of training on ``sigma_1 + 0.6 sigma_2 = 5`` from 0.01 both."""
    relation = single_observation_relation(depth, 0.6, 0.01)
    end = brentq(lambda first: first + 0.6 * relation(first) - 5, 0.01, 5)
    assert relation(end) == pytest.approx(second, rel=5e-3)
    assert relation.cap == pytest.approx(cap)


@pytest.mark.parametrize("depth", [2.5, 3, 4, 12, np.inf])
@pytest.mark.parametrize("start", [1e-100, 1e-3, 1.0])
def test_the_cap(depth, start):
    """Approached from below, in proportion to the start."""
    relation = single_observation_relation(depth, 0.7, start)
    power = depth / (depth - 2) if np.isfinite(depth) else 1.0
    assert relation.cap == pytest.approx(start * 0.3**-power, rel=1e-12)
    values = relation(start * 10.0 ** np.array([1, 2, 4, 8, 16]))
    assert np.all(np.diff(values) > 0)
    assert np.all(values < relation.cap)
    # What is missing falls like sigma_s^(-q), to first order: c = cap^(-q).
    q = 1 - 2 / depth
    missing = relation.cap / start / q * 0.7 / 0.3 * 10.0 ** (-16 * q)
    found = (relation.cap - values[-1]) / start
    rest = relation.cap / start * (1e-14 + 1e3 * 10.0 ** (-32 * q))
    assert found == pytest.approx(missing, abs=rest)


def test_caps_without_a_bound():
    assert single_observation_relation(3, 1.0, 0.1).cap == np.inf
    assert single_observation_relation(3, 1.5, 0.1).cap == np.inf
    assert single_observation_relation(2, 0.1, 0.1).cap == np.inf
    assert single_observation_relation(2 + 1e-6, 0.5, 0.1).cap == np.inf
    for depth in (1, 2, 5, np.inf):
        assert single_observation_relation(depth, 0.0, 0.1, 0.3).cap == pytest.approx(0.1)
    assert single_observation_relation(2, -0.5, 0.1).cap == 0
    assert single_observation_relation(1, -0.5, 0.1).cap == -np.inf


@pytest.mark.parametrize("gap", [1e-3, -1e-3, 1e-6, -1e-6, 1e-12])
def test_depth_two_is_the_limit_from_both_sides(gap):
    other = np.geomspace(0.01, 10, 7)
    near = single_observation_relation(2 + gap, 0.6, 0.02, 0.03)(other)
    at = single_observation_relation(2, 0.6, 0.02, 0.03)(other)
    np.testing.assert_allclose(near, at, rtol=10 * abs(gap) + 1e-13)


def test_infinite_depth_is_the_limit():
    """``1 / sigma_r = alpha / sigma_s + c``."""
    relation = single_observation_relation(np.inf, 0.6, 0.02, 0.03)
    other = np.geomspace(0.01, 10, 7)
    expected = 1 / (0.6 / other + 1 / 0.02 - 0.6 / 0.03)
    np.testing.assert_allclose(relation(other), expected, rtol=1e-13)
    deep = single_observation_relation(1e9, 0.6, 0.02, 0.03)(other)
    np.testing.assert_allclose(deep, expected, rtol=1e-7)


@given(
    st.one_of(st.floats(1, 30), st.just(np.inf)),
    st.floats(0.05, 3),
    st.floats(-8, 0),
    st.floats(-8, 0),
    st.floats(0, 2),
)
def test_keeps_its_constant_and_has_a_way_back(depth, ratio, log_start, log_other, log_growth):
    relation = single_observation_relation(depth, ratio, 10**log_start, 10**log_other)
    # Half way, in the logarithm, to where the other value ends.
    reach = np.log10(relation.inverse().cap) - log_other
    other = 10 ** (log_other + min(log_growth, reach / 2))
    value = float(relation(other))
    q = 1 - 2 / depth
    size = max(relation.start**-q, ratio * relation.other_start**-q)
    after = single_observation_relation(depth, ratio, value, other).constant
    if depth != 2:
        assert after == pytest.approx(relation.constant, rel=0, abs=1e-10 * size)
    # How much of a relative change of one arrives at the other, in both directions.
    passed = ratio * (value / other) ** q
    back = float(relation.inverse()(value))
    assert back == pytest.approx(other, rel=1e-12 * (1 + passed + 1 / passed))


def test_through_zero_below_depth_two():
    """At depth 1 the line goes on; the flow of depth 1 does so too."""
    relation = single_observation_relation(1, -0.5, 0.1)
    np.testing.assert_allclose(relation(np.array([0.1, 0.3, 0.5])), [0.1, 0.0, -0.1], atol=1e-16)
    sigma = path(1, (-0.5, 1.0), (0.1, 0.1), 0.9, 4.0)
    assert sigma[-1, 0] < -0.1
    np.testing.assert_allclose(relation(sigma[:, 1]), sigma[:, 0], rtol=0, atol=1e-8)
    between = single_observation_relation(1.5, -0.5, 0.1)
    values = between(np.linspace(0.1, 8, 30))
    assert np.all(np.diff(values) < 0)
    assert values[-1] < 0


def test_unusable_inputs():
    for start in (0.0, -1.0, np.inf, True, "1"):
        with pytest.raises(InputError, match="start must be a positive"):
            single_observation_relation(2, 0.5, start)
    with pytest.raises(InputError, match="other_start must be"):
        single_observation_relation(2, 0.5, 0.1, -1.0)
    with pytest.raises(InputError, match="ratio must be"):
        single_observation_relation(2, np.nan, 0.1)
    with pytest.raises(InputError, match="depth must be"):
        single_observation_relation(0.9, 0.5, 0.1)
    with pytest.raises(InputError, match="must be positive and finite"):
        single_observation_relation(2, 0.5, 0.1)(np.array([0.1, 0.0]))
    with pytest.raises(InputError, match="ratio 0 has no inverse"):
        single_observation_relation(2, 0.0, 0.1).inverse()
    rising = single_observation_relation(4, 2.0, 0.1)
    assert rising.inverse().cap == pytest.approx(0.4)
    assert rising(0.39) > 10
    with pytest.raises(InputError, match=r"stays below 0\.4"):
        rising(0.4001)
