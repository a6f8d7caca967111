"""Pairs of entries of a symmetric matrix."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow._errors import InputError
from factorflow.datasets import low_rank_psd
from factorflow.factorizations import DeepLinear
from factorflow.problems import Completion, Sensing

TRUTH = low_rank_psd(6, 2)


@given(st.integers(1, 21), st.floats(0, 1), st.integers(0, 100))
def test_pairs_are_observed_with_their_transposes(n_pairs, noise, seed):
    problem = Completion.sample_symmetric(TRUTH, n_pairs, noise, seed)
    observed, array = problem.observed, problem.to_array()
    np.testing.assert_array_equal(observed, observed.T)
    np.testing.assert_array_equal(array, array.T)
    assert np.triu(observed).sum() == n_pairs
    np.testing.assert_array_equal(problem.truth, TRUTH)
    clean = Completion.sample_symmetric(TRUTH, n_pairs, seed=seed)
    np.testing.assert_array_equal(clean.observed, observed)
    np.testing.assert_array_equal(clean.values, TRUTH[clean.rows, clean.columns])
    pairs = Sensing.entries(TRUTH, n_pairs, symmetric=True, seed=seed).operator
    assert set(zip(pairs.rows, pairs.columns, strict=True)) == set(
        zip(*np.nonzero(np.triu(observed)), strict=True)
    )


@given(st.integers(1, 15), st.integers(0, 100))
def test_without_the_diagonal(n_pairs, seed):
    observed = Completion.sample_symmetric(TRUTH, n_pairs, seed=seed, diagonal=False).observed
    assert not np.diag(observed).any()
    assert observed.sum() == 2 * n_pairs


def test_pairs_are_uniform():
    draws = [Completion.sample_symmetric(np.eye(10), 11, seed=seed) for seed in range(400)]
    frequency = np.mean([np.triu(draw.observed) for draw in draws], axis=0)
    above = frequency[np.triu_indices(10)]
    assert np.abs(above - 0.2).max() < 5 * np.sqrt(0.2 * 0.8 / 400)


def test_noise_is_one_number_for_each_pair_with_its_deviation():
    problem = Completion.sample_symmetric(np.zeros((60, 60)), 60 * 61 // 2, noise=0.5)
    array = problem.to_array()
    np.testing.assert_array_equal(array, array.T)
    assert np.std(array[np.triu_indices(60)]) == pytest.approx(0.5, rel=0.1)


def test_gradient_at_a_symmetric_matrix_is_symmetric():
    problem = Completion.sample_symmetric(TRUTH, 12, noise=0.1)
    gradient = problem.loss(DeepLinear(1)).gradient((np.eye(6),))[0]
    np.testing.assert_array_equal(gradient, gradient.T)


def test_rounding_is_no_asymmetry():
    rounded = TRUTH + np.triu(np.full((6, 6), 1e-15))
    array = Completion.sample_symmetric(rounded, 21).to_array()
    np.testing.assert_array_equal(array, array.T)


def test_what_is_refused():
    with pytest.raises(InputError, match=r"square and symmetric; it has the shape \(2, 3\)"):
        Completion.sample_symmetric(np.zeros((2, 3)), 1)
    crooked = np.array([[1.0, 2.0], [2.5, 1.0]])
    with pytest.raises(InputError, match=r"row 0, column 1 is 2\.0, its transpose 2\.5"):
        Completion.sample_symmetric(crooked, 1)
    with pytest.raises(InputError, match="n_pairs must lie between 1 and 21, the number of pairs"):
        Completion.sample_symmetric(TRUTH, 22)
    with pytest.raises(InputError, match="between 1 and 15, the number of pairs; got 16"):
        Completion.sample_symmetric(TRUTH, 16, diagonal=False)
    with pytest.raises(InputError, match="no pair off its diagonal"):
        Completion.sample_symmetric([[1.0]], 1, diagonal=False)
    with pytest.raises(InputError, match="noise must be"):
        Completion.sample_symmetric(TRUTH, 3, noise=np.nan)
