"""End-to-end flow from a positive semidefinite start is the deep symmetric product."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from factorflow import (
    AtTimes,
    Completion,
    DeepLinear,
    EndToEndFlow,
    Identity,
    InputError,
    LogSVD,
    Record,
    Rosenbrock,
    StartAt,
    Stop,
    solve,
)
from factorflow.theory import nuclear_norm_counterexample
from factorflow.trajectories import matrix

EXAMPLE = nuclear_norm_counterexample(3.0)
END = 20.0
TIMES = np.linspace(0.5, 0.95 * END, 12)


def start():
    """Positive definite, with no eigenvector in common with the observed matrix."""
    root = np.random.default_rng(3).normal(size=(4, 4))
    return 0.01 * root @ root.T


def power(M, exponent):
    values, vectors = np.linalg.eigh(M)
    return vectors * np.maximum(values, 0) ** exponent @ vectors.T


def by_hand(depth):
    """``dM/dt = -(G M^(P/2) + M^(P/2) G)``, ``W = M^(P/2)``, by SciPy, ``(times, 4, 4)``."""
    observed = EXAMPLE.problem.to_array()
    seen = np.isfinite(observed)

    def velocity(_, y):
        W = power(y.reshape(4, 4), depth / 2)
        G = np.where(seen, W - np.where(seen, observed, 0), 0) / seen.sum()
        return -(G @ W + W @ G).ravel()

    settings = {"method": "DOP853", "rtol": 1e-11, "atol": 1e-14, "t_eval": TIMES}
    found = solve_ivp(velocity, (0, END), power(start(), 2 / depth).ravel(), **settings)
    return np.array([power(each.reshape(4, 4), depth / 2) for each in found.y.T])


@pytest.mark.parametrize(
    ("depth", "form"), [(2, DeepLinear(1)), (3.5, LogSVD(symmetric=True))], ids=str
)
def test_flow_from_a_semidefinite_start_is_the_deep_symmetric_product(depth, form):
    solution = solve(
        EXAMPLE.problem,
        form,
        EndToEndFlow(depth, Rosenbrock(), rtol=1e-6, skip_plateaus=False),  # there is none
        init=StartAt(start()),
        stop=Stop(train_error=None, time=END, n_gradients=None),
        record=Record([matrix()], schedule=AtTimes(TIMES)),
    )
    path = solution.trajectory.sel(record=slice(1, None))
    W = path["matrix"].values[np.isin(path["time"].values, TIMES)]
    largest = np.abs(W).max()
    np.testing.assert_allclose(W, by_hand(depth), atol=1e-4 * largest)
    np.testing.assert_allclose(W, W.transpose(0, 2, 1), atol=1e-9 * largest)
    assert np.linalg.eigvalsh((W + W.transpose(0, 2, 1)) / 2).min() >= -1e-9 * largest
    assert largest > 10 * np.abs(start()).max()  # it has come far


def test_a_negative_eigenvalue_is_never_learnt_where_symmetry_is_kept():
    # Larger in size than both others, it draws a matrix that may lose its symmetry to rounding.
    Q = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    target = Completion.from_array(Q * [1, 0.3, -2.0] @ Q.T)
    solution = solve(
        target,
        LogSVD(symmetric=True),
        EndToEndFlow(3),
        init=Identity(1e-6),
        stop=Stop(train_error=None, gradient_norm=1e-7, n_gradients=5000),
        record=Record([]),
    )
    np.testing.assert_allclose(solution.matrix, Q * [1, 0.3, 0] @ Q.T, atol=1e-4)
    np.testing.assert_array_equal(solution.factors[0], solution.factors[2])


def test_what_is_not_semidefinite_is_refused():
    with pytest.raises(InputError, match="eigenvalue -1"):
        LogSVD(symmetric=True).from_matrix(-np.eye(2))
    with pytest.raises(InputError, match="is square"):
        LogSVD(symmetric=True).from_matrix(np.ones((2, 3)))
