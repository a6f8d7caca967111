"""Both completions, and the proof that one has the least nuclear norm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow import InputError
from factorflow.theory import nuclear_norm_counterexample

ratios = st.floats(1.0, 1e3, exclude_min=True)


@given(ratios)
def test_both_fit_and_are_positive_semidefinite(R):
    example = nuclear_norm_counterexample(R)
    problem = example.problem
    assert example.ratio == R
    assert problem.shape == (4, 4)
    np.testing.assert_array_equal(problem.observed, problem.observed.T)
    assert np.isnan(np.diag(problem.to_array())).all()
    for matrix, trace in ((example.least_nuclear_norm, 4 * R), (example.rank_one, 2 * R**2 + 2)):
        np.testing.assert_array_equal(matrix[problem.observed], problem.values)
        np.testing.assert_array_equal(matrix, matrix.T)
        assert np.linalg.eigvalsh(matrix)[0] >= -1e-12 * trace
        assert np.trace(matrix) == pytest.approx(trace, rel=1e-14)


@given(st.floats(1.01, 1e3))
def test_ranks(R):
    example = nuclear_norm_counterexample(R)
    assert np.linalg.matrix_rank(example.least_nuclear_norm) == 2
    assert np.linalg.matrix_rank(example.rank_one) == 1


@given(ratios)
def test_the_dual_proves_the_least_nuclear_norm(R):
    """||M||_* >= <Z, M> = <Z, observed> = 4R for every M that fits, as ||Z|| = 1."""
    example = nuclear_norm_counterexample(R)
    observed = np.where(example.problem.observed, example.problem.to_array(), 0.0)
    assert not example.dual[~example.problem.observed].any()
    assert np.linalg.norm(example.dual, 2) == pytest.approx(1, rel=1e-14)
    bound = np.sum(example.dual * observed)
    assert bound == pytest.approx(4 * R, rel=1e-14)
    assert np.linalg.norm(example.least_nuclear_norm, "nuc") == pytest.approx(bound, rel=1e-13)


@given(ratios)
def test_eigenvalues_of_what_is_observed(R):
    problem = nuclear_norm_counterexample(R).problem
    observed = np.where(problem.observed, problem.to_array(), 0.0)
    root = np.sqrt(R**2 + 0.25)
    expected = [-root - 0.5, -root + 0.5, root - 0.5, root + 0.5]
    np.testing.assert_allclose(np.linalg.eigvalsh(observed), expected, rtol=1e-12)


def test_others_that_are_not_semidefinite_have_as_little():
    example = nuclear_norm_counterexample(3)
    other = example.least_nuclear_norm * (np.indices((4, 4)).sum(axis=0) % 2)
    np.testing.assert_array_equal(other[example.problem.observed], example.problem.values)
    assert np.linalg.norm(other, "nuc") == pytest.approx(12)
    assert np.linalg.eigvalsh(other)[0] < -1


def test_an_independent_solver_finds_the_least_nuclear_norm():
    cvxpy = pytest.importorskip("cvxpy")
    example = nuclear_norm_counterexample(3)
    X = cvxpy.Variable((4, 4), PSD=True)
    kept = example.problem.observed.astype(float)
    fits = [cvxpy.multiply(kept, X) == np.nan_to_num(example.problem.to_array())]
    program = cvxpy.Problem(cvxpy.Minimize(cvxpy.trace(X)), fits)
    program.solve(solver=cvxpy.SCS, eps=1e-8, max_iters=100_000)
    assert program.value == pytest.approx(12, rel=1e-5)
    np.testing.assert_allclose(X.value, example.least_nuclear_norm, atol=1e-3)  # no other is


@pytest.mark.parametrize("R", [1, 1.0, 0.5, -3, 0, np.inf, np.nan, "3", True])
def test_ratios_that_cannot_be(R):
    with pytest.raises(InputError, match="R must be"):
        nuclear_norm_counterexample(R)
