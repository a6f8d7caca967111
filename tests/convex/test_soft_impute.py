"""Soft-impute by the conditions that its solutions meet, and against the plain iteration."""

import doctest
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from factorflow import Completion, InputError, Sensing, convex, soft_impute
from factorflow.convex import (
    Certainty,
    ThinSVD,
    _low_rank_plus_sparse,
    _regularized,
    _ridge,
    _soft_impute,
)

SHAPE = (24, 31)


def noisy(seed=0, shape=SHAPE, rank=3, share=0.5, noise=0.3):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(shape[0], rank)) @ rng.normal(size=(rank, shape[1]))
    return Completion.sample(truth, int(share * truth.size), noise=noise, seed=seed)


def filled(problem):
    """The zero-filled matrix."""
    return np.nan_to_num(problem.to_array())


def largest_weight(problem):
    return np.linalg.norm(filled(problem), 2)


def objective(problem, matrix, weight):
    errors = matrix[problem.rows, problem.columns] - problem.values
    return 0.5 * np.sum(errors**2) + weight * np.linalg.norm(matrix, "nuc")


def dual_value(problem, matrix, weight):
    """A lower bound on the minimum: the dual at the best feasible multiple of the residual."""
    residual = np.where(problem.observed, filled(problem) - matrix, 0)
    most = weight / np.linalg.norm(residual, 2)
    multiples = np.linspace(0, most, 100_001)
    along = np.sum(residual * filled(problem))
    return np.max(multiples * along - 0.5 * multiples**2 * np.sum(residual**2))


def soft_thresholded(matrix, weight):
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return (left * np.maximum(values - weight, 0)) @ right


def plain_iteration(problem, weight, n_steps=3000):
    """Soft-impute as first published: shrink the matrix with its observed entries put back."""
    matrix = np.zeros(problem.shape)
    for _ in range(n_steps):
        matrix[problem.rows, problem.columns] = problem.values
        matrix = soft_thresholded(matrix, weight)
    return matrix


def relative_error(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


PROBLEM = noisy()


def test_the_example_of_the_docstring():
    failures, n_examples = doctest.testmod(_soft_impute)
    assert n_examples > 0
    assert failures == 0


@settings(max_examples=12)
@given(seed=st.integers(0, 1000), share=st.floats(0.2, 1.0), tall=st.booleans())
def test_every_point_is_certified(seed, share, tall):
    problem = noisy(seed, shape=(14, 9) if tall else (9, 14), share=share)
    path = soft_impute(problem, n_weights=5, smallest=0.02, tol=1e-5)
    for k, weight in enumerate(path.weights):
        primal = objective(problem, path.matrix(k), weight)
        assert path.objectives[k] == pytest.approx(primal)
        assert (
            primal - dual_value(problem, path.matrix(k), weight) <= 1.01e-5 * primal
        )  # the multiple is one of a grid
        assert path.statuses[k] is Certainty.CERTIFIED
        assert path.gaps[k] <= 1e-5


def test_the_residual_is_a_subgradient_of_the_penalty():
    path = soft_impute(PROBLEM, n_weights=6, smallest=0.05, tol=1e-10)
    for k, weight in enumerate(path.weights):
        solution = path.solutions[k]
        residual = np.where(PROBLEM.observed, filled(PROBLEM) - path.matrix(k), 0) / weight
        close = {"rtol": 0, "atol": 1e-4}
        np.testing.assert_allclose(residual @ solution.right.T, solution.left, **close)
        np.testing.assert_allclose(solution.left.T @ residual, solution.right, **close)
        assert np.linalg.norm(residual, 2) <= 1 + 1e-4


def test_the_plain_iteration_comes_to_the_same():
    for share in (0.05, 0.3):
        weight = share * largest_weight(PROBLEM)
        found = soft_impute(PROBLEM, weight, tol=1e-10).matrix()
        assert relative_error(found, plain_iteration(PROBLEM, weight)) < 1e-4


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (230, 180)])
def test_where_all_is_observed_the_singular_values_are_thresholded(shape):
    truth = np.random.default_rng(1).normal(size=shape)
    weight = 0.4 * np.linalg.norm(truth, 2)
    path = soft_impute(Completion.of(truth), weight)
    np.testing.assert_allclose(path.matrix(), soft_thresholded(truth, weight), atol=1e-9)
    assert path.gaps[0] < 1e-9


