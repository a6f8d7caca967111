"""Squared measurements of a signal, as measurements of a matrix of rank one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow._errors import InputError
from factorflow.factorizations import DeepLinear
from factorflow.problems import Sensing

X = np.random.default_rng(0).standard_normal(7)


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 100))
def test_values_are_squares_of_linear_measurements(n, p, seed):
    x = np.random.default_rng(seed).standard_normal(n)
    problem = Sensing.phase_retrieval(x, p, seed=seed)
    vectors = problem.operator.left
    assert vectors.shape == (p, n)
    np.testing.assert_array_equal(vectors, problem.operator.right)
    np.testing.assert_allclose(problem.values, (vectors @ x) ** 2, rtol=1e-9, atol=1e-14)
    np.testing.assert_array_equal(problem.truth, np.outer(x, x))
    assert problem.n_observed == p


def test_the_sign_of_the_signal_is_lost():
    one, other = Sensing.phase_retrieval(X, 30), Sensing.phase_retrieval(-X, 30)
    assert one.content_hash == other.content_hash
    assert one.content_hash != Sensing.phase_retrieval(2 * X, 30).content_hash
    assert one.content_hash != Sensing.phase_retrieval(X, 30, seed=1).content_hash


def test_moments_of_the_measurements():
    """y / (||x||^2 / n) is the square of a standard normal number: mean 1, variance 2."""
    problem = Sensing.phase_retrieval(X, 40_000)
    scaled = problem.values / (X @ X / 7)
    assert scaled.mean() == pytest.approx(1, abs=5 * np.sqrt(2 / 40_000))
    # The variance of the square of a number of fourth moment 3 and eighth moment 105.
    assert scaled.var() == pytest.approx(2, abs=5 * np.sqrt(56 / 40_000))


def test_noise_has_its_deviation_and_leaves_the_vectors():
    clean = Sensing.phase_retrieval(X, 10_000)
    noisy = Sensing.phase_retrieval(X, 10_000, noise=0.3)
    assert noisy.operator.content_hash == clean.operator.content_hash
    errors = noisy.values - clean.values
    assert np.std(errors) == pytest.approx(0.3, rel=0.05)


def test_loss_on_a_symmetric_product_against_the_formula():
    """L(u u^T) = 1/(2p) sum ((a^T u)^2 - y)^2, of gradient 2/p sum (..) (a^T u) a by u."""
    problem = Sensing.phase_retrieval(X, 25)
    loss = problem.loss(DeepLinear(2, [1]))
    u = np.random.default_rng(1).standard_normal(7)
    products = problem.operator.left @ u
    residuals = products**2 - problem.values
    factors = (u[None, :], u[:, None])
    assert float(loss(factors)) == pytest.approx(np.mean(residuals**2) / 2, rel=1e-12)
    by_right, by_left = (np.asarray(g).ravel() for g in loss.gradient(factors))
    wanted = 2 / 25 * problem.operator.left.T @ (residuals * products)
    np.testing.assert_allclose(by_left + by_right, wanted, rtol=1e-11)
    at_truth = loss.gradient((X[None, :], X[:, None]))
    np.testing.assert_allclose(np.concatenate([g.ravel() for g in at_truth]), 0, atol=1e-12)


def test_gradient_by_a_symmetric_matrix_is_symmetric():
    problem = Sensing.phase_retrieval(X, 25)
    residuals = problem.operator.forward(np.eye(7)) - problem.values
    gradient = problem.operator.adjoint(residuals)
    np.testing.assert_allclose(gradient, gradient.T, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (np.eye(3), r"must be a vector .* shape \(3, 3\)"),
        (np.array(3.0), r"must be a vector .* shape \(\)"),
        (["a", "b"], "must be a vector of real numbers"),
        ([1j, 2], "must be a vector of real numbers"),
        ([1.0, np.nan], "finite and not zero"),
        ([1.0, np.inf], "finite and not zero"),
        ([0.0, 0.0], "finite and not zero"),
        ([], "finite and not zero"),
    ],
)
def test_signals_that_are_refused(signal, message):
    with pytest.raises(InputError, match=message):
        Sensing.phase_retrieval(signal, 5)


def test_counts_and_noise_that_are_refused():
    with pytest.raises(InputError, match="n_measurements must be 1 or more"):
        Sensing.phase_retrieval(X, 0)
    with pytest.raises(InputError, match="noise must be"):
        Sensing.phase_retrieval(X, 5, noise=-1)
