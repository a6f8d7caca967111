"""Errors: those that were recorded, each described."""

from factorflow.plots import plot_errors


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_legend_describes_each(trajectory, ax):
    plot_errors(trajectory, ax)
    assert legend(ax) == ["train: mean square", "held out", "reconstruction"]
    assert ax.get_yscale() == "log"


def test_units_stand_in_the_legend(trajectory, ax):
    trajectory["held_out_error"].attrs["units"] = "stars"
    plot_errors(trajectory, ax)
    assert legend(ax)[1] == "held out (stars)"


def test_only_what_was_recorded(trajectory, ax):
    plot_errors(trajectory.drop_vars("held_out_error"), ax)
    assert legend(ax) == ["train: mean square", "reconstruction"]


def test_an_error_has_the_same_look_whatever_stands_beside_it(trajectory):
    def look(ax):
        line = ax.get_lines()[-1]
        return line.get_color(), line.get_linestyle()

    alone = trajectory.drop_vars(["train_error", "held_out_error"])
    assert look(plot_errors(alone)) == look(plot_errors(trajectory))


def test_lines_differ_without_colour(trajectory, ax):
    plot_errors(trajectory, ax)
    assert len({line.get_linestyle() for line in ax.get_lines()}) == 3
