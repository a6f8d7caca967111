"""The command ``complete``: its numbers, its files, and what it refuses."""

import re

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from cli_inputs import (
    LONG,
    PLAIN,
    SHAPE,
    completed,
    factorflow,
    long_frame,
    matrix,
    numbers,
    observed,
    picture,
    wide_frame,
    with_gaps,
)

from factorflow import Completion, DeepMatrixCompletion
from factorflow.cli._completion_files import Files
from factorflow.cli._read_image import hidden_pixels
from factorflow.estimators import fit_effects, tune_damping

NOISE = 0.1


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """One noisy matrix of rank 2 with gaps in every form of a table and as an array."""
    folder = tmp_path_factory.mktemp("tables")
    values = with_gaps(noise=NOISE)
    wide, long = wide_frame(values), long_frame(values)
    for sep, ending in ((",", "csv"), ("\t", "tsv")):
        wide.to_csv(folder / f"wide.{ending}", sep=sep, index=False)
        long.to_csv(folder / f"long.{ending}", sep=sep, index=False)
    wide.to_parquet(folder / "wide.parquet")
    long.to_parquet(folder / "long.parquet")
    np.save(folder / "array.npy", values)
    np.savez(folder / "array.npz", values=np.nan_to_num(values), observed=np.isfinite(values))
    return folder


@pytest.fixture(scope="module")
def wide_run(tables):
    """One run with every file, on a wide table with all defaults."""
    out = tables / "out"
    out.mkdir()
    files = {name: out / f"run.{name}" for name in ("csv", "json", "html")}
    result = completed(
        tables / "wide.csv", "--output", files["csv"], "--json", files["json"],
        "--report", files["html"],
    )  # fmt: skip
    return result, files


# ------------------------------------------------------------------------------ the numbers


def test_json_holds_the_numbers_of_an_independent_computation(wide_run):
    content = numbers(wide_run[1]["json"])
    problem = Completion.from_array(with_gaps(noise=NOISE))
    train, test = problem.split(0.1, 0)
    assert content["n_observed"] == problem.n_observed
    assert (content["n_train"], content["n_test"]) == (train.n_observed, test.n_observed)
    mean_rmse = np.sqrt(np.mean((test.values - train.values.mean()) ** 2))
    assert content["baselines"]["mean"]["test_rmse"] == pytest.approx(mean_rmse, rel=1e-12)

    model = DeepMatrixCompletion(2, biases="rows+columns", random_state=0).fit(train)
    gap = model.reconstruct()[test.rows, test.columns] - test.values
    assert content["test_rmse"] == pytest.approx(np.sqrt(np.mean(gap**2)), rel=1e-9)
    damping = tune_damping(*train.split(0.1, 0))
    own = fit_effects(train, "rows+columns", damping).at(test.rows, test.columns) - test.values
    effects = content["baselines"]["row_column_effects"]["test_rmse"]
    assert effects == pytest.approx(np.sqrt(np.mean(own**2)), rel=1e-12)
    assert content["n_gradients"] == model.n_gradients_
    assert content["effective_rank"] == pytest.approx(model.effective_rank_)
    assert content["validation_rmse"] == pytest.approx(model.validation_error_)
    assert content["status"] == model.solution_.status.name
    assert "validation entries is least" in content["status_sentence"]


def test_json_tells_how_the_numbers_came_about(wide_run):
    content = numbers(wide_run[1]["json"])
    assert content["shape"] == list(SHAPE)
    assert content["seed"] == 0
    assert content["psnr"] is None
    assert content["kind"] == "wide table"
    assert content["settings"] == {
        "depth": 2, "scale": 1e-3, "widths": [15], "capped": False, "biases": "rows+columns",
        "stop": "validation",
    }  # fmt: skip
    assert {"factorflow", "jax", "numpy", "python"} <= set(content["versions"])
    assert 0 < content["seconds"]["flow"] < content["seconds"]["total"]
    assert content["seconds"]["flow_on_all_entries"] > 0


