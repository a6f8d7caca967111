"""Finding rows and columns by all kinds of labels."""

from time import perf_counter

import numpy as np
import pandas as pd
import pytest

from factorflow import Completion, InputError
from factorflow.estimators._labels import labels_of, positions


def found(labels, given):
    frame = pd.DataFrame(np.zeros((len(labels), 1)), index=labels)
    answers = [
        positions(given, labels_of(data)[0], len(labels), "row")
        for data in (frame, Completion.from_frame(frame))
    ]
    np.testing.assert_array_equal(*answers)
    return answers[0].tolist()


def test_text_numbers_and_mixtures():
    assert found(["b", "a"], ["a", "b", "a"]) == [1, 0, 1]
    assert found([30, 10, 20], [[10], [30]]) == [[1], [0]]
    assert found([30, 10, 20], np.int32(20)) == 2
    assert found([0.5, 2.0], [2, 0.5]) == [1, 0]
    assert found(["1", 1, "x"], [1, "1"]) == [1, 0]
    assert found(["b", "a"], pd.Series(["a"])) == [1]
    assert found(["b", "a"], pd.Categorical(["a", "b"])) == [1, 0]


def test_dates():
    days = pd.date_range("2020-01-01", periods=3)
    assert found(days, days[2]) == 2
    assert found(days, days[::-1]) == [2, 1, 0]
    assert found(days, [days[1].to_pydatetime()]) == [1]
    assert found(days, days[1:].to_numpy()) == [1, 2]


def test_a_tuple_is_one_label_where_labels_are_tuples():
    pairs = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)])
    assert found(pairs, ("a", 2)) == 1
    assert found(pairs, [("b", 1), ("a", 1)]) == [2, 0]
    assert found(["a", "b"], ("b", "a")) == [1, 0]


@pytest.mark.parametrize(
    ("labels", "given", "sentence"),
    [
        (["a", "b"], "c", "no row labelled 'c'"),
        (["a", "b"], 0, "no row labelled 0"),
        ([10, 20], np.array([10, 11]), "no row labelled 11"),
        (pd.MultiIndex.from_tuples([("a", 1)]), [("a", 3)], r"no row labelled \('a', 3\)"),
    ],
)
def test_an_unknown_label_is_named(labels, given, sentence):
    with pytest.raises(InputError, match=sentence):
        found(labels, given)


def test_a_label_of_two_rows_cannot_be_found():
    labels, _ = labels_of(pd.DataFrame(np.zeros((3, 1)), index=["a", "b", "a"]))
    with pytest.raises(InputError, match="label 'a' stands for more than one row"):
        positions("b", labels, 3, "row")


def test_without_labels_rows_are_numbered():
    assert labels_of(np.zeros((2, 2))) == (None, None)
    assert positions([1, 0], None, 2, "row").tolist() == [1, 0]


def test_a_million_lookups_in_ten_thousand_labels_take_a_moment():
    labels = pd.Index([f"user {i}" for i in range(10_000)])
    codes = np.random.default_rng(0).integers(0, 10_000, 1_000_000)
    wanted = labels.to_numpy()[codes]
    began = perf_counter()
    np.testing.assert_array_equal(positions(wanted, labels, 10_000, "row"), codes)
    assert perf_counter() - began < 10  # a search through the labels would take hours
