"""Greedy low-rank learning by what its theory says of it."""

from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest

from factorflow import (
    Completion,
    DampedNewton,
    DeepLinear,
    FunctionProblem,
    GradientFlow,
    GreedyLowRank,
    InputError,
    QuasiNewton,
    Record,
    Status,
    Stop,
    Symmetric,
    datasets,
    solve,
)
from factorflow.dynamics import PhaseEnd
from factorflow.trajectories import train_loss

VALUES = np.array([5.0, 3.0, 1.0, 0.0, -2.0])
Q = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
TARGET = Q * VALUES @ Q.T
FULL = Completion.from_array(TARGET)


# The same observables and an array for the largest rank: one program serves most runs here.
RECORD = Record([train_loss()])
GREEDY = GreedyLowRank(max_rank=4)


@cache
def learn(phase=None):
    dynamics = GREEDY if phase is None else GreedyLowRank(phase, stationarity=1e-7)
    return solve(FULL, Symmetric(4), dynamics, record=RECORD)


def test_with_all_entries_it_learns_eigenpairs_largest_first():
    solution = learn()
    assert solution.status is Status.CERTIFIED
    assert [point.rank for point in solution.path.points] == [0, 1, 2, 3]
    for k, point in enumerate(solution.path.points):
        truncated = Q[:, :k] * VALUES[:k] @ Q[:, :k].T
        np.testing.assert_allclose(solution.path.matrices[k], truncated, atol=1e-7)
        # What is left of the target, by its eigenvalues; a mean over 25 entries.
        left = np.sort(np.where(np.arange(5) < k, 0.0, VALUES))[::-1] / 25
        np.testing.assert_allclose([point.escape, point.runner_up], left[:2], atol=1e-8)
        np.testing.assert_allclose(point.train_loss, np.sum(VALUES[k:] ** 2) / 50, atol=1e-12)
        assert point.drift <= 1e-9 * VALUES[0] / 25
        assert point.end is PhaseEnd.STATIONARY
    np.testing.assert_allclose(solution.matrix, solution.path.matrices[-1], atol=1e-14)


def test_the_duality_gap_bounds_the_distance_from_the_optimum():
    # The best of its trace is the projection of the spectrum on what has that trace.
    for point, W in zip(learn().path.points, learn().path.matrices, strict=True):
        excess = np.trace(W)
        shift = np.linspace(0, 5, 100_001)
        sums = np.maximum(VALUES[:, None] - shift, 0).sum(axis=0)
        best = np.maximum(VALUES - shift[np.argmax(sums <= excess + 1e-9)], 0)
        optimum = np.sum((VALUES - best) ** 2) / 50
        assert point.train_loss - optimum <= point.duality_gap + 1e-6
    assert learn().path.last.duality_gap < 1e-7


def test_without_symmetry_it_learns_singular_pairs():
    # The width is beyond the matrix, which does no harm.
    target = np.random.default_rng(2).normal(size=(3, 3))
    problem = Completion.from_array(target)
    solution = solve(problem, DeepLinear(2, [4]), GREEDY, record=RECORD)
    assert solution.status is Status.CERTIFIED
    assert [point.rank for point in solution.path.points] == [0, 1, 2, 3]
    u, s, vt = np.linalg.svd(target)
    for k, W in enumerate(solution.path.matrices):
        np.testing.assert_allclose(W, u[:, :k] * s[:k] @ vt[:k], atol=1e-7)


@pytest.mark.parametrize("phase", [QuasiNewton(), GradientFlow(rtol=1e-4)], ids=repr)
def test_every_phase_dynamics_comes_to_the_same_points(phase):
    np.testing.assert_allclose(learn(phase).path.matrices, learn().path.matrices, atol=1e-4)


def test_a_function_of_a_users_own():
    weights = np.random.default_rng(1).uniform(0.5, 1.5, size=(5, 5))
    weights = weights + weights.T

    def f(W):
        return jnp.sum(weights * (W - TARGET) ** 2)

    problem = FunctionProblem((5, 5), f)
    solution = solve(problem, Symmetric(4), GreedyLowRank(), record=Record([]))
    assert solution.status is Status.CERTIFIED
    W, G = solution.matrix, 2 * weights * (solution.matrix - TARGET)
    # The conditions of the optimum over positive semidefinite matrices.
    np.testing.assert_allclose(G @ W, 0, atol=1e-6)
    assert np.linalg.eigvalsh(G)[0] > -1e-6 * 10
    assert np.all(np.diff([point.train_loss for point in solution.path.points]) < 0)


def test_directions_that_tie_leave_together_and_it_is_said():
    tied = Completion.from_array(np.diag([2.0, 2.0, 1.0, 0.5, 0.0]))
    solution = solve(tied, Symmetric(4), GREEDY, record=RECORD)
    assert [point.rank for point in solution.path.points] == [0, 2, 3, 4]
    assert solution.path.points[0].n_together == 2
    assert solution.path.points[0].relative_gap == pytest.approx(0, abs=1e-9)
    assert "2 directions tied at rank 0" in repr(solution)
    np.testing.assert_allclose(solution.matrix, tied.to_array(), atol=1e-7)