def test_the_low_rank_part_beats_the_baselines(wide_run):
    content = numbers(wide_run[1]["json"])
    assert content["test_rmse"] < 0.5 * content["baselines"]["row_column_effects"]["test_rmse"]


def test_the_table_shows_the_numbers_of_the_json(wide_run):
    shown, content = wide_run[0].stdout, numbers(wide_run[1]["json"])
    difference = 100 * (content["test_rmse"] / content["baselines"]["mean"]["test_rmse"] - 1)
    for text in (
        f"{content['test_rmse']:.5g}",
        f"{content['baselines']['mean']['test_rmse']:.5g}",
        f"{difference:+.2f} %",
        f"{content['n_test']} test entries",
        "depth 2, scale 0.001, stop by validation",
        "15 (full)",
        "rows+columns",
    ):
        assert text in shown
    assert "fit of all observed entries" in shown


def test_the_output_is_of_a_fit_of_all_entries(wide_run):
    values = with_gaps(noise=NOISE)
    written = pd.read_csv(wide_run[1]["csv"], index_col=0).to_numpy()
    known = np.isfinite(values)
    np.testing.assert_array_equal(written[known], values[known])
    model = DeepMatrixCompletion(2, biases="rows+columns", random_state=0).fit(values)
    np.testing.assert_allclose(written[~known], model.reconstruct()[~known], rtol=1e-7)


def test_the_report_is_one_page_with_table_and_figures(wide_run):
    page = wide_run[1]["html"].read_text()
    assert "row and column effects" in page
    assert page.count("data:image/png;base64,") >= 4
    assert not re.search(r"(src|href)=\"(http|/)", page)


def test_long_and_wide_tables_and_arrays_give_the_same_numbers(tables, wide_run, tmp_path):
    expected = numbers(wide_run[1]["json"])["test_rmse"]
    same = ("--biases", "rows+columns", "--depth", "2")
    for name, options in (
        ("long.csv", LONG),
        ("long.tsv", LONG),
        ("long.parquet", LONG),
        ("wide.tsv", ()),
        ("wide.parquet", ()),
        ("array.npy", same),
        ("array.npz", same),
    ):
        completed(tables / name, *options, "--json", tmp_path / "run.json")
        assert numbers(tmp_path / "run.json")["test_rmse"] == pytest.approx(expected, rel=1e-9)


def test_the_same_seed_gives_the_same_numbers_and_another_others(tables, tmp_path):
    runs = []
    for seed in (3, 3, 4):
        completed(tables / "wide.csv", "--seed", seed, "--json", tmp_path / "run.json")
        content = numbers(tmp_path / "run.json")
        del content["seconds"]
        runs.append(content)
    assert runs[0] == runs[1]
    assert runs[0]["test_rmse"] != runs[2]["test_rmse"]


def test_an_array_of_low_rank_is_recovered_by_the_defaults(tmp_path):
    np.save(tmp_path / "x.npy", with_gaps())
    completed(tmp_path / "x.npy", "--stop", "interpolate", "--output", tmp_path / "y.npy",
              "--json", tmp_path / "run.json")  # fmt: skip
    settings = numbers(tmp_path / "run.json")["settings"]
    assert (settings["depth"], settings["biases"]) == (3, "none")
    gap = np.load(tmp_path / "y.npy") - matrix()
    assert np.linalg.norm(gap) < 0.05 * np.linalg.norm(matrix())


def test_without_a_test_there_is_no_test_table(tables, tmp_path):
    result = completed(tables / "wide.csv", *PLAIN, "--json", tmp_path / "run.json")
    assert "RMSE" not in result.stdout
    content = numbers(tmp_path / "run.json")
    assert (content["test_rmse"], content["baselines"], content["n_test"]) == (None, {}, 0)


def test_values_that_the_biases_explain_leave_nothing_to_the_flow(tmp_path):
    np.save(tmp_path / "x.npy", np.where(observed(), 4.0, np.nan))
    result = completed(tmp_path / "x.npy", "--biases", "global", "--output", tmp_path / "y.npy",
                       "--report", tmp_path / "y.html", "--json", tmp_path / "y.json")  # fmt: skip
    assert "nothing was left" in result.stdout
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), np.full(SHAPE, 4.0))
    assert numbers(tmp_path / "y.json")["n_gradients"] == 0


