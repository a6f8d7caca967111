"""Singular values against each other, and the alignment of vectors over a run."""

import numpy as np
import pytest
import xarray as xr

from factorflow import InputError
from factorflow.plots import plot_alignment, plot_relation
from factorflow.theory import single_observation_relation


def curves(*depths):
    other = np.array([0.01, 0.5, 1.0, 2.0])
    relations = [single_observation_relation(depth, 0.6, 0.01) for depth in depths]
    return {relation: (other, relation(other)) for relation in relations}


def test_points_lie_on_their_lines(ax):
    given = curves(2, 3)
    assert plot_relation(given, ax) is ax
    line_two, points_two, line_three, points_three, cap = ax.get_lines()
    for line, points, (relation, (other, value)) in zip(
        (line_two, line_three), (points_two, points_three), given.items(), strict=True
    ):
        np.testing.assert_allclose(line.get_ydata(), relation(line.get_xdata()))
        np.testing.assert_array_equal(points.get_xdata(), other)
        np.testing.assert_array_equal(points.get_ydata(), value)
    # sigma_0 (1 - alpha)^(-N/(N-2)) at depth 3; depth 2 has none.
    np.testing.assert_allclose(cap.get_ydata(), 0.01 * 0.4**-3)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["depth 2", "depth 3"]


def test_what_is_no_curve(ax):
    (relation,) = curves(2)
    with pytest.raises(InputError, match="at least one relation"):
        plot_relation({}, ax)
    with pytest.raises(InputError, match="two 1-d arrays of one length"):
        plot_relation({relation: ([1.0, 2.0], [1.0])}, ax)
    with pytest.raises(InputError, match="got str"):
        plot_relation({"depth 2": ([1.0], [1.0])}, ax)  # pyright: ignore


def test_alignment_has_both_sizes(ax):
    time = np.array([0.0, 1.0, 10.0, 1000.0])
    sizes = {"diagonal": [1.0, 2.0, 3.0, 4.0], "off_diagonal": [0.5, 0.4, 0.3, 0.2]}
    found = xr.Dataset(
        {name: ("record", values) for name, values in sizes.items()},
        coords={"time": ("record", time)},
    )
    plot_alignment(found, ax)
    assert [line.get_label() for line in ax.get_lines()] == ["on the diagonal", "off the diagonal"]
    for line, values in zip(ax.get_lines(), sizes.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    with pytest.raises(InputError, match="diagonal and off_diagonal"):
        plot_alignment(found.drop_vars("diagonal"), ax)
