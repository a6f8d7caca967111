"""The command ``complete`` by ``--method tensor``."""

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from cli_inputs import LONG, completed, factorflow, numbers, picture, with_gaps
from cli_inputs import wide_frame as frame_of

from factorflow import Completion, InputError, TensorCompletion
from factorflow.cli._baselines import baselines
from factorflow.cli._method import Options, parse_components
from factorflow.cli._read import read_input
from factorflow.cli._read_image import hidden_pixels
from factorflow.cli._test_entries import hold_out
from factorflow.cli._write import check_output
from factorflow.estimators import fibre_axes, tune_axis_damping

# One compilation for all: one shape, no held-out entries.
TENSOR = ("--method", "tensor", "--stop", "interpolate")
HEIGHT, WIDTH = 20, 15


@pytest.fixture(scope="module")
def a_run(tmp_path_factory):
    """One run with every file, on a colour picture."""
    folder = tmp_path_factory.mktemp("tensor")
    pixels = picture(folder / "x.png", colours=3) / 255
    files = {name: folder / f"run.{name}" for name in ("png", "json", "html")}
    result = completed(
        folder / "x.png", "--hide", "0.4", *TENSOR, "--output", files["png"],
        "--json", files["json"], "--report", files["html"],
    )  # fmt: skip
    return pixels, result, files


def test_a_colour_picture_is_completed_as_it_is(a_run):
    pixels, result, files = a_run
    content = numbers(files["json"])
    hidden = hidden_pixels((HEIGHT, WIDTH), 0.4, 0)
    model = TensorCompletion(stop="interpolate")
    model.fit(pixels, observed=np.broadcast_to(~hidden[..., None], pixels.shape))
    gap = np.clip(model.reconstruct(), 0, 1)[hidden] - pixels[hidden]
    assert content["test_rmse"] == pytest.approx(np.sqrt(np.mean(gap**2)), rel=1e-9)
    assert content["psnr"] == pytest.approx(-20 * np.log10(content["test_rmse"]))
    assert content["shape"] == [HEIGHT, WIDTH, 3]
    assert content["n_test"] == 3 * hidden.sum()
    assert f"{hidden.sum()} test pixels" in result.stdout
    assert content["settings"] == {
        "factorization": "cp", "components": [45], "capped": False, "scale": 1e-3,
        "biases": "global", "stop": "interpolate",
    }  # fmt: skip
    assert content["n_gradients"] == model.n_gradients_
    assert content["status"] == "TRAIN_ERROR"
    written = np.asarray(PIL.Image.open(files["png"])) / 255
    np.testing.assert_array_equal(written[~hidden], pixels[~hidden])


def test_the_baselines_are_of_the_array(a_run):
    pixels, result, files = a_run
    content = numbers(files["json"])
    hidden = hidden_pixels((HEIGHT, WIDTH), 0.4, 0)
    assert content["baselines"].keys() == {"mean", "axis_effects"}
    mean = pixels[~hidden].mean()
    expected = np.sqrt(np.mean((pixels[hidden] - mean) ** 2))
    assert content["baselines"]["mean"]["test_rmse"] == pytest.approx(expected)
    assert "effects of the axes" in result.stdout
    effects = content["baselines"]["axis_effects"]["test_rmse"]
    assert content["test_rmse"] < effects < expected


def test_the_report_has_pictures_and_components(a_run):
    page = a_run[2]["html"].read_text()
    assert "Norms of the largest components" in page
    assert "Singular values" not in page
    assert page.count("data:image/png;base64,") == 3


def test_arrays_of_three_axes(tmp_path):
    pixels = picture(tmp_path / "x.png", colours=3) / 255
    values = np.where(hidden_pixels((HEIGHT, WIDTH), 0.4, 0)[..., None], np.nan, pixels)
    np.save(tmp_path / "x.npy", values)
    np.savez(tmp_path / "x.npz", values=pixels, observed=~np.isnan(values))
    np.save(tmp_path / "mask.npy", ~np.isnan(values))
    np.save(tmp_path / "whole.npy", pixels)
    problems = [
        read_input(tmp_path / name, observed=mask and tmp_path / mask, tensors=True).problem
        for name, mask in (("x.npy", None), ("x.npz", None), ("whole.npy", "mask.npy"))
    ]
    assert len({problem.content_hash for problem in problems}) == 1
    result = completed(
        tmp_path / "x.npy", *TENSOR, "--biases", "global", "--test-fraction", "0",
        "--output", tmp_path / "y.npz", "--report", tmp_path / "y.html",
    )  # fmt: skip
    written = np.load(tmp_path / "y.npz")["values"]
    model = TensorCompletion(stop="interpolate")
    np.testing.assert_allclose(written, model.fit_transform(values), rtol=1e-9)
    assert "20 x 15 x 3" in result.stdout
    assert "An array of 3 axes is not drawn." in (tmp_path / "y.html").read_text()


