"""Circuits and factorizations: what the runs give, and a verdict that can fail."""

import numpy as np

from factorflow.experiments import Results, verdict
from factorflow.experiments import _razin2020_circuits as circuits


def ran(case):
    found = {}
    type(case).run_many([case], lambda case, result, seconds=None: found.update(result), None)
    return found


def test_a_circuit_is_its_factorization():
    run = ran(circuits.CircuitCase(circuits.DEEP, 0))
    assert all(run[name] <= 1e-13 for name in circuits._WORDS)
    assert np.ptp(run["shown"]) > 0.1
    np.testing.assert_allclose(*run["outputs"], atol=1e-12)


def test_training_the_network_is_training_the_factors(monkeypatch):
    monkeypatch.setattr(circuits, "_N_STEPS", 8)
    run = ran(circuits.TrainedCircuitCase(circuits.SHALLOW, 0))
    assert run["n_steps"] == 8
    assert run["apart"] < 1e-13 < 1e-2 < run["moved"]


def test_sizes():
    full = circuits.CLAIM.cases(circuits.CLAIM.size(full=True))
    quick = circuits.CLAIM.cases(circuits.CLAIM.size())
    assert set(quick) < set(full)
    assert len({case.key for case in full}) == len(full)


def circuit_finding(apart):
    results = []
    for case in circuits.CLAIM.cases(circuits.CLAIM.size()):
        if isinstance(case, circuits.TrainedCircuitCase):
            run = {"n_steps": circuits._N_STEPS, "apart": 1e-15, "moved": 0.9}
        else:
            pairs = np.linspace(-1, 1, 10) * np.ones((2, 1))
            run = {"sizes": [2, 2], "factorization": "CP", "shown": pairs, "outputs": pairs}
            run |= dict.fromkeys(circuits._WORDS, apart if case.circuit == circuits.DEEP else 0.0)
        results.append((case, run))
    return circuits._judge(Results(results))


def test_the_verdict_follows_the_differences():
    finding = circuit_finding(1e-15)
    assert verdict(finding.checks) == "reproduced"
    measured = {each.name for each in finding.measured}
    assert {each.name for each in circuits.CLAIM.published} <= measured
    assert verdict(circuit_finding(1e-9).checks).startswith("not reproduced: deep circuit")
