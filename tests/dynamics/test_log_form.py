"""The flow in singular vectors and logarithms: closed forms, what it keeps, the layers' flow."""

from functools import cache

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from small_problem import gradient_by_hand, loss_by_hand, norm, product, start_at

from factorflow import (
    AtTimes,
    Completion,
    EndToEndFlow,
    Identity,
    LogSVD,
    Observable,
    Record,
    StartAt,
    Status,
    Stop,
    solve,
    solve_many,
)
from factorflow._x64 import double_precision
from factorflow.initializers import balanced_factors
from factorflow.trajectories import Snapshot, gradient_norm, train_loss

N = 4
ENTRIES = N * N  # all are observed, so that a mean over them slows time by as much
TARGETS = np.array([3.0, 2.0, 1.0, 0.5])
_RNG = np.random.default_rng(0)
P, Q = (np.linalg.qr(_RNG.normal(size=(N, N)))[0] for _ in range(2))
ALIGNED = Completion.from_array(P * TARGETS @ Q.T)
DIAGONAL = Completion.from_array(np.diag([3.0, 3.0, 1.0, 0.5]))
# The sign of this target's determinant is not that of the start.
GENERAL = Completion.from_array(np.diag([-1.0, 1.0, 1.0, 1.0]) @ P * TARGETS @ Q.T)
NEAR_P = 0.1 * (P @ Q.T + 0.5 * _RNG.normal(size=(N, N)))

FLOW = EndToEndFlow(2, diffrax.Tsit5(), rtol=1e-8)
SEEN = [
    train_loss(),
    gradient_norm(),
    Observable("matrix", lambda point: point.matrix, ("row", "column")),
    Observable("logs", lambda point: point.factors[1], ("mode",)),
    Observable("sign", lambda point: point.factorization.determinant_sign(point.factors)),
]


def run(problem, init, times, stop=None, resume=None):
    """To the last of the times; one compiled program for all problems and starts of this file."""
    stop = stop or Stop(train_error=None, n_gradients=None, time=times[-1])
    record = Record(SEEN, schedule=AtTimes(times))
    return solve(problem, LogSVD(), FLOW, init=init, stop=stop, record=record, resume=resume)


def logistic(logs, targets, times):
    """Logarithms of ``s* / (1 + exp(-2 s* t / p) (s*/s_0 - 1))``."""
    beyond = np.log(targets) - logs + np.log1p(-np.exp(logs) / targets)
    ahead = -2 * targets * np.asarray(times)[:, None] / ENTRIES + beyond
    return np.log(targets) - np.logaddexp(0, ahead)


STARTS = {
    "1e-4": np.full(N, np.log(1e-4)),
    "1e-100": np.full(N, np.log(1e-100)),
    "exp(-1000)": np.full(N, -1000.0),
    "graded": np.array([-0.1, -20.0, -300.0, -1000.0]),
}


@pytest.mark.parametrize("name", STARTS)
def test_modes_are_logistic_however_small(name):
    logs = STARTS[name]
    half = np.sort(ENTRIES * (np.log(TARGETS) - logs) / (2 * TARGETS))
    times = np.unique(np.concatenate([half / 2, half, 1.2 * half[-1:]]))
    solution = run(ALIGNED, start_at([P, logs, Q]), times)
    expected = logistic(logs, TARGETS, (0, *times))
    found = np.sort(solution.trajectory["logs"].values, axis=1)
    np.testing.assert_allclose(found, np.sort(expected, axis=1), atol=2e-5, rtol=1e-8)


def test_equal_singular_values_are_no_obstacle():
    times = np.linspace(10, 80, 8)
    solution = run(DIAGONAL, Identity(1e-3), times)
    targets = np.array([3.0, 3.0, 1.0, 0.5])
    expected = np.exp(logistic(np.full(N, np.log(1e-3)), targets, (0, *times)))
    found = solution.trajectory["matrix"].values
    np.testing.assert_allclose(found, expected[:, :, None] * np.eye(N), atol=1e-6)


LONG = tuple(np.geomspace(1, 1e4, 12))


@cache
def long_run():
    return run(GENERAL, StartAt(NEAR_P), LONG)


def test_sign_and_rank_outlive_the_entries():
    trajectory = long_run().trajectory
    sign = np.sign(np.linalg.det(NEAR_P))
    assert sign == -np.sign(np.linalg.det(GENERAL.to_array()))
    assert np.all(trajectory["sign"] == sign)
    logs = trajectory["logs"].values
    assert np.isfinite(logs).all()
    assert logs[-1].min() < -300  # far below what the entries could tell from zero
    # As the mode with the wrong sign shrinks, the flow finds the best of the matrices without it.
    u, s, v = np.linalg.svd(GENERAL.to_array())
    best = (u[:, :3] * s[:3]) @ v[:3]
    np.testing.assert_allclose(long_run().matrix, best, atol=1e-6)


def test_the_smallest_mode_shrinks_at_the_rate_of_its_gradient():
    # Near the end d ln(sigma)/dt = -2 s*_4 / p for the mode that the target has with a minus.
    logs = long_run().trajectory["logs"].values.min(axis=1)
    rate = (logs[-1] - logs[-2]) / (LONG[-1] - LONG[-2])
    np.testing.assert_allclose(rate, -2 * TARGETS[-1] / ENTRIES, rtol=1e-5)


