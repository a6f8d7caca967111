"""The judges of the claims of recovery: they follow the numbers, and each can fail.

The results here are invented; what is tested is the verdict on them.
"""

from dataclasses import replace

import numpy as np
import pytest

from factorflow.experiments import Results, claims, verdict
from factorflow.experiments._arora2019_regime_map import CLAIM as REGIME_MAP
from factorflow.experiments._recovery import FlowCase, NuclearNormCase, RecipeCase
from factorflow.experiments._training import SyntheticTrainingCase

CLAIMS = {claim.id: claim for claim in claims()}
RECOVERY = [
    "arora2019.table1",
    "arora2019.slides",
    "arora2019.completion-grid",
    "arora2019.sensing-grid",
    "arora2019.recipe",
]


def few_entries(depth, scale):
    if depth is None:
        return 0.11, 215.0, 9.5
    if depth == 2:
        return 0.025 * (scale / 1e-6) ** 0.2, 219.0, 6.6 + np.log10(scale / 1e-6)
    return 3e-5, 220.0, 4.95


def few_gaussian(depth, scale):
    if depth is None:
        return 7e-4, 220.0, 5.5
    if depth == 2:
        return 4e-4 * (scale / 1e-6) ** 0.66, 221.0, 5.4 + np.log10(scale / 1e-6)
    return 9e-6, 220.4, 4.95


FEW = {"entries": few_entries, "gaussian": few_gaussian}


def invented(case) -> dict:
    """What a run would give if the publications held to the letter."""
    few, wobble = case.n_measurements < 3000, 1 + 0.01 * case.instance
    depth, scale = getattr(case, "depth", None), getattr(case, "scale", None)
    error, norm, rank = 1e-6, 220.0, 4.95
    if few:
        error, norm, rank = FEW[case.measurements](depth, scale)
    steps = 30_000 if isinstance(case, RecipeCase) else 500
    return {
        "mean_squared_error": error * wobble,
        "relative_error": np.sqrt(error * wobble),
        "nuclear_norm": norm,
        "effective_rank": rank,
        "true_nuclear_norm": 220.0,
        "true_effective_rank": 4.95,
        "status": "CERTIFIED" if depth is None else "TRAIN_ERROR",
        "n_gradients": steps,
    }


def judged(claim, change=None, **size):
    cases = claim.cases(replace(claim.size(), **size))
    results = [(case, invented(case)) for case in cases]
    if change is not None:
        results = [(case, {**result, **change(case, result)}) for case, result in results]
    return claim.judge(Results(results))


@pytest.mark.parametrize("name", RECOVERY)
def test_what_was_published_is_reproduced(name):
    finding = judged(CLAIMS[name])
    assert verdict(finding.checks) == "reproduced"
    assert finding.figures
    assert all(measured.median == measured.median for measured in finding.measured)


@pytest.mark.parametrize("name", RECOVERY)
def test_depth_3_that_does_not_recover_refutes(name):
    def fail(case, result):
        return {"mean_squared_error": 1.0} if getattr(case, "depth", 0) == 3 else {}

    assert verdict(judged(CLAIMS[name], fail).checks).startswith("not reproduced")


def test_order_of_depths_needs_nine_of_ten():
    claim = CLAIMS["arora2019.depth-order"]

    def lose(n):
        def change(case, result):
            lost = isinstance(case, FlowCase) and case.depth == 2 and case.instance < n
            return {"mean_squared_error": 0.5 + case.instance} if lost else {}

        return change

    finding = judged(claim)
    assert verdict(finding.checks) == "reproduced"
    assert verdict(judged(claim, lose(4)).checks).startswith("not reproduced")


@pytest.mark.parametrize("name", [*RECOVERY[:3], "arora2019.depth-order"])
@pytest.mark.parametrize("kind", [FlowCase, NuclearNormCase])
def test_runs_that_did_not_end_as_they_should_are_told(name, kind):
    def fail(case, result):
        return {"status": "ITERATION_LIMIT"} if isinstance(case, kind) else {}

    told = verdict(judged(CLAIMS[name], fail).checks)
    assert "every flow ends" in told or "every minimizer is certified" in told


def test_paired_test_is_left_out_where_it_could_not_pass():
    claim = CLAIMS["arora2019.depth-order"]
    for seeds, tested in ((6, False), (7, True)):
        finding = judged(claim, seeds=seeds)
        assert verdict(finding.checks) == "reproduced"
        assert any("paired" in check.text for check in finding.checks) == tested


def test_a_lost_run_is_named():
    def lose(case, result):
        lost = isinstance(case, FlowCase) and case.depth == 4 and case.scale == 1e-6
        return {"mean_squared_error": 100.0, "relative_error": 10.0} if lost else {}

    finding = judged(CLAIMS["arora2019.completion-grid"], lose)
    assert verdict(finding.checks).startswith("not reproduced")
    assert "depth 4, scale 1e-06" in finding.notes[-1]


def test_regime_map_finds_where_recovery_begins():
    needed = {"nuclear norm": 3.0, "depth 2": 2.5, "depth 3": 2.0, "depth 4": 2.0}

    def change(case, result):
        ratio = case.n_measurements / 975
        enough = ratio >= needed[case.method] - 0.01 and getattr(case, "scale", 0) < 0.1
        return {"relative_error": 1e-3 if enough else 0.5}

    finding = judged(REGIME_MAP, change, seeds=2)
    assert verdict(finding.checks) == "reproduced"
    assert "nuclear norm 3, depth 2 2.5, depth 3 2, depth 4 2" in finding.notes[0]
    needed["depth 3"] = 4.0
    assert verdict(judged(REGIME_MAP, change, seeds=2).checks).startswith("not reproduced")


def training(case, sixth, spread):
    """Five values that rise one after the other, and a sixth that keeps a share of the first."""
    times = np.linspace(0, 4000, 201)
    rises = [400 + i * spread for i in range(5)]
    values = [50 / (1 + np.exp(-(times - rise) / 40)) for rise in rises]
    values += [sixth * values[0]] * 5
    error = {1: 0.82, 2: 0.0988, 3: 0.00167}[case.depth]
    return {"time": times, "singular_values": np.stack(values, 1), "test_error": [1.0, error]}


def test_dynamics_follow_the_singular_values():
    claim = CLAIMS["arora2019.dynamics"]
    right = {1: (0.6, 10), 2: (0.1, 300), 3: (0.001, 600)}
    wrong = {1: (0.6, 10), 2: (0.1, 300), 3: (0.4, 600)}
    for shapes, word in ((right, "reproduced"), (wrong, "not reproduced")):
        cases = claim.cases(claim.size())
        assert all(isinstance(case, SyntheticTrainingCase) for case in cases)
        pairs = [(case, training(case, *shapes[case.depth])) for case in cases]
        assert verdict(claim.judge(Results(pairs)).checks).partition(":")[0] == word
