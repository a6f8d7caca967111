"""What is told of many runs: how many are done, for what, and about how long it takes."""

import time

import pytest

from factorflow.cli import _runs_progress
from factorflow.cli._runs_progress import RunsProgress


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves by hand."""
    moment = [100.0]
    monkeypatch.setattr(_runs_progress, "perf_counter", lambda: moment[0])
    return moment


def outline(done, **more):
    return {"n_done": done, "n_wanted": 20, **more}


def test_a_line_now_and_then(clock, capsys):
    with RunsProgress() as progress:
        progress(outline(10, claims=["a", "b", "c", "d"]))  # ten were there before
        progress(outline(11))
        clock[0] += 50
        progress(outline(15))
        progress(outline(16))
        clock[0] += 50
        progress(outline(20, claims=["d"]))
    assert capsys.readouterr().err.splitlines() == [
        "10 of 20 runs done, a, b and 2 more",
        "15 of 20 runs done, a, b and 2 more, 50 s so far, about 50 s left",
        "20 of 20 runs done, d, 100 s so far",
    ]


def test_a_long_run_that_tells_nothing(clock, capsys, monkeypatch):
    monkeypatch.setattr(_runs_progress, "_BETWEEN_LOOKS", 0.01)
    told = ""
    with RunsProgress() as progress:
        progress(outline(0))  # what was there
        progress(outline(0, claims=["a"]))
        for passed in (30, 60):
            clock[0] = 100.0 + passed
            until = time.monotonic() + 10
            while f"a, {passed} s so far" not in told and time.monotonic() < until:
                time.sleep(0.01)
                told += capsys.readouterr().err
    assert told.splitlines() == [
        "0 of 20 runs done, a",
        "0 of 20 runs done, a, 30 s so far",
        "0 of 20 runs done, a, 60 s so far",
    ]


def test_lines_that_stay(capsys):
    with RunsProgress() as progress:
        progress.say("warning: [a] file")
    assert capsys.readouterr().err == "warning: [a] file\n"
