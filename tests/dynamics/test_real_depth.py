"""The depth of the end-to-end flow as a number between whole ones, and its limit."""

from functools import cache
from math import inf, isfinite

import diffrax
import numpy as np
from small_problem import PROBLEM, SHAPE

from factorflow import DeepLinear, EndToEndFlow, Record, StartAt, Stop, solve

START = StartAt(0.5 * np.random.default_rng(1).normal(size=SHAPE))


@cache
def matrix_at(depth, time):
    """The matrix at a time; where the depth is large or infinite, in the time of the limit."""
    end = time / depth if 50 < depth < inf else time
    stop = Stop(train_error=None, n_gradients=None, time=end)
    flow = EndToEndFlow(depth, diffrax.Tsit5(), rtol=1e-9)
    solution = solve(PROBLEM, DeepLinear(1), flow, init=START, stop=stop, record=Record([]))
    assert isfinite(solution.train_error)
    return solution.matrix


def test_the_matrix_depends_smoothly_on_the_depth():
    near, nearer = (
        np.linalg.norm(matrix_at(2 + e, 30.0) - matrix_at(2.0, 30.0)) for e in (1e-3, 1e-4)
    )
    size = np.linalg.norm(matrix_at(2.0, 30.0))
    assert 1e-6 * size < nearer < 1e-4 * size
    np.testing.assert_allclose(near / nearer, 10, rtol=0.01)


def test_large_depth_is_near_infinite_depth():
    limit = matrix_at(inf, 30.0)
    far, nearer = (np.linalg.norm(matrix_at(depth, 30.0) - limit) for depth in (64.0, 128.0))
    assert nearer < far < 0.1 * np.linalg.norm(limit)
    np.testing.assert_allclose(far / nearer, 2, rtol=0.1)
