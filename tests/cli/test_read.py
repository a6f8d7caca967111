"""The reader of the command line: what each format means, and what each bad file is told."""

import gzip
import io
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from factorflow import _random
from factorflow._errors import InputError
from factorflow.cli._input import ENDINGS
from factorflow.cli._read import read_input
from factorflow.cli._unfolding import from_matrix, to_matrix

NAN = np.nan
LONG = {"row": "userId", "column": "movieId", "value": "rating"}
RATINGS = "userId,movieId,rating,timestamp\n10,b,3.5,7\n2,a,1,8\n10,a,0,9\n"


def text(path, content):
    path.write_text(content, encoding="utf-8")
    return path


def cells(problem):
    """The measured cells by label, the meaning of a problem that no order of labels changes."""
    rows, columns = list(problem.row_labels), list(problem.column_labels)
    triples = zip(problem.rows, problem.columns, problem.values, strict=True)
    return {(rows[i], columns[j]): value for i, j, value in triples}


def picture(mode="RGB", size=(6, 5), seed=0):
    """A PIL image of random pixels."""
    rng = np.random.default_rng(seed)
    channels = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,)}[mode]
    return PIL.Image.fromarray(rng.integers(0, 256, (*size, *channels), dtype=np.uint8))


def refused(match, path, **options):
    with pytest.raises(InputError, match=match) as caught:
        read_input(path, **options)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


# ------------------------------------------------------------------------------- long tables


@pytest.mark.parametrize(
    ("name", "separator"),
    [("r.csv", ","), ("r.tsv", "\t"), ("r.txt", ";"), ("r.txt", "\t"), ("r.TXT", " ")],
)
def test_long_text(tmp_path, name, separator):
    result = read_input(text(tmp_path / name, RATINGS.replace(",", separator)), **LONG)
    assert result.kind == "long table"
    assert result.problem.shape == (2, 2)
    assert list(result.problem.row_labels) == [2, 10]
    assert cells(result.problem) == {(10, "b"): 3.5, (2, "a"): 1.0, (10, "a"): 0.0}
    assert (result.layout.row, result.layout.column) == ("userId", "movieId")
    assert result.layout.value == "rating"


def test_long_gzip_and_parquet_are_the_same_problem(tmp_path):
    plain = read_input(text(tmp_path / "r.csv", RATINGS), **LONG)
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress(RATINGS.encode()))
    pd.read_csv(tmp_path / "r.csv").to_parquet(tmp_path / "r.parquet")
    for name in ("r.csv.gz", "r.parquet"):
        assert cells(read_input(tmp_path / name, **LONG).problem) == cells(plain.problem)


def test_parquet_index_levels_are_columns(tmp_path):
    frame = pd.read_csv(io.StringIO(RATINGS)).set_index(["userId", "movieId"])
    frame.to_parquet(tmp_path / "r.parquet")
    problem = read_input(tmp_path / "r.parquet", **LONG).problem
    assert cells(problem) == {(10, "b"): 3.5, (2, "a"): 1.0, (10, "a"): 0.0}


def test_labels_are_taken_as_written(tmp_path):
    path = text(tmp_path / "r.csv", "i,j,v\n007,NA,1\n7,null,2\n")
    problem = read_input(path, row="i", column="j", value="v").problem
    assert cells(problem) == {("007", "NA"): 1.0, ("7", "null"): 2.0}


def test_line_without_a_value_names_a_cell_to_predict(tmp_path):
    path = text(tmp_path / "r.csv", "i,j,v\na,x,1\nb,y,\n")
    problem = read_input(path, row="i", column="j", value="v").problem
    assert problem.shape == (2, 2)
    assert cells(problem) == {("a", "x"): 1.0}


def test_long_duplicates(tmp_path):
    path = text(tmp_path / "r.csv", "i,j,v\na,x,1\na,x,3\nb,x,5\n")
    options = {"row": "i", "column": "j", "value": "v"}
    refused("r.csv", path, **options)
    averaged = read_input(path, **options, duplicates="mean").problem
    assert cells(averaged) == {("a", "x"): 2.0, ("b", "x"): 5.0}


