"""The runs behind the claims of recovery: what they give and how they go together."""

import numpy as np
import pytest

from factorflow.experiments._recovery import GAUSSIAN, FlowCase, NuclearNormCase, RecipeCase
from factorflow.problems import Completion, Sensing

SMALL = {"size": 10, "rank": 1}


def run(cases):
    found = {}
    type(cases[0]).run_many(
        cases, lambda case, result, seconds=None: found.__setitem__(case, result), None
    )
    return found


@pytest.mark.parametrize("measurements", ["entries", "gaussian"])
def test_convex_programme_recovers_from_plenty(measurements):
    case = NuclearNormCase(80, measurements=measurements, **SMALL)
    result = run([case])[case]
    assert result["relative_error"] < 1e-4
    assert result["gap"] <= 1e-6
    assert result["nuclear_norm"] == pytest.approx(result["true_nuclear_norm"], rel=1e-4)
    assert result["true_effective_rank"] == pytest.approx(1)
    assert result["mean_squared_error"] == pytest.approx(result["relative_error"] ** 2, rel=1e-6)


def test_flow_and_recipe_reach_the_same_train_error_and_matrix():
    flow = FlowCase(60, depth=2, **SMALL)
    recipe = RecipeCase(60, depth=2, learning_rate=1e-3, **SMALL)
    by_flow, by_recipe = run([flow])[flow], run([recipe])[recipe]
    for result in (by_flow, by_recipe):
        assert result["status"] == "TRAIN_ERROR"
        assert result["train_error"] <= 1e-6
        assert result["relative_error"] < 0.2
    assert by_recipe["nuclear_norm"] == pytest.approx(by_flow["nuclear_norm"], rel=2e-2)


def test_a_case_gives_the_same_alone_and_among_others():
    cases = [FlowCase(60, i, depth=2, scale=s, **SMALL) for i in range(3) for s in (1e-3, 1e-2)]
    together, alone = run(cases), run(cases[3:4])
    assert together.keys() == set(cases)
    assert together[cases[3]]["mean_squared_error"] == pytest.approx(
        alone[cases[3]]["mean_squared_error"], rel=1e-6
    )


def test_instances_of_entries_go_together_and_those_of_matrices_in_full_do_not():
    first, second = (FlowCase(60, i, **SMALL) for i in range(2))
    assert first.group == second.group
    assert first.group != FlowCase(60, depth=4, **SMALL).group
    full = [FlowCase(60, i, measurements=GAUSSIAN, **SMALL) for i in range(2)]
    assert full[0].group != full[1].group
    assert full[0].group == FlowCase(60, 0, scale=1e-6, measurements=GAUSSIAN, **SMALL).group


def test_problem_is_that_of_the_case():
    case = FlowCase(30, 4, **SMALL)
    assert isinstance(case.problem, Completion)
    assert case.problem.n_observed == 30
    assert case.problem.content_hash == NuclearNormCase(30, 4, **SMALL).problem.content_hash
    assert isinstance(FlowCase(30, measurements=GAUSSIAN, **SMALL).problem, Sensing)
    assert np.linalg.matrix_rank(case.problem.truth) == 1
