"""The matrix as singular vectors and logarithms of singular values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow import InputError
from factorflow._x64 import double_precision
from factorflow.factorizations import LogSVD

seeds = st.integers(0, 2**31)
dimensions = st.tuples(st.integers(1, 7), st.integers(1, 7))


def matrix_of(factorization, factors):
    with double_precision():
        return np.asarray(factorization.matrix(factors))


@given(shape=dimensions, rank=st.none() | st.integers(1, 9), seed=seeds)
def test_a_matrix_comes_back_as_its_best_approximation_of_the_rank(shape, rank, seed):
    matrix = np.random.default_rng(seed).normal(size=shape)
    factorization = LogSVD(rank)
    factors = factorization.from_matrix(matrix)
    assert [factor.shape for factor in factors] == factorization.shapes(shape)
    k = factorization.width(shape)
    assert k == min(*shape, rank or 9)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    best = left[:, :k] * values[:k] @ right[:k]
    np.testing.assert_allclose(matrix_of(factorization, factors), best, atol=1e-13)
    with double_precision():
        found = factorization.singular_values(factors)
    np.testing.assert_allclose(found, values[:k], rtol=1e-12, atol=1e-15)


@given(n=st.integers(1, 6), seed=seeds)
def test_the_sign_of_the_determinant_is_that_of_the_matrix(n, seed):
    matrix = np.random.default_rng(seed).normal(size=(n, n))
    factorization = LogSVD()
    left, logs, right = factorization.from_matrix(matrix)
    for shift in (0.0, -1e5):  # and at sizes that no entry can hold
        with double_precision():
            sign = float(factorization.determinant_sign((left, logs + shift, right)))
        assert sign == np.sign(np.linalg.det(matrix))


@pytest.mark.parametrize(("shape", "rank"), [((3, 4), None), ((4, 4), 3)])
def test_a_determinant_needs_a_square_matrix_of_full_rank(shape, rank):
    factorization = LogSVD(rank)
    factors = factorization.from_matrix(np.random.default_rng(0).normal(size=shape))
    with pytest.raises(InputError, match="needs a square matrix and its full rank"):
        factorization.determinant_sign(factors)


def test_singular_values_descend_whatever_the_order_of_the_logarithms():
    with double_precision():
        values = LogSVD().singular_values((np.eye(3), np.log([1.0, 3.0, 2.0]), np.eye(3)))
    np.testing.assert_allclose(values, [3, 2, 1], rtol=1e-15)


def test_logarithms_keep_what_entries_lose():
    small = np.log(1e-300)
    factors = np.eye(2), np.array([0, small]), np.eye(2)[:, ::-1]
    with double_precision():
        assert LogSVD().determinant_sign(factors) == -1
        np.testing.assert_allclose(LogSVD().singular_values(factors), [1, 1e-300], rtol=1e-12)


def test_one_layer_is_the_matrix():
    factorization = LogSVD()
    assert factorization.layer_shapes((4, 3)) == [(4, 3)]
    layer = np.random.default_rng(0).normal(size=(4, 3))
    given_layer, given_matrix = factorization.from_layers([layer]), factorization.from_matrix(layer)
    assert all(np.array_equal(a, b) for a, b in zip(given_layer, given_matrix, strict=True))


def test_halves_are_refused():
    with pytest.raises(InputError, match="no halves; take its matrix"):
        LogSVD().halves(LogSVD().from_matrix(np.eye(2)))


def test_a_rank_that_the_matrix_does_not_have():
    with pytest.raises(InputError, match=r"has rank 1, which no flow of LogSVD raises; write LogS"):
        LogSVD().from_matrix(np.diag([1.0, 0.0]))
    with pytest.raises(InputError, match=r"has rank 1, "):  # the other is rounding
        LogSVD().from_matrix(np.outer([0.1, 0.2, 0.3], [0.7, 0.3]))
    assert LogSVD(1).from_matrix(np.diag([1.0, 0.0]))[1].shape == (1,)


@pytest.mark.parametrize("rank", [0, -1])
def test_a_rank_below_one(rank):
    with pytest.raises(InputError, match="rank must be 1 or more"):
        LogSVD(rank)


@pytest.mark.parametrize("rank", [1.5, "2", [2]])
def test_a_rank_that_is_no_number(rank):
    with pytest.raises(InputError, match="rank must be a whole number"):
        LogSVD(rank)
