"""The command ``complete`` by its other methods."""

import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli_inputs import SHAPE, completed, factorflow, matrix, numbers, observed, picture, with_gaps
from cli_inputs import wide_frame as frame_of

from factorflow import Completion, NuclearNormCompletion, SoftImpute
from factorflow.cli._completion_facts import facts, json_content
from factorflow.cli._completion_run import run
from factorflow.cli._input import Input, PlainArray
from factorflow.cli._interrupts import Interrupts
from factorflow.cli._method import Options
from factorflow.cli._progress import FitProgress
from factorflow.estimators import fit_effects, tune_damping

NOISE = 0.1
ESTIMATORS = {"soft-impute": SoftImpute, "nuclear-norm": NuclearNormCompletion}
SOFT, NUCLEAR = ESTIMATORS

every_method = pytest.mark.parametrize("method", ESTIMATORS)


@pytest.fixture(scope="module", params=ESTIMATORS)
def a_run(request, tmp_path_factory):
    """One run with every file, on a wide table with all defaults."""
    folder = tmp_path_factory.mktemp(request.param)
    frame_of(with_gaps(noise=NOISE)).to_csv(folder / "x.csv", index=False)
    files = {name: folder / f"run.{name}" for name in ("npy", "json", "html")}
    result = completed(
        folder / "x.csv", "--method", request.param, "--output", files["npy"],
        "--json", files["json"], "--report", files["html"],
    )  # fmt: skip
    return request.param, result, files


def effective_rank(values):
    sizes = np.linalg.svd(values, compute_uv=False)
    shares = sizes[sizes > 1e-12 * sizes[0]] / sizes.sum()
    return np.exp(-np.sum(shares * np.log(shares)))


def test_json_holds_the_numbers_of_an_independent_computation(a_run):
    method, _, files = a_run
    content = numbers(files["json"])
    train, test = Completion.from_array(with_gaps(noise=NOISE)).split(0.1, 0)
    model = ESTIMATORS[method](biases="rows+columns", random_state=0).fit(train)
    gap = model.reconstruct()[test.rows, test.columns] - test.values
    assert content["test_rmse"] == pytest.approx(np.sqrt(np.mean(gap**2)), rel=1e-9)
    low_rank = model.reconstruct() - model.effects_.matrix()
    assert content["effective_rank"] == pytest.approx(effective_rank(low_rank), rel=1e-6)
    assert content["rank"] == np.linalg.matrix_rank(low_rank)
    assert content["gap"] == pytest.approx(model.gap_)
    assert content["status"] == "CERTIFIED"
    damping = tune_damping(*train.split(0.1, 0))
    own = fit_effects(train, "rows+columns", damping).at(test.rows, test.columns) - test.values
    effects = content["baselines"]["row_column_effects"]["test_rmse"]
    assert effects == pytest.approx(np.sqrt(np.mean(own**2)), rel=1e-12)
    if method == SOFT:
        assert content["weight"] == pytest.approx(model.weight_)
        assert content["validation_rmse"] == pytest.approx(model.validation_error_)
    else:
        assert content["nuclear_norm"] == pytest.approx(np.linalg.norm(low_rank, "nuc"))
        assert content["validation_rmse"] is None


def test_json_tells_how_the_numbers_came_about(a_run):
    method, _, files = a_run
    content = numbers(files["json"])
    assert content["method"] == method
    assert content["settings"] == {"biases": "rows+columns"}
    assert content["seconds"].keys() == {"fit", "fit_on_all_entries", "total"}
    assert 0 < content["seconds"]["fit"] < content["seconds"]["total"]
    assert not {"n_gradients", "route"} & content.keys()


def test_the_table_shows_the_numbers_of_the_json(a_run):
    method, result, files = a_run
    content = numbers(files["json"])
    words = " ".join(result.stdout.split())
    own = {
        SOFT: f"{content['test_rmse']:.5g}",
        NUCLEAR: f"iterations {content.get('n_iterations')}",
    }
    for text in (
        f"{content['test_rmse']:.5g}",
        f"rank {content['rank']} ",
        f"duality gap {content['gap']:.1e}",
        f"ended {content['status_sentence']}",
        own[method],
    ):
        assert text in words
    assert not any(word in result.stdout for word in ("gradients", "widths", "flow on", "route"))


def test_the_report_has_the_figures_of_the_method(a_run):
    method, _, files = a_run
    page = files["html"].read_text()
    assert "Singular values of the fit" in page
    assert ("over the weights of the penalty" in page) == (method == SOFT)
    assert page.count("data:image/png;base64,") == (3 if method == SOFT else 2)


