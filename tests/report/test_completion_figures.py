"""The figures of a completion run: what was recorded, and the images on one scale."""

import numpy as np
import pytest

from factorflow._errors import InputError
from factorflow.datasets import low_rank
from factorflow.dynamics import Stop, solve
from factorflow.factorizations import DeepLinear
from factorflow.problems import Completion
from factorflow.report import completion_figures, write_report

AFTER = np.arange(12.0).reshape(3, 4)
BEFORE = np.where(AFTER % 2 == 0, AFTER, np.nan)


def labels(figures):
    return [figure.axes[0].get_ylabel() for _, figure in figures]


def test_courses(trajectory):
    figures = completion_figures(trajectory)
    assert labels(figures) == ["Singular value", "Error", "Effective rank"]
    line = figures[1][1].axes[0].get_lines()[0]
    np.testing.assert_array_equal(line.get_ydata(), trajectory["train_error"])
    assert all(caption.endswith(".") for caption, _ in figures)


def test_only_what_was_recorded(trajectory):
    assert labels(completion_figures(trajectory[["effective_rank"]])) == ["Effective rank"]
    assert completion_figures(trajectory[[]]) == []


def test_images_come_first_on_the_scale_of_the_observed(trajectory):
    (caption, figure), *rest = completion_figures(trajectory, BEFORE, AFTER, AFTER + 1)
    assert len(rest) == 3
    panels = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in panels] == ["Observed", "Completed", "Truth"]
    np.testing.assert_array_equal(panels[0].images[0].get_array().mask, np.isnan(BEFORE))
    np.testing.assert_array_equal(panels[1].images[0].get_array(), AFTER)
    assert {ax.images[0].get_clim() for ax in panels} == {(0, 10)}
    assert caption.startswith("Observed, completed, truth.")
    assert "0 to 10" in caption


def test_one_image(trajectory):
    caption, figure = completion_figures(trajectory, after=AFTER)[0]
    assert [ax.get_title() for ax in figure.axes if ax.images] == ["Completed"]
    assert "not observed" not in caption


def test_photographs_in_colour_have_no_scale(trajectory):
    caption, figure = completion_figures(trajectory, after=np.full((2, 3, 3), 0.5))[0]
    assert len(figure.axes) == 1
    assert caption == "Completed."


def test_no_image(trajectory):
    with pytest.raises(InputError, match="shape"):
        completion_figures(trajectory, after=np.ones(3))


def test_of_a_run(tmp_path):
    truth = low_rank(shape=(8, 8), rank=1, seed=0)
    problem = Completion.sample(truth, n_observed=48, seed=0)
    solution = solve(problem, DeepLinear(2), stop=Stop(train_error=1e-2), seed=0)
    figures = completion_figures(solution.trajectory, problem.to_array(), solution.matrix, truth)
    assert len(figures) == 4
    _, errors = figures[2]
    np.testing.assert_array_equal(
        errors.axes[0].get_lines()[-1].get_ydata(), solution.trajectory["reconstruction_error"]
    )
    path = tmp_path / "report.html"
    write_report(path, title="A run", figures=figures)
    assert path.read_text().count("<img ") == 4