def test_duplicates_are_averaged_when_asked(tables, tmp_path):
    frame = pd.read_csv(tables / "long.csv")
    doubled = pd.concat([frame.assign(score=frame["score"] + d) for d in (-1, 1)])
    doubled.to_csv(tmp_path / "twice.csv", index=False)
    assert factorflow("complete", tmp_path / "twice.csv", *LONG).exit_code == 2
    for name, options in ((tmp_path / "twice.csv", ("--duplicates", "mean")),
                          (tables / "long.csv", ())):  # fmt: skip
        completed(name, *LONG, *PLAIN, *options, "--output", tmp_path / f"{len(options)}.npy")
    np.testing.assert_allclose(
        np.load(tmp_path / "2.npy"), np.load(tmp_path / "0.npy"), rtol=1e-6, atol=1e-6
    )


# --------------------------------------------------------------------------------- the files


@pytest.mark.parametrize("ending", ["csv", "tsv", "txt", "csv.gz", "parquet", "npy", "npz"])
@pytest.mark.parametrize("name", ["long.csv", "wide.csv", "array.npy"])
def test_every_ending(tables, tmp_path, name, ending):
    options = LONG if name.startswith("long") else ()
    completed(tables / name, *options, *PLAIN, "--output", tmp_path / f"y.{ending}")
    assert [path.name for path in tmp_path.iterdir()] == [f"y.{ending}"]
    if ending == "npy":
        values = with_gaps(noise=NOISE)
        known = np.isfinite(values)
        np.testing.assert_array_equal(np.load(tmp_path / "y.npy")[known], values[known])


def test_cells_of_a_long_output(tables, tmp_path):
    for cells, count in (("missing", (~observed()).sum()), ("all", observed().size)):
        path = tmp_path / f"{cells}.csv"
        completed(tables / "long.csv", *LONG, *PLAIN, "--output", path, "--cells", cells)
        assert len(pd.read_csv(path)) == count


@pytest.mark.parametrize("colours", [1, 3])
def test_an_image_with_hidden_pixels(tmp_path, colours):
    pixels = picture(tmp_path / "x.png", colours) / 255
    result = completed(
        tmp_path / "x.png", "--hide", "0.4", "--json", tmp_path / "run.json",
        "--output", tmp_path / "y.png", "--report", tmp_path / "y.html",
    )  # fmt: skip
    content = numbers(tmp_path / "run.json")
    hidden = hidden_pixels(SHAPE, 0.4, 0)
    assert content["n_test"] == colours * hidden.sum()
    assert content["psnr"] == pytest.approx(-20 * np.log10(content["test_rmse"]))
    assert f"{content['psnr']:.2f} dB" in result.stdout
    assert content["settings"]["biases"] == "global"
    mean = np.sqrt(np.mean((pixels[hidden] - pixels[~hidden].mean()) ** 2))
    assert content["baselines"]["mean"]["test_rmse"] == pytest.approx(mean)
    written = np.asarray(PIL.Image.open(tmp_path / "y.png")) / 255
    np.testing.assert_array_equal(written[~hidden], pixels[~hidden])
    # the picture that was written is the one that was measured, but for the rounding to 8 bits
    error = np.sqrt(np.mean((written[hidden] - pixels[hidden]) ** 2))
    assert error == pytest.approx(content["test_rmse"], abs=0.5 / 255)


def test_an_image_with_an_observed_mask(tmp_path):
    pixels = picture(tmp_path / "x.png")
    PIL.Image.fromarray((255 * observed()).astype(np.uint8)).save(tmp_path / "seen.png")
    completed(
        tmp_path / "x.png", "--observed", tmp_path / "seen.png", *PLAIN,
        "--output", tmp_path / "y.png",
    )  # fmt: skip
    written = np.asarray(PIL.Image.open(tmp_path / "y.png"))
    np.testing.assert_array_equal(written[observed()], pixels[observed()])


