import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow._errors import InputError
from factorflow.datasets import movielens

ROWS = [(1, 31, 2.5, 1260759144), (1, 1029, 3.0, 1260759179), (671, 6565, 3.5, 1074784724)]
HEADER = "userId,movieId,rating,timestamp\n"


def text(separator, rows=ROWS, header="", end="\n"):
    return header + "".join(separator.join(map(str, row)) + end for row in rows)


CONTENTS = {
    "u.data": text("\t"),
    "ratings.dat": text("::"),
    "ratings.csv": text(",", header=HEADER),
}


@pytest.fixture
def expected():
    return pd.DataFrame(ROWS, columns=["user", "item", "rating", "timestamp"])


@pytest.mark.parametrize("name", CONTENTS)
def test_folder_and_file_give_the_same_table(name, tmp_path, expected):
    (tmp_path / name).write_text(CONTENTS[name])
    (tmp_path / "README.txt").write_text("not ratings")
    for path in (tmp_path, str(tmp_path), tmp_path / name):
        pd.testing.assert_frame_equal(movielens(path), expected)
    assert list(map(str, expected.dtypes)) == ["int64", "int64", "float64", "int64"]


@pytest.mark.parametrize("content", CONTENTS.values())
def test_another_file_name_is_told_by_its_first_line(content, tmp_path, expected):
    file = tmp_path / "mine.txt"
    file.write_text(content)
    pd.testing.assert_frame_equal(movielens(file), expected)


def test_windows_line_ends_byte_order_mark_and_blank_last_line(tmp_path, expected):
    file = tmp_path / "ratings.csv"
    file.write_bytes((CONTENTS["ratings.csv"].replace("\n", "\r\n") + "\r\n").encode("utf-8-sig"))
    pd.testing.assert_frame_equal(movielens(tmp_path), expected)


ratings = st.tuples(
    st.integers(1, 2**31),
    st.integers(1, 2**31),
    st.sampled_from([0.5 * k for k in range(1, 11)]),
    st.integers(0, 2**33),
)


@given(rows=st.lists(ratings, min_size=1, max_size=20), separator=st.sampled_from(["\t", "::"]))
def test_what_is_written_is_read(rows, separator, tmp_path_factory):
    file = tmp_path_factory.mktemp("movielens") / "ratings"
    file.write_text(text(separator, rows))
    assert list(movielens(file).itertuples(index=False, name=None)) == rows


@pytest.mark.parametrize(
    "line",
    ["7,31,2.5", "7,31,2.5,1,1", "7,31,,1", "7,x,2.5,1", "7,31,nan,1", "7,31,2.5,1.5", "7::31"],
)
def test_malformed_line_is_named(line, tmp_path):
    file = tmp_path / "ratings.csv"
    file.write_text(CONTENTS["ratings.csv"] + line + "\n" + "8,31,2.5,1\n")
    with pytest.raises(InputError, match=r"Line 5 of .*ratings\.csv.* expected user, item") as info:
        movielens(file)
    assert repr(line) in str(info.value)


def test_line_numbers_without_a_header(tmp_path):
    (tmp_path / "u.data").write_text("1\t2\t3\t4\n1\t2\t3\n")
    with pytest.raises(InputError, match="Line 2 of"):
        movielens(tmp_path)


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match=r"There is no file or folder .*absent.*download=True"):
        movielens(tmp_path / "absent")


def test_folder_without_ratings(tmp_path):
    (tmp_path / "movies.csv").write_text("movieId,title\n")
    with pytest.raises(InputError, match=r"holds no MovieLens ratings; expected u\.data"):
        movielens(tmp_path)


def test_folder_with_two_versions(tmp_path):
    for name in ("u.data", "ratings.csv"):
        (tmp_path / name).write_text(CONTENTS[name])
    with pytest.raises(InputError, match=r"holds u\.data and ratings\.csv; give the path"):
        movielens(tmp_path)


@pytest.mark.parametrize("content", ["", "movieId,title\n1,Toy Story\n", "hello\n"])
def test_unknown_content(content, tmp_path):
    (tmp_path / "ratings.csv").write_text(content)
    with pytest.raises(InputError, match=r"The first line of .* begins no MovieLens ratings file"):
        movielens(tmp_path)


def test_header_alone(tmp_path):
    (tmp_path / "ratings.csv").write_text(HEADER)
    with pytest.raises(InputError, match="holds no rating after its header"):
        movielens(tmp_path)


def test_binary_file(tmp_path):
    (tmp_path / "ratings.csv").write_bytes(b"PK\x03\x04\xff\xfe\x00")
    with pytest.raises(InputError, match=r"cannot be read as text .* Unpack an archive first"):
        movielens(tmp_path)