def test_from_the_operator_norm_on_the_solution_is_zero():
    norm = largest_weight(PROBLEM)
    path = soft_impute(PROBLEM, [2 * norm, norm, 0.99 * norm])
    assert path.ranks.tolist() == [0, 0, 1]
    assert not path.matrix(0).any()
    assert path.gaps[:2] == pytest.approx([0, 0], abs=1e-12)
    assert soft_impute(PROBLEM, n_weights=2).weights[0] == pytest.approx(norm)


def test_the_path_is_monotone():
    path = soft_impute(PROBLEM, tol=1e-7)
    assert len(path.weights) == 30
    assert np.all(np.diff(path.weights) < 0)
    assert path.weights[-1] == pytest.approx(1e-3 * path.weights[0])
    assert np.all(np.diff(path.objectives) < 0)
    assert np.all(np.diff(path.train_errors) < 0)
    assert np.all(np.diff([solution.nuclear_norm for solution in path.solutions]) > 0)
    errors = path.matrix(7)[PROBLEM.rows, PROBLEM.columns] - PROBLEM.values
    assert path.train_errors[7] == pytest.approx(np.mean(errors**2))


def test_a_warm_start_and_a_cold_one_end_alike():
    path = soft_impute(PROBLEM, n_weights=8, smallest=0.02, tol=1e-9)
    cold = soft_impute(PROBLEM, path.weights[-1], tol=1e-9)
    assert relative_error(cold.matrix(), path.matrix(7)) < 1e-3
    warm = soft_impute(PROBLEM, path.weights[-1], tol=1e-9, start=path.solutions[-1])
    assert warm.n_sweeps == 0
    assert relative_error(warm.matrix(), path.matrix(7)) < 1e-6


def test_what_the_size_decides_has_no_influence(monkeypatch):
    """The same by decompositions of the matrix, of its Gram matrix, and by Lanczos iteration."""
    problem = noisy(shape=(70, 60), share=0.3)
    weights = [0.5 * largest_weight(problem), 0.1 * largest_weight(problem)]

    def solution():
        return soft_impute(problem, weights, tol=1e-8).matrix()

    by_matrix = solution()
    monkeypatch.setattr(_low_rank_plus_sparse, "_DENSE", 0)
    by_gram = solution()
    monkeypatch.setattr(_low_rank_plus_sparse, "_MULTIPLIED_DENSE", 0)
    by_sparse_gram = solution()
    monkeypatch.setattr(_low_rank_plus_sparse, "_GRAM", 0)
    monkeypatch.setattr(_low_rank_plus_sparse, "_GRAM_NORM", 0)
    by_lanczos = solution()
    for found in (by_gram, by_sparse_gram, by_lanczos):
        assert relative_error(found, by_matrix) < 1e-3


def test_parts_of_the_regressions_have_no_influence(monkeypatch):
    found = soft_impute(PROBLEM, 3.0, tol=1e-8).matrix()
    monkeypatch.setattr(_ridge, "_NUMBERS_AT_ONCE", 1)
    np.testing.assert_array_equal(soft_impute(PROBLEM, 3.0, tol=1e-8).matrix(), found)


