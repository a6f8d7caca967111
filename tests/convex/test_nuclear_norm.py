"""Nuclear-norm minimization: its certificate, an independent solver, and its own limits."""

import signal
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factorflow import Completion, FactorflowWarning, InputError, Sensing
from factorflow.convex import Certainty, _shrinkage, nuclear_norm
from factorflow.datasets import low_rank
from factorflow.problems import DenseOperator


def symmetric(noise):
    half = low_rank((10, 10), 2, seed=4)
    return Sensing.entries(half @ half.T, 35, symmetric=True, noise=noise, seed=4)


CASES = {
    "entries": lambda noise: Completion.sample(low_rank((15, 12), 2, seed=1), 110, noise, seed=1),
    "gaussian": lambda noise: Sensing.gaussian(
        low_rank((12, 10), 2, seed=2), 70, noise=noise, seed=2
    ),
    "rank one": lambda noise: Sensing.rank_one(
        low_rank((12, 10), 2, seed=3), 80, noise=noise, seed=3
    ),
    "symmetric": symmetric,
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


@pytest.mark.parametrize("factor", [1e-250, 1e-8, 1e8, 1e250])
def test_scales_with_the_values(factor):
    problem = CASES["entries"](0)
    found = nuclear_norm(problem.with_values(factor * problem.values))
    assert found.status is Certainty.CERTIFIED
    expected = factor * nuclear_norm(problem).nuclear_norm
    assert found.nuclear_norm == pytest.approx(expected, rel=2e-6, abs=0)


@pytest.mark.parametrize("size", [1e-7, 1e-3, 1e5])
def test_size_of_single_measurements_has_no_influence(size):
    problem = Sensing.gaussian(low_rank((3, 3), 1, seed=1), 5, seed=1)
    sizes = np.array([size, 1, 1, 1, 1])
    matrices = sizes[:, None, None] * problem.operator.matrices.astype(float)
    found = nuclear_norm(Sensing(DenseOperator(matrices), sizes * problem.values))
    assert found.nuclear_norm == pytest.approx(nuclear_norm(problem).nuclear_norm, rel=2e-6)


def test_many_entries_recover_the_truth():
    truth = low_rank((40, 40), 2, seed=5)
    solution = nuclear_norm(Completion.sample(truth, 1000, seed=5), tol=1e-8)
    assert np.linalg.norm(solution.matrix - truth) <= 1e-5 * np.linalg.norm(truth)
    assert solution.rank == 2


def test_partial_decompositions_give_the_same(monkeypatch):
    problem = Completion.sample(low_rank((220, 260), 2, seed=6), 14_000, seed=6)
    blocks = []
    block_krylov = _shrinkage._block_krylov
    monkeypatch.setattr(
        _shrinkage, "_block_krylov", lambda *args: blocks.append(args) or block_krylov(*args)
    )
    partial = nuclear_norm(problem)
    assert len(blocks) > partial.n_iterations / 2
    monkeypatch.setattr(_shrinkage, "_SMALL", 1000)
    whole = nuclear_norm(problem)
    assert partial.status is whole.status is Certainty.CERTIFIED
    assert partial.nuclear_norm == pytest.approx(whole.nuclear_norm, rel=2e-6)
    assert np.linalg.norm(partial.matrix - problem.truth) <= 1e-4 * np.linalg.norm(problem.truth)


def test_zero_fits_within_the_noise():
    problem = CASES["entries"](0)
    with pytest.warns(FactorflowWarning, match="zero matrix"):
        solution = nuclear_norm(problem, noise=10.0)
    assert not solution.matrix.any()
    assert (solution.gap, solution.rank, solution.residual) == (
        0.0, 0, pytest.approx(np.sqrt(np.mean(problem.values**2))),
    )  # fmt: skip


def test_it_tells_the_gap_when_printed():
    solution = nuclear_norm(CASES["entries"](0))
    assert f"gap={solution.gap:.2g}" in repr(solution)
    assert len(repr(solution)) < 300


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
    [({"tol": 0}, "tol"), ({"tol": 2}, "tol"), ({"tol": None}, "tol"), ({"noise": -1}, "noise"),
     ({"noise": np.nan}, "noise"), ({"noise": "a"}, "noise"), ({"start": 3}, "start"),
     ({"max_iterations": 0}, "max_iterations"), ({"max_iterations": 2.5}, "max_iterations")],
)  # fmt: skip
def test_parameters_that_cannot_be_used(wrong, named):
    with pytest.raises(InputError, match=named):
        nuclear_norm(CASES["entries"](0), **wrong)


def test_what_is_no_problem_is_refused():
    with pytest.raises(InputError, match="Completion or a Sensing"):
        nuclear_norm(np.eye(3))
    with pytest.raises(InputError, match="same measurements"):
        nuclear_norm(CASES["entries"](0), start=nuclear_norm(CASES["gaussian"](0)))
