"""The claims on commuting measurements, at the smallest size, and what their runs say."""

import numpy as np
import pytest

from factorflow.experiments import Results, reproduce
from factorflow.experiments import _arora2019_schatten as schatten
from factorflow.experiments import _gunasekar2017_commuting as commuting


def runs_of(cases):
    found = {}

    def keep(case, result, seconds=None):
        found[case] = dict(result)

    for kind, group in {(type(case), case.group) for case in cases}:
        alike = [case for case in cases if (type(case), case.group) == (kind, group)]
        kind.run_many(alike, keep, None)
    return found


@pytest.fixture(scope="module")
def closed_forms():
    cases = [
        commuting.ClosedFormCase(depth, scale, instance)
        for depth in (2, 3, 4)
        for scale in (1e-2, 1e-6)
        for instance in range(3)
    ]
    return runs_of(cases)


def test_closed_forms_are_bounded_by_their_certificates(closed_forms):
    for result in closed_forms.values():
        assert result["bound"] <= 1 + 1e-9
        assert result["excess"] >= -1e-9
        # (trace - bound) / trace, from the two ratios to the least trace
        gap = 1 - result["bound"] / (1 + result["excess"])
        assert result["gap"] == pytest.approx(gap, abs=1e-9)


def test_depth_and_scale_both_close_the_gap(closed_forms):
    for instance in range(3):
        gaps = {
            (case.depth, case.scale): result["gap"]
            for case, result in closed_forms.items()
            if case.instance == instance
        }
        assert gaps[2, 1e-6] > gaps[3, 1e-6] > gaps[4, 1e-6]
        assert all(gaps[depth, 1e-2] > gaps[depth, 1e-6] for depth in (2, 3, 4))


def test_measurements_commute_and_see_no_trace():
    problem = commuting._problem(0)
    matrices = problem.operator.matrices
    np.testing.assert_allclose(np.trace(matrices, axis1=1, axis2=2), 0, atol=1e-12)
    np.testing.assert_array_equal(matrices[0] @ matrices[1], matrices[1] @ matrices[0])
    assert np.any(commuting._problem(1).values != problem.values)


@pytest.fixture(scope="module")
def flows():
    return runs_of(
        [commuting.CommutingFlowCase(depth, 1e-2, 0) for depth in (2, 3)]
        + [commuting.CommutingFlowCase(depth, 1e-6, 0, 1e-8) for depth in (2, 3)]
    )


def test_flows_end_on_the_closed_form(flows):
    for case, result in flows.items():
        if not case.nudge:
            assert result["distance"] < 1e-3


def test_a_nudge_leads_away_at_depth_three_and_not_at_depth_two(flows):
    nudged = {case.depth: result for case, result in flows.items() if case.nudge}
    assert nudged[2]["distance"] < 1e-3
    assert nudged[3]["distance"] > 0.1
    assert nudged[3]["effective_rank"] < nudged[2]["effective_rank"]


def test_commuting_claim_is_judged(monkeypatch):
    monkeypatch.setattr(commuting, "_DEPTHS", (2, 3))
    monkeypatch.setattr(commuting, "_FLOW_SCALES", (1e-1,))
    (judgement,) = reproduce([commuting.CLAIM], seeds=2)
    assert judgement.verdict == "reproduced"
    finding = judgement.finding
    names = {each.name for each in finding.measured}
    assert {each.name for each in commuting.CLAIM.published if "depth 3" in each.name} <= names
    assert len(finding.figures) == 2
    assert len(finding.tables[0].rows) == 6 + 3 + 6
    assert "depth 2: 0 of 2" in finding.notes[-1]
    assert "depth 3: 2 of 2" in finding.notes[-1]


def test_commuting_claim_can_fail(closed_forms):
    """A flow that ended elsewhere is told."""
    cases = commuting.CLAIM.cases(commuting.CLAIM.size(seeds=1))
    results = []
    for case in cases:
        if isinstance(case, commuting.ClosedFormCase):
            numbers = {"gap": case.scale**0.2, "excess": 0.0, "bound": 0.5}
        else:
            numbers = {"distance": 0.5}
        results.append((case, {"nuclear_norm": 1.0, "effective_rank": 1.0, **numbers}))
    failed = [check.text for check in commuting._judge(Results(results)).checks if not check.holds]
    assert "the flow ends on the closed form at depth 3" in failed
    assert "at depth 3 the gap falls with the scale" not in failed


def test_schatten_claim_is_judged(monkeypatch):
    monkeypatch.setattr(schatten, "_DEPTHS", (3,))
    (judgement,) = reproduce([schatten.CLAIM])
    assert judgement.verdict == "reproduced"
    found = {each.name: each.median for each in judgement.finding.measured}
    assert found[schatten._sum_name(0.0)] == pytest.approx(2)
    # (1.1^(1/2) + 0.9^(1/2)), (1.3^(1/2) + 0.7^(1/2))
    assert found[schatten._sum_name(0.1)] == pytest.approx(1.99749, abs=1e-5)
    assert found[schatten._sum_name(0.3)] == pytest.approx(1.97684, abs=1e-5)
    assert len(judgement.finding.tables[0].rows) == 3


def test_schatten_cases_of_full_size():
    quick, full = (schatten.CLAIM.cases(schatten.CLAIM.size(full=full)) for full in (False, True))
    assert set(quick) < set(full)
    assert {case.size for case in full} == {3, 4, 8}


def test_keys_tell_all_cases_apart():
    for claim in (commuting.CLAIM, schatten.CLAIM):
        cases = claim.cases(claim.size(seeds=3, full=True))
        assert len({case.key for case in cases}) == len(cases)
