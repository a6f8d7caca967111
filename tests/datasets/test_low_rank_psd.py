"""Symmetric ground truths: rank, norm, spectrum, and the law of their eigenvectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow._errors import InputError
from factorflow.datasets import low_rank_psd


def test_default():
    truth = low_rank_psd()
    assert truth.shape == (100, 100)
    assert truth.dtype == np.float64
    assert np.sqrt(np.mean(truth**2)) == pytest.approx(1, rel=1e-12)
    assert np.linalg.matrix_rank(truth) == 5


@given(n=st.integers(1, 12), data=st.data(), seed=st.integers(0, 2**32))
def test_symmetric_of_the_rank_and_nowhere_negative(n, data, seed):
    rank = data.draw(st.integers(1, n))
    truth = low_rank_psd(n, rank, seed=seed)
    np.testing.assert_array_equal(truth, truth.T)
    assert np.linalg.norm(truth) == pytest.approx(n, rel=1e-12)
    values = np.linalg.eigvalsh(truth)[::-1]
    assert np.all(np.abs(values[rank:]) <= 1e-12 * values[0])
    assert values[rank - 1] > 0


@given(norm=st.floats(1e-6, 1e6))
def test_norm_only_rescales(norm):
    scaled = low_rank_psd(7, 2, norm=norm, seed=3)
    np.testing.assert_allclose(scaled, low_rank_psd(7, 2, seed=3) * (norm / 7), rtol=1e-12)


spectra = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=6)


@given(eigenvalues=spectra, spare=st.integers(0, 4), seed=st.integers(0, 100))
def test_given_eigenvalues(eigenvalues, spare, seed):
    n = len(eigenvalues) + spare
    truth = low_rank_psd(n, seed=seed, eigenvalues=eigenvalues)
    np.testing.assert_array_equal(truth, truth.T)
    wanted = np.sort(np.concatenate([eigenvalues, np.zeros(spare)]))
    np.testing.assert_allclose(np.linalg.eigvalsh(truth), wanted, atol=1e-12 * max(eigenvalues))


def test_eigenvectors_do_not_depend_on_eigenvalues():
    one, other = (low_rank_psd(6, eigenvalues=values) for values in ([3, 2], [5, 1]))
    np.testing.assert_allclose(one @ other, other @ one, atol=1e-13)


def test_eigenvectors_are_uniform():
    """The mean of q q^T is I / n, and of the fourth power of an entry 3 / (n (n + 2))."""
    n, runs = 4, 4000
    draws = np.stack([low_rank_psd(n, seed=seed, eigenvalues=[1.0]) for seed in range(runs)])
    tolerance = 5 * 0.5 / np.sqrt(runs)
    np.testing.assert_allclose(draws.mean(axis=0), np.eye(n) / n, atol=tolerance)
    fourth = np.mean(np.diagonal(draws, axis1=1, axis2=2) ** 2, axis=0)
    np.testing.assert_allclose(fourth, 3 / (n * (n + 2)), atol=tolerance)


def test_all_eigenvalues_equal_is_a_multiple_of_a_projection():
    truth = low_rank_psd(8, eigenvalues=[2.0] * 3)
    np.testing.assert_allclose(truth @ truth, 2 * truth, atol=1e-13)


def test_seed_decides():
    np.testing.assert_array_equal(low_rank_psd(seed=4), low_rank_psd(seed=4))
    assert not np.allclose(low_rank_psd(seed=4), low_rank_psd(seed=5))
    one, other = (low_rank_psd(5, eigenvalues=[2, 1], seed=seed) for seed in (0, 1))
    assert not np.allclose(one, other)


@pytest.mark.parametrize("size", [0, -3, 2.0, True, "5", None, (5, 5)])
def test_bad_size(size):
    with pytest.raises(InputError, match="size must be a positive integer"):
        low_rank_psd(size, 1)


@pytest.mark.parametrize("rank", [0, -1, 4, 2.0, True, "2"])
def test_bad_rank(rank):
    with pytest.raises(InputError, match="rank must be an integer from 1 to 3 for a 3 x 3"):
        low_rank_psd(3, rank)


@pytest.mark.parametrize("norm", [0, -1.0, np.inf, np.nan, "1", True])
def test_bad_norm(norm):
    with pytest.raises(InputError, match="norm must be a positive finite number"):
        low_rank_psd(5, 1, norm=norm)


@pytest.mark.parametrize("eigenvalues", [[], 3.0, [[1.0]], [1, 0], [1, -1], [np.nan], ["a"], [1j]])
def test_bad_eigenvalues(eigenvalues):
    with pytest.raises(InputError, match="eigenvalues must be a vector of positive"):
        low_rank_psd(5, eigenvalues=eigenvalues)


def test_eigenvalues_beside_what_they_fix():
    assert low_rank_psd(5, 2, eigenvalues=[2, 1]).shape == (5, 5)
    for options in ({"rank": 3}, {"norm": 5.0}):
        with pytest.raises(InputError, match="2 eigenvalues fix the rank and the norm"):
            low_rank_psd(5, eigenvalues=[2, 1], **options)
    with pytest.raises(InputError, match="rank must be an integer from 1 to 2"):
        low_rank_psd(2, eigenvalues=[3, 2, 1])


@pytest.mark.parametrize("seed", [-1, 1.5, None])
def test_bad_seed(seed):
    with pytest.raises(InputError, match="seed must be an integer"):
        low_rank_psd(5, 1, seed=seed)
