"""The demonstration, made small."""

import numpy as np
import PIL.Image
import pytest
from cli_inputs import SHAPE, factorflow

from factorflow import Completion, nuclear_norm
from factorflow.cli import _demo_matrix, _demo_pages, _demo_photograph
from factorflow.cli._interrupts import Interrupts
from factorflow.cli._progress import FitProgress

FILES = ["matrix.png", "photograph.png", "report.html", "singular_values.png", "spectrum.png"]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(_demo_matrix, "SHAPE", SHAPE)
    monkeypatch.setattr(_demo_matrix, "RANK", 1)
    monkeypatch.setattr(_demo_matrix, "N_OBSERVED", 150)
    monkeypatch.setattr(_demo_matrix, "DEPTHS", (1, 2))  # each is a compilation of seconds
    monkeypatch.setattr(_demo_photograph, "_LONGEST", 24)


def test_it_writes_its_pictures_and_says_where(small, tmp_path):
    run = factorflow("demo", "--output", tmp_path / "demo", "--seed", "1")
    assert run.exit_code == 0, run.output
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == FILES
    assert all(f"demo/{file}" in run.stdout for file in FILES)
    for path in (tmp_path / "demo").glob("*.png"):
        assert PIL.Image.open(path).size[0] > 300

    again = _demo_matrix.complete_matrix(1, Interrupts(), FitProgress())
    names = [row[0] for row in again.rows()]
    assert names == ["truth", "nuclear norm", "depth 1", "depth 2"]
    for name, error, norm, rank, _ in again.rows():
        line = next(line for line in run.stdout.splitlines() if f"│ {name} " in line)
        assert line.replace("│", " ").split()[-4 if name.startswith("depth") else -3 :][:3] == [
            f"{error:.2g}",
            f"{norm:.1f}",
            f"{rank:.2f}",
        ]
    assert "dB" in run.stdout
    check_matrix_figures(again, dict(row[:2] for row in again.rows()))


def check_matrix_figures(demo, errors):
    """The pictures say what is what: errors, scales, and the truth."""
    panels = _demo_pages._panels(demo).axes
    titles = [ax.get_title() for ax in panels]
    for name in ("nuclear norm", "depth 1", "depth 2"):
        assert f"relative error {errors[name]:.2g}" in titles
    labels = [ax.get_ylabel() for ax in panels]
    assert (labels.count("Value"), labels.count("Absolute error")) == (1, 1)
    scales = {ax.images[0].get_clim() for ax in panels if "error" in ax.get_title()}
    assert len(scales) == 1
    (legend,) = _demo_pages._courses(demo).legends
    assert [text.get_text() for text in legend.get_texts()] == ["singular values of the truth"]
    *fits, truth = _demo_pages._ends(demo).axes[0].get_lines()
    assert [line.get_label() for line in fits] == ["depth 2", "depth 1", "nuclear norm"]
    assert truth.get_linestyle() == "None"


def test_the_numbers_of_the_truth_are_its_own():
    truth = np.diag([3.0, 1.0, 0.0])
    problem = Completion.sample(truth, 9)
    demo = _demo_matrix.MatrixDemo(problem, nuclear_norm(problem), {})
    name, error, norm, rank, gradients = demo.rows()[0]
    assert (name, error, gradients) == ("truth", 0.0, None)
    assert norm == pytest.approx(4)
    shares = np.array([0.75, 0.25])
    assert rank == pytest.approx(np.exp(-np.sum(shares * np.log(shares))))


def test_bad_folders(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "none" / "demo"):
        result = factorflow("demo", "--output", folder)
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1
        assert "--output" in result.stderr
    assert factorflow("demo", "--seed", "-1").exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
