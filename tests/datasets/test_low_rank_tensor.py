"""Synthetic tensors: rank by unfoldings, norm, and the law of the factors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow._errors import InputError
from factorflow.datasets import low_rank_tensor


def unfolding_ranks(tensor):
    flat = [np.moveaxis(tensor, n, 0).reshape(tensor.shape[n], -1) for n in range(tensor.ndim)]
    return [np.linalg.matrix_rank(matrix) for matrix in flat]


def test_default_is_the_published_ground_truth():
    truth = low_rank_tensor()
    assert truth.shape == (8, 8, 8)
    assert truth.dtype == np.float64
    assert np.linalg.norm(truth) == pytest.approx(1, rel=1e-12)
    assert unfolding_ranks(truth) == [1, 1, 1]


@given(sizes=st.lists(st.integers(4, 6), min_size=2, max_size=4), seed=st.integers(0, 2**32))
def test_every_unfolding_has_the_rank(sizes, seed):
    assert set(unfolding_ranks(low_rank_tensor(tuple(sizes), 3, seed=seed))) == {3}


@given(norm=st.floats(1e-6, 1e6))
def test_norm_only_rescales(norm):
    scaled = low_rank_tensor((3, 4, 2), 2, norm=norm, seed=3)
    unit = low_rank_tensor((3, 4, 2), 2, seed=3)
    np.testing.assert_allclose(scaled, norm * unit, rtol=1e-12)
    root_mean_square = low_rank_tensor((3, 4, 2), 2, norm=None, seed=3)
    np.testing.assert_allclose(root_mean_square, np.sqrt(24) * unit, rtol=1e-12)


def test_modes_are_independent():
    # Were the factors one stream, the tensor would be symmetric.
    truth = low_rank_tensor((5, 5, 5), 2)
    assert not np.allclose(truth, truth.transpose(1, 0, 2))


def test_long_factors_are_nearly_orthogonal():
    # So the squared norms of the components add up, and unfoldings have equal singular values.
    truth = low_rank_tensor((300, 20, 20), 2, seed=1)
    values = np.linalg.svd(truth.reshape(300, -1), compute_uv=False)[:2]
    np.testing.assert_allclose(values, np.sqrt(0.5), rtol=0.5)


def test_seed_decides():
    np.testing.assert_array_equal(low_rank_tensor(seed=4), low_rank_tensor(seed=4))
    assert not np.allclose(low_rank_tensor(seed=4), low_rank_tensor(seed=5))


@pytest.mark.parametrize("shape", [(8,), (8, 0), (8, -2, 3), (8, 2.0), 8, None, "ab"])
def test_bad_shape(shape):
    with pytest.raises(InputError, match="shape must be two positive integers or more"):
        low_rank_tensor(shape)


@pytest.mark.parametrize("rank", [0, -1, 7, 2.0, True, "2", None])
def test_bad_rank(rank):
    with pytest.raises(InputError, match=r"from 1 to 6 for a tensor of shape \(2, 4, 3\)"):
        low_rank_tensor((2, 4, 3), rank)


@pytest.mark.parametrize("norm", [0, -1.0, np.inf, np.nan, "1", True])
def test_bad_norm(norm):
    with pytest.raises(InputError, match="norm must be a positive finite number"):
        low_rank_tensor((2, 3), norm=norm)


@pytest.mark.parametrize("seed", [-1, 1.5, None])
def test_bad_seed(seed):
    with pytest.raises(InputError, match="seed must be an integer"):
        low_rank_tensor((2, 3), seed=seed)