@given(seed=st.integers(0, 1000), rank=st.integers(1, 8), weight=st.floats(1e-3, 10))
def test_a_half_is_the_ridge_regression_on_the_other(seed, rank, weight):
    problem = noisy(seed, shape=(10, 12), share=0.3)
    other = np.random.default_rng(seed).normal(size=(12, rank))
    rows = _ridge.RidgeRows(problem.rows, problem.columns, problem.values, problem.shape)
    with _soft_impute.ThreadPoolExecutor(2) as pool:
        found = rows.solve(other, weight, pool)
    for i in range(10):
        seen = other[problem.columns[problem.rows == i]]
        gram = seen.T @ seen + weight * np.eye(rank)
        wanted = np.linalg.solve(gram, seen.T @ problem.values[problem.rows == i])
        np.testing.assert_allclose(found[i], wanted, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
def test_a_thin_decomposition_is_that_of_its_matrix(shape):
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(shape[0], 4)), rng.normal(size=(4, shape[1]))
    svd = ThinSVD.of_product(left, right)
    np.testing.assert_allclose(svd.matrix(), left @ right, atol=1e-10)
    np.testing.assert_allclose(svd.left.T @ svd.left, np.eye(4), atol=1e-12)
    assert svd.nuclear_norm == pytest.approx(np.linalg.norm(left @ right, "nuc"))
    rows, columns = rng.integers(0, shape[0], 30), rng.integers(0, shape[1], 30)
    np.testing.assert_allclose(svd.at(rows, columns), (left @ right)[rows, columns], atol=1e-10)
    a, b = svd.halves()
    np.testing.assert_allclose(a @ b, left @ right, atol=1e-10)
    np.testing.assert_allclose(a.T @ a, b @ b.T, atol=1e-10)
    assert ThinSVD.of_product(0 * left, right).rank == 0
    assert ThinSVD.zero(shape).matrix().shape == shape


def test_the_weight_with_the_least_held_out_error_is_chosen():
    train, held_out = PROBLEM.split(0.2, seed=1)
    path = soft_impute(train, held_out=held_out, patience=None, refit=False)
    assert len(path.weights) == 30
    for k in (0, 5, path.chosen):
        errors = path.matrix(k)[held_out.rows, held_out.columns] - held_out.values
        assert path.held_out_errors[k] == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert path.held_out_errors[path.chosen] == path.held_out_errors.min()
    assert 0 < path.chosen < 29
    assert path.weight == path.weights[path.chosen]
    np.testing.assert_array_equal(path.matrix(), path.matrix(path.chosen))


def test_the_path_ends_once_the_held_out_error_has_passed_its_minimum():
    train, held_out = PROBLEM.split(0.2, seed=1)
    whole = soft_impute(train, held_out=held_out, patience=None, refit=False)
    path = soft_impute(train, held_out=held_out, patience=4, refit=False)
    assert path.chosen == whole.chosen
    assert len(path.weights) == path.chosen + 5
    np.testing.assert_allclose(path.weights, whole.weights[: len(path.weights)])


def test_all_entries_are_fitted_again_at_the_chosen_weight():
    train, held_out = PROBLEM.split(0.2, seed=3)
    path = soft_impute(PROBLEM, validation_fraction=0.2, seed=3, tol=1e-6)
    given_parts = soft_impute(train, held_out=held_out, tol=1e-6)
    np.testing.assert_array_equal(path.matrix(), given_parts.matrix())
    alone = soft_impute(PROBLEM, path.weight, tol=1e-6).matrix()
    assert relative_error(path.matrix(), alone) < 5e-3
    assert path.refit_gap <= 1e-6
    # A held-out entry that is fitted as well does not count twice.
    both = soft_impute(PROBLEM, held_out=held_out, tol=1e-6)
    assert relative_error(both.matrix(), soft_impute(PROBLEM, both.weight).matrix()) < 2e-2


def test_the_units_have_no_influence():
    path = soft_impute(PROBLEM, n_weights=5, smallest=0.1)
    for unit in (1e-40, 1e40):
        scaled = soft_impute(PROBLEM.with_values(unit * PROBLEM.values), n_weights=5, smallest=0.1)
        np.testing.assert_allclose(scaled.weights, unit * path.weights)
        np.testing.assert_allclose(scaled.matrix() / unit, path.matrix(), atol=1e-8)


def test_a_limit_on_the_rank_is_kept_and_told():
    weight = 0.05 * largest_weight(PROBLEM)
    free = soft_impute(PROBLEM, weight)
    assert free.ranks[0] > 3
    path = soft_impute(PROBLEM, weight, max_rank=3, tol=1e-6)
    assert path.ranks.tolist() == [3]
    assert path.statuses == (Certainty.RANK_LIMIT,)
    assert path.gaps[0] > 1e-6
    assert path.objectives[0] > free.objectives[0]
    assert soft_impute(PROBLEM, weight, max_rank=1000).statuses == (Certainty.CERTIFIED,)


