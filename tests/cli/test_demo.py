"""The demonstration, made small."""

import numpy as np
import PIL.Image
import pytest
from cli_inputs import SHAPE, factorflow

from factorflow import Completion, nuclear_norm
from factorflow.cli import _demo_matrix, _demo_photograph
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
