"""Spectra beside each other."""

import numpy as np
import pytest

from factorflow._errors import InputError
from factorflow.plots import plot_spectrum


def test_descending_against_index(ax):
    plot_spectrum({"truth": [3, 1, 2], "answer": np.array([5.0, 4.0])}, ax)
    truth, answer = ax.get_lines()
    np.testing.assert_array_equal(truth.get_xydata(), [(1, 3), (2, 2), (3, 1)])
    np.testing.assert_array_equal(answer.get_xydata(), [(1, 5), (2, 4)])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["truth", "answer"]
    assert ax.get_xlabel()
    assert ax.get_ylabel() == "Singular value"


def test_rounding_is_out_of_the_picture(ax):
    plot_spectrum({"truth": [100, 1e-15, 0]}, ax)
    ax.figure.canvas.draw()
    assert ax.get_ylim()[0] == pytest.approx(1e-10)
    assert ax.get_yscale() == "log"


def test_no_floor_without_rounding(ax):
    plot_spectrum({"truth": [100, 1e-6]}, ax)
    assert 1e-8 < ax.get_ylim()[0] < 1e-6


def test_linear_axis_and_zero_matrix(ax):
    assert plot_spectrum({"zero": [0, 0]}, ax, log=False).get_yscale() == "linear"
    plot_spectrum({"zero": [0, 0]}).figure.canvas.draw()


def test_more_names_than_colours(ax):
    plot_spectrum({f"run {i}": [1 + i] for i in range(9)}, ax)
    looks = {(line.get_color(), line.get_linestyle()) for line in ax.get_lines()}
    assert len(looks) == 9


@pytest.mark.parametrize("values", [[], [[1, 2]], [1, -1], [np.nan], [np.inf], 3.0])
def test_refused(values, ax):
    with pytest.raises(InputError, match="spectrum 'odd' must be a 1-d array"):
        plot_spectrum({"odd": values}, ax)


def test_what_has_no_names(ax):
    class Solved:
        singular_values = np.ones(2)

    with pytest.raises(InputError, match=r"solution\.singular_values\}; got Solved"):
        plot_spectrum(Solved(), ax)
    with pytest.raises(InputError, match=r"numpy\.linalg\.svd\(.*\)\}; got ndarray"):
        plot_spectrum(np.eye(3), ax)


def test_nothing_to_draw(ax):
    with pytest.raises(InputError, match="at least one name"):
        plot_spectrum({}, ax)
