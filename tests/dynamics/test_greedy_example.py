"""Six entries on which a vanishing start does not lead to the least nuclear norm."""

import numpy as np
import pytest

from factorflow import (
    DeepLinear,
    EndToEndFlow,
    GreedyLowRank,
    Identity,
    Record,
    Rosenbrock,
    Status,
    Stop,
    Symmetric,
    solve,
)
from factorflow.theory import nuclear_norm_counterexample


@pytest.mark.parametrize(("R", "trace", "tolerance"), [(3, 20, 1e-6), (100, 20_002, 1e-6)])
def test_greedy_limit_is_the_solution_of_rank_one(R, trace, tolerance):
    example = nuclear_norm_counterexample(R)
    dynamics = GreedyLowRank()
    solution = solve(example.problem, Symmetric(4), dynamics)
    first, last = solution.path.points
    assert solution.status is Status.CERTIFIED
    assert np.trace(solution.matrix) == pytest.approx(trace, rel=tolerance)
    np.testing.assert_allclose(solution.matrix, example.rank_one, rtol=1e-5)
    assert (first.rank, last.rank) == (0, 1)
    assert last.escape <= dynamics.tolerance * first.escape
    # The two modes that grow from zero, by hand: sqrt(R^2 + 1/4) -+ 1/2.
    assert first.relative_gap == pytest.approx(1 / (np.sqrt(R**2 + 0.25) + 0.5), rel=1e-6)


def trace_at_the_end(depth):
    example = nuclear_norm_counterexample(10)
    solution = solve(
        example.problem,
        DeepLinear(1),
        EndToEndFlow(depth, Rosenbrock(), rtol=1e-4),
        init=Identity(1e-4),
        stop=Stop(train_error=1e-10 * 100),
        record=Record([]),
    )
    values = np.linalg.eigvalsh(solution.matrix)
    assert values.min() >= -1e-9 * values.max()
    return values.sum()


def test_from_a_practical_start_depth_decides_between_the_two_solutions():
    """From 1e-4 I at R = 10: 40 is the least nuclear norm, 202 that of rank 1."""
    assert 40 < trace_at_the_end(2) < 41
    assert 195 < trace_at_the_end(4) < 202.1
