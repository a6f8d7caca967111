"""The claim on the fewest entries: its instances, and what the judge makes of results."""

from functools import partial

import numpy as np
import pytest

from factorflow import least_rank
from factorflow.experiments import Results, verdict
from factorflow.experiments import _fewest_entries as fewest
from factorflow.experiments._recovery import FlowCase

CLAIM = fewest.CLAIM


@pytest.mark.parametrize("ratio", [1.3, 3.0])
def test_instances_have_the_entries_and_the_coverage_that_are_stated(ratio):
    case = fewest.FewEntriesCase("greedy", ratio, instance=1)
    problem = case.problem
    assert problem.n_observed == round(ratio * 5 * 195)
    for indices in (problem.rows, problem.columns):
        assert np.bincount(indices, minlength=100).min() >= 5
    assert np.linalg.matrix_rank(np.array(problem.truth)) == 5
    other = fewest.FewEntriesCase("least rank", ratio, instance=1).problem
    assert problem.content_hash == other.content_hash


def test_a_run_of_a_small_matrix(monkeypatch):
    monkeypatch.setattr(fewest, "least_rank", partial(least_rank, width=2))
    told = {}

    def finished(case, result, seconds=None):
        told[case] = result

    case = fewest.FewEntriesCase("least rank", 4.0, size=12, rank=1)
    fewest.FewEntriesCase.run_many([case], finished, None)
    assert told[case]["rank"] == 1
    assert told[case]["relative_error"] < 1e-10


def results_of(error):
    def result(case):
        flow = isinstance(case, FlowCase)
        here = 0.2 if flow else 1e-9 if isinstance(case, fewest.GreedyCase) else error(case)
        told = {"relative_error": here, "status": "TRAIN_ERROR", "n_gradients": 500}
        return told if flow else {**told, "rank": 5, "run_seconds": 1.0}

    cases = CLAIM.cases(CLAIM.size(seeds=10, full=True))
    return Results([(case, result(case)) for case in cases])


def good(case):
    return 1e-12 if case.method == "least rank" or case.ratio > 2 else 0.5


def test_the_judge_accepts_what_is_claimed():
    finding = CLAIM.judge(results_of(good))
    assert verdict(finding.checks) == "reproduced"
    (table,) = finding.tables
    assert len(table.rows) == 4 * 4 + 2 * 4
    (caption, figure) = finding.figures[0]
    assert "recovered" in caption
    assert len(figure.axes[0].lines) == 6


def test_the_judge_refuses_a_share_below_nine_tenths():
    def two_fail(case):
        return 1e-5 if case.ratio == 1.6 and case.instance < 2 else good(case)

    said = verdict(CLAIM.judge(results_of(two_fail)).checks)
    assert said.startswith("not reproduced: least rank, 1.6 times")