@pytest.mark.parametrize("given", [("row",), ("column", "value"), ("row", "value")])
def test_long_needs_all_three_names(tmp_path, given):
    path = text(tmp_path / "r.csv", RATINGS)
    message = refused("together", path, **{name: LONG[name] for name in given})
    told = set(re.findall("--(row|column|value)", message.split(";")[1]))
    assert told == {"row", "column", "value"} - set(given)


def test_long_names_must_differ_and_exist(tmp_path):
    path = text(tmp_path / "r.csv", RATINGS)
    refused("three different", path, row="userId", column="userId", value="rating")
    message = refused("no column 'stars'", path, **LONG | {"value": "stars"})
    assert "'userId', 'movieId', 'rating', 'timestamp'" in message


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ("1,a,2\n1,b,good\n", "row 2 below the header, column 'rating' holds 'good'"),
        ("1,a,2\n1,b,inf\n", "row 2 .* column 'rating' holds 'inf'"),
        ("1,a,True\n", "column 'rating' holds 'True'"),
        ("1,a,2\n,b,3\n", "row 2 .* no label in column 'userId'"),
        ("1,a,2\n1\n", "row 2 .* no label in column 'movieId'"),
    ],
)
def test_long_bad_line_is_named(tmp_path, lines, match):
    path = text(tmp_path / "r.csv", "userId,movieId,rating\n" + lines)
    assert "r.csv" in refused(match, path, **LONG)


@pytest.mark.parametrize(
    "header", ["userId,movieId,rating,timestamp", "user_id,item_id,stars", "i,j,value"]
)
def test_long_table_without_names_gets_the_command(tmp_path, header):
    names = header.split(",")
    path = text(tmp_path / "r.csv", header + "\n" + ",".join("1234"[: len(names)]) + "\n")
    message = refused("looks like a long table", path)
    assert f"--row {names[0]} --column {names[1]} --value {names[2]}" in message


def test_repeated_row_labels_propose_a_long_table(tmp_path):
    path = text(tmp_path / "r.csv", "plant,soil type,yield\nA,clay,1\nA,sand,2\n")
    refused('--row plant --column "soil type" --value yield', path)


# ------------------------------------------------------------------------------- wide tables


@pytest.mark.parametrize(
    ("header", "first", "label"),
    [
        (",x,y", ("1", "2"), ""),
        ("index,x,y", ("1", "2"), "index"),
        ("user_id,x,y", ("1", "2"), "user_id"),
        ("userId,x,y", ("1", "2"), "userId"),
        ("station,x,y", ("north", "2"), "station"),
        ("station,x,y", ("1", "2"), None),
        ("fluid,x,y", ("1", "2"), None),
        (",11,12", ("1", "2"), ""),
        ("0,1,2", ("1", "2"), None),
    ],
)
def test_first_column_holds_labels(tmp_path, header, first, label):
    path = text(tmp_path / "w.csv", f"{header}\n{first[0]},3,\n{first[1]},,-4e-1\n")
    result = read_input(path)
    values = np.array([[3, NAN], [NAN, -0.4]])
    if label is None:
        values = np.column_stack([[1.0, 2.0], values])
    assert result.kind == "wide table"
    assert result.layout.label == label
    np.testing.assert_array_equal(result.problem.to_array(), values)
    names = header.split(",")[0 if label is None else 1 :]
    assert list(result.problem.column_labels) == names
    if label is not None:
        assert [str(name) for name in result.problem.row_labels] == list(first)


def test_wide_formats_are_the_same_problem(tmp_path):
    frame = pd.DataFrame([[1, NAN], [NAN, 4.5], [5, 6]], index=["c", "a", "b"], columns=["z", "y"])
    frame.to_csv(tmp_path / "w.csv")
    frame.to_csv(tmp_path / "w.tsv.gz", sep="\t", na_rep="NA")
    frame.to_parquet(tmp_path / "w.parquet")
    for name in ("w.csv", "w.tsv.gz", "w.parquet"):
        problem = read_input(tmp_path / name).problem
        assert list(problem.row_labels) == ["c", "a", "b"]
        assert list(problem.column_labels) == ["z", "y"]
        np.testing.assert_array_equal(problem.to_array(), frame.to_numpy())