def test_a_limit_on_the_sweeps_is_told():
    path = soft_impute(PROBLEM, 0.05 * largest_weight(PROBLEM), max_sweeps=2, tol=1e-9)
    assert path.statuses == (Certainty.ITERATION_LIMIT,)
    assert not path.statuses[0].successful
    assert path.gaps[0] > 1e-9


def test_progress_and_an_interrupt():
    news = []

    def look(seen):
        news.append(seen)
        if seen["step"] == 12:
            raise KeyboardInterrupt

    path = soft_impute(PROBLEM, validation_fraction=0.2, progress=look)
    assert path.interrupted
    assert path.refitted is None
    assert 1 <= len(path.weights) < 12
    assert [seen["step"] for seen in news] == list(range(1, 13))
    assert {"weight", "rank", "gap", "train_error", "held_out_error"} <= news[-1].keys()

    def at_once(seen):
        raise KeyboardInterrupt

    first = soft_impute(PROBLEM, progress=at_once)
    assert first.statuses == (Certainty.INTERRUPTED,)
    assert first.matrix().shape == SHAPE


def test_the_same_seed_gives_the_same_path():
    first, again, other = (
        soft_impute(PROBLEM, validation_fraction=0.2, seed=seed) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first.matrix(), again.matrix())
    assert not np.array_equal(first.held_out_errors, other.held_out_errors)


@pytest.mark.parametrize("cells", [1, 2])
def test_hardly_any_entries(cells):
    problem = Completion.from_triples([2, 0][:cells], [1, 3][:cells], [3.0, -2.0][:cells], (4, 5))
    path = soft_impute(problem, 1.0)
    # The entries share no row and no column, so that each is a singular value of its own.
    wanted = np.zeros((4, 5))
    wanted[2, 1], wanted[0, 3] = 2.0, -1.0 if cells == 2 else 0.0
    np.testing.assert_allclose(path.matrix(), wanted, atol=1e-3)


