"""Row and column effects against the normal equations that define them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow.estimators import Effects, fit_effects, rmse, tune_damping
from factorflow.estimators._effects import DAMPING_GRID
from factorflow.problems import Completion

SHAPE = (9, 7)


def problem_of(seed, share=0.8):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=SHAPE) + 3 * rng.normal(size=(9, 1)) + 2 * rng.normal(size=7)
    observed = rng.random(SHAPE) < share
    observed[0] = observed[:, 0] = True
    return Completion.from_array(X, observed)


def by_least_squares(problem, damping):
    """The effects of least penalized squared error, by one linear system."""
    m, n = problem.shape
    cells = np.zeros((problem.n_observed, m + n))
    cells[np.arange(problem.n_observed), problem.rows] = 1
    cells[np.arange(problem.n_observed), m + problem.columns] = 1
    penalty = np.diag(np.repeat(damping, (m, n)))
    centred = problem.values - problem.values.mean()
    solved = np.linalg.solve(cells.T @ cells + penalty, cells.T @ centred)
    return solved[:m], solved[m:]


@given(seed=st.integers(0, 10_000), damping=st.sampled_from([(0.5, 2.0), (4.0, 4.0), (32.0, 1.0)]))
def test_effects_have_the_least_penalized_squared_error(seed, damping):
    problem = problem_of(seed)
    effects = fit_effects(problem, "rows+columns", damping)
    rows, columns = by_least_squares(problem, damping)
    exact = problem.values.mean() + rows[:, None] + columns
    # A constant that moves from rows to columns changes the penalty alone, and settles last.
    np.testing.assert_allclose(effects.matrix(), exact, atol=1e-3)
    np.testing.assert_allclose(effects.rows, rows, atol=1e-2)
    np.testing.assert_allclose(effects.columns, columns, atol=1e-2)


@given(seed=st.integers(0, 10_000))
def test_additive_data_are_met_exactly_without_damping(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal() + rng.normal(size=(9, 1)) + rng.normal(size=7)
    effects = fit_effects(Completion.from_array(X), "rows+columns")
    np.testing.assert_allclose(effects.matrix(), X, atol=1e-12)


@pytest.mark.parametrize("biases", ["none", "global"])
def test_lesser_biases_are_one_number(biases):
    problem = problem_of(0)
    effects = fit_effects(problem, biases)
    wanted = 0.0 if biases == "none" else problem.values.mean()
    np.testing.assert_array_equal(effects.matrix(), np.full(SHAPE, wanted))


@given(seed=st.integers(0, 10_000))
def test_cells_are_those_of_the_matrix(seed):
    problem = problem_of(seed)
    effects = fit_effects(problem, "rows+columns", (1.0, 1.0))
    np.testing.assert_array_equal(
        effects.at(problem.rows, problem.columns), effects.matrix()[problem.observed]
    )


@given(seed=st.integers(0, 10_000), shift=st.floats(-100, 100))
def test_permuting_and_shifting_commute_with_fitting(seed, shift):
    problem = problem_of(seed)
    effects = fit_effects(problem, "rows+columns", (2.0, 1.0))
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(9), rng.permutation(7)
    moved = Completion.from_array(problem.to_array()[rows][:, columns] + shift)
    fitted = fit_effects(moved, "rows+columns", (2.0, 1.0))
    expected = effects.matrix()[rows][:, columns] + shift
    np.testing.assert_allclose(fitted.matrix(), expected, atol=1e-9)


def test_rows_and_columns_without_observations_have_no_effect():
    X = np.array([[1.0, 2.0, np.nan], [np.nan, np.nan, np.nan], [4.0, 8.0, np.nan]])
    for damping in [(0.0, 0.0), (1.0, 1.0)]:
        effects = fit_effects(Completion.from_array(X), "rows+columns", damping)
        assert effects.rows[1] == effects.columns[2] == 0
        assert np.isfinite(effects.matrix()).all()


@pytest.mark.parametrize("biases", ["none", "global", "rows+columns"])
def test_training_rows_taken_as_new_ones_have_their_own_effects(biases):
    problem = problem_of(1)
    effects = fit_effects(problem, biases, (2.0, 1.0))
    again = effects.of_rows(problem)
    np.testing.assert_allclose(again.matrix(), effects.matrix(), atol=1e-12)


def test_a_new_row_is_damped_like_the_fitted_ones():
    effects = Effects(1.0, np.zeros(2), np.array([0.0, 10.0, 20.0]), damping=(2.0, 0.0))
    rows = Completion.from_array(np.array([[5.0, 15.0, np.nan], [np.nan, np.nan, 20.0]]))
    own = effects.of_rows(rows)
    np.testing.assert_allclose(own.rows, [(4 + 4) / (2 + 2), -1 / (1 + 2)])
    np.testing.assert_array_equal(own.columns, effects.columns)


def test_the_damping_suits_the_effects():
    rng = np.random.default_rng(0)
    strong = 5 * rng.normal(size=(30, 1)) + 5 * rng.normal(size=20)
    noise = rng.normal(size=(30, 20))
    kept = {
        name: tune_damping(*Completion.from_array(X).split(0.3, seed=0))
        for name, X in {"effects": strong + 0.1 * noise, "noise": noise}.items()
    }
    assert kept["effects"] == (DAMPING_GRID[0], DAMPING_GRID[0])
    assert kept["noise"] == (DAMPING_GRID[-1], DAMPING_GRID[-1])


def test_rows_and_columns_are_damped_each_for_themselves():
    rng = np.random.default_rng(0)
    X = 5 * rng.normal(size=(30, 1)) + rng.normal(size=(30, 20))
    for table, axis in ((X, 0), (X.T, 1)):
        kept = tune_damping(*Completion.from_array(table).split(0.3, seed=0))
        assert kept[axis] < kept[1 - axis] == DAMPING_GRID[-1]


def test_rmse_is_the_root_of_the_mean_square():
    assert rmse(np.array([1.0, 5.0]), np.array([4.0, 1.0])) == pytest.approx(np.sqrt(12.5))
