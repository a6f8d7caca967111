"""The claims on the limit without the least nuclear norm and on eigenpairs learned one by one."""

import numpy as np

from factorflow.experiments import Results
from factorflow.experiments import _li2021_eigenpairs as eigenpairs
from factorflow.experiments import _li2021_example as example
from factorflow.theory import mode_size


def failed(finding):
    return [check.text for check in finding.checks if not check.holds]


def spectrum(trace):
    return {"trace": trace, "nuclear_norm": trace, "effective_rank": 1.0}


def a_trace(case):
    """From 4 R towards 2 R^2 + 2, the sooner the deeper."""
    low, high = 4 * case.ratio, 2 * case.ratio**2 + 2
    decades = -np.log10(case.scale)
    if case.depth == 2:
        late = decades / {3: 25, 10: 100, 100: 3000}[case.ratio]
        return low + (high - low) * min(late**3, 1.0)
    return high - (high - low) * np.exp(-case.depth * decades / 4)


def example_results(trace=a_trace, **greedy):
    results = []
    for case in example.CLAIM.cases(example.CLAIM.size(seeds=1)):
        if isinstance(case, example.GreedyExampleCase):
            run = {**spectrum(2 * case.ratio**2 + 2), "rank": 1, "escape": 1e-12, "gap": 0.1,
                   "duality_gap": 0.0, "n_gradients": 70, "run_seconds": 0.01,
                   "status": "CERTIFIED"} | greedy  # fmt: skip
        else:
            run = {**spectrum(trace(case)), "n_gradients": 9, "time": 1.0, "status": "TRAIN_ERROR"}
        results.append((case, run))
    return Results(results)


def test_a_limit_at_rank_one_that_depth_brings_near_is_reproduced():
    finding = example.CLAIM.judge(example_results())
    assert failed(finding) == []
    assert len(finding.figures) == 1
    assert [len(table.rows) for table in finding.tables] == [3, 12, 12]


def test_a_flow_that_minimizes_the_nuclear_norm_is_not():
    texts = failed(example.CLAIM.judge(example_results(lambda case: 4 * case.ratio)))
    assert sum("of the end of 1e-100 from the greedy limit" in text for text in texts) == 9
    assert "R = 10, scale 1e-4: trace at depth 4" in texts


def test_a_greedy_run_of_another_rank_is_not():
    texts = failed(example.CLAIM.judge(example_results(rank=2, status="RANK_LIMIT")))
    assert len(texts) == 6


def a_flow(case):
    """As the closed form has it; the last eigenvalue stays or falls."""
    goals = np.array(eigenpairs._LEARNED)
    times = eigenpairs._times(case) / eigenpairs._CLOCK
    rest = case.scale * np.exp(case.last * times)
    sizes = mode_size(times[:, None], case.scale, goals, case.depth)
    return {"values": np.column_stack([sizes, rest]), "off": 0.0, "time": times,
            "n_gradients": 1, "status": "TIME"}  # fmt: skip


def a_path(case):
    escapes = np.array([*eigenpairs._LEARNED, min(case.last, 0)]) / 25
    return {"points": eigenpairs._truncations(), "ranks": [0, 1, 2, 3, 4],
            "escapes": list(escapes), "n_gradients": 1, "status": "CERTIFIED"}  # fmt: skip


def eigenpair_results(change=lambda case, run: run):
    results = []
    for case in eigenpairs.CLAIM.cases(eigenpairs.CLAIM.size(seeds=2)):
        greedy = isinstance(case, eigenpairs.EigenpairGreedyCase)
        results.append((case, change(case, a_path(case) if greedy else a_flow(case))))
    return Results(results)


def test_the_closed_form_itself_is_reproduced():
    finding = eigenpairs.CLAIM.judge(eigenpair_results())
    assert failed(finding) == []
    assert len(finding.figures) == 1


def test_eigenpairs_learned_at_once_are_not():
    def at_once(case, run):
        if "values" in run:
            run["values"] = np.repeat(run["values"][:, :1], 5, axis=1)
        return run

    texts = failed(eigenpairs.CLAIM.judge(eigenpair_results(at_once)))
    for words in ("closed form", "half learned first", "visited once", "never exceeds"):
        assert sum(words in text for text in texts) == len(eigenpairs._FLOWS)


def test_a_learned_negative_eigenvalue_is_told():
    def another_rank(case, run):
        if case.last < 0 and "ranks" in run:
            run |= {"ranks": [0, 1, 2, 3, 4, 5], "status": "RANK_LIMIT"}
        return run

    texts = failed(eigenpairs.CLAIM.judge(eigenpair_results(another_rank)))
    assert len(texts) == 4


def test_a_flow_follows_its_closed_form():
    case = eigenpairs.EigenpairFlowCase(-0.25, "product", 2, 1e-4, 0)
    found = {}
    eigenpairs.EigenpairFlowCase.run_many(
        [case], lambda case, result, seconds=None: found.update(result), None
    )
    seen = eigenpairs._seen(case, found)
    assert seen["apart"] < 1e-5
    assert seen["rest"] <= 1 + 1e-9  # never learned
    assert seen["rest_end"] < 0.9


def test_keys_tell_all_cases_apart():
    for claim in (example.CLAIM, eigenpairs.CLAIM):
        cases = claim.cases(claim.size(seeds=3, full=True))
        assert len({case.key for case in cases}) == len(cases)
