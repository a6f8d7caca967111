"""Methods beside each other, and instance by instance."""

import numpy as np
import pytest
from many_runs import over_methods

from factorflow import InputError
from factorflow.plots import plot_methods, plot_pairs

ERROR = "mean_squared_error"
NAMES = ["depth 2", "depth 3", "depth 4"]


@pytest.fixture(scope="module")
def results():
    return over_methods(5)


def places(ax):
    return [text.get_text() for text in ax.get_xticklabels()]


def test_every_instance_and_the_median(results, ax):
    plot_methods(results, ERROR, ax)
    points, bars = ax.get_lines()[::2], ax.get_lines()[1::2]
    for i, name in enumerate(NAMES):
        values = results[ERROR].sel({"method": name}).values
        np.testing.assert_array_equal(points[i].get_ydata(), values)
        assert np.all(np.abs(np.asarray(points[i].get_xdata()) - i) < 0.5)
        assert set(bars[i].get_ydata()) == {np.median(values)}
    assert places(ax) == NAMES


def test_axis_by_the_span_of_the_values(results):
    assert plot_methods(results, ERROR).get_yscale() == "log"
    near = 2 + results[ERROR]
    assert plot_methods(near, ERROR).get_yscale() == "linear"
    assert plot_methods(-results[ERROR], ERROR).get_yscale() == "linear"


def test_published_value_of_a_method(results, ax):
    plot_methods(results, ERROR, ax, published={"depth 3": 1e-4})
    mark = ax.get_lines()[-1]
    assert list(mark.get_ydata()) == [1e-4]
    points, bar = ax.get_lines()[2:4]
    assert max(*points.get_xdata(), *bar.get_xdata()) < mark.get_xdata()[0] <= 1.36
    assert mark.get_markerfacecolor() == "white"
    with pytest.raises(InputError, match="'depth 9', which is no method"):
        plot_methods(results, ERROR, ax, published={"depth 9": 1})


def test_published_value_in_the_legend_is_no_value(results, ax):
    plot_methods(results, ERROR, ax, published={"depth 3": 1e-4})
    legend = ax.get_legend()
    assert legend.get_frame_on()
    assert legend.get_window_extent().y0 >= ax.get_window_extent().y1


def test_method_without_a_run_keeps_its_place(results, ax):
    gappy = results[ERROR].copy(deep=True)
    gappy[1] = np.nan
    plot_methods(gappy, ERROR, ax)
    assert len(ax.get_lines()) == 4
    assert places(ax) == NAMES


def test_pairs_join_the_instances(results, ax):
    plot_pairs(results, ERROR, ax)
    *instances, median = ax.get_lines()
    np.testing.assert_array_equal([each.get_ydata() for each in instances], results[ERROR].T)
    np.testing.assert_allclose(median.get_ydata(), np.median(results[ERROR].values, axis=1))
    assert places(ax) == NAMES
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one instance", "median"]


def test_one_instance_lies_on_its_median_and_is_seen(results, ax):
    plot_pairs(results.isel(instance=[0]), ERROR, ax)
    instance, median = ax.get_lines()
    np.testing.assert_array_equal(instance.get_ydata(), median.get_ydata())
    assert instance.get_zorder() > median.get_zorder()
    assert median.get_linewidth() > 2 * instance.get_linewidth()


def test_pairs_are_logarithmic_where_they_can_be(results):
    assert plot_pairs(results, ERROR).get_yscale() == "log"
    assert plot_pairs(results[ERROR] - 1, ERROR).get_yscale() == "linear"


def test_order_of_the_dimensions_does_not_matter(results):
    one = plot_pairs(results, ERROR).get_lines()
    other = plot_pairs(results.transpose("instance", "method"), ERROR).get_lines()
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left.get_ydata(), right.get_ydata())
