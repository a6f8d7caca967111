"""Digits in two classes, their places and their controls."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from factorflow import InputError
from factorflow.datasets import digits

WRITTEN = load_digits()


@pytest.mark.parametrize("grid", [1, 2, 4, 8])
def test_places_hold_the_pixels(grid):
    data = digits(3, 5, grid=grid)
    chosen = np.isin(WRITTEN.target, [3, 5])
    np.testing.assert_array_equal(data.images, WRITTEN.images[chosen] / 16)
    np.testing.assert_array_equal(data.labels, np.where(WRITTEN.target[chosen] == 3, 1, -1))
    assert data.pixels.shape == (chosen.sum(), grid**2, (8 // grid) ** 2)


def test_neighbours_in_order_are_neighbours_in_the_image():
    data = digits(0, 1, grid=4)
    first = WRITTEN.images[np.isin(WRITTEN.target, [0, 1])][0] / 16
    np.testing.assert_array_equal(data.pixels[0, 0], first[:2, :2].ravel())
    np.testing.assert_array_equal(data.pixels[0, 3], first[2:4, 2:4].ravel())
    quarters = data.pixels[0].reshape(4, -1).sum(axis=1)
    wanted = [first[i : i + 4, j : j + 4].sum() for i in (0, 4) for j in (0, 4)]
    np.testing.assert_allclose(quarters, wanted)


def test_one_against_the_rest():
    data = digits(7)
    assert len(data.labels) == 1797
    assert (data.labels == 1).sum() == (WRITTEN.target == 7).sum()


def test_random_labels_are_those_of_the_images_dealt_anew():
    data, control = digits(3, 5), digits(3, 5, control="labels", seed=1)
    np.testing.assert_array_equal(control.pixels, data.pixels)
    assert control.labels.sum() == data.labels.sum()
    assert 0.35 < np.mean(control.labels == data.labels) < 0.65


def test_random_images_keep_each_pixel_and_lose_the_rest():
    data, control = digits(3, 5), digits(3, 5, control="images", seed=1)
    np.testing.assert_array_equal(control.labels, data.labels)
    np.testing.assert_array_equal(np.sort(control.pixels, axis=0), np.sort(data.pixels, axis=0))
    apart = [np.corrcoef(each.images[:, 2:6, 2:6].reshape(-1, 16).T) for each in (data, control)]
    strengths = [np.abs(each[np.triu_indices(16, 1)]).mean() for each in apart]
    assert strengths[1] < 0.1 < 0.2 < strengths[0]


@pytest.mark.parametrize("control", ["labels", "images"])
def test_seeds(control):
    one, same, other = (digits(1, 2, control=control, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.pixels, same.pixels)
    np.testing.assert_array_equal(one.labels, same.labels)
    differs = (one.pixels != other.pixels).any() or (one.labels != other.labels).any()
    assert differs


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((3, 3), {}, "two different digits"),
        ((10,), {}, "two different digits"),
        ((True, 0), {}, "two different digits"),
        (("3",), {}, "two different digits"),
        ((3, 5), {"grid": 3}, "grid must be one of 1, 2, 4, 8; got 3"),
        ((3, 5), {"control": "noise"}, 'control must be "labels", "images" or None'),
        ((3, 5), {"control": "labels", "seed": -1}, "seed must be"),
    ],
)
def test_what_is_refused(arguments, options, message):
    with pytest.raises(InputError, match=message):
        digits(*arguments, **options)
