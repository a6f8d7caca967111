"""Singular values: the largest ones, each named at its end."""

import numpy as np
import pytest

from factorflow._errors import InputError
from factorflow.plots import plot_component_norms, plot_singular_values


def names(ax):
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize(("k", "lines"), [(1, 1), (3, 3), (12, 12), (100, 12)])
def test_k_largest(trajectory, ax, k, lines):
    plot_singular_values(trajectory, ax, k=k)
    assert len(ax.get_lines()) == lines
    assert len({line.get_color() for line in ax.get_lines()}) == lines


def test_k_below_one(trajectory, ax):
    with pytest.raises(InputError, match="k must be 1 or more"):
        plot_singular_values(trajectory, ax, k=0)


def test_units(trajectory, ax):
    assert plot_singular_values(trajectory, ax).get_ylabel() == "Singular value (stars)"


def test_entries_without_units_give_none(trajectory, ax):
    trajectory["singular_values"].attrs["units"] = "value"
    assert plot_singular_values(trajectory, ax).get_ylabel() == "Singular value"


def test_distant_ends_have_their_own_names(trajectory, ax):
    plot_singular_values(trajectory, ax, k=3)
    assert names(ax) == [r"$\sigma_{1}$", r"$\sigma_{2}$", r"$\sigma_{3}$"]


def test_close_ends_share_a_name(trajectory, ax):
    close = trajectory.copy(deep=True)
    close["singular_values"][-1] = [100, 50, 49] + [0] * 9
    plot_singular_values(close, ax)
    assert names(ax) == [
        r"$\sigma_{1}$",
        r"$\sigma_{2}$, $\sigma_{3}$",
        r"$\sigma_{4}$ … $\sigma_{10}$",
    ]
    ends = [text.xy for text in ax.texts]
    np.testing.assert_array_equal(ends, [(9, 100), (9, 50), (9, 0)])


def test_logarithmic_values(trajectory, ax):
    zero = trajectory.copy(deep=True)
    zero["singular_values"][:, 1:] = 0
    plot_singular_values(zero, ax, log=True)
    ax.figure.canvas.draw()
    assert ax.get_yscale() == "log"
    assert names(ax) == [r"$\sigma_{1}$"]


def test_other_lines_of_the_axes_have_no_name(trajectory, ax):
    ax.plot([0, 9], [3, 3])
    plot_singular_values(trajectory, ax, k=1)
    assert names(ax) == [r"$\sigma_{1}$"]


def test_norms_of_components_are_drawn_alike(trajectory, ax):
    of_tensor = trajectory.rename(singular_values="component_norms")
    plot_component_norms(of_tensor, ax, k=3)
    assert len(ax.get_lines()) == 3
    assert ax.get_ylabel() == "Norm of a component (stars)"
    assert "$c_{1}$" in " ".join(names(ax))
    with pytest.raises(InputError, match="k must be 1 or more components"):
        plot_component_norms(of_tensor, ax, k=0)
    with pytest.raises(InputError, match="component_norms"):
        plot_component_norms(trajectory, ax)
