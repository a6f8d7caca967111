"""Losses of methods over their steps."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from factorflow._errors import InputError
from factorflow.plots import plot_losses
from factorflow.theory import two_sample_steps


@pytest.fixture
def losses():
    """Two descents on one quadratic, whose losses have a closed form."""
    steps = np.array([0, 1, 10, 100, 1000])
    values = [(1 - rate) ** (2.0 * steps) for rate in (1e-2, 1e-3)]
    # The second needs ten times the steps, as the rule of depth 1 says of it.
    fast, slow = two_sample_steps((1.0, 1.0), 2, 1, [1e-2, 1e-3])
    assert slow > 9 * fast
    return xr.DataArray(
        values,
        dims=("method", "step"),
        coords={"method": ["fast", "slow"], "step": steps},
        name="loss",
    )


def test_lines_hold_the_losses(losses, ax):
    assert plot_losses(losses, ax) is ax
    lines = ax.get_lines()
    assert [line.get_label() for line in lines] == ["fast", "slow"]
    for line, wanted in zip(lines, losses.values, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), wanted[1:])
        np.testing.assert_array_equal(line.get_xdata(), losses["step"].values[1:])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Steps", "Loss")
    assert len({line.get_color() for line in lines}) == 2
    assert len({line.get_linestyle() for line in lines}) == 2


def test_what_a_run_lacks_is_left_out(losses, ax):
    gappy = losses.copy(deep=True)
    gappy[1, -2:] = np.nan
    plot_losses(gappy, ax)
    assert len(ax.get_lines()[1].get_xdata()) == 2


def test_new_figure_only_without_axes(losses):
    own = Figure().subplots()
    assert plot_losses(losses, own) is own
    assert plt.get_fignums() == []
    assert plot_losses(losses.transpose()) is plt.gcf().axes[0]


def test_other_dimensions(losses):
    with pytest.raises(InputError, match="dimensions"):
        plot_losses(losses.isel(method=0))
    with pytest.raises(InputError, match="'step' of numbers"):
        plot_losses(losses.drop_vars("step"))
