"""The claims on acceleration by depth: what their runs give, and verdicts that can fail.

Where results are invented it is the verdict on them that is tested.
"""

import numpy as np
import pytest
from scipy.optimize import minimize

from factorflow.experiments import Results, verdict
from factorflow.experiments import _arora2018_ethanol as ethanol
from factorflow.experiments import _arora2018_toy as toy
from factorflow.problems import Regression


def ran(cases):
    found = {}
    kind = type(cases[0])
    kind.run_many(cases, lambda case, result, seconds=None: found.update({case: result}), None)
    return found


# Two samples


def test_the_broad_rate_is_never_faster_than_the_best(monkeypatch):
    monkeypatch.setattr(toy, "_MOST", 20_000)
    cases = [toy.TwoSampleCase(3.0, 4, depth) for depth in (1, 2)]
    for result in ran(cases).values():
        assert np.isfinite(result[toy.BEST])
        assert result[toy.BROAD] >= result[toy.BEST]


def toy_finding(steps):
    """The finding on invented steps, ``steps(case)`` for both ways of counting."""
    cases = toy.CLAIM.cases(toy.CLAIM.size())
    results = []
    for case in cases:
        best, broad = steps(case)
        rates = {f"rate, {toy.BEST}": 0.1, f"rate, {toy.BROAD}": 0.1}
        results.append((case, {toy.BEST: best, toy.BROAD: broad, **rates}))
    return toy._judge(Results(results))


def growing(case):
    if case.power == 2:
        return case.depth, case.depth
    steps = 100 * case.ratio**2
    return (steps, steps) if case.depth == 1 else (steps / (3 * case.ratio),) * 2


def test_toy_is_reproduced_where_the_gain_grows():
    finding = toy_finding(growing)
    assert verdict(finding.checks) == "reproduced"
    gains = {each.name: each.median for each in finding.measured}
    assert gains[toy._gain(toy.BEST, 4, 2, 30.0)] == pytest.approx(90)
    assert {each.name for each in toy.CLAIM.published} <= set(gains)
    assert [len(table.rows) for table in finding.tables] == [6, 6]


def test_toy_differs_where_only_lucky_rates_gain():
    def lucky(case):
        best, broad = growing(case)
        flat = case.power == 4 and case.depth > 1
        return best, 20 * case.ratio**2 if flat else broad

    told = verdict(toy_finding(lucky).checks)
    assert told.startswith("differs: ")
    assert toy.BROAD in told


def test_toy_is_not_reproduced_where_depth_helps_squares():
    def reverse(case):
        return (1 / case.depth,) * 2 if case.power == 2 else growing(case)

    assert verdict(toy_finding(reverse).checks).startswith("not reproduced: power 2")


# Gas sensors


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(60):
        values = rng.normal(size=128)
        pairs = " ".join(f"{place}:{value!r}" for place, value in enumerate(values.tolist(), 1))
        lines.append(f"1;{100 + 30 * values[0] + 10 * rng.normal()} {pairs}\n")
    (tmp_path / "batch1.dat").write_text("".join(lines))
    return tmp_path


def test_a_run_records_its_losses(folder):
    samples = ethanol.samples_of(folder, 4).content_hash
    cases = [ethanol.EthanolCase(samples, folder, 4, "depth 2", rate, 40) for rate in (1e-3, 1e3)]
    found = ran(cases)
    slow, diverged = (found[case] for case in cases)
    assert slow["status"] == "GRADIENT_LIMIT"
    assert (slow["steps"][0], slow["steps"][-1]) == (0, 40)
    assert len(slow["steps"]) == len(slow["loss"])
    assert slow["loss"][-1] < slow["loss"][0]
    assert diverged["status"] == "DIVERGED"
    assert np.isinf(ethanol._last(diverged))


@pytest.mark.parametrize("power", [2, 4])
def test_least_loss(power):
    rng = np.random.default_rng(1)
    problem = Regression(rng.normal(size=(40, 5)), rng.normal(size=40), power)

    def loss(w):
        return np.mean(np.abs(problem.inputs @ w - problem.targets[:, 0]) ** power) / power

    wanted = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-10}).fun
    assert ethanol.least_loss(problem) == pytest.approx(wanted, rel=1e-8)


EXPONENTS = {
    4: {
        "descent": 0.30,
        "Adagrad": 0.30,
        "Adadelta": 0.33,
        "Adam": 0.38,
        "depth 2": 0.35,
        "depth 2, Adam": 0.4,
    },
    2: dict.fromkeys(ethanol.METHODS, 0.2),
}


def ethanol_finding(folder, full, exponents=EXPONENTS):
    """The finding on invented losses that fall as powers of the step."""
    results = []
    for case in ethanol.CLAIM.cases(ethanol.CLAIM.size(full=full, data=folder)):
        steps = np.append(0, ethanol._moments(case.n_steps).times)
        rates = ethanol.METHODS[case.method].rates[case.power]
        # The middle of each grid is its best rate.
        worse = 1 + abs(rates.index(case.learning_rate) - len(rates) // 2)
        loss = 2 * worse * (1 + steps) ** -exponents[case.power][case.method]
        results.append((case, {"steps": steps, "loss": loss, "status": "GRADIENT_LIMIT"}))
    return ethanol._judge(Results(results))


def failed(finding, essential):
    return [c.text for c in finding.checks if not c.holds and c.essential == essential]


@pytest.mark.parametrize("full", [False, True])
def test_ethanol_holds_where_depth_wins(folder, full):
    finding = ethanol_finding(folder, full)
    assert failed(finding, essential=True) == []
    assert "all rows of ethanol are there" in failed(finding, essential=False)
    found = {each.name: each.median for each in finding.measured}
    assert {each.name for each in ethanol.CLAIM.published} <= set(found)
    n_steps = 1e6 if full else 1e5
    reached = (1 + n_steps) ** (0.30 / 0.35) - 1
    assert found[ethanol._gain(4, "depth 2")] == pytest.approx(n_steps / reached, rel=0.01)
    assert found[ethanol._gain(4, "descent")] == pytest.approx(1, rel=1e-6)
    assert any("--full" in note for note in finding.notes) != full


def test_ethanol_fails_where_depth_loses(folder):
    slow = EXPONENTS[4] | {"depth 2": 0.25}
    finding = ethanol_finding(folder, True, {4: slow, 2: EXPONENTS[2]})
    texts = failed(finding, essential=True)
    assert "power 4: depth 2 ends below descent" in texts
    assert "power 4: depth 2 ends below Adadelta" in texts
    helped = EXPONENTS[2] | {"depth 2": 0.3}
    finding = ethanol_finding(folder, True, {4: EXPONENTS[4], 2: helped})
    assert any(text.startswith("power 2: depth 2 needs") for text in failed(finding, True))


def test_ethanol_needs_its_data():
    with pytest.raises(ethanol.InputError, match="folder of the gas sensor files"):
        ethanol.CLAIM.cases(ethanol.CLAIM.size())


def test_keys_tell_all_cases_apart(folder):
    for claim in (toy.CLAIM, ethanol.CLAIM):
        cases = claim.cases(claim.size(full=True, data=folder))
        assert len({case.key for case in cases}) == len(cases)
