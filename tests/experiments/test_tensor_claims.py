"""Claims of tensor completion: the verdict follows errors, ranks and gradients."""

import numpy as np
import pytest

from factorflow.experiments import Results, verdict
from factorflow.experiments import _greedy_components as components
from factorflow.experiments import _razin2020_tensor_recipe as recipes
from factorflow.experiments import _razin2020_tensors as tensors
from factorflow.experiments import _razin2021_scale as scales
from factorflow.experiments._component_cases import ComponentsCase, QuasiNewtonCase
from factorflow.experiments._tensors import (
    AlternatingCase,
    TensorFlowCase,
    TensorRecipeCase,
    ZerosCase,
    ZerosRankCase,
)

# ------------------------------------------------------------------------------- Figure 2


def invented(case):
    if isinstance(case, ZerosRankCase):
        return {"rank": 20, "least_rank": 7.5}
    if isinstance(case, ComponentsCase):
        return invented_components(case)
    zeros = isinstance(case, ZerosCase)
    error = {0.01: 1e-3, 0.001: 1e-5}.get(getattr(case, "scale", None), 0.5 if zeros else 1e-9)
    return {
        "relative_error": error,
        "least_rank": 7.5 if zeros else case.rank,
        "train_error": 1e-12,
        "n_gradients": 500,
        "status": "TRAIN_ERROR",
        "largest_components": np.array([1.0, 0.0]),
    } | ({} if zeros else {"rank": case.rank})


def invented_components(case):
    return {
        "n_components": case.rank,
        "further_components": case.rank,
        "further_error": 1e-6,
        "further_train_error": 1e-13,
        "further_n_gradients": 30,
        "further_status": "TRAIN_ERROR",
        "further_largest_component": 1.0,
        "rank": case.rank,
        "least_rank": case.rank,
    }


def judged(claim, change=lambda case, result: result, seeds=2):
    cases = claim.cases(claim.size(seeds=seeds))
    return claim.judge(Results([(case, change(case, invented(case))) for case in cases]))


@pytest.mark.parametrize("claim", [tensors.ORDER_3, tensors.ORDER_4], ids=lambda c: c.id)
def test_figure_2(claim):
    finding = judged(claim)
    assert verdict(finding.checks) == "reproduced"
    assert len(finding.figures) == 2
    assert len(finding.tables) == 3
    assert "in all: none" in finding.notes[-1]


def flow(**about):
    def chosen(case):
        return isinstance(case, TensorFlowCase) and all(
            getattr(case, name) == value for name, value in about.items()
        )

    return chosen


def greedy(case):
    return isinstance(case, ComponentsCase) and (case.rank, case.n_observed) == (3, 100)


def zeros(case):
    return isinstance(case, ZerosCase | ZerosRankCase)


@pytest.mark.parametrize(
    ("chosen", "wrong", "said"),
    [
        (flow(rank=3, n_observed=300), {"rank": 5}, "rank 3, from 200"),
        (flow(scale=1e-3), {"relative_error": 2e-3}, "1e-3 is below that from 1e-2"),
        (flow(scale=1e-2), {"relative_error": 0.4}, "below a fiftieth"),
        (zeros, {"rank": 5}, "at least four"),
        (zeros, {"least_rank": 2}, "certain lower bound"),
        (greedy, {"rank": 5}, "from 100 entries on: the rank of greedy components"),
        (greedy, {"n_components": 5}, "at the published train error of 1e-6"),
    ],
)
def test_a_cell_that_differs_is_told(chosen, wrong, said):
    def change(case, result):
        return result | wrong if chosen(case) else result

    told = verdict(judged(tensors.ORDER_3, change).checks)
    assert told.startswith("not reproduced")
    assert said in told


def test_exceptions_and_large_components_are_named():
    def change(case, result):
        if flow(rank=3, n_observed=100, scale=1e-2)(case):
            return result | {"rank": 7}
        if flow(rank=1, n_observed=200, scale=1e-3)(case) and case.instance == 1:
            return result | {"largest_components": np.array([8.0, 1.0]), "train_error": 1e-5}
        return result

    finding = judged(tensors.ORDER_3, change)
    told = verdict(finding.checks)
    assert told.startswith("differs: rank 3, from 100 entries on: the flow's rank")
    assert "rank 3, 100 entries, flow, scale 0.01: 7" in finding.notes[-1]
    assert "still: rank 1, 200 entries, scale 0.001 (1)." in finding.notes[1]
    assert "rank 1, 200 entries, scale 0.001, instance 1" in finding.notes[2]


def test_greedy_components_are_told_at_both_train_errors():
    def change(case, result):
        further = {"further_components": 6, "further_error": 7.0}
        return result | further if greedy(case) else result

    finding = judged(tensors.ORDER_3, change)
    assert verdict(finding.checks).startswith("differs: rank 3, from 100 entries on: at most one")
    assert "rank 3, 100 entries: 2 of 2 instances" in finding.notes[3]
    (row,) = (row for row in finding.tables[2].rows if row[:2] == ("3", "100"))
    assert row[2:4] == ("3, 3", "6, 6")


def test_the_largest_rank_of_zeros_stands_beside_the_published_one():
    def change(case, result):
        most = isinstance(case, ZerosRankCase) and (case.rank, case.n_observed) == (3, 2000)
        return result | {"rank": 50 + case.instance} if most else result

    finding = judged(tensors.ORDER_4, change)
    (published,) = (each for each in tensors.ORDER_4.published if each.value == 52)
    (measured,) = (each for each in finding.measured if each.name == published.name)
    assert measured.values == (50, 51)
    assert "20 for rank 1, 100 entries" in finding.notes[-2]
    assert "50.5 for rank 3, 2000 entries" in finding.notes[-2]