def test_large_sparse_data_are_never_made_dense():
    m, n, p = 3000, 20_000, 40_000
    rng = np.random.default_rng(0)
    cells = rng.choice(m * n, p, replace=False)
    data = scipy.sparse.coo_array((rng.normal(size=p), np.divmod(cells, n)), shape=(m, n))
    tracemalloc.start()
    path = soft_impute(Completion.of(data), n_weights=3, smallest=0.9, tol=1e-2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.statuses[-1] is Certainty.CERTIFIED
    assert peak < 8 * m * n / 2


def test_other_measurements_are_referred():
    sensing = Sensing.gaussian(np.eye(4), 8)
    with pytest.raises(InputError, match="takes a Completion; got Sensing"):
        soft_impute(sensing)  # pyright: ignore


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"weights": 0.0}, "weights must be positive finite numbers"),
        ({"weights": [1.0, np.nan]}, "weights must be positive finite numbers"),
        ({"weights": []}, "weights must be positive finite numbers"),
        ({"weights": "large"}, "weights must be positive finite numbers"),
        ({"n_weights": 0}, "n_weights must be a whole number"),
        ({"smallest": 1.0}, "smallest must be a number between 0 and 1"),
        ({"tol": 0}, "tol must be a number between 0 and 1"),
        ({"patience": 0}, "patience must be a whole number"),
        ({"max_rank": 2.5}, "max_rank must be a whole number"),
        ({"max_sweeps": True}, "max_sweeps must be a whole number"),
        ({"validation_fraction": 1.0}, "fraction must lie between 0 and 1"),
        ({"held_out": noisy(shape=(3, 4))}, "held_out must be a Completion of the problem's shape"),
        ({"held_out": PROBLEM, "validation_fraction": 0.1}, "not both"),
        ({"start": ThinSVD.zero((3, 4))}, "start must be a ThinSVD of the problem's shape"),
        ({"seed": -1}, "seed must be an integer"),
    ],
)
def test_what_cannot_be_used_is_named(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        soft_impute(PROBLEM, **arguments)


def test_zeros_need_weights():
    zeros = PROBLEM.with_values(np.zeros(PROBLEM.n_observed))
    with pytest.raises(InputError, match="All observed values are zero"):
        soft_impute(zeros)
    path = soft_impute(zeros, 1.0)
    assert path.ranks.tolist() == [0]
    assert path.gaps.tolist() == [0.0]


def test_names_of_the_folder():
    assert convex.soft_impute is soft_impute
    assert _regularized.Certainty.CERTIFIED.sentence.endswith("within the tolerance.")


def test_a_residual_against_the_data_certifies_nothing():
    c, s = np.cos(np.pi / 3), np.sin(np.pi / 3)
    values = np.array([(1 + 0.1 * s**2) / c**2, 0.1])
    start = ThinSVD(np.array([[c, -s], [s, c]]), values, np.array([[c, s], [s, -c]]))
    problem = Completion((2, 2), ([0], [0]), [1.0])
    path = soft_impute(problem, weights=[0.1], start=start)
    assert path.objectives[0] == pytest.approx(0.1 - 0.1**2 / 2, rel=2e-3)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_values_that_cannot_be_squared_are_refused(size):
    problem = Completion.from_array(size * np.arange(1.0, 7.0).reshape(2, 3))
    with pytest.raises(InputError, match="squared"):
        soft_impute(problem)


@pytest.mark.parametrize("turned", [False, True])
def test_effects_are_fitted_along(turned):
    """The conditions of the minimum: sums of the residual by side, its norm, its alignment."""
    problem, damping, weight = noisy(shape=(9, 14), share=0.6), (2.0, 0.5), 2.0
    level = 3 * np.arange(9)[problem.rows] - problem.columns
    problem = problem.with_values(problem.values + level)
    if turned:
        problem = Completion(problem.shape[::-1], (problem.columns, problem.rows), problem.values)
        damping = damping[::-1]
    path = soft_impute(problem, weight, damping=damping, tol=1e-10)
    rows, columns = path.effects
    fitted = path.matrix() + rows[:, None] + columns
    residual = np.where(problem.observed, filled(problem) - fitted, 0)
    np.testing.assert_allclose(residual.sum(axis=1), damping[0] * rows, atol=1e-3)
    np.testing.assert_allclose(residual.sum(axis=0), damping[1] * columns, atol=1e-3)
    assert path.best.rank > 0
    assert np.linalg.norm(residual, 2) == pytest.approx(weight, rel=1e-4)
    assert np.sum(residual * path.matrix()) == pytest.approx(weight * path.best.nuclear_norm)
    penalties = 0.5 * (damping[0] * rows @ rows + damping[1] * columns @ columns)
    value = 0.5 * np.sum(residual**2) + weight * path.best.nuclear_norm + penalties
    assert path.objectives[0] == pytest.approx(value)
    assert path.gaps[0] <= 1e-10


def test_above_the_largest_weight_there_are_effects_alone():
    damping = (1.0, 3.0)
    path = soft_impute(PROBLEM, n_weights=2, damping=damping)
    assert path.ranks[0] == 0
    bare = soft_impute(PROBLEM, 1.01 * path.weights[0], damping=damping, tol=1e-12)
    rows, columns = bare.effects
    left_over = PROBLEM.values - rows[PROBLEM.rows] - columns[PROBLEM.columns]
    sums = np.bincount(PROBLEM.columns, left_over, PROBLEM.shape[1])
    np.testing.assert_allclose(sums, damping[1] * columns, atol=1e-6)


@pytest.mark.parametrize("damping", [1.0, (1.0,), (0.0, 1.0), (np.inf, 1.0), ("a", 1), (1, 2, 3)])
def test_a_damping_that_is_none_is_refused(damping):
    with pytest.raises(InputError, match="damping must be two positive"):
        soft_impute(PROBLEM, 1.0, damping=damping)
