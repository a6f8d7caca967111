"""What the claims on dynamics and convergence are built of, at the smallest sizes."""

import numpy as np
import pytest

from factorflow.experiments import Results
from factorflow.experiments import _arora2018_no_regularizer as regularizer
from factorflow.experiments import _arora2019_single_observation as observation
from factorflow.experiments import _arora2019_velocities as velocities
from factorflow.experiments import _arora2019b_balanced_start as starts
from factorflow.experiments import _arora2019b_certificate as certificate
from factorflow.experiments._claim import Size
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Gaussian
from factorflow.theory import deficiency_margin, unbalancedness


def runs_of(*cases):
    found = {}

    def keep(case, result, seconds=None):
        found[case] = dict(result)

    type(cases[0]).run_many(cases, keep, None)
    return found


def product(layers):
    return np.linalg.multi_dot([*layers[::-1], np.eye(layers[0].shape[1])])


def test_difference_is_exact_for_polynomials_of_fourth_degree():
    times = 0.7 + 0.1 * np.arange(-2, 3)
    slope = velocities._slope(times**4 - 2 * times**3 + times, 0.1)
    assert slope == pytest.approx(4 * 0.7**3 - 6 * 0.7**2 + 1, abs=1e-12)


def test_vectors_are_followed_whatever_their_signs():
    rng = np.random.default_rng(0)
    base, drift = rng.standard_normal((2, 4, 3))
    left, values, right = velocities._continuous(
        np.array([base + 1e-3 * k * drift for k in range(-2, 3)])
    )
    assert np.abs(np.diff(left, axis=0)).max() < 0.02
    assert np.abs(np.diff(right, axis=0)).max() < 0.02
    again = np.einsum("kir,kr,kjr->kij", left, values, right)
    np.testing.assert_allclose(again[2], base, atol=1e-12)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_starts_have_the_margin_they_are_made_for(share):
    target, start = certificate._pair(np.array([2.0, 1.5]), share, instance=3)
    np.testing.assert_allclose(np.linalg.svd(target, compute_uv=False), [2.0, 1.5])
    assert deficiency_margin(start, target) == pytest.approx(1.5 * share)


def test_a_scalar_descent_keeps_its_promise():
    case = certificate.CertifiedDescentCase(2, 1, 0.9, 0)
    (run,) = runs_of(case).values()
    assert run["holds"]
    assert run["reached"]
    assert run["needed"] < run["promised"]
    # c^3 / (6144 N^3 ||Phi||^4) with c = 0.9 and a target of size 1
    assert run["rate"] == pytest.approx(0.9**3 / (6144 * 8), rel=1e-8)


def test_unbalanced_descent_fails_by_balance_alone():
    (run,) = runs_of(certificate.FailingCase("unbalanced descent")).values()
    assert run["status"] == "DIVERGED"
    assert run["deficiency margin"]
    assert run["learning rate"]
    assert not run["balancedness"]


def test_third_start_has_the_product_of_the_first():
    network, shape = DeepLinear(4), (1, 6)
    independent = Gaussian(0.5)(network, shape, 7)
    balanced = starts._SameProduct(0.5)(network, shape, 7)
    np.testing.assert_allclose(product(balanced), product(independent), rtol=1e-12)
    assert unbalancedness(balanced) < 1e-12 < unbalancedness(independent)


def test_best_rate_is_that_of_the_least_median():
    n = len(starts._RATES)
    steps = np.full((3, n), np.inf)
    steps[:, 1], steps[:, 2] = [30, 40, np.inf], [10, 90, 50]
    cases = [starts.StartCase(starts.BALANCED, 3, 1.0, seed) for seed in range(3)]
    runs = {case: {"steps": each} for case, each in zip(cases, steps, strict=True)}
    best = starts._best(runs, starts.BALANCED, 1.0)
    assert (best.rate, best.median) == (starts._RATES[1], 40)
    steps[1:] = np.inf
    assert starts._best(runs, starts.BALANCED, 1.0).rate in starts._RATES[1:3]


def test_circulation_claim_is_judged():
    cases = regularizer.CLAIM.cases(Size(1))
    found = {}
    for kind in {type(case) for case in cases}:
        found |= runs_of(*(case for case in cases if type(case) is kind))
    finding = regularizer.CLAIM.judge(Results([(case, found[case]) for case in cases]))
    assert all(check.holds for check in finding.checks)


def test_one_observation_follows_its_curve():
    case = observation.PairCase("2.5", "product", 1e-2, 1)
    (run,) = runs_of(case).values()
    assert observation._apart(case, run) < 1e-8
    assert run["off"] < 1e-12
    assert run["values"][-1] @ np.array(observation._STRENGTHS) == pytest.approx(5, abs=1e-3)
