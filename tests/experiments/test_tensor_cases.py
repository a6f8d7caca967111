"""The runs behind the claims of tensor completion."""

import numpy as np
import pytest

from factorflow.experiments._component_cases import ComponentsCase, QuasiNewtonCase
from factorflow.experiments._tensors import (
    AlternatingCase,
    TensorFlowCase,
    TensorRecipeCase,
    ZerosCase,
    ZerosRankCase,
    rank_of,
)
from factorflow.theory import estimate_tensor_rank

SMALL = {"n_observed": 48, "size": 4, "instance": 1}
STARTED = {**SMALL, "scale": 1e-2, "train_error": 1e-8}


def run(*cases):
    found = {}
    cases[0].run_many(cases, lambda case, result, seconds=None: found.update({case: result}), None)
    return [found[case] for case in cases]


def test_flow_completes_an_8x8x8_tensor_of_rank_1_alone_and_among_others():
    cases = [TensorFlowCase(200, i, scale=1e-3, train_error=1e-10) for i in (0, 1)]
    together, (alone,) = run(*cases), run(cases[1])
    for result in together:
        assert result["status"] == "TRAIN_ERROR"
        assert result["rank"] == result["least_rank"] == 1
        assert result["relative_error"] < 1e-3
        assert result["largest_components"][0] == pytest.approx(1, rel=1e-3)
    assert together[1]["relative_error"] == pytest.approx(alone["relative_error"], rel=1e-6)
    problem = cases[0].problem
    filled = np.zeros(problem.shape)
    filled[tuple(problem.indices)] = problem.values
    assert np.linalg.norm(filled - problem.truth) > 0.5
    assert estimate_tensor_rank(filled, max_rank=1).lower_bound > 5


def test_recipe_stops_as_published():
    short = TensorRecipeCase(**(STARTED | {"train_error": 1e-6}))
    (first,), (own) = run(short), run(TensorRecipeCase(**(vars_of(short) | {"patience": True})))[0]
    assert first["n_gradients"] == first["n_gradients_to_train_error"]
    assert own["n_gradients_to_train_error"] == first["n_gradients"]
    # Steps are one fewer than gradients; the last of three checks is 200 steps after the first.
    steps = own["n_gradients"] - 1
    assert steps % 100 == 0
    assert steps - 200 == 100 * int(np.ceil((first["n_gradients"] - 1) / 100))
    assert own["train_error"] <= 1e-6


def test_recipe_that_does_not_come_there_says_so():
    (result,) = run(TensorRecipeCase(**STARTED, most=20))
    assert result["status"] == "GRADIENT_LIMIT"
    assert result["n_gradients_to_train_error"] is None


def vars_of(case):
    names = ("n_observed", "instance", "size", "scale", "train_error")
    return {name: getattr(case, name) for name in names}


def test_zeros_keep_what_is_seen():
    case = ZerosCase(**SMALL)
    (result,), (ranked,) = run(case), run(ZerosRankCase(**SMALL))
    problem = case.problem
    missing = 1 - np.sum(np.square(problem.values))
    assert result["relative_error"] == pytest.approx(np.sqrt(missing), rel=1e-10)
    filled = np.zeros(problem.shape)
    filled[tuple(problem.indices)] = problem.values
    found = estimate_tensor_rank(filled, restarts=1)
    assert result["least_rank"] == ranked["least_rank"] == found.lower_bound > 1
    assert ranked["rank"] == found.rank >= found.lower_bound
    assert "rank" not in result


def test_alternating_least_squares_finds_the_rank_on_held_out_entries():
    (result,) = run(AlternatingCase(**SMALL, rank=2, most_components=3, starts=2, sweeps=400))
    assert result["rank"] == 2
    assert result["relative_error"] < 1e-4
    assert result["held_out_error"] < 1e-8


def test_greedy_components_go_on_to_the_smaller_train_error():
    (result,) = run(ComponentsCase(**SMALL, components=3, ranked=True))
    assert result["status"] == result["further_status"] == "TRAIN_ERROR"
    assert result["n_components"] == 1
    assert result["largest_component"] == pytest.approx(1, rel=0.1)
    assert result["train_error"] <= 1e-6
    assert result["n_gradients"] <= result["further_n_gradients"]
    assert result["further_error"] < 1e-3
    assert result["further_train_error"] <= 1e-10
    assert result["rank"] == result["least_rank"] == result["further_components"] == 1


def test_a_tensor_has_no_higher_rank_than_components():
    rng = np.random.default_rng(0)
    tensor = np.einsum("ar,br,cr->abc", *rng.normal(size=(3, 4, 3)))
    assert rank_of(tensor, True, components=3)["rank"] == 3
    # Where no fit comes there, the components that it is written with are one.
    assert rank_of(tensor, True, components=2)["rank"] == 2
    assert np.isnan(rank_of(tensor, False, components=3)["rank"])


def test_quasi_newton_leaves_a_small_start():
    case = QuasiNewtonCase(**(STARTED | {"train_error": 1e-6, "scale": 1e-3}), components=16)
    (result,) = run(case)
    assert result["status"] == "TRAIN_ERROR"
    assert result["train_error"] <= 1e-6
    assert result["n_gradients"] < 200


def test_all_methods_complete_one_problem_and_one_start():
    cases = TensorFlowCase(**STARTED), TensorRecipeCase(**STARTED), ZerosCase(**SMALL)
    assert len({case.problem.content_hash for case in cases}) == 1
    factors = [case.start(case.factorization, (4, 4, 4), case.instance) for case in cases[:2]]
    for one, other in zip(*factors, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.std(factors[0][0]) == pytest.approx(1e-2, rel=0.3)
