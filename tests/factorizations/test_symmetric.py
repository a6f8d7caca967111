"""W = U U^T."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow import Balanced, Completion, Gaussian, Identity, InputError, StartAt, Symmetric
from factorflow._x64 import double_precision


def psd(size, rank, seed):
    U = np.random.default_rng(seed).normal(size=(size, rank))
    return U @ U.T


@given(size=st.integers(1, 6), seed=st.integers(0, 99), data=st.data())
def test_a_psd_matrix_comes_back_from_its_factor(size, seed, data):
    rank = data.draw(st.integers(1, size))
    W = psd(size, rank, seed)
    factorization = Symmetric(data.draw(st.integers(rank, size + 2)))
    with double_precision():
        factors = factorization.from_matrix(W)
        assert [factor.shape for factor in factors] == factorization.shapes(W.shape)
        np.testing.assert_allclose(factorization.matrix(factors), W, atol=1e-12 * np.max(abs(W)))
        left, right = factorization.halves(factors)
        np.testing.assert_array_equal(left @ right, factorization.matrix(factors))
        found = factorization.singular_values(factors)[:size]
    wanted = np.linalg.svd(W, compute_uv=False)
    np.testing.assert_allclose(found, wanted[: len(found)], atol=1e-12 * wanted[0])


@pytest.mark.parametrize("route", ["dense", "entries"])
def test_the_gradient_is_that_of_the_matrix_on_both_sides(route):
    W, factorization = psd(5, 5, 0), Symmetric(3)
    problem = Completion.sample(W, n_observed=15, seed=0)
    U = np.random.default_rng(1).normal(size=(5, 3))
    G = (problem.observed * (U @ U.T - W)) / 15
    with double_precision():
        (found,) = problem.loss(factorization, route).gradient((U,))
    np.testing.assert_allclose(found, (G + G.T) @ U, atol=1e-12)


def test_initializers_start_it_at_their_scale():
    shape, factorization = (400, 400), Symmetric()
    (U,) = Gaussian(1e-2)(factorization, shape, 0)
    np.testing.assert_allclose(np.std(U), np.sqrt(1e-2 / 400), rtol=0.01)
    (U,) = Identity(1e-4)(Symmetric(3), (3, 3), 0)
    np.testing.assert_allclose(U, 1e-2 * np.eye(3))
    (U,) = StartAt(np.diag([4.0, 0.0]))(Symmetric(1), (2, 2), 0)
    np.testing.assert_allclose(np.abs(U), [[2], [0]])


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: Symmetric(0), "width must be a whole number"),
        (lambda: Symmetric(1.5), "width must be a whole number"),  # type: ignore[arg-type]
        (lambda: Symmetric().shapes((2, 3)), "square"),
        (lambda: Symmetric().from_matrix(np.diag([1.0, -1.0])), "eigenvalue -1"),
        (lambda: Symmetric().from_matrix(np.array([[1.0, 1.0], [0.0, 1.0]])), "not symmetric"),
        (lambda: Symmetric(1).from_matrix(np.eye(2)), "rank above the width 1"),
        (lambda: Balanced(1e-3)(Symmetric(), (3, 3), 0), "not symmetric"),
    ],
)
def test_what_cannot_be_is_refused(act, said):
    with pytest.raises(InputError, match=said):
        act()
