"""Phase retrieval and robust components by the greedy limit: runs, rule and verdicts."""

import numpy as np
import pytest

from factorflow.experiments import Results, verdict
from factorflow.experiments import _greedy_phase_retrieval as phases
from factorflow.experiments import _greedy_robust_pca as robust


def run(*cases):
    found = {}
    cases[0].run_many(cases, lambda case, result, seconds=None: found.update({case: result}), None)
    return [found[case] for case in cases]


# ----------------------------------------------------------------------------- phase retrieval


def test_greedy_recovers_a_signal():
    few, many = run(*(phases.GreedyPhaseCase(m, 1, size=8, columns=1) for m in (3.0, 6.0)))
    assert max(few["relative_error"], many["relative_error"]) < 1e-6
    assert many["first_error"] < 1e-6
    assert many["columns"] == 1
    assert many["status"] == "CERTIFIED"


def test_zero_measurements_only_scale_the_loss():
    case = phases.GreedyPhaseCase(3.0, size=8)
    given, padded = case.problem, case.padded
    assert (given.n_observed, padded.n_observed) == (24, 64)
    matrix = np.random.default_rng(0).standard_normal((8, 8))
    squares = [np.sum((p.operator.forward(matrix) - p.values) ** 2) for p in (given, padded)]
    np.testing.assert_allclose(*squares, rtol=1e-12)


def test_the_least_nuclear_norm_recovers_from_many():
    (result,) = run(phases.ConvexPhaseCase(6.0, size=8))
    assert result["relative_error"] < 1e-3


def invented_phases(case, needed):
    enough = case.oversampling >= needed[type(case)]
    rough = 1e-4 if isinstance(case, phases.FlowPhaseCase) else 1e-9
    return {
        "relative_error": rough if enough else 0.5,
        "status": "CERTIFIED",
        "n_gradients": 80,
        "first_error": 1e-9 if enough else 0.5,
        "columns": 1,
        "ran_off": 0,
    }


def judged_phases(greedy=3.0, flow=4.0, convex=4.0):
    kinds = phases.GreedyPhaseCase, phases.FlowPhaseCase, phases.ConvexPhaseCase
    needed = dict(zip(kinds, (greedy, flow, convex), strict=True))
    cases = phases.CLAIM.cases(phases.CLAIM.size(seeds=2))
    return phases.CLAIM.judge(Results([(case, invented_phases(case, needed)) for case in cases]))


def test_the_verdict_follows_the_number_of_measurements():
    finding = judged_phases()
    assert verdict(finding.checks) == "reproduced"
    assert "greedy limit 3; depth 2 from 0.001 4; nuclear norm 4" in finding.notes[0]
    assert verdict(judged_phases(greedy=4.0).checks).startswith("not reproduced: from 3 meas")
    assert "fewer measurements than" in verdict(judged_phases(convex=2.5).checks)
    assert "flow of depth 2" in verdict(judged_phases(greedy=4.0, flow=2.0).checks)


# -------------------------------------------------------------------------- robust components


def test_robust_run_finds_rank_and_truth():
    case = robust.RobustCase(1.0, 0.1, size=12, rank=1, columns=1)
    (result,) = run(case)
    assert result["chosen_rank"] == 1
    assert result["relative_error"] == result["least_error"] < 0.02
    assert result["last_error"] < 1e-5
    assert np.diff(result["error_of_lower"]) < 0


def test_the_chosen_point_is_the_one_into_which_the_escape_falls_most():
    assert robust.last_fall([2.0, 1.9, 0.3, 0.25]) == 2
    assert robust.last_fall([2.0, 0.1, 0.09, 0.02]) == 1
    assert robust.last_fall([2.0, 1.0, -1e-9]) == 2
    assert robust.last_fall([2.0]) == 0


def invented_robust(case, most):
    good = case.wrong <= most[case.observed] and case.threshold < 1
    error = 0.3 * case.threshold if good else 1.0
    return {
        "ran_off": [False] * 4,
        "chosen_rank": 2 if good else 3,
        "relative_error": error,
        "least_error": error,
        "error_of_lower": [0.3 * each if good else 1.0 for each in case.lower],
        "last_error": 3e-7 if good else 1.0,
        "status": "RANK_LIMIT",
        "n_gradients": 300,
    }


def judged_robust(most=None, change=lambda result: result):
    most = {1.0: 0.3, 0.7: 0.2, 0.5: 0.15, 0.4: 0.1, 0.3: 0.05} | (most or {})
    cases = robust.CLAIM.cases(robust.CLAIM.size(seeds=2))
    results = [(case, change(invented_robust(case, most))) for case in cases]
    return robust.CLAIM.judge(Results(results))


def test_the_verdict_follows_the_share_of_wrong_cells():
    finding = judged_robust()
    assert verdict(finding.checks) == "reproduced"
    assert len(finding.figures) == 2
    assert "three tenths" in verdict(judged_robust({1.0: 0.2}).checks)
    assert "half of them observed" in verdict(judged_robust({0.5: 0.05}).checks)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chosen_rank": 1}, "rank found"),
        ({"least_error": 1e-4}, "chosen one"),
        ({"error_of_lower": [1e-3, 1e-3]}, "in proportion"),
    ],
)
def test_a_wrong_rank_point_or_slope_is_told(change, said):
    told = verdict(judged_robust(change=lambda result: result | change).checks)
    assert told.startswith("not reproduced")
    assert said in told


@pytest.mark.parametrize("claim", [phases.CLAIM, robust.CLAIM], ids=lambda claim: claim.id)
def test_cases_of_both_sizes(claim):
    quick, full = (claim.cases(claim.size(full=full)) for full in (False, True))
    assert set(quick) < set(full)
    assert len(set(full)) == len(full)
    assert max(case.instance for case in quick) + 1 >= 20