@given(arrays(float, (3, 2), elements=st.floats(allow_infinity=False, width=64)))
def test_wide_text_keeps_every_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("wide") / "w.csv"
    values[0, 0] = 1.5
    pd.DataFrame(values, columns=["x", "y"]).to_csv(path, index=False, na_rep="NaN")
    np.testing.assert_array_equal(read_input(path).problem.to_array(), values)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("a,b\n", "no rows"),
        ("name\nx\ny\n", "no column of values"),
        ("a,b\n,\n,NA\n", "No cell is observed"),
        ("a,b\n1,2\n3,x\n", "row 2 below the header, column 'b' holds 'x'"),
        ("a,b\n1,2\n3,'4'\n", "holds \"'4'\""),
        ("name,b\nu,2\nv,x\n", "row 'v', column 'b' holds 'x'"),
        (",b\n5,2\n6,1e999\n", "row 6, column 'b' holds 'inf'"),
        ("name,b\nu,2\nu,3\n", "row label 'u' .* occurs twice"),
        ("a,b,a\n1,2,3\n", "column name 'a' occurs twice"),
        ("a,b\n1,2,3\n4,5,6\n", "more cells in its rows than the 2 in its header"),
        ("a,b\n1,2\n4,5,6\n", "could not be read"),
        ("a;b\n1;2\n", "not separated by commas"),
        ("1.5,2,3\n4,5,6\n", "holds only numbers"),
        ("5,3,4\n4,5,6\n", "holds only numbers"),
        (",3.5,3.5\n4,5,6\n", "holds only numbers"),
        ('a,b\n1,"2\n', "w.csv"),
    ],
)
def test_bad_wide_table(tmp_path, content, match):
    assert "w.csv" in refused(match, text(tmp_path / "w.csv", content))


def test_text_in_another_encoding(tmp_path):
    for name in ("w.csv", "w.txt"):
        (tmp_path / name).write_bytes("größe,b\n1,2\n".encode("latin-1"))
        refused("not UTF-8", tmp_path / name)
    (tmp_path / "bom.csv").write_bytes("größe,b\n1,2\n".encode("utf-8-sig"))
    labels = read_input(tmp_path / "bom.csv").problem.column_labels
    assert list(labels) == ["größe", "b"]


def test_parquet_of_lists_gives_no_labels(tmp_path):
    frame = pd.DataFrame({"userId": [[1], [2]], "movieId": ["a", "b"], "rating": [1, 2]})
    frame.to_parquet(tmp_path / "r.parquet")
    refused("column 'userId' are no labels", tmp_path / "r.parquet", **LONG)


def test_parquet_columns_with_types_of_pandas(tmp_path):
    frame = pd.DataFrame({"place": pd.Categorical(["u", "v"])})
    frame = frame.assign(x=pd.array([1, None], dtype="Int64"), y=[0.5, 2])
    frame.to_parquet(tmp_path / "w.parquet")
    problem = read_input(tmp_path / "w.parquet").problem
    assert cells(problem) == {("u", "x"): 1.0, ("u", "y"): 0.5, ("v", "y"): 2.0}


def test_parquet_of_dates_is_refused(tmp_path):
    frame = pd.DataFrame({"a": [1.0], "b": pd.to_datetime(["2020-01-01"])})
    frame.to_parquet(tmp_path / "w.parquet")
    refused("column 'b' holds '2020-01-01", tmp_path / "w.parquet")


# ------------------------------------------------------------------------------------ arrays


def test_npy_nan_is_missing(tmp_path):
    values = np.array([[1, NAN, 3], [NAN, 0, NAN]], dtype=np.float32)
    np.save(tmp_path / "a.npy", values)
    result = read_input(tmp_path / "a.npy")
    assert (result.kind, result.layout.dtype) == ("array", np.float32)
    np.testing.assert_array_equal(result.problem.to_array(), values)


