"""Monitor as a value."""

import pytest

from factorflow import InputError, Monitor
from factorflow.trajectories import MonitorReport, Violation


def _margin(snapshot):
    return snapshot.time


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (("", _margin), "name"),
        ((3, _margin), "name"),
        (("bound", 1.0), "'bound' must be a function"),
        (("bound", _margin, -1.0), "tolerance of the monitor 'bound'"),
        (("bound", _margin, float("nan")), "tolerance"),
    ],
)
def test_unusable_parts_are_refused(parts, words):
    with pytest.raises(InputError, match=words):
        Monitor(*parts)


def test_reports_speak():
    held = MonitorReport("bound", "x stays small", True, 7, 0.25, None)
    assert held.sentence == (
        "The bound 'bound' (x stays small) held at all 7 points; the least margin is 0.25."
    )
    broken = MonitorReport("bound", "", False, 7, -1.0, Violation(3, 0.5, -0.1))
    assert broken.sentence == (
        "The bound 'bound' is violated, first at step 3, time 0.5, with the margin -0.1."
    )
