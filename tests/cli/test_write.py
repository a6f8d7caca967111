"""The writer of the command line: the form of the input comes back, whole or not at all."""

import gzip
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from factorflow._errors import InputError
from factorflow._files import check_target, whole_file
from factorflow.cli import _write
from factorflow.cli._read import read_input
from factorflow.cli._write import check_output, write_json, write_output

NAN = np.nan
NAMES = {"row": "user", "column": "film", "value": "stars"}
TABLES = ["o.csv", "o.tsv", "o.txt", "o.csv.gz", "o.tsv.gz", "o.parquet"]


@pytest.fixture
def long(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("user,film,stars\n10,b,3.5\n2,a,1\n10,a,0\n")
    return read_input(path, **NAMES)


@pytest.fixture
def wide(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("place,x,y z\nnorth,1,\n007,,4\n")
    return read_input(path)


@pytest.fixture
def array(tmp_path):
    np.save(tmp_path / "array.npy", np.array([[1, NAN, 2], [3, 4, NAN]], dtype=np.float32))
    return read_input(tmp_path / "array.npy")


@pytest.fixture(params=["gray", "colour", "deep"])
def image(request, tmp_path):
    return an_image(tmp_path, request.param)


def an_image(folder, kind):
    rng = np.random.default_rng(0)
    shape = (16, 24, 3) if kind == "colour" else (16, 24)
    dtype = np.uint16 if kind == "deep" else np.uint8
    PIL.Image.fromarray(rng.integers(0, np.iinfo(dtype).max, shape, dtype)).save(folder / "i.png")
    return read_input(folder / "i.png", hide=0.4)


def completed(source, seed=0):
    """A matrix that agrees with the measured cells."""
    matrix = np.random.default_rng(seed).normal(size=source.problem.shape)
    matrix[source.problem.rows, source.problem.columns] = source.problem.values
    return matrix


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


# -------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("name", TABLES)
def test_long_table_lists_the_missing_cells(tmp_path, long, name):
    matrix = completed(long)
    write_output(tmp_path / name, long, matrix)
    missing = read_input(tmp_path / name, **NAMES).problem
    assert list(missing.row_labels) == [2]
    assert list(missing.column_labels) == ["b"]
    np.testing.assert_allclose(missing.values, matrix[0, 1], rtol=1e-15)


@pytest.mark.parametrize("name", TABLES)
def test_long_table_lists_all_cells(tmp_path, long, name):
    matrix = completed(long)
    write_output(tmp_path / name, long, matrix, cells="all")
    back = read_input(tmp_path / name, **NAMES)
    assert list(back.problem.row_labels) == list(long.problem.row_labels)
    assert list(back.problem.column_labels) == list(long.problem.column_labels)
    np.testing.assert_allclose(back.problem.to_array(), matrix, rtol=1e-15)
    assert back.layout == long.layout


def test_long_lines_are_ordered_by_row_then_column(tmp_path, long):
    write_output(tmp_path / "o.csv", long, np.array([[1, 2], [3, 4]]), cells="all")
    lines = (tmp_path / "o.csv").read_text()
    assert lines == "user,film,stars\n2,a,1.0\n2,b,2.0\n10,a,3.0\n10,b,4.0\n"


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("label", ["place", "", None])
def test_wide_table_keeps_its_labels(tmp_path, name, label):
    first = "" if label is None else f"{label},"
    cells = ["1,", ",4"] if label is None else ["north,1,", "007,,4"]
    (tmp_path / "w.csv").write_text(f"{first}x,y z\n{cells[0]}\n{cells[1]}\n")
    source = read_input(tmp_path / "w.csv")
    matrix = completed(source)
    write_output(tmp_path / name, source, matrix)
    back = read_input(tmp_path / name)
    assert back.layout == source.layout
    assert back.layout.label == label
    assert list(back.problem.column_labels) == ["x", "y z"]
    assert list(back.problem.row_labels) == list(source.problem.row_labels)
    np.testing.assert_allclose(back.problem.to_array(), matrix, rtol=1e-15)


@pytest.mark.parametrize("name", [*TABLES, "o.npy", "o.npz"])
def test_array_round_trip(tmp_path, array, name):
    matrix = completed(array)
    write_output(tmp_path / name, array, matrix)
    back = read_input(tmp_path / name)
    np.testing.assert_allclose(back.problem.to_array(), matrix, rtol=1e-6)
    if name.startswith("o.np"):
        assert back.layout.dtype == np.float32


def test_npz_of_tables_holds_the_labels(tmp_path, long, wide):
    for source in (long, wide):
        matrix = completed(source)
        write_output(tmp_path / "o.npz", source, matrix)
        with np.load(tmp_path / "o.npz", allow_pickle=False) as written:
            np.testing.assert_array_equal(written["values"], matrix)
            assert list(written["row_labels"]) == list(source.problem.row_labels)
            assert list(written["column_labels"]) == list(source.problem.column_labels)
        np.testing.assert_array_equal(read_input(tmp_path / "o.npz").problem.to_array(), matrix)


def test_png_round_trip_keeps_every_level(tmp_path, image):
    write_output(tmp_path / "o.png", image, image.truth)
    back = read_input(tmp_path / "o.png", hide=0.4)
    np.testing.assert_array_equal(back.truth, image.truth)
    assert back.layout == image.layout


@pytest.mark.parametrize("name", ["o.jpg", "o.JPEG"])
@pytest.mark.parametrize("kind", ["gray", "colour", "deep"])
def test_jpeg_is_close(tmp_path, kind, name):
    image = an_image(tmp_path, kind)
    smooth = np.add.outer(*(np.linspace(0, 0.5, n) for n in image.problem.shape))
    write_output(tmp_path / name, image, smooth)
    back = read_input(tmp_path / name, hide=0.4)
    assert back.problem.shape == image.problem.shape
    assert np.abs(back.truth - smooth).mean() < 0.02


@given(arrays(float, (16, 24), elements=st.floats(-1e6, 1e6)))
def test_png_clips_and_rounds(tmp_path_factory, matrix):
    folder = tmp_path_factory.mktemp("png")
    image = an_image(folder, "gray")
    write_output(folder / "o.png", image, matrix)
    levels = np.asarray(PIL.Image.open(folder / "o.png")).astype(float)
    assert np.abs(levels - 255 * np.clip(matrix, 0, 1)).max() <= 0.5


def test_image_as_array_has_the_shape_of_an_image(tmp_path, image):
    write_output(tmp_path / "o.npy", image, image.truth + 1e-9)
    written = np.load(tmp_path / "o.npy")
    assert written.shape == np.asarray(PIL.Image.open(image.source)).shape
    expected = np.asarray(PIL.Image.open(image.source)) / image.layout.levels
    np.testing.assert_allclose(written, expected, atol=2e-9)


def test_gzip_has_no_time_in_it(tmp_path, wide):
    matrix = completed(wide)
    write_output(tmp_path / "a.csv.gz", wide, matrix)
    first = (tmp_path / "a.csv.gz").read_bytes()
    write_output(tmp_path / "a.csv.gz", wide, matrix)
    assert (tmp_path / "a.csv.gz").read_bytes() == first
    write_output(tmp_path / "a.csv", wide, matrix)
    assert gzip.decompress(first) == (tmp_path / "a.csv").read_bytes()


# ----------------------------------------------------------------------------------- refusals


def refused(match, path, source=None, **options):
    """Refused by the check before the run and by the writer after it, with one message."""
    with pytest.raises(InputError, match=match) as before:
        check_output(path, source, **options)
    if source is not None:
        with pytest.raises(InputError) as after:
            write_output(path, source, completed(source), **options)
        assert str(after.value) == str(before.value)
    return str(before.value)


def test_places_that_cannot_be_written(tmp_path, wide, monkeypatch):
    (tmp_path / "folder.csv").mkdir()
    refused("known endings", tmp_path / "o.xlsx", wide)
    refused("is a folder", tmp_path / "folder.csv", wide)
    refused("nowhere does not exist", tmp_path / "nowhere" / "o.csv", wide)
    refused("is the input itself", wide.source, wide)
    refused("cannot be written", tmp_path / ("x" * 300 + ".csv"), wide)
    os.mkfifo(tmp_path / "pipe.csv")
    refused("not a file that may be replaced", tmp_path / "pipe.csv", wide)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    refused("no permission", tmp_path / "o.csv", wide)
    assert names_in(tmp_path) == ["folder.csv", "pipe.csv", "wide.csv"]


def test_link_to_the_input_is_the_input(tmp_path, wide):
    (tmp_path / "link.csv").symlink_to(wide.source)
    refused("is the input itself", tmp_path / "link.csv", wide)


def test_formats_that_do_not_fit(tmp_path, long, wide, array):
    for source in (long, wide, array):
        assert source.kind in refused("is an image, but", tmp_path / "o.png", source)
    refused("is a table, but", tmp_path / "o.csv", an_image(tmp_path, "colour"))


def test_cells_belong_to_long_tables(tmp_path, long, wide):
    refused('"missing" or "all"', tmp_path / "o.csv", long, cells="some")
    refused("only a long table", tmp_path / "o.csv", wide, cells="missing")
    refused("only a long table", tmp_path / "o.npy", long, cells="missing")
    check_output(tmp_path / "o.npy", long, cells="all")


def test_long_output_has_a_limit(tmp_path, long, monkeypatch):
    monkeypatch.setattr(_write, "LONG_LIMIT", 1)
    check_output(tmp_path / "o.csv", long)
    check_output(tmp_path / "o.npz", long)
    assert ".npz" in refused("4 lines", tmp_path / "o.csv", long, cells="all")


@pytest.mark.parametrize("wrong", [np.ones((3, 3)), np.full((2, 2), NAN), np.full((2, 2), np.inf)])
def test_matrix_must_fit_and_be_finite(tmp_path, wide, wrong):
    with pytest.raises(InputError, match=r"shape|NaN"):
        write_output(tmp_path / "o.csv", wide, wrong)
    assert names_in(tmp_path) == ["wide.csv"]


# ------------------------------------------------------------------------- whole or not at all


def write_half(path, failure):
    with whole_file(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_text("half")
        raise failure


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_failure_leaves_the_folder_as_it_was(tmp_path, failure):
    (tmp_path / "old.csv").write_text("old")
    for name in ("old.csv", "new.csv"):
        with pytest.raises(failure):
            write_half(tmp_path / name, failure)
    assert names_in(tmp_path) == ["old.csv"]
    assert (tmp_path / "old.csv").read_text() == "old"


def test_failure_in_the_format_leaves_nothing(tmp_path, wide, monkeypatch):
    def half(frame, file, **_):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(pd.DataFrame, "to_csv", half)
    with pytest.raises(OSError, match="no space"):
        write_output(tmp_path / "o.csv", wide, completed(wide))
    assert names_in(tmp_path) == ["wide.csv"]


SLOW_WRITER = """
import sys, time
from factorflow._files import whole_file
with whole_file(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_killed_writer_leaves_the_old_file(tmp_path, number):
    target = tmp_path / "o.csv"
    target.write_text("old")
    command = [sys.executable, "-c", SLOW_WRITER, str(target)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as writer:
        assert writer.stdout.readline() == "writing\n"
        writer.send_signal(number)
        assert writer.wait(timeout=10) != 0
    assert target.read_text() == "old"
    seen = [name for name in names_in(tmp_path) if not name.startswith(".")]
    assert seen == ["o.csv"]
    if number == signal.SIGINT:
        assert names_in(tmp_path) == ["o.csv"]


def test_whole_file_keeps_links_and_permissions(tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_json(link, {"a": 1})
    assert link.is_symlink()
    assert json.loads(real.read_text()) == {"a": 1}
    assert real.stat().st_mode & 0o777 == 0o640
    (tmp_path / "plain").write_text("x")
    write_json(tmp_path / "new.json", {})
    modes = {(tmp_path / name).stat().st_mode for name in ("plain", "new.json")}
    assert len(modes) == 1


def test_check_target_writes_nothing(tmp_path):
    assert check_target(tmp_path / "o.csv") == (tmp_path / "o.csv").resolve()
    assert names_in(tmp_path) == []


# --------------------------------------------------------------------------------------- JSON


def test_json_of_numpy(tmp_path):
    content = {
        "count": np.int64(3),
        "share": np.float32(0.5),
        "yes": np.bool_(True),
        "nothing": NAN,
        "list": [np.float64("inf"), 1, (2.5, None)],
        "array": np.array([[1.0, NAN]]),
        "path": tmp_path,
        "name": "größe",
        np.int64(7): {"deep": -np.inf},
    }
    write_json(tmp_path / "o.json", content)
    written = (tmp_path / "o.json").read_text(encoding="utf-8")
    assert "größe" in written
    assert json.loads(written) == {
        "count": 3,
        "share": 0.5,
        "yes": True,
        "nothing": None,
        "list": [None, 1, [2.5, None]],
        "array": [[1.0, None]],
        "path": str(tmp_path),
        "name": "größe",
        "7": {"deep": None},
    }


def test_json_of_a_list(tmp_path):
    write_json(tmp_path / "o.json", [{"a": NAN}, (np.int64(1), "b")])
    assert json.loads((tmp_path / "o.json").read_text()) == [{"a": None}, [1, "b"]]


def test_json_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "o.json", {"a": object()})
    with pytest.raises(InputError, match="does not exist"):
        write_json(tmp_path / "nowhere" / "o.json", {})
    assert names_in(tmp_path) == []
