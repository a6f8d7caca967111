"""The factor of depth."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from factorflow._errors import InputError
from factorflow.plots import plot_factor


def lines(ax):
    return {line.get_label(): line.get_xydata().T for line in ax.get_lines()}


def test_closed_forms(ax):
    assert plot_factor((1, 2, 4), ax, largest=2.0) is ax
    drawn = lines(ax)
    assert list(drawn) == ["depth 1", "depth 2", "depth 4"]
    x, factor = drawn["depth 1"]
    np.testing.assert_array_equal(factor, 1)
    np.testing.assert_allclose(drawn["depth 2"][1], 2 * x)
    np.testing.assert_allclose(drawn["depth 4"][1] ** 2, 16 * x**3, atol=1e-15)
    assert (x[0], x[-1]) == (0, 2)
    assert ax.get_xlabel()
    assert ax.get_ylabel()


@pytest.mark.parametrize("depth", [2, 3, 2.5])
def test_slower_below_the_crossing_and_faster_above(ax, depth):
    plot_factor([depth], ax)
    ((x, factor),) = lines(ax).values()
    crossing = depth ** (-depth / (2 * (depth - 1)))
    assert np.all(np.sign(factor - 1) == np.sign(x - crossing))


def test_a_figure_of_its_own():
    ax = plot_factor()
    assert ax is plt.gcf().axes[0]
    assert len(ax.get_lines()) == 4


@pytest.mark.parametrize("depths", [[], [0.5], [2, np.nan], [np.inf]])
def test_no_depths(depths):
    with pytest.raises(InputError, match="depths"):
        plot_factor(depths)


def test_no_range():
    with pytest.raises(InputError, match="largest"):
        plot_factor(largest=0)