@cache
def layerwise():
    """Matrices of the layer-wise flow of two layers at all records of the long run, by SciPy."""
    factors = balanced_factors(NEAR_P, [(N, N), (N, N)])

    def slope(t, y):
        gradients = gradient_by_hand(GENERAL, list(y.reshape(2, N, N)))
        return -np.ravel(gradients)

    found = solve_ivp(
        slope,
        (0, LONG[WITH_LAYERS - 1]),
        np.ravel(factors),
        "DOP853",
        (0, *LONG[:WITH_LAYERS]),
        rtol=1e-10,
        atol=1e-13,
    )
    return np.stack([product(y.reshape(2, N, N)) for y in found.y.T])


# Later the layers, by rounding, let the determinant change its sign; the logarithms do not.
WITH_LAYERS = 8


def test_the_product_of_the_layers_follows_it():
    found = long_run().trajectory["matrix"].values[:WITH_LAYERS]
    # Between steps the dense output is a cubic: less accurate than their ends.
    np.testing.assert_allclose(found, layerwise()[:WITH_LAYERS], atol=1e-6)


def test_the_norm_of_the_gradient_is_that_of_balanced_layers():
    trajectory = long_run().trajectory
    for matrix, loss, found in zip(
        trajectory["matrix"].values[:8],
        trajectory["train_loss"].values,
        trajectory["gradient_norm"].values,
        strict=False,
    ):
        factors = balanced_factors(matrix, [(N, N), (N, N)])
        np.testing.assert_allclose(found, norm(gradient_by_hand(GENERAL, factors)), rtol=1e-7)
        np.testing.assert_allclose(loss, loss_by_hand(GENERAL, [matrix]), rtol=1e-10)


@pytest.mark.parametrize("time", [LONG[2], LONG[4], LONG[6]])
def test_what_is_recorded_between_steps_lies_on_the_path(time):
    there = LONG.index(time) + 1
    stop = Stop(train_error=None, n_gradients=None, time=time)
    stopped = run(GENERAL, StartAt(NEAR_P), LONG, stop)
    assert stopped.time == time
    np.testing.assert_allclose(stopped.matrix, layerwise()[there], atol=1e-7)
    recorded = long_run().trajectory.isel(record=there)
    assert float(recorded.time) == time
    np.testing.assert_allclose(recorded["matrix"], stopped.matrix, atol=3e-6)
    np.testing.assert_allclose(recorded["logs"], stopped.factors[1], atol=1e-4)


def test_resume_goes_on_exactly():
    def until(n, resume=None):
        stop = Stop(train_error=None, n_gradients=n, time=LONG[-1])
        return run(GENERAL, StartAt(NEAR_P), LONG, stop, resume)

    half = until(150)
    assert half.status is Status.GRADIENT_LIMIT
    resumed, whole = until(400, half), until(400)
    assert resumed.n_gradients == whole.n_gradients
    assert resumed.time == whole.time > half.time
    assert all(np.array_equal(a, b) for a, b in zip(resumed.factors, whole.factors, strict=True))


def test_vectors_stay_orthonormal_and_values_descend():
    left, logs, right = long_run().factors
    for vectors in (left, right):
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(N), atol=1e-13)
    assert np.all(np.diff(logs) < 0)


RANK_2 = Stop(train_error=None, n_gradients=None, time=60.0)


def test_a_rank_is_kept_a_step_compiled_once_and_a_batch_is_a_loop(caplog):
    rng = np.random.default_rng(3)
    starts = [StartAt(0.3 * rng.normal(size=(N, 2)) @ rng.normal(size=(2, N))) for _ in range(3)]
    record = Record([])
    parts = GENERAL, LogSVD(2), FLOW
    batch = solve_many(*parts, init=starts, stop=RANK_2, record=record, how="batch", seeds=(0,))
    with jax.log_compiles():
        alone = [solve(*parts, init=init, stop=RANK_2, record=record) for init in starts]
        further = Stop(train_error=None, n_gradients=None, time=70.0)
        solve(*parts, stop=further, record=record, resume=alone[0])
    # A state of weak type, after a stretch or where a run resumes, would compile it all again.
    compiled = [line for line in caplog.messages if "Finished XLA compilation" in line]
    assert sum("_advance_one" in line for line in compiled) == 1
    for single, found in zip(alone, batch, strict=True):
        assert found.factors[1].shape == (2,)
        assert np.linalg.matrix_rank(found.matrix) == 2
        np.testing.assert_allclose(found.matrix, single.matrix, rtol=1e-9, atol=1e-12)
        assert found.n_gradients == single.n_gradients


def test_entries_are_those_of_the_matrix():
    rows, columns = np.array([0, 3, 2]), np.array([1, 1, 0])
    with double_precision():
        factors = tuple(map(jnp.asarray, long_run().factors))
        point = Snapshot(
            LogSVD(), factors, time=0, step=0, n_gradients=0, train_loss=0, gradient_norm=0
        )
        found = np.asarray(point.entries(rows, columns))
    np.testing.assert_allclose(found, long_run().matrix[rows, columns], rtol=1e-14)
