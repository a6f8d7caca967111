"""Each run once, kept as it ends; failures and interrupts stay where they are."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import toy_claims
from toy_claims import CALLS, Draw, judged, numbers, toy

from factorflow._errors import FactorflowWarning, InputError
from factorflow.experiments import Check, Finding, Interrupted, Store, reproduce
from factorflow.experiments import _registry as registry


@pytest.fixture(autouse=True)
def no_calls():
    CALLS.clear()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def seeds_of_calls():
    return [[(case.seed, case.scale) for case in call] for call in CALLS]


def verdicts(judgements):
    return [judgement.verdict for judgement in judgements]


# ------------------------------------------------------------------------------------ each once


def test_a_claim_is_judged_by_its_runs():
    (judgement,) = reproduce([toy()])
    assert judgement.verdict == judgement.word == "reproduced"
    sums = [float(np.sum(result)) for result in _numbers_by_hand(3)]
    assert judgement.finding.measured[0].values == pytest.approx(sums)
    assert 1.5 <= judgement.seconds < 10  # three runs that say 0.5 each
    assert judgement.cause is None


def _numbers_by_hand(n):
    return [toy_claims.stream(seed, "toy").standard_normal(4) for seed in range(n)]


def test_groups_are_run_together_and_shared_cases_once():
    claims = [toy("a", (1.0, 2.0)), toy("b", (2.0,)), toy("c", (2.0, 1.0), seeds=4)]
    judgements = reproduce(claims)
    assert verdicts(judgements) == ["reproduced"] * 3
    assert [judgement.claim.id for judgement in judgements] == ["a", "b", "c"]
    assert seeds_of_calls() == [
        [(seed, 1.0) for seed in range(4)],
        [(seed, 2.0) for seed in range(4)],
    ]


def test_the_order_of_claims_changes_no_number():
    claims = [toy("a", (1.0, 2.0)), toy("b", (2.0,), first=1)]
    assert numbers(reproduce(claims)) == numbers(reproduce(claims[::-1]))[::-1]


def test_what_is_there_is_not_run_again(store):
    first = reproduce([toy()], store=store)
    assert len(list(store.folder.iterdir())) == 3
    CALLS.clear()
    again = reproduce([toy()], store=store)
    assert CALLS == []
    assert numbers(again) == numbers(first)
    assert again[0].seconds == pytest.approx(first[0].seconds, abs=1)
    more = reproduce([toy()], seeds=5, store=store)
    assert seeds_of_calls() == [[(3, 1.0), (4, 1.0)]]
    assert numbers(more) == numbers(reproduce([toy()], seeds=5))


def test_sizes_of_runs():
    for settings, n in (({}, 3), ({"full": True}, 6), ({"full": True, "seeds": 2}, 2)):
        CALLS.clear()
        (judgement,) = reproduce([toy()], **settings)
        assert len(CALLS[0]) == judgement.size.seeds == n
    with pytest.raises(InputError, match="seeds"):
        reproduce([toy()], seeds=0)


def test_ids_single_claims_and_paths(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "CLAIMS", (toy(), toy("toy.more")))
    first = reproduce(["toy.draws", toy("b")], store=tmp_path / "runs")
    assert [judgement.claim.id for judgement in first] == ["toy.draws", "b"]
    assert len(list((tmp_path / "runs").iterdir())) == 3
    CALLS.clear()
    for one in ("toy.draws", toy()):
        assert numbers(reproduce(one, store=str(tmp_path / "runs"))) == numbers(first[:1])
    assert CALLS == []


@pytest.mark.parametrize(
    ("claims", "settings", "said"),
    [
        (["toy.drows"], {}, "There is no claim 'toy.drows'; did you mean toy.draws"),
        (7, {}, "claims must be .* got 7"),
        ([None], {}, "claims must be .* got None"),
        ([], {"store": 3}, "store must be .* got 3"),
    ],
)
def test_what_is_no_claim_or_store(monkeypatch, claims, settings, said):
    monkeypatch.setattr(registry, "CLAIMS", (toy(),))
    with pytest.raises(InputError, match=said):
        reproduce(claims, **settings)


def test_a_damaged_file_is_computed_again(store):
    first = reproduce([toy()], store=store)
    path = store.path(Draw(1))
    path.write_text(path.read_text().replace(".", ".1", 3))
    CALLS.clear()
    with pytest.warns(FactorflowWarning, match=path.name):
        again = reproduce([toy()], store=store)
    assert seeds_of_calls() == [[(1, 1.0)]]
    assert numbers(again) == numbers(first)


def test_progress_counts_runs(store):
    seen = []
    reproduce([toy("a", (1.0, 2.0)), toy("b")], store=store, progress=seen.append)
    counts = [outline["n_done"] for outline in seen]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 6)
    again = []
    reproduce([toy("b")], store=store, progress=again.append)
    assert again == [{"n_done": 3, "n_wanted": 3}]
    assert {outline["n_wanted"] for outline in seen} == {6}
    assert next(outline["claims"] for outline in seen if "claims" in outline) == ["a", "b"]
    assert any(outline.get("step") == 1 for outline in seen)


# ------------------------------------------------------------------------------------- failures


def test_a_failing_run_takes_no_other_with_it(store):
    claims = [toy("a", first=11), toy("b", first=14), toy("c")]
    judgements = reproduce(claims, store=store)
    assert judgements[0].verdict == (
        "not judged: 1 of 3 runs failed: ZeroDivisionError: an unlucky seed"
    )
    assert isinstance(judgements[0].cause, ZeroDivisionError)
    assert judgements[0].finding is None
    assert verdicts(judgements[1:]) == ["reproduced", "reproduced"]
    assert len(list(store.folder.iterdir())) == 8
    assert store.load(Draw(13)) is None


class Silent(Draw):
    @classmethod
    def run_many(cls, cases, finished, progress): ...


class Odd(Draw):
    @classmethod
    def run_many(cls, cases, finished, progress):
        finished(cases[0], {"sum": object()})


@pytest.mark.parametrize(("kind", "said"), [(Silent, "without a result"), (Odd, "object")])
def test_runs_without_a_result(kind, said):
    odd = toy("odd", cases=lambda size: [kind(20), kind(21)])
    judgements = reproduce([odd, toy()])
    assert judgements[0].word == "not judged"
    assert said in judgements[0].verdict
    assert judgements[1].verdict == "reproduced"


def broken(*_):
    raise KeyError("no such thing")


@pytest.mark.parametrize("part", ["cases", "judge"])
def test_a_claim_that_is_broken_itself(part):
    judgements = reproduce([toy("broken", **{part: broken}), toy()])
    assert verdicts(judgements) == ["not judged: KeyError: 'no such thing'", "reproduced"]


def test_a_judge_that_returns_nothing():
    (judgement,) = reproduce([toy(judge=lambda results: None)])
    assert judgement.verdict.startswith(
        "not judged: The judge of toy.draws must return a Finding; it returned None."
    )


def test_verdicts_tell_what_fails():
    def strict(results):
        return Finding(checks=(Check("pigs fly", 0, ">", 1), Check("b", 0, "<", 1)))

    (judgement,) = reproduce([toy(judge=strict)])
    assert judgement.verdict == "not reproduced: pigs fly"
    assert judgement.word == "not reproduced"


def test_missing_data(tmp_path):
    claim = toy(needs="the folder of MovieLens 100K")
    (judgement,) = reproduce([claim])
    assert judgement.verdict == "skipped: needs the folder of MovieLens 100K"
    assert judgement.cause is None
    assert CALLS == []
    assert verdicts(reproduce([claim], data=tmp_path)) == ["reproduced"]


def test_a_full_disk_is_no_verdict(store, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("factorflow._files.os.replace", full)
    with pytest.raises(OSError, match="No space"):
        reproduce([toy()], store=store)


def test_a_claim_without_runs():
    def judge(results):
        assert len(results) == 0
        return Finding(checks=(Check("a", 0, "<", 1),))

    assert verdicts(reproduce([toy(cases=lambda size: [], judge=judge)])) == ["reproduced"]


# ----------------------------------------------------------------------------------- interrupts


class Interrupting(Draw):
    """Takes Ctrl-C in the midst of the third run as a solver does, which gives what it has."""

    @classmethod
    def run_many(cls, cases, finished, progress):
        for i, case in enumerate(cases):
            if i == 2 and cls.armed:
                with pytest.raises(KeyboardInterrupt):
                    signal.raise_signal(signal.SIGINT)
                finished(case, {"sum": -1.0})
                return
            Draw.run_many([case], finished, progress)


def test_ctrl_c_keeps_what_had_ended_and_nothing_else(store):
    claim = toy(cases=lambda size: [Interrupting(seed) for seed in range(4)])
    handler = signal.getsignal(signal.SIGINT)
    Interrupting.armed = True
    with pytest.raises(Interrupted) as caught:
        reproduce([claim], store=store)
    assert (caught.value.n_done, caught.value.n_wanted) == (2, 4)
    assert isinstance(caught.value, KeyboardInterrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    assert len(list(store.folder.iterdir())) == 2

    Interrupting.armed = False
    CALLS.clear()
    resumed = reproduce([claim], store=store)
    assert [case.seed for (case,) in CALLS] == [2, 3]
    assert numbers(resumed) == numbers(reproduce([claim]))


def test_an_interrupt_in_progress(store):
    def progress(outline):
        if outline["n_done"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="2 of 3"):
        reproduce([toy()], store=store, progress=progress)
    assert numbers(reproduce([toy()], store=store)) == numbers(reproduce([toy()]))


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL there")
def test_a_killed_process_loses_no_finished_run(tmp_path):
    folder = tmp_path / "runs"
    script = Path(toy_claims.__file__)
    environment = {**os.environ, toy_claims.SLOW: "2"}
    with subprocess.Popen([sys.executable, str(script), str(folder)], env=environment) as process:
        until = time.monotonic() + 60
        while len(list(folder.glob("*.json"))) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert len(list(folder.glob("*.json"))) == 2

    claim = toy(scales=(1.0, 2.0))
    resumed = reproduce([claim], store=Store(folder))
    assert seeds_of_calls() == [[(2, 1.0)], [(0, 2.0), (1, 2.0), (2, 2.0)]]
    assert numbers(resumed) == numbers(reproduce([claim]))
    assert judged is claim.judge
