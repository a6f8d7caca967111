import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow._errors import InputError
from factorflow.datasets import photograph


@pytest.mark.parametrize("name", ["china", "flower"])
def test_full_size(name):
    gray, colour = photograph(name), photograph(name, gray=False)
    assert gray.shape == (427, 640)
    assert colour.shape == (427, 640, 3)
    assert gray.dtype == colour.dtype == np.float64
    assert colour.min() >= 0
    assert colour.max() <= 1
    # Luminance is a convex combination of the colours.
    assert np.all(gray <= colour.max(axis=2) + 1e-12)
    assert np.all(gray >= colour.min(axis=2) - 1e-12)


def test_photographs_differ_and_are_not_flat():
    assert np.std(photograph("china")) > 0.1
    assert not np.allclose(photograph("china"), photograph("flower"))


@given(max_side=st.integers(1, 639))
def test_scaled_down(max_side):
    small = photograph("flower", max_side=max_side)
    assert max(small.shape) == max_side
    assert small.shape[0] == max(1, round(427 * max_side / 640))
    assert small.min() >= 0
    assert small.max() <= 1


def test_scaling_keeps_the_mean():
    # A low-pass filter with unit weight keeps the average up to borders and rounding.
    full, small = photograph(gray=False), photograph(gray=False, max_side=64)
    np.testing.assert_allclose(small.mean(axis=(0, 1)), full.mean(axis=(0, 1)), atol=5e-3)


def test_a_large_max_side_changes_nothing():
    np.testing.assert_array_equal(photograph(max_side=640), photograph())
    np.testing.assert_array_equal(photograph(max_side=5000), photograph())


@pytest.mark.parametrize("name", ["China", "cat", "china.jpg", None])
def test_unknown_name(name):
    with pytest.raises(InputError, match=r"name must be one of 'china', 'flower'; got"):
        photograph(name)


@pytest.mark.parametrize("max_side", [0, -3, 2.5, "10", True])
def test_bad_max_side(max_side):
    with pytest.raises(InputError, match="max_side must be a positive number of pixels"):
        photograph(max_side=max_side)
