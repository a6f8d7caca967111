"""The demonstration, made small."""

import numpy as np
import pytest
from cli_inputs import SHAPE, factorflow

from factorflow import Completion
from factorflow.cli import _demo_matrix, _demo_photograph

FILES = ["matrix.png", "photograph.png", "report.html", "singular_values.png", "spectrum.png"]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(_demo_matrix, "SHAPE", SHAPE)
    monkeypatch.setattr(_demo_matrix, "RANK", 1)
    monkeypatch.setattr(_demo_matrix, "N_OBSERVED", 150)
    monkeypatch.setattr(_demo_photograph, "_LONGEST", 24)


def without_time(text):
    return [line for line in text.splitlines() if "took" not in line and "Wrote" not in line]


def test_it_writes_its_pictures_and_says_where(small, tmp_path):
    runs = [factorflow("demo", "--output", tmp_path / name, "--seed", "1") for name in "ab"]
    for run, name in zip(runs, "ab", strict=True):
        assert run.exit_code == 0, run.output
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == FILES
        assert all(f"{name}/{file}" in run.stdout for file in FILES)
    assert without_time(runs[0].stdout) == without_time(runs[1].stdout)
    for file in FILES[:2]:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    shown = runs[0].stdout
    assert all(name in shown for name in ("truth", "depth 1", "depth 2", "depth 3", "dB"))


def test_the_numbers_of_the_truth_are_its_own():
    truth = np.diag([3.0, 1.0, 0.0])
    demo = _demo_matrix.MatrixDemo(Completion.sample(truth, 9), {})
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
