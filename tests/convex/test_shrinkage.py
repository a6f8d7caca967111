"""Soft-thresholding by partial decompositions against whole ones."""

import numpy as np
import pytest

from factorflow.convex._shrinkage import Shrinkage


def expected(matrix, threshold):
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return (left * np.maximum(values - threshold, 0)) @ right


@pytest.mark.parametrize("shape", [(8, 5), (230, 260), (300, 210)])
def test_sequence_of_matrices_that_change_little(shape):
    rng = np.random.default_rng(0)
    m, n = shape
    spike = 40 * np.outer(rng.normal(size=m), rng.normal(size=n)) / np.sqrt(m * n)
    shrink, matrix = Shrinkage(shape), spike + rng.normal(size=shape) / np.sqrt(m)
    for _ in range(4):
        found = shrink(matrix, 4.0, error=1e-6)
        assert np.linalg.norm(found.matrix() - expected(matrix, 4.0)) <= 2e-6
        assert np.allclose(found.right @ found.right.T, np.eye(found.rank))
        matrix = matrix + 0.01 * rng.normal(size=shape) / np.sqrt(m)


def test_rank_that_grows_past_the_block_is_not_missed():
    rng = np.random.default_rng(1)
    shrink = Shrinkage((250, 250))
    noise = rng.normal(size=(250, 250)) / 250
    low = rng.normal(size=(250, 2)) @ rng.normal(size=(2, 250))
    assert shrink(low + noise, 20.0, 1e-6).rank == 2
    high = rng.normal(size=(250, 60)) @ rng.normal(size=(60, 250))
    found = shrink(high + noise, 20.0, 1e-6)
    assert found.rank == np.sum(np.linalg.svd(high + noise, compute_uv=False) > 20.0)


def test_everything_below_the_threshold_is_zero():
    found = Shrinkage((6, 4))(np.eye(6, 4), 1.5)
    assert found.rank == 0
    assert not found.matrix().any()
