"""Labels: where they come from, their order, and what becomes of lines without a value."""

import numpy as np
import pandas as pd
import pytest

from factorflow.problems import Completion


def long(users, items, ratings, **kwargs):
    frame = pd.DataFrame({"user": users, "item": items, "rating": ratings})
    return Completion.from_long_frame(frame, "user", "item", "rating", **kwargs)


def test_labels_are_sorted_where_they_can_be_compared():
    problem = long(["b", "a"], [2, 10], [1.0, 2.0])
    assert problem.row_labels.tolist() == ["a", "b"]
    assert problem.column_labels.tolist() == [2, 10]
    np.testing.assert_array_equal(problem.to_array(), [[np.nan, 2.0], [1.0, np.nan]])


def test_labels_of_different_kinds_keep_their_order():
    problem = long(["b", 3, ("x", 1)], [0, 0, 0], [1.0, 2.0, 3.0])
    assert problem.row_labels.tolist() == ["b", 3, ("x", 1)]
    assert problem.values.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA, pd.NaT])
def test_a_line_without_a_value_leaves_its_labels(missing):
    problem = long(["a", "b"], ["x", "y"], pd.Series([1.0, missing], dtype=object))
    assert problem.shape == (2, 2)
    assert problem.n_observed == 1
    assert problem.empty_rows.tolist() == [1]
    assert problem.column_labels.tolist() == ["x", "y"]


def test_unused_categories_make_no_row():
    users = pd.Categorical(["a", "b"], categories=["c", "b", "a"])
    problem = long(users, [0, 1], [1.0, 2.0])
    assert problem.row_labels.tolist() == ["a", "b"]


def test_a_wide_frame_keeps_tuples_and_dates_as_labels():
    days = pd.date_range("2020-01-01", periods=2)
    columns = pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])
    problem = Completion.of(pd.DataFrame(np.eye(2), index=days, columns=columns))
    assert problem.column_labels.tolist() == [("a", 1), ("a", 2)]
    assert pd.DatetimeIndex(problem.row_labels).equals(days)
    train, _ = problem.split(0.5)
    assert train.column_labels.tolist() == problem.column_labels.tolist()