def test_npz_observed(tmp_path):
    values = np.arange(6).reshape(2, 3)
    observed = np.array([[True, False, True], [False, True, True]])
    np.savez(tmp_path / "a.npz", values=values, observed=observed)
    np.savez(tmp_path / "one.npz", anything=np.where(observed, values, NAN))
    np.save(tmp_path / "values.npy", values)
    np.save(tmp_path / "observed.npy", observed.astype(int))
    results = [
        read_input(tmp_path / "a.npz"),
        read_input(tmp_path / "one.npz"),
        read_input(tmp_path / "values.npy", observed=tmp_path / "observed.npy"),
    ]
    for result in results:
        np.testing.assert_array_equal(result.problem.to_array(), np.where(observed, values, NAN))
    assert results[0].layout.dtype == np.float64


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_stored_zero_of_a_sparse_matrix_is_observed(tmp_path, form):
    entries = ([2.0, 0.0, 5.0], ([0, 1, 1], [2, 0, 2]))
    scipy.sparse.save_npz(
        tmp_path / "s.npz", scipy.sparse.coo_array(entries, (2, 3)).asformat(form)
    )
    problem = read_input(tmp_path / "s.npz").problem
    np.testing.assert_array_equal(problem.to_array(), [[NAN, NAN, 2], [0, NAN, 5]])


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"values": np.ones(3)}, "shape \\(3,\\)"),
        ({"values": np.ones((0, 3))}, "shape \\(0, 3\\)"),
        ({"values": np.ones((2, 2), dtype=complex)}, "type complex128"),
        ({"values": np.array([["a", "b"]])}, "type <U1"),
        ({"values": np.array([[1, None]], dtype=object)}, "could not be read"),
        ({"values": np.array([[1, np.inf]])}, r"entry \(0, 1\) .* inf"),
        ({"values": np.array([[NAN, NAN]])}, "No cell is observed"),
        ({"values": np.ones((2, 2)), "observed": np.ones((2, 3))}, r"\(2, 3\).*\(2, 2\)"),
        ({"values": np.array([[1, NAN]]), "observed": np.ones((1, 2))}, r"entry \(0, 1\) .* nan"),
        ({"values": np.ones((2, 2)), "observed": np.array([["a"]])}, "booleans"),
        ({"a": np.ones((2, 2)), "b": np.ones((2, 2))}, "'a', 'b'"),
        ({"format": np.array(b"csr"), "shape": np.array([2, 2])}, "sparse matrix is not valid"),
    ],
)
def test_bad_npz(tmp_path, content, match):
    np.savez(tmp_path / "a.npz", **content)
    assert "a.npz" in refused(match, tmp_path / "a.npz")


# ------------------------------------------------------------------------------------ images


@given(
    st.integers(1, 5).flatmap(
        lambda h: st.integers(1, 5).flatmap(
            lambda w: st.sampled_from([(h, w), (h, w, 3)]).flatmap(
                lambda shape: arrays(float, shape, elements=st.floats(0, 1))
            )
        )
    )
)
def test_unfolding_round_trip(image):
    matrix = to_matrix(image)
    channels = 1 if image.ndim == 2 else 3
    assert matrix.shape == (image.shape[0], channels * image.shape[1])
    np.testing.assert_array_equal(from_matrix(matrix, channels), image)


def test_unfolding_is_red_green_blue_side_by_side():
    image = np.arange(24.0).reshape(2, 4, 3)
    np.testing.assert_array_equal(to_matrix(image), np.hstack([image[..., k] for k in range(3)]))
    for shape in ((4,), (2, 2, 4), (1, 2, 3, 3)):
        with pytest.raises(InputError):
            to_matrix(np.zeros(shape))
    for shape, channels in (((2, 4), 3), ((2, 4), 2), ((2, 2, 3), 3)):
        with pytest.raises(InputError):
            from_matrix(np.zeros(shape), channels)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_png_modes(tmp_path, mode):
    opened = picture(mode)
    opened.save(tmp_path / "p.png")
    result = read_input(tmp_path / "p.png", hide=0.5)
    pixels = np.asarray(opened) / 255
    expected = {"LA": pixels[..., 0], "RGBA": pixels[..., :3]}.get(mode, pixels)
    np.testing.assert_array_equal(result.truth, to_matrix(expected))
    assert result.kind == "image"
    assert (result.layout.height, result.layout.width, result.layout.levels) == (6, 5, 255)
    assert bool(result.notes) == mode.endswith("A")


