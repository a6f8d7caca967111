"""The path of weights of a penalized completion."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from factorflow._errors import InputError
from factorflow.convex import soft_impute
from factorflow.datasets import low_rank
from factorflow.plots import plot_path
from factorflow.problems import Completion


@pytest.fixture(scope="module")
def problem():
    return Completion.sample(low_rank((12, 10), 2, seed=0), 90, noise=0.1, seed=0)


@pytest.fixture(scope="module")
def path(problem):
    return soft_impute(problem, n_weights=8, validation_fraction=0.2, patience=None)


def test_lines_hold_the_path(path, ax):
    assert plot_path(path, ax) is ax
    train, held_out, chosen = ax.get_lines()
    np.testing.assert_array_equal(train.get_xdata(), path.weights)
    np.testing.assert_allclose(train.get_ydata() ** 2, path.train_errors)
    np.testing.assert_array_equal(held_out.get_ydata(), path.held_out_errors)
    # The dotted line stands where the held-out error is least.
    assert chosen.get_xdata()[0] == path.weights[np.argmin(path.held_out_errors)]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["train", "held out", "rank"]


def test_ranks_have_an_axis_of_their_own(path, ax):
    plot_path(path, ax)
    right = next(other for other in ax.figure.axes if other is not ax)
    (line,) = right.get_lines()
    np.testing.assert_array_equal(line.get_ydata(), path.ranks)
    np.testing.assert_array_equal(line.get_xdata(), path.weights)
    assert right.get_ylabel() == "Rank"


def test_the_path_goes_from_left_to_right(path, ax):
    plot_path(path, ax).figure.canvas.draw()
    left, right = ax.get_xlim()
    assert left > path.weights[0] > path.weights[-1] > right
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "Weight of the penalty"


def test_without_held_out_entries_there_is_no_line_of_them(problem, ax):
    plot_path(soft_impute(problem, [2.0, 1.0]), ax)
    assert len(ax.get_lines()) == 1


def test_one_weight_is_a_dot(problem):
    ax = plot_path(soft_impute(problem, 1.0))
    assert [line.get_marker() for each in plt.gcf().axes for line in each.get_lines()] == ["o", "o"]
    ax.figure.canvas.draw()


def test_what_is_no_path():
    with pytest.raises(InputError, match=r"a SoftImputePath; got dict"):
        plot_path({})
