"""Escapes in closed form against the matrix exponential and an independent integrator."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from factorflow._x64 import double_precision
from factorflow.dynamics._generator import Frame
from factorflow.dynamics._leap import leap, leap_together

M, N, K = 5, 4, 3
_RNG = np.random.default_rng(3)
LEFT, _ = np.linalg.qr(_RNG.normal(size=(M, K)))
RIGHT, _ = np.linalg.qr(_RNG.normal(size=(N, K)))
GRADIENT = _RNG.normal(size=(M, N))
LOGS = np.array([-5.0, -6.0, -8.0])
SMALL = {"all": [True, True, True], "two": [False, True, True]}


# Compiled as a whole: operation by operation takes longer.
_leapt = eqx.filter_jit(lambda by, *arguments: by(*arguments))


def leapt(by, small, *arguments):
    with double_precision():
        frame = Frame(*map(jnp.asarray, (LEFT, LOGS, RIGHT, GRADIENT)))
        sides, duration = _leapt(by, frame, jnp.asarray(SMALL[small]), *arguments)
        left, right, change = map(np.asarray, sides)
    return (left * np.exp(LOGS + change)) @ right.T, change, float(duration)


def matrix_of(modes):
    return (LEFT[:, modes] * np.exp(LOGS[modes])) @ RIGHT[:, modes].T


def force(small):
    """The negative gradient off the modes that are not small."""
    large = ~np.array(SMALL[small])
    off_left = np.eye(M) - LEFT[:, large] @ LEFT[:, large].T
    off_right = np.eye(N) - RIGHT[:, large] @ RIGHT[:, large].T
    return -off_left @ GRADIENT @ off_right


@pytest.mark.parametrize("small", SMALL)
@pytest.mark.parametrize("efolds", [1.0, 8.0])
def test_all_small_modes_at_depth_2(small, efolds):
    found, change, time = leapt(leap_together, small, np.array(efolds), jnp.inf)
    modes = np.array(SMALL[small])
    start = np.vstack([side[:, modes] * np.exp(LOGS[modes] / 2) for side in (LEFT, RIGHT)])
    F = force(small)
    pair = expm(time * np.block([[np.zeros((M, M)), F], [F.T, np.zeros((N, N))]])) @ start
    expected = pair[:M] @ pair[M:].T + matrix_of(~modes)
    np.testing.assert_allclose(found, expected, atol=1e-11 * np.abs(expected).max())
    assert change.max() <= efolds


@pytest.mark.parametrize("depth", [2.5, 3, 8])
def test_the_largest_small_mode_at_any_other_depth(depth):
    """Its flow alone, ``d sigma/dt = N sigma^(2-2/N) g``, ``du/dt = sigma^(1-2/N) (F v - g u)``."""
    _, change, time = leapt(leap, "two", depth, 2.0, jnp.inf)
    F = force("two")

    def slope(t, y):
        u, v = y[:M], y[M:-1]
        g, speed = u @ F @ v, np.exp((1 - 2 / depth) * y[-1])
        return speed * np.concatenate([F @ v - g * u, F.T @ u - g * v, [depth * g]])

    start = np.concatenate([LEFT[:, 1], RIGHT[:, 1], LOGS[1:2]])
    end = solve_ivp(slope, (0, time), start, "DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    np.testing.assert_allclose(LOGS[1] + change[1], end[-1], rtol=1e-7)
    np.testing.assert_allclose(change[1], 2, rtol=1e-6)
    assert change[0] == 0


@pytest.mark.parametrize("by", [leap_together, lambda *a: leap(*a[:2], 3.0, *a[2:])])
def test_none_goes_beyond_the_time_that_is_left(by):
    _, _, time = leapt(by, "all", 8.0, 0.25)
    assert 0.2499 < time <= 0.25
