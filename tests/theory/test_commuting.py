"""The closed form under commuting measurements, against the layers' own differential equation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from factorflow import InputError
from factorflow.theory import commuting_eigenvalues, exposure_of


def an_instance(seed, n=4, p=2):
    """Eigenvalues of trace-free operators in a random common basis, and values that fit."""
    rng = np.random.default_rng(seed)
    eigenvalues = rng.standard_normal((p, n))
    eigenvalues -= eigenvalues.mean(axis=1, keepdims=True)
    truth = np.zeros(n)
    truth[:2] = rng.uniform(0.5, 1.5, 2)
    basis = np.linalg.qr(rng.standard_normal((n, n)))[0]
    return eigenvalues, eigenvalues @ truth, basis


def layers_in_time(eigenvalues, values, basis, depth, scale, time):
    """All layers as full matrices, and the exposure as the integral of the residuals.

    The loss is the mean of half the squared residuals.
    """
    p, n = eigenvalues.shape
    operators = np.einsum("ik,ak,bk->iab", eigenvalues, basis, basis)

    def slope(_, state):
        layers = state[: depth * n * n].reshape(depth, n, n)
        left, right = [np.eye(n)], [np.eye(n)]
        for layer in layers:
            right.append(layer @ right[-1])
        for layer in layers[::-1]:
            left.append(left[-1] @ layer)
        residual = np.einsum("iab,ab->i", operators, right[-1]) - values
        gradient = np.einsum("i,iab->ab", residual / p, operators)
        moved = [-left[depth - 1 - j].T @ gradient @ right[j].T for j in range(depth)]
        return np.concatenate([np.ravel(moved), -residual / p])

    start = np.concatenate([np.tile(scale ** (1 / depth) * np.eye(n).ravel(), depth), np.zeros(p)])
    end = solve_ivp(slope, (0, time), start, rtol=1e-11, atol=1e-13).y[:, -1]
    product = np.eye(n)
    for layer in end[: depth * n * n].reshape(depth, n, n):
        product = layer @ product
    return product, end[depth * n * n :]


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("time", [1.0, 8.0])
def test_closed_form_follows_the_layers(depth, time):
    eigenvalues, values, basis = an_instance(depth)
    product, multipliers = layers_in_time(eigenvalues, values, basis, depth, 0.05, time)
    closed = commuting_eigenvalues(depth, 0.05, multipliers @ eigenvalues)
    assert np.ptp(closed) > 0.01
    np.testing.assert_allclose(product, basis * closed @ basis.T, atol=1e-8)


def test_real_depth_follows_the_end_to_end_equation():
    """``w' = -N w^(2-2/N) G`` for a depth between whole numbers, with a force that is given."""
    depth, scale, force = 3.4, 1e-2, np.array([0.3, -0.2, 0.05])

    def slope(time, w):
        return depth * w ** (2 - 2 / depth) * force * np.cos(time)

    end = solve_ivp(slope, (0, 1.2), np.full(3, scale), rtol=1e-11, atol=1e-14).y[:, -1]
    closed = commuting_eigenvalues(depth, scale, force * np.sin(1.2))
    np.testing.assert_allclose(closed, end, rtol=1e-8)


@given(
    st.floats(2, 20),
    st.floats(-60, 1),
    st.lists(st.floats(-8, 2), min_size=1, max_size=4),
)
def test_exposure_is_the_inverse(depth, log_scale, logs):
    scale, eigenvalues = 10**log_scale, 10 ** np.array(logs)
    power = 1 - 2 / depth
    # What is left of 1 - q R in float64 once the exposure is a plain number.
    if (scale / eigenvalues.max()) ** power < 1e-6:
        return
    exposure = exposure_of(eigenvalues, depth, scale)
    back = commuting_eigenvalues(depth, scale, exposure)
    np.testing.assert_allclose(back, eigenvalues, rtol=1e-6)


@given(st.floats(2, 6), st.floats(1e-8, 10))
def test_no_exposure_no_change(depth, scale):
    np.testing.assert_allclose(commuting_eigenvalues(depth, scale, np.zeros(3)), scale, rtol=1e-14)


def test_depth_two_is_the_limit_of_depths_above():
    exposure = np.linspace(-3, 2, 7)
    above = commuting_eigenvalues(2 + 1e-9, 1e-2, exposure)
    np.testing.assert_allclose(above, 1e-2 * np.exp(2 * exposure), rtol=1e-6)


def test_published_form_with_layers_at_alpha():
    """``alpha^N (1 - (N-2) alpha^(N-2) S)^(-N/(N-2))``, alpha the scale of a layer."""
    alpha, exposure = 0.3, np.linspace(-5, 1, 5)
    for depth in (3, 4, 7):
        base = 1 - (depth - 2) * alpha ** (depth - 2) * exposure
        published = alpha**depth * base ** (-depth / (depth - 2))
        closed = commuting_eigenvalues(depth, alpha**depth, exposure)
        np.testing.assert_allclose(closed, published, rtol=1e-12)


def test_infinite_eigenvalue_is_refused():
    with pytest.raises(InputError, match="infinite at the exposure 10;"):
        commuting_eigenvalues(3, 1e-3, np.array([0.0, 11.0]))
    assert np.isfinite(commuting_eigenvalues(2, 1e-3, np.array([11.0]))).all()


@pytest.mark.parametrize("depth", [1, 1.99, np.nan, np.inf, "2", True])
def test_depth_below_two_is_refused(depth):
    for function in (commuting_eigenvalues, exposure_of):
        arguments = (
            (np.ones(2), depth, 0.1) if function is exposure_of else (depth, 0.1, np.ones(2))
        )
        with pytest.raises(InputError, match="depth must be"):
            function(*arguments)


@pytest.mark.parametrize("scale", [0, -1, np.inf, np.nan, None])
def test_scale_must_be_positive(scale):
    with pytest.raises(InputError, match="scale must be"):
        commuting_eigenvalues(3, scale, np.ones(2))


@pytest.mark.parametrize("value", [0.0, -1.0, np.inf, np.nan])
def test_exposure_of_no_eigenvalue(value):
    with pytest.raises(InputError, match="positive finite eigenvalue"):
        exposure_of(np.array([1.0, value]), 3, 0.1)
