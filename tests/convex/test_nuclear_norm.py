"""Nuclear-norm minimization: its certificate, an independent solver, and its own limits."""

import signal
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factorflow import Completion, InputError, Sensing
from factorflow.convex import Certainty, nuclear_norm
from factorflow.datasets import low_rank

CASES = {
    "entries": lambda noise: Completion.sample(low_rank((15, 12), 2, seed=1), 110, seed=1),
    "gaussian": lambda noise: Sensing.gaussian(low_rank((12, 10), 2, seed=2), 70, seed=2),
    "rank one": lambda noise: Sensing.rank_one(low_rank((12, 10), 2, seed=3), 80, seed=3),
    "symmetric": lambda noise: Sensing.entries(
        (lambda w: w @ w.T)(low_rank((10, 10), 2, seed=4)), 35, symmetric=True, seed=4
    ),
}


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("name", CASES)
def test_certificate_is_a_proof(name, noise):
    problem = CASES[name](noise)
    solution = nuclear_norm(problem, noise=noise)
    operator = problem.operator
    residual = operator.forward(solution.matrix) - problem.values
    assert np.sqrt(np.mean(residual**2)) <= noise + 1e-10
    assert np.linalg.norm(operator.adjoint(solution.dual), 2) <= 1 + 1e-12
    bound = problem.values @ solution.dual
    bound -= noise * np.sqrt(operator.count) * np.linalg.norm(solution.dual)
    value = np.linalg.svd(solution.matrix, compute_uv=False).sum()
    assert bound == pytest.approx(solution.dual_value, rel=1e-12)
    assert value == pytest.approx(solution.nuclear_norm, rel=1e-12)
    assert bound <= value <= bound * (1 + 1.1e-6)
    assert solution.status is Certainty.CERTIFIED
    assert solution.gap <= 1e-6


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_an_independent_solver(name, noise):
    cvxpy = pytest.importorskip("cvxpy")
    problem = CASES[name](noise)
    X = cvxpy.Variable(problem.shape)
    basis = np.eye(problem.operator.count)
    rows = np.stack([problem.operator.adjoint(unit).ravel() for unit in basis])
    residual = rows @ cvxpy.vec(X, order="C") - problem.values
    radius = noise * np.sqrt(len(problem.values))
    program = cvxpy.Problem(cvxpy.Minimize(cvxpy.normNuc(X)), [cvxpy.norm(residual) <= radius])
    program.solve(solver=cvxpy.SCS, eps=1e-7, max_iters=100_000)
    assert nuclear_norm(problem, noise=noise).nuclear_norm == pytest.approx(program.value, rel=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 9), st.integers(2, 9), st.floats(0.3, 1.0))
def test_never_above_what_is_known_to_fit(seed, m, n, share):
    truth = low_rank((m, n), 1, seed=seed)
    problem = Completion.sample(truth, max(1, int(share * m * n)), seed=seed)
    solution = nuclear_norm(problem)
    known = [truth, np.where(problem.observed, truth, 0)]
    least = min(np.linalg.svd(each, compute_uv=False).sum() for each in known)
    assert solution.dual_value <= least * (1 + 1e-9)
    assert solution.nuclear_norm <= least * (1 + 2e-6)


def test_all_observed_is_returned_itself():
    truth = low_rank((8, 6), 3, seed=0)
    assert np.allclose(nuclear_norm(Completion.from_array(truth)).matrix, truth, atol=1e-12)


def test_scales_with_the_values():
    problem = CASES["entries"](0)
    large = nuclear_norm(problem.with_values(1e8 * problem.values))
    small = nuclear_norm(problem.with_values(1e-8 * problem.values))
    assert large.nuclear_norm == pytest.approx(1e16 * small.nuclear_norm, rel=2e-6)


def test_many_entries_recover_the_truth():
    truth = low_rank((40, 40), 2, seed=5)
    solution = nuclear_norm(Completion.sample(truth, 1000, seed=5), tol=1e-8)
    assert np.linalg.norm(solution.matrix - truth) <= 1e-5 * np.linalg.norm(truth)
    assert solution.rank == 2


def test_partial_decompositions_give_the_same():
    problem = Completion.sample(low_rank((220, 260), 2, seed=6), 14_000, seed=6)
    solution = nuclear_norm(problem)
    assert solution.status is Certainty.CERTIFIED
    assert np.linalg.norm(solution.matrix - problem.truth) <= 1e-4 * np.linalg.norm(problem.truth)


def test_zero_fits_within_the_noise():
    problem = CASES["entries"](0)
    solution = nuclear_norm(problem, noise=10.0)
    assert not solution.matrix.any()
    assert (solution.gap, solution.rank, solution.residual) == (
        0.0, 0, pytest.approx(np.sqrt(np.mean(problem.values**2))),
    )  # fmt: skip


def test_warm_start_is_shorter():
    problem = Completion.sample(low_rank((60, 60), 3, seed=7), 1500, seed=7)
    cold = nuclear_norm(problem)
    shifted = problem.with_values(problem.values * 1.001)
    warm = nuclear_norm(shifted, start=cold)
    again = nuclear_norm(shifted)
    assert warm.n_iterations < again.n_iterations
    assert warm.nuclear_norm == pytest.approx(again.nuclear_norm, rel=2e-6)


def test_missed_tolerance_is_told():
    solution = nuclear_norm(CASES["entries"](0), tol=1e-9, max_iterations=12)
    assert solution.status is Certainty.ITERATION_LIMIT
    assert solution.gap > 1e-9
    assert "before" in solution.status.sentence


def test_interrupt_returns_the_point_with_its_gap():
    problem = CASES["entries"](0)

    def interrupt(seen):
        if seen["step"] > 10:
            signal.raise_signal(signal.SIGINT)

    assert threading.current_thread() is threading.main_thread()
    solution = nuclear_norm(problem, tol=1e-12, progress=interrupt)
    assert solution.status is Certainty.INTERRUPTED
    assert np.allclose(problem.operator.forward(solution.matrix), problem.values)


def test_progress_goes_down_to_the_tolerance():
    seen = []
    nuclear_norm(CASES["gaussian"](0), progress=seen.append)
    assert seen[-1]["gap"] <= 1e-6 < seen[0]["gap"]
    assert {"step", "gap", "nuclear_norm", "rank"} <= seen[0].keys()


def test_contradicting_measurements_are_refused_unless_noise_covers_them():
    operator_of = Sensing.gaussian(low_rank((4, 4), 1, seed=0), 5, seed=0)
    from factorflow.problems import DenseOperator

    twice = np.concatenate([operator_of.operator.matrices, operator_of.operator.matrices[:1]])
    values = np.append(operator_of.values, operator_of.values[0] + 1.0)
    problem = Sensing(DenseOperator(twice), values)
    with pytest.raises(InputError, match="contradict"):
        nuclear_norm(problem)
    with pytest.raises(InputError, match="raise noise"):
        nuclear_norm(problem, noise=0.1)
    assert nuclear_norm(problem, noise=0.5).status is Certainty.CERTIFIED


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"tol": 0}, "tol"), ({"tol": 2}, "tol"), ({"noise": -1}, "noise"),
     ({"noise": np.nan}, "noise"), ({"max_iterations": 0}, "max_iterations")],
)  # fmt: skip
def test_parameters_that_cannot_be_used(wrong, named):
    with pytest.raises(InputError, match=named):
        nuclear_norm(CASES["entries"](0), **wrong)
