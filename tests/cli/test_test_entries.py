"""Test entries: a partition of what is known, and nothing of them in what is fitted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factorflow._errors import InputError
from factorflow.cli._input import Image, Input, PlainArray
from factorflow.cli._test_entries import hold_out
from factorflow.problems import Completion

HEIGHT, WIDTH = 6, 5
ARRAY = PlainArray(np.dtype("float64"))
COLOUR = Image(HEIGHT, WIDTH, channels=3, levels=255)


def problem(columns=WIDTH, share=0.8):
    rng = np.random.default_rng(0)
    values = rng.random((HEIGHT, columns))
    return Completion.from_array(values, observed=rng.random(values.shape) < share)


def cells(part):
    return set(zip(part.rows.tolist(), part.columns.tolist(), part.values.tolist(), strict=True))


def test_a_share_is_held_out():
    given = problem()
    train, test = hold_out(Input(Path("x.npy"), given, ARRAY), 0.25, seed=3)
    assert test.n_observed == round(0.25 * given.n_observed)
    assert cells(train) | cells(test) == cells(given)
    assert not cells(train) & cells(test)
    same = given.split(0.25, 3)
    assert (cells(train), cells(test)) == (cells(same[0]), cells(same[1]))


def test_the_default_share_is_a_tenth_and_zero_is_none():
    given = Input(Path("x.npy"), problem(), ARRAY)
    assert hold_out(given, None, 0)[1].n_observed == round(0.1 * given.problem.n_observed)
    train, test = hold_out(given, 0, 0)
    assert test is None
    assert cells(train) == cells(given.problem)


def test_hidden_pixels_are_the_test_entries():
    given = problem()
    truth = np.random.default_rng(1).random(given.shape)
    seen = Completion.from_array(truth, observed=given.observed)
    source = Input(Path("x.png"), replace(seen, truth=truth), ARRAY, truth=truth)
    train, test = hold_out(source, None, 0)
    assert cells(train) == cells(seen)
    np.testing.assert_array_equal(test.observed, ~seen.observed)
    np.testing.assert_array_equal(test.values, truth[~seen.observed])
    assert train.truth is None


def test_of_an_image_whole_pixels_are_held_out():
    seen = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.8
    values = np.random.default_rng(1).random((HEIGHT, 3 * WIDTH))
    given = Completion.from_array(values, observed=np.tile(seen, (1, 3)))
    train, test = hold_out(Input(Path("x.png"), given, COLOUR), 0.25, 0)
    assert test.n_observed == 3 * round(0.25 * seen.sum())
    for part in (train, test):
        by_colour = part.observed.reshape(HEIGHT, 3, WIDTH)
        assert (by_colour == by_colour[:, :1]).all()
    assert cells(train) | cells(test) == cells(given)


def test_one_entry_cannot_be_tested_on():
    single = Completion.from_triples([0], [0], [1.0], shape=(2, 2))
    with pytest.raises(InputError, match="--test-fraction 0"):
        hold_out(Input(Path("x.npy"), single, ARRAY), None, 0)
    assert hold_out(Input(Path("x.npy"), single, ARRAY), 0, 0)[0].n_observed == 1
