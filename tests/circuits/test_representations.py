"""What enters circuits."""

import numpy as np
import pytest

from factorflow import InputError
from factorflow.circuits import one_hot, representation


def test_one_hot_of_an_array_and_of_a_sequence():
    indices = np.array([[0, 2], [1, 0], [1, 1]])
    first, second = one_hot(indices, (2, 3))
    np.testing.assert_array_equal(first, [[1, 0], [0, 1], [0, 1]])
    np.testing.assert_array_equal(second, [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    for one, other in zip(one_hot(tuple(indices.T), (2, 3)), (first, second), strict=True):
        np.testing.assert_array_equal(one, other)
    single = one_hot([1, 2], (2, 3))
    assert [each.shape for each in single] == [(2,), (3,)]


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        (np.array([[0, 3]]), r"Mode 1 has the indices 0 to 2; got 3"),
        (np.array([[-1, 0]]), "Mode 0 has the indices 0 to 1; got -1"),
        (np.array([[0, 1, 1]]), "must be 2, one for each mode"),
        (np.array([[0.0, 1.0]]), "must be integers; got float64"),
    ],
)
def test_indices_outside(indices, message):
    with pytest.raises(InputError, match=message):
        one_hot(indices, (2, 3))


PIXELS = np.array([[[0.0, 0.0], [1.0, 1.0]], [[0.25, 0.75], [0.5, 1.0]]])


def test_affine_keeps_every_pixel():
    vectors = representation(PIXELS)
    assert vectors.shape == (2, 2, 3)
    np.testing.assert_array_equal(vectors[..., 0], 1)
    np.testing.assert_array_equal(vectors[..., 1:], PIXELS)


def test_black_and_white_are_one_hot():
    for kind in ("linear", "angle"):
        vectors = representation(PIXELS, kind)
        np.testing.assert_allclose(vectors[0], np.eye(2), atol=1e-15)
        assert vectors.shape == (2, 2, 2)


def test_sums_and_norms():
    linear, angle = (representation(PIXELS, kind) for kind in ("linear", "angle"))
    np.testing.assert_allclose(linear.sum(axis=-1), 1)
    np.testing.assert_allclose(linear[..., 1], PIXELS.mean(axis=-1))
    np.testing.assert_allclose(np.linalg.norm(angle, axis=-1), 1)
    np.testing.assert_allclose(angle[1, 0], np.sqrt([0.5, 0.5]))


@pytest.mark.parametrize(
    ("pixels", "kind", "message"),
    [
        ([[16.0]], "linear", "from 0 to 1"),
        ([[np.nan]], "affine", "from 0 to 1"),
        ([["a"]], "affine", "from 0 to 1"),
        (0.5, "affine", "k pixels at a place"),
        ([[0.5]], "cosine", "kind must be one of affine, linear, angle"),
    ],
)
def test_pixels_that_are_none(pixels, kind, message):
    with pytest.raises(InputError, match=message):
        representation(pixels, kind)
