"""The benchmarks' own parts: clock, children, stored results and the page made of them."""

import math
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import _report, _store
from benchmarks._case import Bar, Case, Result, Table
from benchmarks._clock import in_child, interleaved, run_command
from benchmarks._peers import missing
from benchmarks._registry import NAMES, case

RESULT = Result(
    [Table("Seconds", ("what", "s"), [("ours", 0.25), ("theirs", None)])],
    [Bar("times faster", 4.0, 3.0), Bar("error", 0.2, 0.1, at_least=False)],
    {"torch": "not installed"},
    {"x": [1, 2]},
    ["Take ours."],
)


@given(measured=st.floats(-1e6, 1e6), required=st.floats(-1e6, 1e6))
def test_a_bar_holds_on_one_side_of_its_number(measured, required):
    above = Bar("", measured, required).holds
    below = Bar("", measured, required, at_least=False).holds
    assert (above, below) == (measured >= required, measured <= required)


def test_a_bar_without_a_measurement_neither_holds_nor_fails():
    assert Bar("", None, 1.0).holds is None


def test_a_row_has_a_cell_for_each_column():
    with pytest.raises(ValueError, match="2 columns"):
        Table("Seconds", ("what", "s"), [("ours",)])


def test_contestants_take_turns_after_a_warm_up():
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in "ab"}
    timings = interleaved(runs, repeats=2)
    assert calls == ["a", "b"] * 3
    assert all(len(timing.seconds) == 2 for timing in timings.values())
    assert timings["a"].over(timings["a"]) == 1


def test_a_child_answers_from_a_process_of_its_own():
    child = in_child("os", "getpid")
    assert child.answer != os.getpid()
    assert child.peak_mb > 1
    assert child.seconds > 0


def test_a_command_that_fails_says_so():
    with pytest.raises(RuntimeError, match="broken"):
        run_command([sys.executable, "-c", "raise SystemExit('broken')"])


def test_a_result_comes_back_as_it_was_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(_store, "RESULTS", tmp_path)
    _store.save("roof", False, RESULT, 1.0)
    about, found = _store.load("roof")
    assert about["size"] == "quick"
    assert found.bars == RESULT.bars
    assert found.data == RESULT.data
    assert [list(row) for row in found.tables[0].rows] == [["ours", 0.25], ["theirs", None]]
    assert _store.load("growth") is None


def test_a_missing_peer_is_named_as_one_would_install_it(monkeypatch):
    monkeypatch.setattr("benchmarks._peers.find_spec", lambda name: None)
    assert "peers" in missing("surprise")["scikit-surprise"]


def test_the_section_shows_numbers_aims_and_what_did_not_run():
    about = {"case": "roof", "size": "full", "day": "2026-01-01", "seconds": 1.0}
    about |= {"machine": _store.machine(), "versions": {"jax": "1"}}
    text = _report._section(Case("roof", "Roof", "How near?", None), about, RESULT)
    for part in ("## Roof", "| ours | 0.25 |", "| theirs | – |", "**no**", "torch", "--full"):
        assert part in text


# The largest floats round up to three digits that no float holds.
@given(st.floats(-1e308, 1e308) | st.sampled_from([math.inf, -math.inf]))
def test_a_cell_keeps_three_digits(value):
    read = float(_report.cell(value).replace(",", ""))
    assert read == value or math.isclose(read, value, rel_tol=5.1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_case_is_named_after_its_file(name):
    assert case(name).name == name


def test_the_page_is_the_one_of_the_stored_results():
    assert _report.PAGE.read_text(encoding="utf-8") == _report.page()
