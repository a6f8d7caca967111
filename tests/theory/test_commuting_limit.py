"""The end of the flow: optimality, the linear program it tends to, and its own certificate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

from factorflow import InputError
from factorflow.theory import (
    commuting_eigenvalues,
    commuting_flow,
    exposure_of,
    kkt_certificate,
    least_trace,
)

DEPTHS = (2, 2.5, 3, 4, 5)


def an_instance(seed, n=10, p=4, rank=2):
    rng = np.random.default_rng(seed)
    operators = rng.standard_normal((p, n))
    operators -= operators.mean(axis=1, keepdims=True)
    truth = np.zeros(n)
    truth[:rank] = rng.uniform(0.5, 1.5, rank)
    return operators, operators @ truth


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("scale", [0.3, 1e-2])
def test_end_of_the_flow_in_time(depth, scale):
    """The multipliers obey ``s' = y - A w(A^T s)``, run until nothing moves."""
    operators, values = an_instance(1, n=5, p=2)

    def slope(_, dual):
        return values - operators @ commuting_eigenvalues(depth, scale, dual @ operators)

    run = solve_ivp(slope, (0, 3000), np.zeros(2), method="LSODA", rtol=1e-10, atol=1e-12)
    limit = commuting_flow(operators, values, depth, scale)
    np.testing.assert_allclose(limit.dual, run.y[:, -1], rtol=1e-6)
    end = commuting_eigenvalues(depth, scale, run.y[:, -1] @ operators)
    np.testing.assert_allclose(limit.eigenvalues, end, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("depth", DEPTHS)
def test_end_minimizes_the_potential(depth):
    """The stated potential by a general solver, along the null space of the measurements."""
    operators, values = an_instance(2, n=5, p=3)
    scale = 0.2

    def potential(w):
        if depth == 2:
            return np.sum(w * np.log(w / scale) - w)
        return np.sum(w - depth / 2 * scale ** (1 - 2 / depth) * w ** (2 / depth))

    limit = commuting_flow(operators, values, depth, scale).eigenvalues
    free = np.linalg.svd(operators)[2][3:].T
    found = minimize(
        lambda z: potential(np.abs(limit + free @ z)),
        np.full(2, 1e-2),
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-15},
    )
    np.testing.assert_allclose(free @ found.x, 0, atol=1e-5)


@given(st.integers(0, 1000), st.sampled_from(DEPTHS), st.sampled_from([10, 1e-2, 1e-6, 1e-12]))
def test_limit_fits_and_lies_on_the_flow(seed, depth, scale):
    operators, values = an_instance(seed)
    limit = commuting_flow(operators, values, depth, scale)
    size = np.abs(values).max()
    assert np.abs(operators @ limit.eigenvalues - values).max() <= 1e-9 * size
    power = 1 - 2 / depth
    exposure = exposure_of(limit.eigenvalues, depth, scale) * depth * scale**power
    found = limit.relative_dual @ operators
    np.testing.assert_allclose(found, exposure, atol=2e-6 * (1 + np.abs(exposure).max()))
    np.testing.assert_allclose(limit.dual * depth * scale**power, limit.relative_dual, rtol=1e-12)


@given(st.integers(0, 1000), st.sampled_from(DEPTHS), st.sampled_from([1e-3, 1e-50, 1e-100]))
def test_certificate_is_a_bound(seed, depth, scale):
    """Weak duality against the linear program, and a gap that closes."""
    operators, values = an_instance(seed, p=3)
    certificate = kkt_certificate(
        operators, values, commuting_flow(operators, values, depth, scale)
    )
    least = least_trace(operators, values).sum()
    assert (certificate.dual @ operators).max() <= 1 + 1e-12
    assert certificate.dual_value == pytest.approx(certificate.dual @ values)
    assert certificate.dual_value <= least * (1 + 1e-9)
    assert certificate.nuclear_norm >= least * (1 - 1e-9)
    assert certificate.residual < 1e-9
    assert certificate.slackness >= -1e-9
    expected = (certificate.nuclear_norm - certificate.dual_value) / certificate.nuclear_norm
    assert certificate.gap == pytest.approx(expected, abs=1e-12)
    if scale == 1e-100:
        assert certificate.gap < 0.05
        assert certificate.nuclear_norm <= 1.01 * least


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("seed", range(3))
def test_gap_falls_with_the_scale(depth, seed):
    operators, values = an_instance(seed)
    gaps = [
        kkt_certificate(operators, values, commuting_flow(operators, values, depth, scale)).gap
        for scale in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8)
    ]
    assert np.all(np.diff(gaps) < 0)


def test_rates_of_the_gap():
    """``1 / log(1/scale)`` at depth 2, ``scale^(1-2/N)`` above."""
    operators, values = an_instance(3, p=3)

    def gap(depth, scale):
        limit = commuting_flow(operators, values, depth, scale)
        return kkt_certificate(operators, values, limit).gap

    assert gap(2, 1e-50) / gap(2, 1e-100) == pytest.approx(2, rel=0.02)
    for depth in (3, 4, 5):
        assert gap(depth, 1e-8) / gap(depth, 1e-10) == pytest.approx(
            100 ** (1 - 2 / depth), rel=0.05
        )


def test_scale_of_the_values_is_a_unit():
    operators, values = an_instance(4)
    for depth in (2, 3):
        one = commuting_flow(operators, values, depth, 1e-5).eigenvalues
        many = commuting_flow(operators, 1e6 * values, depth, 10.0).eigenvalues
        np.testing.assert_allclose(many, 1e6 * one, rtol=1e-8)


def test_nothing_measured_but_zero():
    operators, _ = an_instance(5)
    limit = commuting_flow(operators, np.zeros(4), 3, 1e-4)
    np.testing.assert_allclose(limit.eigenvalues, 1e-4, rtol=1e-9)


def test_large_scale_certifies_nothing():
    operators, values = an_instance(6)
    certificate = kkt_certificate(operators, values, commuting_flow(operators, values, 3, 1e4))
    assert certificate.gap > 0.9
    assert certificate.dual_value >= 0


def test_values_that_fix_an_eigenvalue_at_zero():
    operators = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    with pytest.raises(InputError, match="all eigenvalues positive"):
        commuting_flow(operators, np.array([1.0, 0.0]), 3, 1e-3)
    with pytest.raises(InputError, match="positive semidefinite"):
        least_trace(operators, np.array([-1.0, 0.0]))


@pytest.mark.parametrize(
    ("operators", "values"),
    [
        (np.ones(3), np.ones(3)),
        (np.ones((2, 3)), np.ones(3)),
        (np.zeros((2, 3)), np.zeros(2)),
        (np.ones((1, 3)), [np.nan]),
    ],
)
def test_measurements_that_are_none(operators, values):
    with pytest.raises(InputError):
        commuting_flow(operators, values, 3, 1e-3)


def test_limit_of_other_measurements():
    operators, values = an_instance(7)
    limit = commuting_flow(operators, values, 3, 1e-3)
    with pytest.raises(InputError, match="limit is of 4 measurements"):
        kkt_certificate(operators[:, :5], values, limit)


def test_unusable_depth_and_scale():
    operators, values = an_instance(8)
    with pytest.raises(InputError, match="depth"):
        commuting_flow(operators, values, 1, 1e-3)
    with pytest.raises(InputError, match="scale"):
        commuting_flow(operators, values, 2, 0)
