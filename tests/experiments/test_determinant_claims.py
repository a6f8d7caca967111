"""The claims on the determinant's sign: their starts, and what judges make of results."""

import numpy as np
import pytest

from factorflow import StartAt
from factorflow.experiments import Results
from factorflow.experiments import _razin2020_blow_up as blow_up
from factorflow.experiments import _razin2020_descent as descent
from factorflow.experiments import _razin2020_larger as larger
from factorflow.experiments import _razin2020_perturbed as perturbed
from factorflow.experiments._two_by_two import (
    DeterminantFlowCase,
    entry_at,
    growth_of,
    over_loss,
    problem_of,
    signed_start,
)

CLAIMS = [module.CLAIM for module in (blow_up, descent, larger, perturbed)]


@pytest.mark.parametrize("size", [2, 3, 10])
@pytest.mark.parametrize("sign", [1, -1])
def test_starts_have_the_sign_and_the_scale_asked_for(sign, size):
    for instance in range(5):
        case = DeterminantFlowCase(2, sign, 1e-6, 1e-4, instance, size=size)
        start = signed_start(case, size)
        assert np.linalg.slogdet(start)[0] == sign
        assert 0.3 < np.linalg.norm(start) / (1e-6 * np.sqrt(size)) < 3
        assert StartAt(start)


def test_solutions_of_the_problems_have_a_negative_determinant():
    for size in (2, 3, 10):
        problem = problem_of(size=size)
        assert problem.n_observed == size**2 - 1
        for unobserved in (-3.0, 0.0, 5.0):
            solution = problem.to_array()
            solution[0, 0] = unobserved
            assert np.linalg.det(solution) == pytest.approx(-1)
    np.testing.assert_array_equal(
        problem_of((-2.0, 0.5, 0.1)).to_array(), [[np.nan, -2.0], [0.5, 0.1]]
    )


def a_result(sign=1, status="TRAIN_ERROR", entry=lambda loss: 1 / np.sqrt(2 * loss)):
    loss = np.geomspace(1, 1e-8, 81)
    grown = entry(loss)
    return {
        "loss": loss,
        "entry": grown,
        "entry_sign": 1.0,
        "distance": 1e-3 * np.sqrt(loss),
        "least_value": 1e-3 * np.sqrt(loss),
        "effective_rank": 1 + 1e-3 * loss,
        "sign": np.full(81, float(sign)),
        "time": 1 / loss,
        "step": np.arange(81),
        "status": status,
        "n_steps": 80,
        "n_gradients": 800,
        "monitors": {"unobserved_entry": True},
        "checked": 81,
    }


def test_the_entry_at_a_loss_and_its_growth():
    result = a_result()
    assert entry_at(result, 3e-4) == pytest.approx(1 / np.sqrt(6e-4))
    assert growth_of(result, 2) == pytest.approx(10)
    assert np.isnan(entry_at(result, 1e-9))
    shown = over_loss([("a", result), ("b", result)], "entry", 10.0)
    assert float(shown["entry"].min()) >= 10
    assert shown["loss"].sizes == {"run": 2, "record": 81}


def blow_up_results(grown, rests):
    cases = blow_up.CLAIM.cases(blow_up.CLAIM.size(seeds=1))
    return Results(
        [(case, a_result(case.sign, entry=grown if case.sign > 0 else rests)) for case in cases]
    )


def failed(finding):
    return [check.text for check in finding.checks if not check.holds]


def test_blow_up_is_judged_by_its_bound():
    def as_the_bound(loss):
        return 1 / np.sqrt(2 * loss)

    finding = blow_up.CLAIM.judge(blow_up_results(as_the_bound, lambda loss: 0 * loss + 3.0))
    assert failed(finding) == []
    assert len(finding.figures) == 2
    names = {each.name for each in finding.measured}
    assert {each.name for each in blow_up.CLAIM.published} <= names


def test_blow_up_fails_where_the_entry_stays_or_never_rests():
    def stays(loss):
        return 0 * loss + 7.1

    def grows(loss):
        return 1 / np.sqrt(2 * loss)

    texts = failed(blow_up.CLAIM.judge(blow_up_results(stays, grows)))
    assert sum("over its exact bound" in text for text in texts) == 4
    assert sum("negative" in text for text in texts) == 8


def test_descent_at_the_determinants_sign_of_the_flow_does_not_reproduce():
    cases = descent.CLAIM.cases(descent.CLAIM.size(seeds=1))
    results = [
        (case, {"step": 5330} if isinstance(case, descent.CrossingCase) else a_result())
        for case in cases
    ]
    texts = failed(descent.CLAIM.judge(Results(results)))
    assert "depth 2: descent ends with a negative determinant" in texts
    assert not any("flow" in text for text in texts)


def test_descent_crosses_at_the_same_step_in_extended_precision():
    found = {}
    cases = [descent.CrossingCase(name, 3e-3, 1e-6, 0) for name in descent._PRECISIONS]
    descent.CrossingCase.run_many(cases, lambda case, result: found.update({case: result}), None)
    double, extended = (found[case]["step"] for case in cases)
    assert 1000 < double < 20_000
    assert extended == pytest.approx(double, rel=1e-3)


def test_flows_on_the_other_branch_are_told():
    cases = perturbed.CLAIM.cases(perturbed.CLAIM.size(seeds=2))
    results = []
    for case in cases:
        corner, grows = case.values[2], case.sign == perturbed._SIGN
        result = a_result(case.sign, entry=lambda loss, c=corner, g=grows: (
            1.02 / (c + np.sqrt(2 * loss)) if g else 0 * loss + 0.3
        ))  # fmt: skip
        result["entry_sign"] = -1.0
        if grows and case.instance == 1 and corner:
            result |= {"status": "GRADIENT_LIMIT", "entry_sign": 1.0}
            result["loss"] = result["loss"] + corner**2 / 2
        results.append((case, result))
    finding = perturbed.CLAIM.judge(Results(results))
    assert failed(finding) == []
    assert "depth 3, epsilon 0.5: 1 of 2" in finding.notes[-1]


def test_keys_tell_all_cases_of_the_determinant_apart():
    for claim in CLAIMS:
        cases = claim.cases(claim.size(seeds=3, full=True))
        assert len({case.key for case in cases}) == len(cases)
