"""Matrices and photographs as images."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.figure import Figure

from factorflow._errors import InputError
from factorflow.plots import color_range, plot_matrix

MATRIX = np.arange(12.0).reshape(3, 4)
OBSERVED = MATRIX % 2 == 0


def drawn(ax):
    """What each cell looks like, red, green, blue."""
    image = ax.images[0]
    return image.to_rgba(image.get_array())[..., :3]


def hues(rgb):
    return np.ptp(rgb, axis=-1)


def test_values_and_labels(ax):
    assert plot_matrix(MATRIX, ax, title="Ratings") is ax
    np.testing.assert_array_equal(ax.images[0].get_array(), MATRIX)
    assert ax.images[0].get_clim() == (0, 11)
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("Ratings", "Column", "Row")
    assert ax.get_aspect() == 1


def test_new_figure_only_without_axes():
    plot_matrix(MATRIX, Figure().subplots())
    assert plt.get_fignums() == []
    assert plot_matrix(MATRIX).figure is plt.gcf()


def test_unobserved_cells_of_a_gray_matrix_have_a_hue(ax):
    colours = drawn(plot_matrix(MATRIX, ax, observed=OBSERVED))
    assert (hues(colours)[OBSERVED] < 0.01).all()
    assert (hues(colours)[~OBSERVED] > 0.1).all()
    assert ax.images[0].get_clim() == (0, 10)


def test_unobserved_cells_of_a_signed_matrix_are_gray(ax):
    signed = MATRIX - 6.5
    colours = drawn(plot_matrix(signed, ax, observed=OBSERVED))
    low, high = ax.images[0].get_clim()
    assert low == -high
    assert (hues(colours)[~OBSERVED] < 0.01).all()
    assert (hues(colours)[OBSERVED & (np.abs(signed) > 1)] > 0.05).all()


def test_not_a_number_is_unobserved():
    holes = np.where(OBSERVED, MATRIX, np.nan)
    by_array = drawn(plot_matrix(MATRIX, observed=OBSERVED))
    np.testing.assert_array_equal(drawn(plot_matrix(holes)), by_array)


def test_nothing_observed(ax):
    colours = drawn(plot_matrix(np.full((2, 2), np.nan), ax))
    assert len(np.unique(colours.reshape(-1, 3), axis=0)) == 1


@pytest.mark.parametrize("kind", ["floats", "bytes"])
def test_photograph_in_colour(ax, kind):
    photograph = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    given_ = photograph if kind == "bytes" else photograph / 255
    plot_matrix(given_, ax, observed=OBSERVED, colorbar=True)
    seen = ax.images[0].get_array()
    np.testing.assert_allclose(seen[OBSERVED], photograph[OBSERVED] / 255)
    assert len(np.unique(seen[~OBSERVED], axis=0)) == 1
    assert ax.figure.axes == [ax]


def test_pixel_is_observed_where_all_its_colours_are(ax):
    photograph = np.full((2, 2, 3), 0.5)
    photograph[0, 0, 1] = np.nan
    observed = np.ones((2, 2, 3), dtype=bool)
    observed[1, 1, 2] = False
    seen = plot_matrix(photograph, ax, observed=observed).images[0].get_array()
    assert ((seen == 0.5).all(axis=2) == [[False, True], [True, False]]).all()


def test_colours_beyond_the_range_are_clipped(ax):
    plot_matrix(np.array([[[-1.0, 0.5, 7.0]]]), ax)
    np.testing.assert_array_equal(ax.images[0].get_array(), [[[0, 0.5, 1]]])


def test_given_range(ax):
    plot_matrix(MATRIX, ax, value_range=(1, 5))
    assert ax.images[0].get_clim() == (1, 5)


def test_colorbar(ax):
    plot_matrix(MATRIX, ax, colorbar=True)
    assert [other.get_ylabel() for other in ax.figure.axes if other is not ax] == ["Value"]


@given(arrays(float, (3, 4), elements=st.floats(-1e6, 1e6)))
def test_range_holds_the_values(matrix):
    low, high = color_range(matrix)
    assert low < high
    assert low <= matrix.min() <= matrix.max() <= high
    if matrix.min() < 0 < matrix.max():
        assert low == -high


def test_long_matrices_are_thinned_and_keep_their_axes(ax):
    tall = np.arange(4000.0)[:, None] * np.ones(3)
    plot_matrix(tall, ax, observed=tall % 6 == 0)
    assert ax.images[0].get_array().shape == (1334, 3)
    assert ax.images[0].get_extent() == [-0.5, 2.5, 3999.5, -0.5]
    assert ax.images[0].get_array()[2, 0] == 6
    assert ax.get_aspect() == "auto"


@pytest.mark.parametrize("shape", [(3,), (2, 2, 4), (0, 3)])
def test_no_matrix(shape, ax):
    with pytest.raises(InputError, match=r"a matrix \(m, n\) or a photograph"):
        plot_matrix(np.ones(shape), ax)


@pytest.mark.parametrize("observed", [OBSERVED.T, OBSERVED.astype(int)])
def test_observed_does_not_fit(observed, ax):
    with pytest.raises(InputError, match="observed must be a boolean array"):
        plot_matrix(MATRIX, ax, observed=observed)


@pytest.mark.parametrize("value_range", [(1, 1), (2, 1), (0, np.inf), (np.nan, 1)])
def test_range_does_not_ascend(value_range, ax):
    with pytest.raises(InputError, match="two ascending numbers"):
        plot_matrix(MATRIX, ax, value_range=value_range)
