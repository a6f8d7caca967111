"""The factor of depth, measured: made small, and with a law that is not the theorem's."""

import numpy as np
import pytest

from factorflow.experiments import Results, reproduce
from factorflow.experiments._arora2019_factor import CLAIM, FactorCase


@pytest.fixture(scope="module")
def judgement():
    (judged,) = reproduce([CLAIM], seeds=1)
    return judged


def test_it_reproduces(judgement):
    assert judgement.verdict == "reproduced"
    exponents = {m.name: m.median for m in judgement.finding.measured if "exponent" in m.name}
    expected = {f"exponent at depth {N}": 2 - 2 / N for N in (1, 2, 3, 4)}
    assert exponents == pytest.approx(expected, abs=1e-3)
    assert {m.name for m in judgement.finding.measured} == {p.name for p in CLAIM.published}


def by_a_law(exponent, constant, depths=(1, 2, 3, 4)):
    values = np.geomspace(1e-3, 1, 50)
    return Results(
        [
            (
                FactorCase(depth, 0),
                {"values": values, "factors": constant(depth) * values ** exponent(depth)},
            )
            for depth in depths
        ]
    )


@pytest.mark.parametrize(
    ("exponent", "constant", "failing"),
    [
        (lambda N: 2 - 2 / N, lambda N: N, 0),
        (lambda N: 0.0, lambda N: 1.0, 8),  # depth does nothing: 3 + 3 laws and both of the text
        (lambda N: 2 - 2 / N, lambda N: 1.0, 4),
        (lambda N: 2 - 2 / N, lambda N: -N, 10),
    ],
)
def test_other_laws_do_not(exponent, constant, failing):
    finding = CLAIM.judge(by_a_law(exponent, constant))
    assert sum(not check.holds for check in finding.checks) == failing


def test_the_whole_grid_is_deeper():
    def depths(full):
        return {case.depth for case in CLAIM.cases(CLAIM.size(seeds=1, full=full))}

    assert depths(False) < depths(True)