def test_without_ranks_errors_are_judged_and_the_reason_told(monkeypatch):
    monkeypatch.setattr(tensors, "TENSORLY", False)

    def change(case, result):
        return result | {"rank": np.nan, "least_rank": np.nan}

    finding = judged(tensors.ORDER_3, change)
    assert verdict(finding.checks) == "reproduced"
    assert "TensorLy is not installed" in finding.notes[-1]
    assert not any("rank of zeros" in check.text for check in finding.checks)


# ------------------------------------------------------------------------------- gradients


def judged_recipe(factor):
    def result(case):
        limited = isinstance(case, TensorRecipeCase) and case.order == 4 and case.scale == 1e-3
        first = None if limited else 300
        own = {"n_gradients": 300 / factor(case), "relative_error": 5e-6 * (case.scale / 1e-3) ** 2}
        if isinstance(case, TensorRecipeCase):
            own |= {"n_gradients": case.most if limited else 500}
            own["n_gradients_to_train_error"] = first
        return own | {"train_error": 1e-9, "status": "TRAIN_ERROR"}

    cases = recipes.CLAIM.cases(recipes.CLAIM.size(seeds=2))
    return recipes.CLAIM.judge(Results([(case, result(case)) for case in cases]))


def test_counts_of_gradients_decide():
    assert verdict(judged_recipe(lambda case: 12.0).checks) == "reproduced"
    some = judged_recipe(lambda case: 3.0)
    assert verdict(some.checks).startswith("differs")
    assert "at least ten times fewer in every cell" in verdict(some.checks)
    assert "fewer gradients in every cell" in verdict(judged_recipe(lambda case: 0.5).checks)


def test_a_recipe_that_does_not_come_there_counts_with_its_limit():
    (table,) = judged_recipe(lambda case: 3.0).tables
    (row,) = (row for row in table.rows if "order 4" in row[0] and "scale 0.001" in row[0])
    assert row[1:5] == ("100", "at least 4000", "at least 40", "0 of 2")


# ------------------------------------------------------------------------------- components


def judged_components(counts=lambda case: 20, error=0.02, further=0.005):
    def result(case):
        own = {"train_error": 1e-6, "status": "TRAIN_ERROR", "n_gradients": 150}
        if isinstance(case, ComponentsCase):
            own |= {"n_gradients": counts(case), "n_components": case.rank}
            own |= {"relative_error": error, "further_error": further}
            return own | {"further_n_gradients": 25, "further_status": "TRAIN_ERROR"}
        if isinstance(case, QuasiNewtonCase):
            return own | {"n_gradients": 30, "relative_error": 0.4, "n_components": 50}
        own |= {"relative_error": 0.03, "largest_components": np.array([1.0, 1e-3])}
        return own | {"n_gradients_to_train_error": 300 if case.order == 3 else None}

    cases = components.CLAIM.cases(components.CLAIM.size(seeds=2))
    return components.CLAIM.judge(Results([(case, result(case)) for case in cases]))


def test_greedy_components_are_judged_by_gradients_and_by_test_error():
    assert verdict(judged_components().checks) == "reproduced"
    many = verdict(judged_components(lambda case: 31).checks)
    assert many.startswith("not reproduced: at least ten times fewer")
    few_in_one_cell = judged_components(lambda case: 31 if case.n_observed == 100 else 20)
    assert verdict(few_in_one_cell.checks) == "reproduced"  # that one is not judged
    assert verdict(judged_components(error=0.04).checks).startswith("differs: at 1e-6")
    assert verdict(judged_components(further=0.04).checks).startswith("not reproduced: going on")


def test_the_limit_of_a_recipe_is_marked_beside_greedy_components():
    rows = judged_components().tables[0].rows
    (row,) = (row for row in rows if "order 4" in row[0] and row[1] == "recipe, 0.001")
    assert row[2:4] == ("at least 4000", "at least 2e+02")


# ------------------------------------------------------------------------------- scales


def judged_scale(errors, full=False):
    def result(case):
        own = {"train_error": 1e-12, "n_gradients": 900, "status": "TRAIN_ERROR"}
        if isinstance(case, AlternatingCase):
            return own | {"relative_error": 1e-8, "rank": 5}
        return own | {
            "relative_error": errors[case.scale],
            "largest_components": np.array([0.6, 0.5]),
        }

    cases = scales.CLAIM.cases(scales.CLAIM.size(seeds=2, full=full))
    return scales.CLAIM.judge(Results([(case, result(case)) for case in cases]))


def test_error_falls_with_the_scale():
    published = {0.05: 8e-2, 0.01: 3e-2, 0.005: 7e-6}
    assert verdict(judged_scale(published).checks) == "reproduced"
    assert verdict(judged_scale(published, full=True).checks) == "reproduced"
    other = {0.05: 1e-2, 0.01: 1e-3, 0.005: 1e-4}
    assert verdict(judged_scale(other).checks) == "reproduced"
    assert verdict(judged_scale(other, full=True).checks).startswith("differs: the published")
    flat = {0.05: 1e-2, 0.01: 9e-3, 0.005: 8e-3}
    assert verdict(judged_scale(flat).checks).startswith("not reproduced")


@pytest.mark.parametrize(
    "claim",
    [tensors.ORDER_3, tensors.ORDER_4, recipes.CLAIM, components.CLAIM, scales.CLAIM],
    ids=lambda c: c.id,
)
def test_cases_of_both_sizes(claim):
    quick, full = (claim.cases(claim.size(full=full)) for full in (False, True))
    assert set(quick) <= set(full)
    assert len(set(full)) == len(full)
