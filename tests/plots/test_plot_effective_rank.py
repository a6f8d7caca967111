"""Effective rank: on an axis that shows the small numbers."""

import numpy as np

from factorflow.plots import plot_effective_rank


def test_axis_begins_at_one(trajectory, ax):
    plot_effective_rank(trajectory, ax)
    assert 0.5 < ax.get_ylim()[0] < 1
    assert ax.get_ylabel() == "Effective rank"


def test_ticks_are_plain_numbers(trajectory, ax):
    plot_effective_rank(trajectory, ax).figure.canvas.draw()
    low, high = ax.get_ylim()
    ticks = [
        text.get_text()
        for place, text in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)
        if low <= place <= high
    ]
    assert ticks == ["1", "2", "5"]


def test_zero_matrix(trajectory, ax):
    trajectory["effective_rank"][:] = np.nan
    plot_effective_rank(trajectory, ax).figure.canvas.draw()
    assert np.isnan(ax.get_lines()[0].get_ydata()).all()
