"""The optimizer laboratory: its runs, and a verdict that can fail."""

import numpy as np
import pytest

from factorflow.experiments import Results, verdict
from factorflow.experiments import _optimizers as optimizers


@pytest.fixture(scope="module")
def runs():
    found = {}
    for rule in ("descent", "Adam"):
        case = optimizers.OptimizerCase(rule, 0, 3)
        case.run_many([case], lambda case, result: found.update({case.rule: result}), None)
    return found


def test_runs_end_alike_and_differ_in_their_bases(runs):
    assert {run["status"] for run in runs.values()} == {"TRAIN_ERROR"}
    short = f"deviation after {optimizers._SHORT} steps"
    assert runs["descent"][short] < 1e-12
    assert runs["Adam"][short] > 1e-2
    assert runs["descent"]["effective_rank"] < runs["Adam"]["effective_rank"]


def finding_of(deviation):
    results = []
    for case in optimizers.CLAIM.cases(optimizers.CLAIM.size(seeds=2)):
        away = deviation(case)
        numbers = dict.fromkeys(optimizers._NAMES.values(), away)
        rank = 3.0 if case.rule == "Adam" else 2.0
        ends = {"effective_rank": rank, "reconstruction_error": 0.01, "n_steps": 100}
        results.append((case, {**numbers, **ends, "status": "TRAIN_ERROR"}))
    return optimizers._judge(Results(results))


def test_the_verdict_follows_the_deviations():
    def as_derived(case):
        return 1e-15 if optimizers.RULES[case.rule].turns else 0.3

    finding = finding_of(as_derived)
    assert verdict(finding.checks) == "reproduced"
    assert len(finding.tables[0].rows) == len(optimizers.RULES)
    assert verdict(finding_of(lambda case: 1e-15).checks).startswith("not reproduced: Adam")
    assert verdict(finding_of(lambda case: 0.3).checks).startswith("not reproduced: descent")


def test_sizes():
    quick, full = (
        optimizers.CLAIM.cases(optimizers.CLAIM.size(full=full)) for full in (False, True)
    )
    assert set(quick) < set(full)
    assert len({case.key for case in full}) == len(full)
    assert np.isclose(len(full) / 20, 2 * len(optimizers.RULES))
