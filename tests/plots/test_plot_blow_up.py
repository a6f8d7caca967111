"""A quantity against the loss with its bounds."""

import numpy as np
import pytest
import xarray as xr

from factorflow import InputError
from factorflow.plots import plot_blow_up


@pytest.fixture
def runs():
    loss = np.array([[1.0, 1e-2, 1e-4], [0.9, 1e-3, np.nan], [1.0, 1e-2, 1e-3]])
    found = xr.Dataset(
        {"loss": (("run", "record"), loss), "entry": (("run", "record"), 0.5 / np.sqrt(loss))},
        {"run": ["depth 2", "depth 2", "depth 3"]},
    )
    found["loss"].attrs["long_name"] = "Loss"
    return found


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_line_for_each_run_and_a_name_for_each_kind(runs, ax):
    plot_blow_up(runs, "entry", ax)
    lines = ax.get_lines()
    assert [len(line.get_xdata()) for line in lines] == [3, 2, 3]
    np.testing.assert_allclose(lines[2].get_ydata(), runs["entry"].values[2])
    looks = [(line.get_color(), line.get_linestyle()) for line in lines]
    assert looks[0] == looks[1] != looks[2]
    assert texts(ax) == ["depth 2", "depth 3"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.xaxis.get_inverted()
    assert ax.get_xlabel() == "Loss"


def test_bounds_are_drawn_over_the_losses_of_the_runs(runs, ax):
    plot_blow_up(runs, "entry", ax, bounds={"bound": lambda loss: 0.1 / np.sqrt(loss)})
    bound = ax.get_lines()[-1]
    x, y = bound.get_data()
    assert x.min() == pytest.approx(1e-4)
    np.testing.assert_allclose(y, 0.1 / np.sqrt(x))
    assert y.min() >= runs["entry"].min()  # nothing below what is drawn of the runs
    assert texts(ax) == ["depth 2", "depth 3", "bound"]


def test_values_without_a_logarithm_are_left_out(runs, ax):
    runs["entry"][0, 0] = 0.0
    plot_blow_up(runs, "entry", ax)
    assert len(ax.get_lines()[0].get_xdata()) == 2
    with pytest.raises(InputError, match="never are"):
        plot_blow_up(runs.assign(entry=-runs["entry"]), "entry", ax)


def test_nothing_lies_under_the_legend(runs, ax):
    plot_blow_up(runs, "entry", ax, bounds={"bound": lambda loss: 1 / np.sqrt(loss)})
    ax.figure.canvas.draw()
    lowest = ax.get_legend().get_window_extent().y0
    for line in ax.get_lines():
        assert line.get_transform().transform(line.get_xydata())[:, 1].max() < lowest


def test_what_is_no_set_of_runs(runs, ax):
    with pytest.raises(InputError, match="loss"):
        plot_blow_up(runs.drop_vars("loss"), "entry", ax)
    with pytest.raises(InputError, match="dimensions"):
        plot_blow_up(runs.isel(run=0), "entry", ax)
