"""A matrix of least rank from few entries, its rank not told."""

import jax
import numpy as np
import pytest

from factorflow import Completion, DeepLinear, InputError, Sensing, Status, Stop, least_rank, solve
from factorflow.datasets import low_rank
from factorflow.dynamics import RankSearch
from factorflow.dynamics._determined import determined

N, WIDTH = 12, 3


def truth_of(rank, seed=0):
    return low_rank((N, N), rank, seed=seed)


def problem_of(rank, n_observed=100, seed=0, noise=0.0):
    return Completion.sample(truth_of(rank, seed), n_observed, noise=noise, seed=seed)


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_matrix_is_recovered_with_its_rank(rank, seed):
    problem = problem_of(rank, seed=seed)
    solution = least_rank(problem, WIDTH)
    assert solution.status is Status.TRAIN_ERROR
    assert solution.successful
    assert solution.path.rank == rank
    assert np.linalg.matrix_rank(solution.matrix, tol=1e-9) == rank
    np.testing.assert_allclose(solution.matrix, truth_of(rank, seed), atol=1e-11)
    assert solution.train_error < 1e-24
    assert solution.path.determined
    assert f"Rank {rank}" in solution.path.sentence


def test_the_rank_as_large_as_the_width_is_found_too():
    solution = least_rank(problem_of(3, 130), WIDTH)
    assert solution.path.rank == 3
    assert solution.successful


def test_what_was_tried_is_told():
    solution = least_rank(problem_of(2), WIDTH)
    tried = solution.path.attempts
    assert [each.rank for each in tried] == [1, 2]
    assert [each.fits for each in tried] == [False, True]
    assert tried[0].train_error > 1e-3 > tried[1].train_error
    assert solution.n_gradients == sum(each.n_gradients for each in tried)


def test_with_noise_nothing_fits_and_the_status_says_so():
    solution = least_rank(problem_of(2, noise=0.1), WIDTH, restarts=1)
    assert solution.status is Status.GRADIENT_LIMIT
    assert not solution.successful
    assert solution.path.rank is None
    assert solution.path.n_descents == 2
    assert "No matrix of rank 3 or less" in solution.path.sentence
    errors = [each.train_error for each in solution.path.attempts]
    assert solution.train_error == min(errors)
    assert [each.rank for each in solution.path.attempts] == [1, 2, 1, 2, 3]


def test_only_ranks_with_fewer_degrees_of_freedom_than_entries_are_looked_at():
    n_observed = 2 * (2 * N - 2)  # as many as rank 2 has
    solution = least_rank(problem_of(2, n_observed), WIDTH, restarts=0)
    assert solution.path.largest_rank == 1
    assert solution.path.rank is None
    (tried,) = solution.path.attempts  # the way down to it is counted with the whole
    assert (solution.n_gradients or 0) > tried.n_gradients
    with pytest.raises(InputError, match="23 degrees of freedom"):
        least_rank(problem_of(1, 2 * N - 1), WIDTH)


def test_a_fit_that_is_not_the_only_one_is_not_trusted():
    truth = truth_of(2)
    observed = np.ones((N, N), bool)
    observed[0, 1:] = False
    problem = Completion.of(truth, observed)
    solution = least_rank(problem, WIDTH, restarts=1)
    assert solution.path.rank == 2
    assert solution.path.n_descents == 2  # nothing lower was found
    assert "not the only fit" in solution.path.sentence
    np.testing.assert_allclose(solution.matrix[1:], truth[1:], atol=1e-10)


def test_entries_do_not_determine_a_lower_rank_with_a_row_added_where_it_is_unobserved():
    problem, truth = problem_of(1), truth_of(1)
    u, s, vt = np.linalg.svd(truth)
    assert determined(problem, u[:, :1] * s[0], vt[:1].T)
    row = int(np.argmin(problem.observed.sum(1)))
    truth = truth + np.outer(np.eye(N)[row], ~problem.observed[row])
    u, s, vt = np.linalg.svd(truth)
    root = np.sqrt(s[:2])
    assert not determined(problem, u[:, :2] * root, vt[:2].T * root)


def test_the_seed_decides():
    problem = problem_of(2, noise=0.1)
    first, again = (least_rank(problem, WIDTH, restarts=1, seed=4) for _ in range(2))
    assert first.n_gradients == again.n_gradients
    assert first.seed == 4
    np.testing.assert_array_equal(first.matrix, again.matrix)


def test_all_ranks_starts_and_problems_of_a_shape_share_one_program(caplog):
    least_rank(problem_of(2), WIDTH)
    with jax.log_compiles():
        least_rank(problem_of(1, 80, seed=5), WIDTH)
        least_rank(problem_of(2, noise=0.1), WIDTH, restarts=1)
    assert "_advance" not in caplog.text
    with jax.log_compiles():
        solve(problem_of(1), DeepLinear(1), stop=Stop(n_gradients=50))
    assert "_advance" in caplog.text  # as it would be told


def test_a_scale_of_the_values_changes_nothing_but_the_scale():
    problem = problem_of(2)
    large = problem.with_values(1e6 * problem.values)
    solution = least_rank(large, WIDTH)
    assert solution.path.rank == 2
    np.testing.assert_allclose(solution.matrix, 1e6 * truth_of(2), atol=1e-5)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"width": 0}, "width"),
        ({"width": 2.5}, "width"),
        ({"restarts": -1}, "restarts"),
        ({"phase_gradients": 0}, "phase_gradients"),
        ({"spread": -1.0}, "spread"),
        ({"seed": -1}, "seed"),
        ({"problem": Sensing.gaussian(np.eye(3), 5)}, "Completion"),
        ({"problem": Completion.of(np.zeros((3, 3)))}, "zero"),
    ],
)
def test_errors_name_what_is_wrong(given, words):
    with pytest.raises(InputError, match=words):
        least_rank(**{"problem": problem_of(1), "width": WIDTH, **given})


def test_the_solution_is_an_ordinary_one():
    solution = least_rank(problem_of(1), WIDTH)
    assert solution.factorization == DeepLinear(2, [WIDTH])
    assert isinstance(solution.path, RankSearch)
    assert solution.seconds > 0
