"""Where recovery begins: shares with intervals, medians with quartiles, and a map of cells."""

import numpy as np
import pytest
from many_runs import over_measurements, over_scales
from matplotlib.colors import LogNorm, to_rgb
from scipy.stats import binomtest

from factorflow import InputError
from factorflow.plots import plot_map, plot_recovery


@pytest.fixture(scope="module")
def results():
    return over_measurements(6)


def test_booleans_are_shares_with_wilson_intervals(results, ax):
    plot_recovery(results, "recovered", ax)
    for i, line in enumerate(ax.get_lines()):
        successes = results["recovered"].values[i].sum(axis=1)
        np.testing.assert_allclose(line.get_ydata(), successes / 6)
        ends = [binomtest(int(k), 6).proportion_ci(method="wilson") for k in successes]
        corners = ax.collections[i].get_paths()[0].vertices[:, 1]
        for each in ends:
            assert np.abs(corners - each.low).min() < 1e-4
            assert np.abs(corners - each.high).min() < 1e-4
    assert ax.get_ylabel() == "Share of instances recovered"
    assert ax.get_xscale() == "linear"


def test_missing_runs_do_not_count(results, ax):
    gappy = results["recovered"].astype(float)
    gappy[0, :, 4:] = np.nan
    plot_recovery(gappy, "recovered", ax)
    expected = results["recovered"].values[0, :, :4].mean(axis=1)
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), expected)


def test_numbers_are_medians(results, ax):
    plot_recovery(results, "mean_squared_error", ax)
    expected = results["mean_squared_error"].median("instance").values
    np.testing.assert_allclose([line.get_ydata() for line in ax.get_lines()], expected)
    assert ax.get_yscale() == "log"


def test_along_the_scale(ax):
    found = over_scales(2).rename(depth="method")
    plot_recovery(found, "nuclear_norm", ax, x="scale")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    assert ax.get_xlabel() == "Scale of initialization"


def test_dimension_that_is_not_there(results, ax):
    with pytest.raises(InputError, match="dimensions"):
        plot_recovery(results, "recovered", ax, x="scale")


def test_map_writes_each_cell(results, ax):
    table = results["nuclear_norm"].median("instance")
    plot_map(table, ax)
    written = [float(text.get_text()) for text in ax.texts]
    np.testing.assert_allclose(written, table.values.ravel(), rtol=0.05)
    assert ax.get_ylabel() == "Method"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "2", "3", "4"]
    assert ax.figure.axes[1].get_ylabel() == "Nuclear norm"


def test_map_of_errors_is_logarithmic(results):
    table = results["mean_squared_error"].median("instance")
    assert isinstance(plot_map(table).images[0].norm, LogNorm)
    assert not isinstance(plot_map(table.rename("level")).images[0].norm, LogNorm)


def test_map_leaves_gaps_blank(results, ax):
    table = results["nuclear_norm"].median("instance")
    table[0, 0] = np.nan
    plot_map(table, ax)
    assert len(ax.texts) == table.size - 1
    assert ax.images[0].get_array().mask.sum() == 1


def test_map_can_be_read_on_every_colour(results, ax):
    """A contrast of 4 or more, by the definition of relative luminance in sRGB."""
    table = results["recovered"].mean("instance")
    table[0] = [0.3, 0.4, 0.45, 0.6]
    plot_map(table, ax)
    image = ax.images[0]
    for text, value in zip(ax.texts, image.get_array().ravel(), strict=True):
        lights = [_luminance(image.cmap(image.norm(value))), _luminance(to_rgb(text.get_color()))]
        assert (max(lights) + 0.05) / (min(lights) + 0.05) > 4


def _luminance(color):
    channels = np.asarray(color[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("table", ["no", np.eye(2)])
def test_map_of_no_table(table, ax):
    with pytest.raises(InputError, match="two dimensions"):
        plot_map(table, ax)


def test_map_of_a_dataset_or_one_dimension(results, ax):
    with pytest.raises(InputError, match=r"got a Dataset\.$"):
        plot_map(results, ax)
    with pytest.raises(InputError, match=r"got a DataArray over \('method',\)"):
        plot_map(results["gap"].median(["instance", "oversampling"]), ax)


def test_map_names_its_sides_in_words(results, ax):
    table = results["gap"].median("instance").rename(oversampling="n_observed")
    assert plot_map(table, ax).get_xlabel() == "Number of observed entries"


def test_map_of_three_dimensions(results, ax):
    with pytest.raises(InputError, match="two dimensions"):
        plot_map(results["nuclear_norm"], ax)
