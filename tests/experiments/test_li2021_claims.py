"""The claims on the greedy limit: their instances, the causes, and what judges make of them."""

import numpy as np
import pytest
import xarray as xr

from factorflow.experiments import Results
from factorflow.experiments import _li2021_completion as completion
from factorflow.experiments import _li2021_trajectory as trajectory
from factorflow.experiments._psd_completion import graded_start, gradient_at, sampled
from factorflow.factorizations import Symmetric

SIZE = 5


def failed(finding):
    return [check.text for check in finding.checks if not check.holds]


def test_instances_are_semidefinite_and_observed_in_pairs():
    problem = sampled(8, 2, 2.0, 1)
    assert np.linalg.eigvalsh(problem.truth)[0] > -1e-12
    assert np.linalg.matrix_rank(problem.truth) == 2
    assert np.array_equal(problem.observed, problem.observed.T)
    assert np.sum(np.triu(problem.observed)) == 2 * (8 * 2 - 1)
    assert sampled(8, 2, 100.0, 0).observed.all()


def test_graded_starts_are_multiples_of_the_identity_along_the_gradient():
    problem = sampled(SIZE, 1, 2.0, 0)
    (columns,) = graded_start(problem, 1e-4)(Symmetric(), problem.shape, 0)
    np.testing.assert_allclose(columns @ columns.T, 1e-4 * np.eye(SIZE), atol=1e-16)
    core = columns.T @ gradient_at(problem, np.zeros(problem.shape)) @ columns
    np.testing.assert_allclose(core, np.diag(np.diagonal(core)), atol=1e-16)


@pytest.fixture(scope="module")
def a_run():
    found = {}
    case = completion.PSDCompletionCase(SIZE, 1, 2.0, 0)
    completion.PSDCompletionCase.run_many([case], lambda c, r: found.update(r), None)
    return found


def test_greedy_limit_is_that_of_the_flow(a_run):
    assert completion.cause_of(a_run) == "assumptions hold"
    assert a_run["distance"] < 1e-3
    assert max(a_run["phase_distances"]) < 1e-3
    assert a_run["methods"]["greedy"]["rank"] == 1
    assert a_run["methods"]["greedy"]["error"] < 1e-6


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"status": "RANK_LIMIT"}, "certificate not met"),
        ({"ends": ["STATIONARY", "RAN_OFF"]}, "a phase ran off"),
        ({"gaps": [0.001, 1.0]}, "near-tie"),
        ({"together": [2, 0]}, "near-tie"),
        ({"phase_distances": [0.1]}, "solver jumped"),
        ({"phase_distances": [0.1], "phase_at_rest": [False]}, "a phase creeps"),
        ({"flow_status": "GRADIENT_LIMIT"}, "flow not at its end"),
        ({"between_scales": 0.1}, "scales differ"),
        ({}, "no cause found"),
    ],
)
def test_causes_are_named(a_run, changed, cause):
    assert completion.cause_of({**a_run, "distance": 0.1, **changed}) == cause


def completion_results(a_run, **changed):
    cases = completion.CLAIM.cases(completion.CLAIM.size(seeds=1))
    return Results([(case, {**a_run, **changed}) for case in cases])


def test_completion_is_judged(a_run):
    finding = completion.CLAIM.judge(completion_results(a_run))
    assert [text for text in failed(finding) if "nuclear norm" not in text] == []
    assert len(finding.figures) == 2


def test_completion_fails_on_exceptions_without_a_cause_only(a_run):
    texts = failed(completion.CLAIM.judge(completion_results(a_run, distance=0.1)))
    assert "so none of them is an exception" in texts
    assert "exceptions without a named cause" in texts
    explained = completion_results(a_run, distance=0.1, ends=["STATIONARY", "RAN_OFF"])
    texts = failed(completion.CLAIM.judge(explained))
    assert "exceptions without a named cause" not in texts
    assert "so many instances pass the assumptions" in texts


def test_slopes_are_those_of_powers_and_intervals_hold_them():
    scales = np.array(trajectory._SCALES)
    powers = np.array([0.3, 0.5, 0.4])
    distances = xr.DataArray(
        2.0 * scales[:, None] ** powers,
        dims=("scale", "instance"),
        coords={"scale": scales},
    )
    slopes = trajectory.slopes_of(distances)
    np.testing.assert_allclose(slopes, powers, rtol=1e-12)
    low, high = trajectory.interval(slopes)
    # 4.303 is the quantile of Student's t with two degrees of freedom
    assert (high - low) / 2 == pytest.approx(4.303 * 0.1 / np.sqrt(3), rel=1e-3)
    assert (high + low) / 2 == pytest.approx(0.4)


def test_thinned_paths_keep_their_ends_and_are_evenly_spaced():
    along = np.sort(np.random.default_rng(0).random(5000))
    path = along[:, None, None] * np.ones((2, 2))
    thinned = trajectory._thinned(path)
    np.testing.assert_array_equal(thinned[[0, -1]], path[[0, -1]])
    steps = np.diff(thinned[:, 0, 0])
    assert len(thinned) == trajectory._KEPT
    assert steps.max() < 1.5 * steps.mean()


def trajectory_results(powers):
    results = []
    for case in trajectory.CLAIM.cases(trajectory.CLAIM.size(seeds=2)):
        size = case.scale ** powers[case.depth] * (1 + 0.1 * case.instance)
        path = np.linspace(0, 1, 5)[:, None, None] * np.eye(2) + size
        result = {
            "distances": np.array([case.scale, size, size / 2, 1e-4]),
            "trajectory": path,
            "status": "TRAIN_ERROR",
            "n_gradients": 100,
            "greedy_status": "CERTIFIED",
            "ends": ["STATIONARY"] * 4,
            "gaps": [0.5, 0.5, 0.5, 1.0],
        }
        results.append((case, result))
    return Results(results)


def test_trajectories_are_judged_by_their_slopes():
    finding = trajectory.CLAIM.judge(trajectory_results({2: 0.1, 3: 0.9, 4: 1.0}))
    assert failed(finding) == []
    slopes = {each.name: each.median for each in finding.measured}
    assert slopes["depth 3, slope: distance to the greedy saddles"] == pytest.approx(0.9)
    texts = failed(trajectory.CLAIM.judge(trajectory_results({2: 0.5, 3: 0.4, 4: 1.0})))
    assert any("depth 3 has a larger slope" in text for text in texts)
    assert not any("depth 4 has a larger slope" in text for text in texts)


def test_a_flow_comes_nearer_to_its_saddles_from_smaller_starts():
    found = {}
    cases = [
        trajectory.TrajectoryCase(2, scale, 0, size=SIZE, rank=2, oversampling=1.5)
        for scale in (1e-1, 1e-8)
    ]
    trajectory.TrajectoryCase.run_many(cases, lambda c, r: found.update({c.scale: r}), None)
    assert found[1e-8]["distances"][1] < found[1e-1]["distances"][1]
    assert found[1e-8]["status"] == "TRAIN_ERROR"


def test_keys_tell_all_cases_of_the_greedy_claims_apart():
    for claim in (completion.CLAIM, trajectory.CLAIM):
        cases = claim.cases(claim.size(seeds=3, full=True))
        assert len({case.key for case in cases}) == len(cases)
