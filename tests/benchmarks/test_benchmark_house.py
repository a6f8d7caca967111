"""The benchmarks' own parts: clock, children, stored results and the page made of them."""

import math
import os
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import _report, _store, forget_compiled
from benchmarks._case import Bar, Case, Result, Table
from benchmarks._clock import in_child, interleaved, run_command, spread
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


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([5.64e-4], "–"),
        ([3.0, 1.0, 2.0], "1–3"),
        ([0.0, 1.0, 2.0, 3.0, 4.0], "1–3"),
        ([5.644e-4, 5.652e-4], "5.64e-04–5.65e-04"),
    ],
)
def test_a_spread_has_three_digits(values, said):
    assert spread(values) == said
    assert spread(np.array(values)) == said


def test_a_measurement_finds_nothing_compiled_before(monkeypatch):
    for name in ("FACTORFLOW_CACHE", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.setenv(name, "somewhere")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    forget_compiled()
    assert os.environ["FACTORFLOW_CACHE"] == "off"
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
    assert os.environ["JAX_PLATFORMS"] == "cpu"


@pytest.mark.parametrize(("cores", "tried"), [(1, [1]), (4, [4, 2, 1]), (6, [6, 4, 2, 1])])
def test_threads_are_tried_up_to_the_cores(cores, tried):
    pytest.importorskip("torch")
    from benchmarks._recipe_torch import numbers_of_threads

    assert numbers_of_threads(cores) == tried


def test_descents_together_are_those_one_by_one():
    pytest.importorskip("torch")
    from benchmarks._recipe_torch import descend, descend_together

    rng = np.random.default_rng(0)
    task = {"places": np.array([0, 5, 7, 10]), "values": rng.standard_normal(4)}
    starts = {f"factor_{j}": rng.standard_normal((3, 4, 4)) for j in (1, 2, 3)}
    together = descend_together(task | starts, 0.0, 50)
    for k in range(3):
        start = {name: layers[k] for name, layers in starts.items()}
        alone = descend(task | start, 0.0, 50)
        np.testing.assert_allclose(together["matrix"][k], alone["matrix"], atol=1e-5)
        assert together["train_error"][k] == pytest.approx(alone["train_error"], rel=1e-4)


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
    assert about["commit"] is None or len(about["commit"]["number"]) == 40
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
    about |= {"commit": {"number": "0123456789", "changed": True}}
    result = replace(RESULT, data={"environment": ["RATINGS"]})
    text = _report._section(Case("roof", "Roof", "How near?", None), about, result)
    for part in ("## Roof", "| ours | 0.25 |", "| theirs | – |", "**no**", "torch"):
        assert part in text
    for part in ("`RATINGS=FOLDER python -m benchmarks roof --full`", "0123456 with changes"):
        assert part in text


def test_the_page_tells_the_minutes_of_each_size():
    runs = [{"size": "quick", "seconds": 60}, {"size": "full", "seconds": 600}]
    said = "2 in the quick size, 2 minutes together; 1 in the full size, 10 minutes together"
    assert said in _report._minutes([runs[0], *runs])


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