def test_palette_sixteen_bits_and_one_bit(tmp_path):
    colours = picture("RGB").quantize(8)
    colours.save(tmp_path / "palette.png")
    result = read_input(tmp_path / "palette.png", hide=0.5)
    np.testing.assert_array_equal(
        from_matrix(result.truth, 3), np.asarray(colours.convert("RGB")) / 255
    )
    deep = np.random.default_rng(0).integers(0, 65536, (6, 5), dtype=np.uint16)
    PIL.Image.fromarray(deep).save(tmp_path / "deep.png")
    result = read_input(tmp_path / "deep.png", hide=0.5)
    np.testing.assert_array_equal(result.truth, deep / 65535)
    assert result.layout.levels == 65535
    PIL.Image.fromarray(deep > 9999).save(tmp_path / "bit.png")
    np.testing.assert_array_equal(read_input(tmp_path / "bit.png", hide=0.5).truth, deep > 9999)


def test_jpeg_orientation_is_carried_out(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    picture("RGB", (6, 5)).save(tmp_path / "p.jpg", exif=exif)
    layout = read_input(tmp_path / "p.jpg", hide=0.5).layout
    assert (layout.height, layout.width) == (5, 6)


def test_cmyk_is_converted_with_a_note(tmp_path):
    picture("RGB").convert("CMYK").save(tmp_path / "p.jpg")
    result = read_input(tmp_path / "p.jpg", hide=0.5)
    assert result.layout.channels == 3
    assert "CMYK" in result.notes[0]


def test_hide_takes_a_share_of_whole_pixels(tmp_path):
    picture("RGB", (20, 30)).save(tmp_path / "p.png")
    result = read_input(tmp_path / "p.png", hide=0.7, seed=3)
    seen = result.problem.observed.reshape(20, 3, 30)
    assert (seen == seen[:, :1]).all()
    assert seen[:, 0].sum() == 600 - 420
    expected = _random.stream(3, "image", "hide").choice(600, 420, replace=False)
    assert set(np.flatnonzero(~seen[:, 0].ravel())) == set(expected)
    again = read_input(tmp_path / "p.png", hide=0.7, seed=3)
    other = read_input(tmp_path / "p.png", hide=0.7, seed=4)
    assert (again.problem.observed == result.problem.observed).all()
    assert (other.problem.observed != result.problem.observed).any()
    measured = result.problem.observed
    np.testing.assert_array_equal(result.problem.to_array()[measured], result.truth[measured])
    np.testing.assert_array_equal(result.problem.truth, result.truth)


@pytest.mark.parametrize("name", ["m.png", "m.jpg", "m.npy"])
def test_observed_marks_the_pixels(tmp_path, name):
    picture("RGB", (16, 24)).save(tmp_path / "p.png")
    seen = np.zeros((16, 24), dtype=bool)
    seen[:8, 8:] = True  # whole blocks of 8 pixels, which JPEG keeps apart
    if name == "m.npy":
        np.save(tmp_path / name, seen)
    else:
        white = 255 if name == "m.jpg" else 1
        PIL.Image.fromarray(white * seen.astype(np.uint8)).save(tmp_path / name)
    result = read_input(tmp_path / "p.png", observed=tmp_path / name)
    np.testing.assert_array_equal(result.problem.observed, np.tile(seen, (1, 3)))
    assert result.truth is None


def test_image_options(tmp_path):
    picture("RGB", (6, 5)).save(tmp_path / "p.png")
    picture("L", (4, 7)).save(tmp_path / "m.png")
    path, mask = tmp_path / "p.png", tmp_path / "m.png"
    refused("--hide.*--observed", path)
    refused("--hide.*--observed", path, hide=0.5, observed=path)
    refused("6 x 5 .* 4 x 7", path, observed=mask)
    refused("m.csv.*image.*npy", path, observed=text(tmp_path / "m.csv", "a\n1\n"))
    refused("nowhere.png does not exist", path, observed=tmp_path / "nowhere.png")
    for share in (0, 1, -0.1, 7, NAN):
        refused("between 0 and 1", path, hide=share)
    refused("hides 0 of the 30", path, hide=0.001)
    refused("hides 30 of the 30", path, hide=0.999)
    refused("seed", path, hide=0.5, seed=-1)
    PIL.Image.new("L", (5, 6)).save(mask)
    refused("No cell is observed", path, observed=mask)


# ------------------------------------------------------------------------------- any bad file


def test_missing_folder_and_unknown_ending(tmp_path):
    refused("does not exist", tmp_path / "nowhere.csv")
    refused("is a folder", tmp_path)
    for name in ("x.xlsx", "x", "x.npy.gz"):
        message = refused("known endings", text(tmp_path / name, "a"))
        assert all(ending in message for ending in ENDINGS)


def test_options_of_another_kind(tmp_path):
    picture().save(tmp_path / "p.png")
    np.save(tmp_path / "a.npy", np.ones((2, 2)))
    table = text(tmp_path / "r.csv", RATINGS)
    refused("no table", tmp_path / "p.png", **LONG)
    refused("no table", tmp_path / "a.npy", **LONG)
    refused("--observed", table, observed=tmp_path / "a.npy", **LONG)
    refused("--hide", table, hide=0.5, **LONG)
    refused("--hide", tmp_path / "a.npy", hide=0.5)


@pytest.mark.parametrize("name", ["x.csv.gz", "x.txt.gz", "x.parquet", "x.npy", "x.npz", "x.png"])
@pytest.mark.parametrize("content", [b"", b"no such file format\n", b"\x00" * 200])
def test_content_of_another_format(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    refused("x\\.", path, **({"hide": 0.5} if name == "x.png" else {}))


@pytest.fixture(scope="module")
def whole_files():
    """The bytes of one good file per binary format."""
    values = np.random.default_rng(0).normal(size=(12, 9))
    frame = pd.DataFrame(values, columns=list("abcdefghi"))
    noise = picture("RGB", (24, 24))
    files = {
        name: io.BytesIO() for name in ("x.npy", "x.npz", "s.npz", "x.parquet", "x.png", "x.jpg")
    }
    np.save(files["x.npy"], values)
    np.savez_compressed(files["x.npz"], values=values)
    scipy.sparse.save_npz(files["s.npz"], scipy.sparse.csr_array(values))
    frame.to_parquet(files["x.parquet"])
    noise.save(files["x.png"], "PNG")
    noise.save(files["x.jpg"], "JPEG")
    contents = {name: file.getvalue() for name, file in files.items()}
    return contents | {"x.csv.gz": gzip.compress(frame.to_csv(index=False).encode())}


@pytest.mark.parametrize(
    "name", ["x.npy", "x.npz", "s.npz", "x.parquet", "x.png", "x.jpg", "x.csv.gz"]
)
def test_file_cut_short(tmp_path, whole_files, name):
    path, content = tmp_path / name, whole_files[name]
    options = {"hide": 0.5} if name in ("x.png", "x.jpg") else {}
    path.write_bytes(content)
    assert read_input(path, **options).problem.n_observed > 0
    for share in np.linspace(0, 0.95, 20):
        path.write_bytes(content[: int(share * len(content))])
        assert name in refused(name, path, **options)


@pytest.mark.parametrize(
    "name", ["x.npy", "x.npz", "s.npz", "x.parquet", "x.png", "x.jpg", "x.csv.gz"]
)
def test_damaged_file_is_read_or_refused(tmp_path, whole_files, name):
    rng = np.random.default_rng(0)
    path, content = tmp_path / name, whole_files[name]
    options = {"hide": 0.5} if name in ("x.png", "x.jpg") else {}
    for _ in range(40):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        assert is_read_or_refused(path, options)


def is_read_or_refused(path, options):
    try:
        values = read_input(path, **options).problem.values
    except InputError as error:
        return path.name in str(error)
    return np.isfinite(values).all()


def test_import_is_light():
    code = (
        "import sys, factorflow.cli._read, factorflow.cli._write\n"
        "print(*sorted({'pandas', 'pyarrow', 'PIL', 'scipy', 'jax'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
