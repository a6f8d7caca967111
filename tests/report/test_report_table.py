"""Tables: every row fits, and numbers are written alike."""

import numpy as np
import pytest

from factorflow._errors import InputError
from factorflow.report import Table
from factorflow.report._table import cell_text, is_unbroken, numeric_columns


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (np.float32(0.5), "0.5"),
        (1e-9, "1e-09"),
        (float("nan"), "nan"),
        (1234567, "1234567"),
        (np.int64(1234567), "1234567"),
        (True, "True"),
        (None, "–"),
        ("0.123456", "0.123456"),
    ],
)
def test_cells(value, text):
    assert cell_text(value) == text


@pytest.mark.parametrize(
    "value",
    [
        2.618e-05,
        12,
        None,
        "depth 3",
        "-1.234e-05 within -2.345e-07 to 3.456",
        "1.234567890123, 95%, nan, -inf",
    ],
)
def test_numbers_and_short_text_are_not_broken(value):
    assert is_unbroken(value)


@pytest.mark.parametrize(
    "value", ["the reconstruction error at depth 3", "1.234567890123 to the left"]
)
def test_long_text_may_be_broken(value):
    assert not is_unbroken(value)


def test_columns_of_numbers():
    table = Table("Runs", "abcde", [("x", 1, 0.5, None, 2), ("y", np.int32(2), None, None, "two")])
    assert numeric_columns(table) == [False, True, True, False, False]
    assert numeric_columns(Table("Answers", ["yes"], [(True,)])) == [False]


def test_row_does_not_fit():
    with pytest.raises(InputError, match="Row 1 of the table 'Runs' has 1 cells for 2 columns"):
        Table("Runs", ["a", "b"], [(1, 2), (3,)])


def test_no_columns():
    with pytest.raises(InputError, match="'Runs' has no columns"):
        Table("Runs", [], [])
