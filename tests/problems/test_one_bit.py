"""Signs seen at random: their law, their loss, their cells."""

import pickle
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

import factorflow as ff
from factorflow._errors import InputError
from factorflow.factorizations import DeepLinear
from factorflow.problems import Completion, OneBitCompletion

nan = np.nan


def test_loss_by_hand():
    problem = OneBitCompletion.from_array([[1, nan], [-1, 1]])
    loss = problem.loss(DeepLinear(1))
    # Probabilities of the signs that came: 3/4, 1/2 and 1/5.
    matrix = np.log([[3.0, 7.0], [1.0, 1 / 4]])
    assert float(loss((matrix,))) == pytest.approx(-np.log(3 / 4 * 1 / 2 * 1 / 5) / 3, rel=1e-14)
    # The slope in a cell is probability minus answer, over p.
    np.testing.assert_allclose(
        loss.gradient((matrix,))[0], np.array([[-1 / 4, 0], [1 / 2, -4 / 5]]) / 3, rtol=1e-14
    )


@given(st.integers(1, 30), st.integers(0, 100))
def test_sample_draws_cells_as_a_completion_does(n_observed, seed):
    truth = np.linspace(-3, 3, 30).reshape(5, 6)
    problem = OneBitCompletion.sample(truth, n_observed, seed)
    np.testing.assert_array_equal(
        problem.observed, Completion.sample(truth, n_observed, seed=seed).observed
    )
    assert problem.n_observed == len(problem.signs) == n_observed
    assert set(problem.signs) <= {-1, 1}
    np.testing.assert_array_equal(problem.truth, truth)
    again = OneBitCompletion.sample(truth, n_observed, seed)
    assert again.content_hash == problem.content_hash


def test_signs_have_the_probabilities_of_the_logistic_model():
    truth = np.repeat([[-4.0, -1.0, 0.0, 0.5, 3.0]], 4000, axis=0)
    problem = OneBitCompletion.sample(truth, truth.size)
    share = np.mean(problem.signs.reshape(truth.shape) == 1, axis=0)
    wanted = expit(truth[0])
    assert np.all(np.abs(share - wanted) < 5 * np.sqrt(wanted * (1 - wanted) / 4000))


def test_certain_answers():
    truth = np.array([[1e3, -1e3], [-1e308, 1e308]])
    problem = OneBitCompletion.sample(truth, 4)
    np.testing.assert_array_equal(problem.signs, np.sign(truth).ravel())


def test_the_best_constant_is_the_log_odds_of_the_answers():
    """With W = w for all cells the mean of the probabilities is the share of +1."""
    signs = np.where(np.arange(20).reshape(4, 5) < 14, 1.0, -1.0)
    loss = OneBitCompletion.from_array(signs).loss(DeepLinear(1))
    constant = np.full((4, 5), np.log(14 / 6))
    assert np.sum(np.asarray(loss.gradient((constant,))[0])) == pytest.approx(0, abs=1e-15)


def test_descent_lowers_the_loss_on_a_network():
    truth = 2 * np.sign(ff.datasets.low_rank((12, 12), 1, seed=2))
    problem = ff.OneBitCompletion.sample(truth, 144, seed=0)
    stop = ff.Stop(train_error=None, n_gradients=300)
    dynamics, init = ff.GradientDescent(10.0), ff.Gaussian(1e-1)
    solution = ff.solve(problem, DeepLinear(2, [1]), dynamics, init=init, stop=stop)
    right = np.mean(np.sign(solution.matrix) == np.sign(truth))
    assert right > 0.95 > np.mean(problem.signs == np.sign(truth).ravel())


def test_cells_come_in_any_order_and_belong_to_the_problem():
    signs = np.array([1, -1, 1])
    problem = OneBitCompletion((3, 3), [2, 0, 1], [0, 2, 1], signs)
    signs[:] = 0
    assert problem.rows.tolist() == [0, 1, 2]
    assert problem.columns.tolist() == [2, 1, 0]
    assert problem.signs.tolist() == [-1, 1, 1]
    for array in (problem.rows, problem.columns, problem.signs):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_forms_of_an_array():
    X = np.array([[1, nan], [nan, -1]])
    first = OneBitCompletion.from_array(X)
    masked = np.ma.array(np.where(np.isnan(X), 5, X), mask=np.isnan(X))
    chosen = OneBitCompletion.from_array(np.ones((2, 2)) * [[1], [-1]], np.eye(2, dtype=bool))
    given_cells = OneBitCompletion((2, 2), [1, 0], [1, 0], [-1, 1], truth=np.eye(2))
    for other in (OneBitCompletion.from_array(masked), chosen, given_cells):
        assert other.content_hash == first.content_hash


def test_hash_tells_problems_apart():
    X = np.array([[1.0, nan], [nan, -1.0]])
    every = [
        OneBitCompletion.from_array(X),
        OneBitCompletion.from_array(-X),
        OneBitCompletion.from_array(X.T[::-1]),
        OneBitCompletion((2, 3), [0, 1], [0, 1], [1, -1]),
        Completion.from_array(X),
        ff.RobustCompletion(Completion.from_array(X), 1.0),
    ]
    assert all(a.content_hash != b.content_hash for a, b in combinations(every, 2))
    assert pickle.loads(pickle.dumps(every[0])).content_hash == every[0].content_hash


@given(st.floats(0.01, 0.99), st.integers(0, 5))
def test_split_parts_the_cells(fraction, seed):
    problem = OneBitCompletion.sample(np.zeros((4, 5)), 13, seed)
    parts = problem.split(fraction, seed)
    np.testing.assert_array_equal(parts[0].observed ^ parts[1].observed, problem.observed)
    whole = problem.cells.to_array()
    for part in parts:
        assert isinstance(part, OneBitCompletion)
        np.testing.assert_array_equal(part.signs, whole[part.rows, part.columns])
        np.testing.assert_array_equal(part.truth, problem.truth)


@pytest.mark.parametrize("value", [0, 2, -0.5])
def test_other_values_are_refused(value):
    with pytest.raises(InputError, match=rf"row 1, column 0 is {value:g}\. Answers 0 and 1"):
        OneBitCompletion.from_array([[1, nan], [value, -1]])


def test_what_else_is_refused():
    with pytest.raises(InputError, match="No cell is observed"):
        OneBitCompletion.from_array(np.full((2, 2), nan))
    with pytest.raises(InputError, match="given more than once"):
        OneBitCompletion((2, 2), [0, 0], [1, 1], [1, -1])
    with pytest.raises(InputError, match="truth must have the shape"):
        OneBitCompletion((2, 2), [0], [1], [1], truth=np.zeros((3, 2)))
    with pytest.raises(InputError, match="number of cells; got 31"):
        OneBitCompletion.sample(np.zeros((5, 6)), 31)
    with pytest.raises(InputError, match="seed must be an integer"):
        OneBitCompletion.sample(np.zeros((5, 6)), 3, seed=-1)
    problem = OneBitCompletion.from_array([[1, -1]])
    with pytest.raises(InputError, match="route must be one of auto, dense; got 'entries'"):
        problem.loss(DeepLinear(2), "entries")
