"""Gradient flow and descent on tensor factorizations under the same solve."""

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from factorflow import (
    CP,
    Completion,
    DeepLinear,
    EndToEndFlow,
    Gaussian,
    GradientDescent,
    HierarchicalTucker,
    InputError,
    Record,
    Stop,
    group_rmsprop,
    solve,
    solve_many,
)
from factorflow._x64 import double_precision
from factorflow.theory import unbalancedness_monitor
from factorflow.trajectories import component_effective_rank, component_norms, unbalancedness

SHAPE = (4, 3, 3)
RNG = np.random.default_rng(0)
TRUTH = np.einsum("i,j,k->ijk", *(RNG.normal(size=size) for size in SHAPE))
TRUTH /= np.linalg.norm(TRUTH)
PROBLEM = Completion.sample(TRUTH, 24, seed=0)
START = Gaussian(0.2, "layer")
RECORD = Record(extra=[unbalancedness()])


def flow_of(factorization, **kwargs):
    return solve(PROBLEM, factorization, init=START, record=RECORD, **kwargs)


@pytest.fixture(scope="module", params=[CP(6), HierarchicalTucker(3)], ids=["CP", "tree"])
def solution(request):
    monitors = [unbalancedness_monitor(1.0)]
    return flow_of(request.param, stop=Stop(train_error=1e-9), monitors=monitors)


def test_it_fits_the_entries_and_conserves_the_balance_of_components(solution):
    assert solution.successful
    assert solution.tensor.shape == SHAPE
    residuals = solution.tensor[PROBLEM.indices] - PROBLEM.values
    np.testing.assert_allclose(np.mean(residuals**2), solution.train_error, rtol=1e-9)
    drift = solution.trajectory["unbalancedness"]
    np.testing.assert_allclose(drift, drift[0], rtol=0.02)
    assert solution.monitors[0].holds
    assert repr(solution).startswith("<Solution 4x3x3 ")


def test_what_is_recorded_is_of_its_components(solution):
    largest = np.sort(solution.component_norms[-1])[::-1]
    seen = solution.trajectory
    np.testing.assert_allclose(seen["component_norms"][-1], largest, rtol=1e-9)
    p = largest / largest.sum()
    np.testing.assert_allclose(seen["component_effective_rank"][-1], np.exp(-p @ np.log(p)))
    error = np.linalg.norm(solution.tensor - TRUTH) / np.linalg.norm(TRUTH)
    np.testing.assert_allclose(seen["reconstruction_error"][-1], error, rtol=1e-6)


def test_the_flow_is_that_of_scipy(solution):
    factorization, end = solution.factorization, 30.0
    start = START(factorization, SHAPE, 0)
    cuts = np.cumsum([factor.size for factor in start])[:-1]
    loss = PROBLEM.loss(factorization, "dense")
    gradient = jax.jit(lambda factors: loss.gradient(factors))

    def pack(factors):
        return np.concatenate([np.ravel(factor) for factor in factors])

    def slope(_, flat):
        parts = [np.reshape(x, a.shape) for x, a in zip(np.split(flat, cuts), start, strict=True)]
        return -pack(gradient(tuple(parts)))

    with double_precision():
        expected = solve_ivp(slope, (0, end), pack(start), rtol=1e-8, atol=1e-10).y[:, -1]
    found = solve(
        PROBLEM, factorization, init=START, record=RECORD, stop=Stop(train_error=None, time=end)
    )
    np.testing.assert_allclose(pack(found.factors), expected, atol=2e-3)


def test_many_runs_and_a_descent_come_to_the_same_entries():
    stop = Stop(train_error=1e-6)
    many = solve_many(PROBLEM, CP(6), init=START, seeds=range(3), stop=stop, record=RECORD)
    alone = flow_of(CP(6), seed=1, stop=stop)
    np.testing.assert_allclose(many[1].tensor, alone.tensor, atol=1e-5)
    descent = GradientDescent(transformation=group_rmsprop(1e-2))
    assert flow_of(CP(6), dynamics=descent, stop=stop).successful


def test_components_of_a_matrix_have_its_singular_values():
    matrix = Completion.sample(TRUTH[0], 7, seed=0)
    found = solve(matrix, CP(3), init=START, stop=Stop(n_gradients=50))
    values = np.linalg.svd(found.matrix, compute_uv=False)
    np.testing.assert_allclose(found.singular_values, values, atol=1e-14)
    with pytest.raises(InputError, match="which has singular values"):
        solve(matrix, DeepLinear(2), record=Record([component_effective_rank()]))


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda s: s.matrix, "neither matrix nor singular values"),
        (lambda s: s.singular_values, "neither matrix nor singular values"),
        (lambda s: flow_of(CP(2), dynamics=EndToEndFlow(2)), "CP"),
        (lambda s: component_norms(0), "k must be 1 or more"),
    ],
)
def test_what_is_refused(solution, act, said):
    with pytest.raises(InputError, match=said):
        act(solution)
