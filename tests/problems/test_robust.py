"""Grossly wrong entries: how they are drawn, and how little they pull."""

import pickle
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import factorflow as ff
from factorflow._errors import InputError
from factorflow.datasets import low_rank
from factorflow.factorizations import DeepLinear
from factorflow.problems import Completion, RobustCompletion

TRUTH = low_rank((8, 9), 2)


def test_loss_by_hand():
    problem = RobustCompletion(Completion.of([[1.0, np.nan], [-2.0, 0.0]]), threshold=3.0)
    # Residuals 4, 0 and -9/4 at threshold 3: roots 5/3, 1 and 5/4.
    matrix = np.array([[5.0, 100.0], [-2.0, -2.25]])
    loss = problem.loss(DeepLinear(1))
    assert float(loss((matrix,))) == pytest.approx((6 + 0 + 2.25) / 3, rel=1e-14)
    wanted = np.array([[12 / 5, 0], [0, -9 / 5]]) / 3
    np.testing.assert_allclose(loss.gradient((matrix,))[0], wanted, rtol=1e-14)


def test_a_smooth_minimum_follows_the_majority():
    """In one dimension: the mean is drawn away by a gross error, this minimum is not."""
    values = np.array([[0.0, 0.1, -0.1, 0.05, 1e6]])
    problem = RobustCompletion(Completion.of(values), threshold=0.01)
    loss = problem.loss(DeepLinear(1))

    def slope(w):
        return np.sum(np.asarray(loss.gradient((np.full((1, 5), w),))[0]))

    assert slope(0.0) < 0 < slope(0.1)  # so its minimum lies between


@given(st.integers(2, 72), st.floats(0, 0.99), st.integers(0, 20))
def test_sample_shifts_a_share_of_the_cells(n_observed, share, seed):
    problem = RobustCompletion.sample(TRUTH, n_observed, corrupted=share, size=7.0, seed=seed)
    clean = Completion.sample(TRUTH, n_observed, seed=seed)
    np.testing.assert_array_equal(problem.observed, clean.observed)
    assert problem.corrupted is not None
    assert problem.corrupted.sum() == round(share * n_observed)
    errors = problem.cells.values - clean.values
    np.testing.assert_array_equal(errors[~problem.corrupted], 0)
    np.testing.assert_allclose(np.abs(errors[problem.corrupted]), 7, rtol=1e-12)


def test_all_cells_are_observed_by_default():
    problem = RobustCompletion.sample(TRUTH)
    assert problem.n_observed == TRUTH.size
    assert problem.observed.all()
    assert problem.shape == TRUTH.shape
    np.testing.assert_array_equal(problem.truth, TRUTH)


def test_signs_and_places_of_errors_are_uniform():
    problem = RobustCompletion.sample(np.zeros((100, 100)), corrupted=0.3, size=1.0)
    errors = problem.cells.values.reshape(100, 100)
    assert abs(errors.sum()) < 5 * np.sqrt(3000)
    in_rows = np.sum(errors != 0, axis=1)
    assert np.abs(in_rows - 30).max() < 5 * np.sqrt(100 * 0.3 * 0.7)


def test_which_are_wrong_depends_on_neither_size_nor_noise():
    one = RobustCompletion.sample(TRUTH, 40, seed=3)
    other = RobustCompletion.sample(TRUTH, 40, size=2.0, noise=0.1, threshold=2.0, seed=3)
    np.testing.assert_array_equal(one.corrupted, other.corrupted)
    unlike = RobustCompletion.sample(TRUTH, 40, seed=4)
    assert not np.array_equal(one.corrupted, unlike.corrupted)
    assert other.threshold == 2.0
    again = RobustCompletion.sample(TRUTH, 40, size=2.0, noise=0.1, threshold=2.0, seed=3)
    assert again.content_hash == other.content_hash


def test_at_the_truth_only_wrong_cells_pull_and_by_no_more_than_the_threshold():
    problem = RobustCompletion.sample(TRUTH, corrupted=0.2, size=5.0, threshold=0.3)
    pull = np.asarray(problem.loss(DeepLinear(1)).gradient((TRUTH,))[0]) * problem.n_observed
    assert problem.corrupted is not None
    wrong = problem.corrupted.reshape(TRUTH.shape)
    np.testing.assert_array_equal(pull[~wrong], 0)
    np.testing.assert_allclose(np.abs(pull[wrong]), 0.3 * 5 / np.hypot(5, 0.3), rtol=1e-12)


