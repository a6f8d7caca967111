"""What every plot of a trajectory has in common; a new one is entered in ``PLOTS``."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from factorflow._errors import InputError
from factorflow.plots import plot_effective_rank, plot_errors, plot_singular_values

PLOTS = {
    plot_singular_values: ("singular_values",),
    plot_errors: ("train_error", "held_out_error", "reconstruction_error"),
    plot_effective_rank: ("effective_rank",),
}

every_plot = pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.__name__)


@every_plot
def test_new_figure_only_without_axes(plot, trajectory):
    ax = Figure().subplots()
    assert plot(trajectory, ax) is ax
    assert plt.get_fignums() == []
    assert plot(trajectory) is plt.gcf().axes[0]
    assert len(plt.get_fignums()) == 1


@every_plot
def test_user_settings_stay(plot, trajectory, ax):
    before = dict(plt.rcParams)
    plot(trajectory, ax)
    assert dict(plt.rcParams) == before


@every_plot
@pytest.mark.parametrize("x", ["time", "step", "n_gradients"])
def test_lines_hold_the_trajectory(plot, trajectory, ax, x):
    plot(trajectory, ax, x=x)
    seen = np.column_stack([line.get_ydata() for line in ax.get_lines()])
    expected = [trajectory[name].values.reshape(5, -1)[:, :10] for name in PLOTS[plot]]
    np.testing.assert_array_equal(seen, np.hstack(expected))
    for line in ax.get_lines():
        np.testing.assert_array_equal(line.get_xdata(), trajectory[x])


@every_plot
def test_axes_are_labelled(plot, trajectory, ax):
    plot(trajectory, ax)
    assert ax.get_xlabel() == "Gradient-flow time"
    assert ax.get_ylabel()[0].isupper()


@every_plot
def test_time_over_decades_is_logarithmic(plot, trajectory, long_trajectory):
    assert plot(trajectory).get_xscale() == "linear"
    ax = plot(long_trajectory)
    assert ax.get_xscale() == "log"
    ax.figure.canvas.draw()
    assert ax.get_xlim()[0] > 0
    assert plot(long_trajectory, x="step").get_xscale() == "linear"


@every_plot
def test_single_record_is_seen(plot, trajectory, ax):
    plot(trajectory.isel(record=[0]), ax)
    assert {line.get_marker() for line in ax.get_lines()} == {"o"}


@every_plot
def test_numbers_that_are_none_leave_gaps(plot, trajectory, ax):
    gappy = trajectory.copy(deep=True)
    for name in PLOTS[plot]:
        gappy[name][-1] = np.nan
    plot(gappy, ax).figure.canvas.draw()
    assert all(np.isnan(line.get_ydata()[-1]) for line in ax.get_lines())


@every_plot
def test_missing_variable(plot, trajectory, ax):
    rest = trajectory.drop_vars(PLOTS[plot])
    with pytest.raises(InputError, match=PLOTS[plot][0]) as caught:
        plot(rest, ax)
    for name in rest.data_vars:
        assert name in str(caught.value)
    assert (
        f"Record it with solve(..., record=Record(extra=[...])), by trajectories.{PLOTS[plot][0]}"
        in (str(caught.value))
    )


@every_plot
def test_many_runs_at_once(plot, trajectory, ax):
    with pytest.raises(InputError, match=r"isel\(run=0\)"):
        plot(trajectory.expand_dims(run=2), ax)


@every_plot
def test_solution_instead_of_trajectory(plot, trajectory, ax):
    class Solved:
        pass

    solved = Solved()
    solved.trajectory = trajectory
    with pytest.raises(InputError, match=r"Solved: give its \.trajectory"):
        plot(solved, ax)
    with pytest.raises(InputError, match=r"see Solution\.trajectory"):
        plot(Solved(), ax)


@every_plot
def test_figure_instead_of_axes(plot, trajectory):
    with pytest.raises(InputError, match=r"ax must be the matplotlib Axes .*; got Figure"):
        plot(trajectory, Figure())


@every_plot
def test_unknown_abscissa(plot, trajectory, ax):
    with pytest.raises(InputError, match="'time', 'step', 'n_gradients'; got 'epoch'"):
        plot(trajectory, ax, x="epoch")
    with pytest.raises(InputError, match="no coordinate 'step'; it has time, n_gradients"):
        plot(trajectory.drop_vars("step"), ax, x="step")


@every_plot
def test_uncounted_gradients(plot, trajectory, ax):
    uncounted = trajectory.assign_coords(n_gradients=("record", np.full(5, 3)))
    with pytest.raises(InputError, match="counts no gradients"):
        plot(uncounted, ax, x="n_gradients")