def test_the_output_is_of_a_fit_of_all_entries(a_run):
    method, _, files = a_run
    values = with_gaps(noise=NOISE)
    model = ESTIMATORS[method](biases="rows+columns", random_state=0).fit(values)
    expected = np.where(observed(), values, model.reconstruct())
    np.testing.assert_allclose(np.load(files["npy"]), expected, rtol=1e-7)


def test_no_completion_has_a_smaller_nuclear_norm_than_the_output(tmp_path):
    np.save(tmp_path / "x.npy", with_gaps(0.5))
    completed(tmp_path / "x.npy", "--method", NUCLEAR, "--test-fraction", 0,
              "--output", tmp_path / "y.npy")  # fmt: skip
    norm = np.linalg.norm(np.load(tmp_path / "y.npy"), "nuc")
    assert norm <= (1 + 1e-5) * np.linalg.norm(matrix(), "nuc")


@every_method
def test_an_image(tmp_path, method):
    picture(tmp_path / "x.png")
    result = completed(tmp_path / "x.png", "--hide", "0.4", "--method", method,
                       "--json", tmp_path / "run.json", "--output", tmp_path / "y.png")  # fmt: skip
    content = numbers(tmp_path / "run.json")
    assert content["settings"]["biases"] == "global"
    assert content["psnr"] == pytest.approx(-20 * np.log10(content["test_rmse"]))
    assert f"{content['psnr']:.2f} dB" in result.stdout


@every_method
def test_values_that_the_biases_explain_leave_nothing(tmp_path, method):
    np.save(tmp_path / "x.npy", np.where(observed(), 4.0, np.nan))
    result = completed(tmp_path / "x.npy", "--method", method, "--biases", "global",
                       "--output", tmp_path / "y.npy", "--report", tmp_path / "y.html",
                       "--json", tmp_path / "y.json")  # fmt: skip
    assert "nothing was left" in result.stdout
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), np.full(SHAPE, 4.0))
    content = numbers(tmp_path / "y.json")
    assert (content["status"], content["rank"], content["effective_rank"]) == ("NOTHING_LEFT", 0, 0)


@every_method
def test_options_of_another_method_are_refused_even_at_their_defaults(tmp_path, method):
    np.save(tmp_path / "x.npy", with_gaps())
    given = ("--depth", "2", "--scale", "0.001", "--widths", "auto", "--stop", "validation")
    result = factorflow("complete", tmp_path / "x.npy", "--method", method, *given)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: --depth, --scale, --widths and --stop belong to --method deep; leave them out with "
        f"--method {method}.\n"
    )
    result = factorflow("complete", tmp_path / "x.npy", "--method", method, *given[:2])
    assert "--depth belongs" in result.stderr
    assert "--stop" not in result.stderr


class Pressed(FitProgress):
    """Presses Ctrl-C when the fit first reports after its beginning."""

    def __call__(self, seen):
        super().__call__(seen)
        if seen["step"] > 0 and not getattr(self, "done", False):
            self.done = True
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(os.name == "nt", reason="SIGINT is sent in another way there")
@pytest.mark.parametrize("method", ["deep", *ESTIMATORS])
def test_an_interrupt_ends_with_what_was_reached(method):
    problem = Completion.from_array(with_gaps(noise=NOISE))
    source = Input(Path("x.npy"), problem, PlainArray(np.dtype(float)))
    with Interrupts() as interrupts, Pressed() as progress:
        chosen = Options(method=method).on(source.kind)
        outcome = run(source, chosen, None, True, interrupts, progress)
    assert outcome.interrupted
    assert outcome.final is None
    assert outcome.warnings == ()
    assert outcome.errors.keys() == {"factorflow", "mean", "row_column_effects"}
    assert json_content(outcome, 1.0)["status"] == "INTERRUPTED"
    assert "interrupted" in dict(facts(outcome, 1.0))["ended"]


def test_greedy_completes_and_tells_its_rank(tmp_path):
    narrow = with_gaps()[:, :2]  # little rank, little to compile
    pd.DataFrame(narrow).to_csv(tmp_path / "x.csv", index=False)
    completed(tmp_path / "x.csv", "--method", "greedy", "--json", tmp_path / "x.json")
    content = numbers(tmp_path / "x.json")
    assert content["method"] == "greedy"
    assert 0 <= content["rank"] <= 2
    assert content["status"] in ("CERTIFIED", "RANK_LIMIT")
    assert content["test_rmse"] > 0
