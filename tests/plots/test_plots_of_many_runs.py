"""What the plots of many runs have in common; a new one is entered in ``PLOTS``."""

import matplotlib.pyplot as plt
import pytest
from many_runs import over_measurements, over_methods, over_scales, schatten_powers
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from factorflow import InputError
from factorflow.plots import (
    plot_against_scale,
    plot_agreement,
    plot_duality_gap,
    plot_map,
    plot_methods,
    plot_pairs,
    plot_recovery,
    plot_schatten,
)

ERROR = "mean_squared_error"
# Of two instances each.
PLOTS = {
    plot_against_scale: lambda ax: plot_against_scale(over_scales(2), ERROR, ax),
    plot_methods: lambda ax: plot_methods(over_methods(2), ERROR, ax),
    plot_pairs: lambda ax: plot_pairs(over_methods(2), ERROR, ax),
    plot_recovery: lambda ax: plot_recovery(over_measurements(2), "recovered", ax),
    plot_map: lambda ax: plot_map(over_measurements(2)[ERROR].median("instance"), ax),
    plot_agreement: lambda ax: plot_agreement(*[over_scales(2)[ERROR]] * 2, ax),
    plot_duality_gap: lambda ax: plot_duality_gap(over_scales(2), ax),
    plot_schatten: lambda ax: plot_schatten(schatten_powers(), ax),
}
every_plot = pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.__name__)


@every_plot
def test_new_figure_only_without_axes(plot):
    ax = Figure().subplots()
    assert PLOTS[plot](ax) is ax
    assert plt.get_fignums() == []
    assert PLOTS[plot](None) is plt.gcf().axes[0]
    assert len(plt.get_fignums()) == 1


@every_plot
def test_user_settings_stay(plot, ax):
    before = dict(plt.rcParams)
    PLOTS[plot](ax)
    assert dict(plt.rcParams) == before


@every_plot
def test_same_data_same_picture(plot):
    pictures = []
    for _ in range(2):
        figure = Figure()
        PLOTS[plot](figure.subplots())
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pictures.append(bytes(canvas.buffer_rgba()))
    assert pictures[0] == pictures[1]


@every_plot
def test_values_have_a_label(plot, ax):
    PLOTS[plot](ax)
    assert ax.get_ylabel()[0] in "$ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.parametrize("plot", [plot_against_scale, plot_methods, plot_pairs, plot_recovery])
def test_missing_quantity(plot, ax):
    with pytest.raises(InputError, match="no 'speed'; they have mean_squared_error, nuclear_norm"):
        plot(over_scales(1), "speed", ax)


@pytest.mark.parametrize("plot", [plot_methods, plot_pairs, plot_recovery])
def test_other_dimensions(plot, ax):
    with pytest.raises(InputError, match=r"has the dimensions \('depth', 'scale', 'instance'\)"):
        plot(over_scales(1), ERROR, ax)


@pytest.mark.parametrize("plot", [plot_against_scale, plot_methods, plot_pairs, plot_recovery])
def test_no_dataset(plot, ax):
    with pytest.raises(InputError, match="over named dimensions; got dict"):
        plot({ERROR: [1, 2]}, ERROR, ax)


@every_plot
def test_figure_instead_of_axes(plot):
    with pytest.raises(InputError, match=r"ax must be the matplotlib Axes .*; got Figure"):
        PLOTS[plot](Figure())


def test_words_are_no_numbers(ax):
    words = over_methods(2)[ERROR].astype(str)
    with pytest.raises(InputError, match="must hold numbers"):
        plot_methods(words, ERROR, ax)


def test_nothing_but_gaps(ax):
    with pytest.raises(InputError, match="holds no number"):
        plot_pairs(over_methods(2)[ERROR] * float("nan"), ERROR, ax)


def test_units_and_long_names_are_the_callers(ax):
    found = over_methods(2)[ERROR]
    found.attrs |= {"long_name": "Distance", "units": "stars"}
    assert plot_methods(found, ERROR, ax).get_ylabel() == "Distance (stars)"
