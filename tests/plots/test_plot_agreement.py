"""Two measurements of the same runs, and distances from an optimum."""

import numpy as np
import pytest
from many_runs import DEPTHS, over_scales, schatten_powers

from factorflow import InputError
from factorflow.plots import plot_agreement, plot_duality_gap, plot_schatten


@pytest.fixture(scope="module")
def results():
    return over_scales(4)


def test_points_and_diagonal(results, ax):
    left, right = results["gap"], results["excess"]
    plot_agreement(left, right, ax, labels=("Gap", "Excess"), by="depth")
    diagonal, *groups = ax.get_lines()
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    for group, depth in zip(groups, DEPTHS, strict=True):
        np.testing.assert_array_equal(group.get_xdata(), left.sel(depth=depth).values.ravel())
        np.testing.assert_array_equal(group.get_ydata(), right.sel(depth=depth).values.ravel())
        assert group.get_label() == f"depth {depth}"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Gap", "Excess")
    assert ax.get_xlim() == ax.get_ylim()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_runs_are_matched_by_their_coordinates(results, ax):
    found = results["nuclear_norm"]
    plot_agreement(found, found.isel(instance=[2, 0]).transpose("scale", "instance", "depth"), ax)
    points = ax.get_lines()[1]
    assert len(points.get_xdata()) == found.size // 2
    np.testing.assert_array_equal(points.get_xdata(), points.get_ydata())
    assert ax.get_xscale() == "linear"


def test_runs_that_one_side_lacks(results, ax):
    left, right = results["gap"], results["gap"].copy(deep=True)
    right[0] = np.nan
    plot_agreement(left, right, ax, by="depth")
    assert [len(line.get_xdata()) for line in ax.get_lines()[1:]] == [0, 16, 16]
    with pytest.raises(InputError, match="No run has both"):
        plot_agreement(left.isel(depth=[0]), right.isel(depth=[1]), ax)


def test_grouping_by_no_dimension(results, ax):
    with pytest.raises(InputError, match="by='method' is no dimension"):
        plot_agreement(results["gap"], results["gap"], ax, by="method")


def test_gap_and_excess(results, ax):
    plot_duality_gap(results, ax)
    for i, depth in enumerate(DEPTHS):
        for line, name in ((ax.get_lines()[i], "gap"), (ax.get_lines()[3 + i], "excess")):
            expected = results[name].sel(depth=depth).median("instance").values[::-1]
            np.testing.assert_allclose(line.get_ydata(), expected)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["depth 2", "depth 3", "depth 4", "true excess"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_gap_of_one_instance(results, ax):
    plot_duality_gap(results["gap"].isel(instance=0, drop=True), ax)
    assert len(ax.get_lines()) == 3


def test_rounding_below_zero_is_left_out(results, ax):
    found = results["gap"].copy(deep=True)
    found[0, 0] = -1e-16
    plot_duality_gap(found, ax)
    assert len(ax.get_lines()[0].get_xdata()) == len(ax.get_lines()[1].get_xdata()) - 1
    with pytest.raises(InputError, match="no positive value"):
        plot_duality_gap(-results["gap"], ax)


def test_gap_must_be_there(results, ax):
    with pytest.raises(InputError, match="no 'gap'"):
        plot_duality_gap(results.drop_vars("gap"), ax)


def test_quasi_norms_differ_without_colour(ax):
    exponents = np.linspace(0.1, 1, 8)
    powers = schatten_powers().isel(p=0, drop=True).expand_dims(p=exponents)
    plot_schatten(powers, ax)
    assert len({tuple(map(str, line._dash_pattern)) for line in ax.get_lines()[:-1]}) == 8
    assert "relative to" in ax.get_ylabel()


def test_quasi_norms_relative_to_the_middle(ax):
    powers = schatten_powers()
    plot_schatten(powers, ax)
    *lines, middle = ax.get_lines()
    for line, row in zip(lines, powers.values, strict=True):
        np.testing.assert_allclose(line.get_ydata(), row / 2)
    assert (middle.get_xdata()[0], middle.get_ydata()[0]) == (0, 1)
    assert np.ptp(lines[-1].get_ydata()) < 1e-12
