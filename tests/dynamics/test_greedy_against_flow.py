"""The greedy limit is where flows of depth 2 from ever smaller starts lead."""

import numpy as np
import pytest

from factorflow import (
    Completion,
    EndToEndFlow,
    GreedyLowRank,
    Identity,
    LogSVD,
    Record,
    Stop,
    Symmetric,
    solve,
)
from factorflow.datasets import low_rank_psd

SIZE = 6


def problem_of(instance):
    return Completion.sample_symmetric(low_rank_psd(SIZE, 2, seed=instance), 18, seed=instance)


def flow_from(problem, scale):
    return solve(
        problem,
        LogSVD(symmetric=True),
        EndToEndFlow(2),
        init=Identity(scale),
        stop=Stop(train_error=1e-10),
        record=Record([]),
    ).matrix


def apart(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("instance", [0, 1, 2])
def test_greedy_limit_is_the_limit_of_the_flow(instance):
    problem = problem_of(instance)
    greedy = solve(problem, Symmetric(4), GreedyLowRank(), record=Record([]))
    assert all(point.relative_gap > 0.05 for point in greedy.path.points[:-1])
    ends = {scale: flow_from(problem, scale) for scale in (1e-4, 1e-100, 1e-300)}
    assert apart(ends[1e-100], ends[1e-300]) < 1e-4
    assert apart(ends[1e-300], greedy.matrix) < 1e-4
    assert apart(ends[1e-4], greedy.matrix) > apart(ends[1e-300], greedy.matrix)