def test_test_entries_of_a_picture_are_whole_pixels(tmp_path):
    picture(tmp_path / "x.png", colours=3)
    seen = ~hidden_pixels((HEIGHT, WIDTH), 0.4, 1)
    np.save(tmp_path / "mask.npy", seen)
    pair = [
        hold_out(read_input(tmp_path / "x.png", observed=tmp_path / "mask.npy", tensors=tensors),
                 0.2, 0)
        for tensors in (False, True)
    ]  # fmt: skip
    unfolded, whole = (test.observed for _, test in pair)
    assert set(whole.sum(axis=2).ravel()) == {0, 3}
    np.testing.assert_array_equal(unfolded[:, :WIDTH], whole[:, :, 0])  # the same ones


@pytest.fixture(scope="module")
def whole_pixels(tmp_path_factory):
    """A noisy stack of which whole pixels are missing, so that nine tenths are as in the others."""
    folder = tmp_path_factory.mktemp("stack")
    pixels = picture(folder / "x.png", colours=3) / 255
    pixels += np.random.default_rng(1).normal(scale=0.1, size=pixels.shape)
    pixels[hidden_pixels((HEIGHT, WIDTH), 1 / 3, 0)] = np.nan
    np.save(folder / "x.npy", pixels)
    return folder / "x.npy"


def test_entries_of_an_array_are_tested_as_they_are_missing(whole_pixels, tmp_path):
    train, test = hold_out(read_input(whole_pixels, tensors=True), None, 0)
    for part in (train, test):
        assert set(part.observed.sum(axis=2).ravel()) == {0, 3}
    assert (train.n_observed, test.n_observed) == (540, 60)
    assert fibre_axes("auto", train) == fibre_axes("auto", Completion.of(np.load(whole_pixels)))
    completed(whole_pixels, *TENSOR, "--biases", "global", "--json", tmp_path / "y.json")
    content = numbers(tmp_path / "y.json")
    model = TensorCompletion(stop="interpolate").fit(train)
    assert content["n_test"] == 60
    assert content["test_rmse"] == pytest.approx(-model.score(test), rel=1e-6)


def test_the_effects_of_the_baseline_are_those_of_the_estimator(whole_pixels):
    train, _ = hold_out(read_input(whole_pixels, tensors=True), None, 0)
    model = TensorCompletion(biases="axes", stop="interpolate").fit(train)
    effects = baselines(train, model.validation_fraction, 0)["axis_effects"]
    assert effects.damping == model.effects_.damping
    np.testing.assert_allclose(effects.tensor(), model.effects_.tensor(), rtol=1e-12)
    assert effects.damping != tune_axis_damping(*train.split(0.1, 0))


def test_a_third_column_of_labels_is_not_averaged_away(tmp_path):
    frame = pd.DataFrame({"user": ["a", "a", "b"], "item": 1, "week": [1, 2, 1], "score": 2.0})
    frame.to_csv(tmp_path / "l.csv", index=False)
    result = factorflow("complete", tmp_path / "l.csv", *LONG, "--method", "tensor")
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert "the cell at row 'a', column 1 is given more than once" in said
    assert "Completion.from_long_frame(df, 'user', 'item', 'week', 'score')" in said


def test_a_table_is_a_tensor_of_two_axes(tmp_path):
    frame_of(with_gaps()).to_csv(tmp_path / "x.csv", index=False)
    method = Options(method="tensor").on(read_input(tmp_path / "x.csv", tensors=True).kind)
    assert method.biases == "axes"
    beaten = baselines(Completion.of(with_gaps()), 0.1, 0)
    assert beaten.keys() == {"mean", "row_column_effects"}


def test_what_cannot_be_is_refused_in_one_sentence(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((3, 4, 2)))
    np.save(tmp_path / "flat.npy", np.ones((3, 4)))
    refusals = {
        (): "a matrix (m, n) is expected, or give --method tensor",
        ("--components", "3"): "--components belongs to --method tensor; leave it out",
        ("--method", "greedy", "--scale", "1"): "--scale belongs to --method deep or tensor;",
        ("--method", "tensor", "--depth", "2"): "--depth belongs to --method deep;",
        ("--method", "tensor", "--components", "2,3"): "takes one number with --factorization cp",
        ("--method", "tensor", "--components", "x"): "--components takes positive whole numbers",
        ("--method", "tensor", "--biases", "rows+columns"): "give axes",
        ("--biases", "axes"): "give rows+columns",
        ("--method", "tensor", "--observed", tmp_path / "flat.npy"): "has shape (3, 4), but",
        ("--method", "tensor", "--output", tmp_path / "y.csv"): "is a table, but the input",
    }
    for options, sentence in refusals.items():
        result = factorflow("complete", tmp_path / "x.npy", *options)
        assert (result.exit_code, result.stdout) == (2, ""), options
        assert sentence in " ".join(result.stderr.split())
    source = read_input(tmp_path / "x.npy", tensors=True)
    with pytest.raises(InputError, match="has 3 axes"):
        check_output(tmp_path / "y.parquet", source)


def test_components_are_read():
    assert (parse_components("7"), parse_components("4,3")) == (7, (4, 3))
    method = Options(method="tensor", factorization="hierarchical", components=(4, 3)).on("array")
    assert method.estimator(None).components == (4, 3)