# ------------------------------------------------------------------------------- what is refused


def refused(tmp_path, *arguments):
    """Run what must be refused: exit code 2, one line on stderr, no new file."""
    before = sorted(path.name for path in tmp_path.rglob("*"))
    result = factorflow("complete", *arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    return result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--depth", "0"), "--depth"),
        (("--scale", "0"), "--scale"),
        (("--scale", "nan"), "--scale"),
        (("--widths", "3,4"), "--widths gives 2"),
        (("--widths", "0"), "--widths"),
        (("--test-fraction", "1"), "--test-fraction"),
        (("--test-fraction", "-0.5"), "--test-fraction"),
        (("--seed", "-1"), "--seed"),
        (("--hide", "0.5"), "--hide"),
        (("--row", "a"), "--column and --value are missing"),
        (("--row", "nobody", "--column", "c1", "--value", "c2"), "no column 'nobody'"),
        (("--cells", "all"), "--cells"),
        (("--output", "{}/none/y.csv"), "none does not exist"),
        (("--json", "{}/none/y.json"), "none does not exist"),
        (("--report", "{}/none/y.html"), "none does not exist"),
        (("--output", "{}/y.doc"), ".doc"),
        (("--output", "{}/y.png"), "is an image"),
        (("--output", "{}/x.csv"), "is the input too"),
        (("--json", "{}/y", "--report", "{}/y"), "the file of --json"),
        (("--output", "{}/y.csv", "--cells", "missing"), "long table"),
    ],
)
def test_bad_options(tmp_path, options, said):
    wide_frame(with_gaps()).to_csv(tmp_path / "x.csv", index=False)
    given = [option.format(tmp_path) for option in options]
    assert said in refused(tmp_path, tmp_path / "x.csv", *given)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.csv", "id,a,b\n1,,\n2,,\n", "observed"),
        ("x.csv", "id,a,b\n1,2,inf\n", "column 'b'"),
        ("x.csv", "id,a,b\nfirst,2,3\nsecond,x,1\n", "row 'second', column 'a'"),
        ("x.csv", "", "empty"),
        ("x.npy", "no array", "could not be read"),
        ("x.npz", "no archive", "could not be read"),
        ("x.png", "no image", "is no PNG"),
        ("x.parquet", "PAR1", "could not be read"),
        ("x.doc", "text", ".doc"),
    ],
)
def test_bad_files(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    options = ("--hide", "0.5") if name.endswith(".png") else ()
    message = refused(tmp_path, tmp_path / name, *options, "--output", tmp_path / "y.npy")
    assert said in message
    assert name in message


def test_a_truncated_image(tmp_path):
    picture(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "x.png").write_bytes(whole[: len(whole) // 2])
    assert "cut short" in refused(tmp_path, tmp_path / "x.png", "--hide", "0.5")


@pytest.mark.parametrize("share", ["0", "1", "-0.2", "1.5", "nan"])
def test_bad_shares_to_hide(tmp_path, share):
    picture(tmp_path / "x.png")
    assert "--hide" in refused(tmp_path, tmp_path / "x.png", "--hide", share)


def test_hidden_pixels_leave_no_other_test(tmp_path):
    picture(tmp_path / "x.png")
    options = ("--hide", "0.5", "--test-fraction", "0.2")
    assert "leave out --test-fraction" in refused(tmp_path, tmp_path / "x.png", *options)


def test_a_disk_that_fails_leaves_no_half_file(tables, tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    result = factorflow("complete", tables / "wide.csv", *PLAIN, "--output", tmp_path / "y.csv")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "error: No space left on device."
    assert list(tmp_path.iterdir()) == []


def test_files_are_checked_before_the_input_is_read(tmp_path):
    files = Files(tmp_path / "none" / "y.csv", None, None, None)
    with pytest.raises(ValueError, match="does not exist"):
        files.check(tmp_path / "not there.csv")