def test_the_minimum_nears_the_truth_in_proportion_to_the_threshold():
    truth = low_rank((20, 20), 1, seed=1)
    u, s, v = np.linalg.svd(truth)
    start = ff.StartAt(s[0] * np.outer(u[:, 0], v[0]))
    errors = []
    for threshold in (0.2, 0.1, 0.05):
        problem = RobustCompletion.sample(truth, corrupted=0.1, threshold=threshold)
        stop = ff.Stop(train_error=None, gradient_norm=1e-9, n_gradients=20_000)
        dynamics = ff.GradientDescent(4.0)
        solution = ff.solve(problem, DeepLinear(2, [1]), dynamics, init=start, stop=stop)
        errors.append(np.linalg.norm(solution.matrix - truth) / np.linalg.norm(truth))
    np.testing.assert_allclose(np.diff(np.log2(errors)), -1, atol=0.15)
    # The same entries by squares end far off: their errors have a share of 0.1 and size 10.
    squares = Completion.sample(truth, truth.size)
    squares = squares.with_values(
        RobustCompletion.sample(truth, corrupted=0.1).cells.values
    ).to_array()
    u, s, v = np.linalg.svd(squares)
    best = s[0] * np.outer(u[:, 0], v[0])
    assert np.linalg.norm(best - truth) / np.linalg.norm(truth) > 20 * errors[0]


def test_hash_tells_problems_apart():
    cells = Completion.of(TRUTH)
    first = RobustCompletion(cells, 1.0)
    every = [
        first,
        RobustCompletion(cells, 0.5),
        RobustCompletion(cells.with_values(2 * cells.values), 1.0),
        cells,
    ]
    assert all(a.content_hash != b.content_hash for a, b in combinations(every, 2))
    known = RobustCompletion(cells, 1, np.zeros(72, bool))
    assert known.content_hash == first.content_hash
    assert pickle.loads(pickle.dumps(known)).content_hash == first.content_hash


@given(st.floats(0.01, 0.99), st.integers(0, 5))
def test_split_parts_cells_and_what_is_known_of_them(fraction, seed):
    problem = RobustCompletion.sample(TRUTH, 31, corrupted=0.4, size=1e3, threshold=0.7)
    parts = problem.split(fraction, seed)
    np.testing.assert_array_equal(parts[0].observed ^ parts[1].observed, problem.observed)
    for part in parts:
        assert part.threshold == 0.7
        np.testing.assert_array_equal(part.corrupted, np.abs(part.cells.values) > 500)
    for part in RobustCompletion(problem.cells, 0.7).split(fraction, seed):
        assert part.corrupted is None


def test_flags_belong_to_the_problem():
    flags = np.zeros(72, bool)
    problem = RobustCompletion(Completion.of(TRUTH), 1.0, flags)
    flags[:] = True
    assert problem.corrupted is not None
    assert not problem.corrupted.any()
    with pytest.raises(ValueError, match="read-only"):
        problem.corrupted[0] = True


@pytest.mark.parametrize("threshold", [0, -1.0, np.nan, np.inf, "1", True, None])
def test_thresholds_that_are_refused(threshold):
    with pytest.raises(InputError, match="threshold must be a positive finite number"):
        RobustCompletion(Completion.of(TRUTH), threshold)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"corrupted": 1.0}, "corrupted must be a share"),
        ({"corrupted": -0.1}, "corrupted must be a share"),
        ({"corrupted": "0.1"}, "corrupted must be a share"),
        ({"corrupted": np.nan}, "corrupted must be a share"),
        ({"size": 0}, "size must be a positive finite number"),
        ({"noise": -1.0}, "noise must be"),
        ({"n_observed": 73}, "number of cells; got 73"),
        ({"threshold": -2}, "threshold must be"),
        ({"seed": 0.5}, "seed must be an integer"),
    ],
)
def test_samples_that_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        RobustCompletion.sample(TRUTH, **options)


def test_what_else_is_refused():
    array: object = TRUTH
    with pytest.raises(InputError, match=r"got ndarray\. Completion\.of\(X\) makes one"):
        RobustCompletion(array, 1.0)  # pyright: ignore[reportArgumentType]
    for flags in (np.zeros(71, bool), np.zeros(72), np.zeros((8, 9), bool)):
        with pytest.raises(InputError, match="each of the 72 observed cells"):
            RobustCompletion(Completion.of(TRUTH), 1.0, flags)
    with pytest.raises(InputError, match="route must be one of auto, dense; got 'entries'"):
        RobustCompletion(Completion.of(TRUTH), 1.0).loss(DeepLinear(2), "entries")
