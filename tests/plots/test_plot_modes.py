"""Points, lines and shades of the modes of a run."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from factorflow import InputError
from factorflow.plots import plot_modes
from factorflow.theory import SaddleVisit

TIMES = np.geomspace(1, 100, 300)
VALUES = np.stack([1 / (1 + np.exp(-50 * np.log(TIMES / t))) for t in (5, 20)], axis=1)


def test_measured_points_closed_forms_and_stays():
    ax = Figure().subplots()
    visit = SaddleVisit(1, 100, 200, 8.0, 15.0, 0.01)
    times, values = np.append(0, TIMES), np.vstack([np.zeros(2), VALUES])
    assert plot_modes(times, values, ax, curves=(TIMES, VALUES), visits=[visit]) is ax
    points, lines = ax.lines[:2], ax.lines[2:]
    assert [line.get_color() for line in points] == [line.get_color() for line in lines]
    assert len(ax.patches) == 1
    assert [text.get_text() for text in ax.texts] == ["1"]
    for line in points:
        x, y = (np.asarray(each) for each in line.get_data())
        assert x.min() > 0
        assert len(x) < 60
        assert np.sum((y > 0.05) & (y < 0.95)) >= 5  # on the rise too
    np.testing.assert_array_equal(lines[1].get_ydata(), VALUES[:, 1])


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InputError, match="row for each time"):
        plot_modes(TIMES, VALUES[:-1])
    with pytest.raises(InputError, match="positive times"):
        plot_modes(np.zeros(3), np.zeros((3, 1)))
    with pytest.raises(InputError, match="more than the 1"):
        plot_modes(TIMES, VALUES[:, :1], Figure().subplots(), curves=(TIMES, VALUES))
