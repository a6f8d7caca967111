import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow._errors import InputError
from factorflow.datasets import low_rank

sides = st.integers(1, 12)


def test_default_is_the_published_ground_truth():
    truth = low_rank()
    assert truth.shape == (100, 100)
    assert truth.dtype == np.float64
    assert np.linalg.norm(truth) == pytest.approx(100, rel=1e-12)
    assert np.linalg.matrix_rank(truth) == 5


@given(m=sides, n=sides, data=st.data(), seed=st.integers(0, 2**32))
def test_rank_and_root_mean_square(m, n, data, seed):
    rank = data.draw(st.integers(1, min(m, n)))
    values = np.linalg.svd(low_rank((m, n), rank, seed=seed), compute_uv=False)
    assert np.sum(values**2) == pytest.approx(m * n, rel=1e-10)
    assert np.all(values[rank:] <= 1e-12 * values[0])
    assert values[rank - 1] > 0


@given(norm=st.floats(1e-6, 1e6))
def test_norm_only_rescales(norm):
    truth = low_rank((7, 4), 2, seed=3)
    scaled = low_rank((7, 4), 2, norm=norm, seed=3)
    np.testing.assert_allclose(scaled, truth * (norm / np.sqrt(28)), rtol=1e-12)


def test_seed_decides():
    np.testing.assert_array_equal(low_rank(seed=4), low_rank(seed=4))
    assert not np.allclose(low_rank(seed=4), low_rank(seed=5))


def test_factors_are_independent():
    # Were left and right one stream, a square truth would be symmetric.
    truth = low_rank((6, 6), 2)
    assert not np.allclose(truth, truth.T)


def test_long_gaussian_factors_are_nearly_orthogonal():
    # Uᵀ U and Vᵀ V are near m I and n I, so all singular values are near sqrt(m n / rank).
    values = np.linalg.svd(low_rank((800, 600), 3), compute_uv=False)[:3]
    np.testing.assert_allclose(values, np.sqrt(800 * 600 / 3), rtol=0.15)


@pytest.mark.parametrize("rank", [0, -1, 4, 2.0, True, "2", None])
def test_bad_rank(rank):
    with pytest.raises(InputError, match=r"rank must be an integer from 1 to 3 for a 5 x 3"):
        low_rank((5, 3), rank)


@pytest.mark.parametrize("shape", [(5,), (5, 0), (5, -2), (5, 2.0), (5, 3, 2), 5, None, "ab"])
def test_bad_shape(shape):
    with pytest.raises(InputError, match="shape must be a pair of positive integers"):
        low_rank(shape, 1)


@pytest.mark.parametrize("norm", [0, -1.0, np.inf, np.nan, "1", True])
def test_bad_norm(norm):
    with pytest.raises(InputError, match="norm must be a positive finite number"):
        low_rank((5, 3), 1, norm=norm)


@pytest.mark.parametrize("seed", [-1, 1.5, None])
def test_bad_seed(seed):
    with pytest.raises(InputError, match="seed must be an integer"):
        low_rank((5, 3), 1, seed=seed)