def test_directions_that_nearly_tie_are_said_to():
    near = Completion.from_array(np.diag([2.0, 1.99, 0.0, 0.0, 0.0]))
    solution = solve(near, Symmetric(4), GREEDY, record=RECORD)
    assert [point.rank for point in solution.path.points] == [0, 1, 2]
    assert "At rank 0 a second direction nearly tied (relative gap 0.005)" in repr(solution)
    assert "nearly tied" not in learn().path.sentence


def test_zero_is_certified_where_no_direction_leaves():
    solution = solve(Completion.from_array(-np.eye(5)), Symmetric(4), GREEDY, record=RECORD)
    assert solution.status is Status.CERTIFIED
    assert not solution.matrix.any()
    assert len(solution.path.points) == 1


def test_the_rank_has_a_limit():
    solution = solve(FULL, Symmetric(4), GreedyLowRank(max_rank=1), record=RECORD)
    assert solution.status is Status.RANK_LIMIT
    np.testing.assert_allclose(solution.matrix, 5 * np.outer(Q[:, 0], Q[:, 0]), atol=1e-7)


PATIENT = GreedyLowRank(patience=10)


def test_a_width_beyond_the_matrix_does_no_harm():
    small = Completion.from_array(np.diag([2.0, 1.0]))
    solution = solve(small, Symmetric(3), PATIENT, record=Record([]))
    assert solution.status is Status.CERTIFIED
    assert solution.path.last.rank == 2
    np.testing.assert_allclose(solution.matrix, small.to_array(), atol=1e-7)


def test_a_phase_that_runs_off_is_cut_short_and_said():
    # The larger its corner, the nearer a semidefinite [[*, 1], [1, 0]] comes to its entries.
    cells = Completion.from_array([[np.nan, 1.0], [1.0, 0.0]])
    solution = solve(cells, Symmetric(3), PATIENT, record=Record([]))
    first = solution.path.points[1]
    assert first.end is PhaseEnd.RAN_OFF
    assert "rank 1 ran off to infinity" in solution.path.sentence
    assert 1 < solution.path.matrices[1][0, 0] < 100


def test_it_recovers_a_matrix_from_few_entries_that_it_visits_alone():
    truth = datasets.low_rank((12, 10), 1, seed=0)
    problem = Completion.sample(truth, 50, seed=0)
    factorization, record = DeepLinear(2, [1]), Record([])
    solution = solve(problem, factorization, GreedyLowRank(), route="entries", record=record)
    assert np.linalg.norm(solution.matrix - truth) < 1e-6 * 11
    # Every product of the search for a direction is a gradient.
    assert solution.path.points[0].n_gradients > 20
    # A width of one is a limit on the rank.
    richer = Completion.sample(datasets.low_rank((12, 10), 2, seed=0), 50, seed=0)
    limited = solve(richer, factorization, GreedyLowRank(), route="entries", record=record)
    assert limited.status is Status.RANK_LIMIT
    assert [point.rank for point in limited.path.points] == [0, 1]


def test_it_stops_records_and_resumes_like_any_run():
    stop = Stop(train_error=None, n_gradients=40)
    short = solve(FULL, Symmetric(4), GREEDY, stop=stop, record=RECORD)
    assert short.status is Status.GRADIENT_LIMIT
    whole = solve(FULL, Symmetric(4), GREEDY, resume=short, record=RECORD)
    np.testing.assert_array_equal(whole.matrix, learn().matrix)
    assert whole.n_gradients == learn().n_gradients
    losses = short.trajectory["train_loss"].values
    assert np.all(np.diff(losses) < 1e-12 * losses[0])


def test_a_run_that_has_ended_stays_where_it_is_when_resumed():
    again = solve(FULL, Symmetric(4), GREEDY, resume=learn(), record=RECORD)
    assert again.status is Status.CERTIFIED
    assert len(again.path.points) == len(learn().path.points)
    np.testing.assert_array_equal(again.matrix, learn().matrix)
    assert learn().path.last.n_together == 0


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: GreedyLowRank(phase=3), "phase must be a dynamics"),  # type: ignore[arg-type]
        (lambda: GreedyLowRank(phase=GreedyLowRank()), "phase must be a dynamics"),
        (lambda: GreedyLowRank(tolerance=0.0), "tolerance must be positive"),
        (lambda: GreedyLowRank(max_rank=0), "max_rank must be a whole number"),
        (lambda: solve(FULL, DeepLinear(3), GreedyLowRank()), "adds columns to"),
        (lambda: learn().path.point(7), "no point of rank 7; it has the ranks 0, 1, 2, 3"),
        (lambda: solve(FULL, DeepLinear(3), GreedyLowRank(DampedNewton())), "adds columns"),
    ],
)
def test_bad_input_gets_one_clear_error(act, said):
    with pytest.raises(InputError, match=said):
        act()
