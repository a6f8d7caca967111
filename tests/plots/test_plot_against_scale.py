"""A quantity against the scale: medians, bands, baseline and published values."""

import numpy as np
import pytest
from many_runs import DEPTHS, SCALES, over_scales

from factorflow import InputError
from factorflow.plots import plot_against_scale


@pytest.fixture(scope="module")
def results():
    return over_scales(5)


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_lines_are_medians_in_ascending_scale(results, ax):
    plot_against_scale(results, "nuclear_norm", ax)
    for line, depth in zip(ax.get_lines(), DEPTHS, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), sorted(SCALES))
        expected = np.median(results["nuclear_norm"].sel(depth=depth).values, axis=1)
        np.testing.assert_allclose(line.get_ydata(), expected[::-1])
    assert texts(ax) == ["depth 2", "depth 3", "depth 4"]


def test_bands_are_quartiles(results, ax):
    plot_against_scale(results.sel(depth=[3]), "nuclear_norm", ax)
    low, high = np.quantile(results["nuclear_norm"].sel(depth=3).values, [0.25, 0.75], axis=1)
    corners = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert set(np.round(corners, 12)) == set(np.round([*low, *high], 12))


def test_axes_of_errors_and_of_others(results):
    error = plot_against_scale(results, "mean_squared_error")
    rank = plot_against_scale(results, "effective_rank")
    assert (error.get_xscale(), error.get_yscale()) == ("log", "log")
    assert (rank.get_xscale(), rank.get_yscale()) == ("log", "linear")
    assert rank.get_xlabel() == "Scale of initialization"


def test_lines_differ_without_colour(results, ax):
    plot_against_scale(results, "effective_rank", ax)
    looks = {(line.get_linestyle(), line.get_marker()) for line in ax.get_lines()}
    assert len(looks) == len(DEPTHS)


def test_missing_runs_are_passed_over(results, ax):
    gappy = results["nuclear_norm"].copy(deep=True)
    gappy[0, 1] = np.nan
    gappy[0, 2, 0] = np.nan
    plot_against_scale(gappy, "nuclear norm", ax)
    assert [len(line.get_xdata()) for line in ax.get_lines()] == [3, 4, 4]
    assert ax.get_lines()[0].get_ydata()[1] == np.median(gappy[0, 2, 1:])


def test_baseline(results, ax):
    baseline = results["nuclear_norm"].isel(depth=2, scale=3, drop=True).rename("convex_baseline")
    plot_against_scale(results, "nuclear_norm", ax, baseline=baseline)
    assert "convex baseline" in texts(ax)
    line = next(each for each in ax.get_lines() if each.get_label() == "convex baseline")
    np.testing.assert_allclose(line.get_ydata(), np.median(baseline))
    with pytest.raises(InputError, match="dimensions"):
        plot_against_scale(results, "nuclear_norm", ax, baseline=results["nuclear_norm"])


def test_published_values_are_hollow(results, ax):
    published = {2: ([1e-3, 1e-2], [1.5, 1.6]), 3: (1e-3, 1.7), "convex": 1.4}
    plot_against_scale(results, "nuclear_norm", ax, published=published)
    marks = ax.get_lines()[len(DEPTHS) :]
    assert [list(mark.get_ydata()) for mark in marks] == [[1.5, 1.6], [1.7], [1.4]]
    assert all(mark.get_markerfacecolor() == "white" for mark in marks)
    assert all(mark.get_linestyle() == "None" for mark in marks)
    assert marks[0].get_color() == ax.get_lines()[0].get_color()
    assert texts(ax)[-2:] == ["hollow: published", "published: convex"]


def test_published_values_without_a_scale_stand_inside_at_the_left(results, ax):
    plot_against_scale(results, "nuclear_norm", ax, published={2: 1.6})
    ax.figure.canvas.draw()
    *lines, mark = ax.get_lines()
    box = ax.get_window_extent()
    half = mark.get_markersize() / 2 * ax.figure.dpi / 72
    middle = mark.get_transform().transform(mark.get_xydata())[0, 0]
    first = min(line.get_transform().transform(line.get_xydata())[:, 0].min() for line in lines)
    assert box.x0 < middle - half < middle + half < first - half


@pytest.mark.parametrize("quantity", ["nuclear_norm", "mean_squared_error"])
def test_nothing_lies_under_the_legend(results, ax, quantity):
    baseline = results[quantity].isel(depth=2, scale=3, drop=True).rename("baseline")
    published = {2: ([1e-5, 1e-1], 2.0), 3: 1.7, "convex": 1.4}
    plot_against_scale(results, quantity, ax, baseline=baseline, published=published)
    ax.figure.canvas.draw()
    lowest = ax.get_legend().get_window_extent().y0
    for line in ax.get_lines():
        assert line.get_transform().transform(line.get_xydata())[:, 1].max() < lowest
    for band in ax.collections:
        vertices = band.get_paths()[0].vertices
        assert ax.transData.transform(vertices)[:, 1].max() < lowest


def test_later_data_are_taken_into_the_range(results, ax):
    plot_against_scale(results, "nuclear_norm", ax)
    plot_against_scale(results["nuclear_norm"] * 10, "nuclear norm", ax)
    assert ax.get_ylim()[1] > 10 * results["nuclear_norm"].sel(scale=1e-1).median()


@pytest.mark.parametrize("value", [(1, 2, 3), ([1e-3, 1e-2, 1e-1], [1, 2]), "two", None])
def test_published_values_that_are_no_pair(results, ax, value):
    with pytest.raises(InputError, match="a pair"):
        plot_against_scale(results, "nuclear_norm", ax, published={2: value})


def test_scale_must_be_numbers(results, ax):
    with pytest.raises(InputError, match="coordinate 'scale' of numbers"):
        plot_against_scale(results.drop_vars("scale"), "nuclear_norm", ax)
