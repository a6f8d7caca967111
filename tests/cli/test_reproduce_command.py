"""factorflow reproduce and factorflow claims, on claims of a few draws."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from typing import ClassVar

import PIL.Image
import pytest
from cli_inputs import factorflow
from matplotlib.figure import Figure

from factorflow._errors import InputError
from factorflow._random import stream
from factorflow.experiments import (
    AbstractCase,
    Check,
    Claim,
    Finding,
    Measured,
    Published,
    comparison_table,
    reproduce,
    write_page,
)
from factorflow.experiments import _registry as registry

SLOW = "FACTORFLOW_TEST_SLOW_SEED"


@dataclass(frozen=True)
class Throw(AbstractCase):
    """A seed of 7 fails, and one that the environment names takes minutes."""

    kind: ClassVar[str] = "throw"
    revision: ClassVar[int] = 1
    seed: int

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            if case.seed == 7:
                raise ZeroDivisionError("an unlucky seed")
            if str(case.seed) == os.environ.get(SLOW):
                time.sleep(120)
            finished(case, {"value": stream(case.seed, "throw").random()})


def judged(results) -> Finding:
    values = [result["value"] for result in results.values()]
    figure = Figure(figsize=(2, 1.5))
    figure.subplots().plot(values)
    seeds = [case.seed for case in results]
    return Finding(
        measured=(Measured.of("value", values, seeds),),
        checks=(
            Check("values [are] below 1", max(values), "<", 1),
            Check("values are above a half", min(values), ">", 0.5, essential=False),
        ),
        figures=(("Values.", figure), ("Again.", figure)),
        notes=("Drawn <uniformly>.",),
    )


def claim(id="toy.quick", cost="quick", first=0, needs=None, judge=judged):
    return Claim(
        id=id,
        title="Throws",
        statement="Throws are below 1.",
        source="Nobody 1900, Table 1",
        published=(Published("value", 0.25, "Table 1"),),
        cost=cost,
        cases=lambda size: [Throw(first + seed) for seed in range(size.seeds)],
        judge=judge,
        seeds=3,
        full_seeds=5,
        needs=needs,
    )


CLAIMS = (
    claim(),
    claim("toy.long", "full"),
    claim("toy.movielens", "full", needs="the folder of MovieLens 100K"),
    claim("toy.unlucky", "full", first=6),
)


@pytest.fixture(autouse=True)
def toys(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "CLAIMS", CLAIMS)
    monkeypatch.chdir(tmp_path)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --------------------------------------------------------------------------------------- claims


def test_list_of_claims(tmp_path):
    result = factorflow("claims", "--json", "c.json")
    assert result.exit_code == 0, result.output
    for text in ("toy.quick", "toy.long", "quick", "full", "factorflow claims ID"):
        assert text in result.stdout
    assert "toy.movielens needs the folder of MovieLens 100K (--data)" in result.stdout
    content = json.loads((tmp_path / "c.json").read_text())
    assert [each["id"] for each in content] == [each.id for each in CLAIMS]
    assert content[0]["published"] == [{"name": "value", "value": 0.25, "source": "Table 1"}]


def test_the_list_fits_a_narrow_terminal(monkeypatch):
    long = "A source in many words, with its table, figure and theorem. " * 3
    claims = [
        replace(claim(f"nobody1900.{'x' * 17}{i}"), title="y" * 46, source=long) for i in "ab"
    ]
    monkeypatch.setattr(registry, "CLAIMS", claims)
    monkeypatch.setenv("COLUMNS", "80")
    shown = factorflow("claims").stdout.splitlines()
    assert all(len(line) <= 80 for line in shown)
    # At most two lines for each, though both names are as long as any.
    assert 2 <= sum("y" in line for line in shown) <= 4
    monkeypatch.setenv("COLUMNS", "300")
    assert long.strip() in factorflow("claims", claims[0].id).stdout


def test_a_claim_in_full(tmp_path):
    result = factorflow("claims", "toy.movielens", "--json", "c.json")
    assert result.exit_code == 0, result.output
    for text in ("Throws are below 1.", "Nobody 1900", "0.25", "--data DIR", "--all", "MovieLens"):
        assert text in result.stdout
    assert "toy.quick" not in result.stdout
    assert [each["id"] for each in json.loads((tmp_path / "c.json").read_text())] == [
        "toy.movielens"
    ]
    assert "did you mean toy.quick" in factorflow("claims", "toy.qick").stderr


# -------------------------------------------------------------------------------------- choices


@pytest.mark.parametrize(
    ("arguments", "ids", "seeds"),
    [
        ([], ["toy.quick"], 3),
        (["toy.long"], ["toy.long"], 3),
        (["toy.long", "toy.quick", "toy.long"], ["toy.long", "toy.quick"], 3),
        (["--all", "--seeds", "1"], [each.id for each in CLAIMS], 1),
        (["toy.quick", "--full"], ["toy.quick"], 5),
        (["--full", "--seeds", "4"], ["toy.quick"], 4),
    ],
)
def test_which_claims_and_how_much(tmp_path, arguments, ids, seeds):
    result = factorflow("reproduce", *arguments, "--json", "v.json")
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "v.json").read_text())
    assert [each["id"] for each in content] == ids
    assert content[0]["measured"][0]["seeds"] == list(range(seeds))
    assert names(tmp_path) == ["claims", "v.json"]


def test_json_holds_everything(tmp_path):
    assert factorflow("reproduce", "--json", "v.json").exit_code == 0
    (found,) = json.loads((tmp_path / "v.json").read_text())
    values = [stream(seed, "throw").random() for seed in range(3)]
    assert min(values) < 0.5
    assert found.pop("seconds") >= 0
    spread = found["measured"][0].pop("spread")
    assert spread["low"] <= sorted(values)[1] <= spread["high"]
    assert found == {
        "id": "toy.quick",
        "verdict": "differs: values are above a half",
        "statement": "Throws are below 1.",
        "source": "Nobody 1900, Table 1",
        "published": [{"name": "value", "value": 0.25, "source": "Table 1"}],
        "measured": [
            {
                "name": "value",
                "median": sorted(values)[1],
                "seeds": [0, 1, 2],
                "values": values,
            }
        ],
        "checks": [
            {
                "text": "values [are] below 1",
                "left": max(values),
                "relation": "<",
                "right": 1,
                "holds": True,
                "essential": True,
            },
            {
                "text": "values are above a half",
                "left": min(values),
                "relation": ">",
                "right": 0.5,
                "holds": False,
                "essential": False,
            },
        ],
        "notes": ["Drawn <uniformly>."],
        "seeds": 3,
        "full": False,
    }


# ---------------------------------------------------------------------------- page and terminal


def test_page_and_pictures(tmp_path):
    result = factorflow("reproduce", "toy.quick", "toy.movielens", "--output", "out")
    assert result.exit_code == 0, result.output
    pictures = ["toy.quick-1.png", "toy.quick-2.png"]
    assert names(tmp_path / "out") == ["claims.json", "index.html", "runs", *pictures]
    for name in pictures:
        assert PIL.Image.open(tmp_path / "out" / name).size[0] > 100
    page = (tmp_path / "out" / "index.html").read_text()
    for text in (
        '<a href="#toy.quick">toy.quick</a>',
        '<section id="toy.quick">',
        '<section id="toy.movielens">',
        '<span class="mark part">differs</span>',
        '<span class="mark quiet">skipped</span>',
        '<span class="mark good">holds</span>',
        "needs the folder of MovieLens 100K",
        "Drawn &lt;uniformly&gt;.",
        "0.25",
    ):
        assert text in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<img") == 2
    for told in (
        "out/index.html, beside it 2 pictures",
        "toy.movielens skipped: needs",
        "--data DIR",
    ):
        assert told in " ".join(result.stdout.split())


def sections(folder):
    page = (folder / "index.html").read_text()
    return re.findall(r'<section id="([^"]+)">', page)


def test_the_page_shows_all_that_was_judged_there(tmp_path, monkeypatch):
    out = tmp_path / "out"
    factorflow("reproduce", "toy.long", "--seeds", "4", "--output", "out")
    result = factorflow("reproduce", "toy.quick", "--output", "out", "--json", "v.json")
    assert result.exit_code == 0, result.output
    assert sections(out) == ["toy.quick", "toy.long"]
    assert "4 instances" in (out / "index.html").read_text()
    assert (
        "out/index.html, with 1 claim judged there before, beside it 4 pictures." in result.stdout
    )
    assert "toy.long" not in result.stdout
    assert [each["id"] for each in json.loads((tmp_path / "v.json").read_text())] == ["toy.quick"]
    # A run of the earlier one is gone: it is left out and nothing is run for it.
    (out / "runs" / f"{Throw(3).key}.json").unlink()
    monkeypatch.setattr(Throw, "run_many", None)
    result = factorflow("reproduce", "toy.quick", "--output", "out")
    said = "toy.long was judged here before and is left out, since its runs are not all there"
    assert said in result.stdout
    assert said in (out / "index.html").read_text()
    assert sections(out) == ["toy.quick"]


def test_a_skipped_claim_is_not_what_was_judged(tmp_path):
    factorflow("reproduce", "toy.movielens", "--data", ".", "--output", "out")
    factorflow("reproduce", "toy.quick", "--output", "out")
    assert sections(tmp_path / "out") == ["toy.quick", "toy.movielens"]
    factorflow("reproduce", "toy.movielens", "--output", "out")  # skipped now, but judged before
    assert "skipped" not in (tmp_path / "out" / "index.html").read_text()
    skipped = factorflow("reproduce", "toy.movielens", "--output", "new")
    assert "give it with --data DIR" in " ".join(skipped.stdout.split())
    assert "published" not in skipped.stdout
    factorflow("reproduce", "toy.quick", "--output", "new")
    assert sections(tmp_path / "new") == ["toy.quick"]


def test_a_damaged_list_of_what_was_judged(tmp_path):
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "claims.json").write_text("[1]")
    result = factorflow("reproduce")
    assert result.exit_code == 0, result.output
    assert "claims.json is no list of judged claims" in result.stderr
    assert json.loads((tmp_path / "claims" / "claims.json").read_text())["format"] == 1


def test_pages_from_python(tmp_path):
    judgements = reproduce([claim()])
    paths = write_page(tmp_path / "new", judgements)
    assert [path.name for path in paths] == ["toy.quick-1.png", "toy.quick-2.png", "index.html"]
    assert all(path.exists() for path in paths)
    with pytest.raises(InputError, match="does not exist"):
        write_page(tmp_path / "none" / "new", judgements)
    with pytest.raises(InputError, match="takes a folder and then the judgements"):
        write_page(judgements, tmp_path)
    with pytest.raises(InputError, match="list of judgements"):
        write_page(tmp_path, judgements[0])


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_quartiles_only_of_several_seeds(seeds):
    (judgement,) = reproduce([claim()], seeds=seeds)
    (measured,) = judgement.finding.measured
    ((_, _, median, spread, n),) = comparison_table(judgement).rows
    assert (median, n) == (measured.median, seeds)
    low, high = f"{measured.low:.4g}", f"{measured.high:.4g}"
    two = ", ".join(f"{value:.4g}" for value in measured.values)
    assert spread == {1: None, 2: two, 3: f"{low} to {high}"}[seeds]


def test_a_single_claim_is_shown_with_its_numbers():
    shown = factorflow("reproduce").stdout
    for text in ("Throws are below 1.", "published", "0.25", "values [are] below 1", "differs"):
        assert text in shown
    assert "published" not in factorflow("reproduce", "--all", "--seeds", "1").stdout


def test_progress_without_a_terminal():
    told = factorflow("reproduce").stderr
    assert "0 of 3 runs done, toy.quick" in told


def test_a_second_call_runs_nothing(tmp_path, monkeypatch):
    assert factorflow("reproduce", "--json", "a.json").exit_code == 0
    monkeypatch.setattr(Throw, "run_many", None)
    again = factorflow("reproduce", "--json", "b.json")
    assert again.exit_code == 0
    assert "3 of 3 runs were there already (claims/runs)." in again.stdout
    first, second = (json.loads((tmp_path / name).read_text())[0] for name in ("a.json", "b.json"))
    assert {**first, "seconds": 0} == {**second, "seconds": 0}


# ------------------------------------------------------------------------------------- failures


def test_a_claim_that_cannot_be_judged(tmp_path):
    result = factorflow("reproduce", "toy.unlucky", "toy.quick")
    assert result.exit_code == 1
    assert "1 claim could not be judged" in result.stderr
    assert "toy.unlucky not judged: 1 of 3 runs failed: ZeroDivisionError" in " ".join(
        result.stdout.split()
    )
    assert "differs" in result.stdout
    assert "not judged" in (tmp_path / "claims" / "index.html").read_text()


def test_the_traceback_when_asked_for(monkeypatch):
    monkeypatch.setenv("FACTORFLOW_DEBUG", "1")
    assert "in run_many" in factorflow("reproduce", "toy.unlucky").stderr


def test_a_damaged_run_is_named(tmp_path):
    factorflow("reproduce")
    path = next((tmp_path / "claims" / "runs").iterdir())
    path.write_text("{")
    result = factorflow("reproduce")
    assert result.exit_code == 0
    assert "warning: " in result.stderr
    assert path.name in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["toy.qick"], "did you mean toy.quick"),
        (["movielens"], "did you mean toy.movielens"),
        (["zzz"], "There is no claim 'zzz'; factorflow claims lists all."),
        (["toy.quick", "--all"], "--all"),
        (["--seeds", "0"], "--seeds"),
        (["--data", "none"], "--data"),
        (["--json", "none/v.json"], "does not exist"),
        (["--json", "folder"], "is a folder"),
        (["--output", "none/claims"], "--output"),
        (["--output", "file"], "--output"),
        (["--output", "folder", "--json", "folder/index.html"], "--json"),
        (["--output", "folder", "--json", "folder/claims.json"], "--json"),
    ],
)
def test_refused_before_any_run(tmp_path, monkeypatch, arguments, said):
    monkeypatch.setattr(Throw, "run_many", None)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    result = factorflow("reproduce", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert names(tmp_path) == ["file", "folder"]


def test_json_into_the_folder_that_is_made(tmp_path):
    result = factorflow("reproduce", "--output", "out", "--json", "out/v.json")
    assert result.exit_code == 0, result.output
    assert "v.json" in names(tmp_path / "out")


# ----------------------------------------------------------------------------------- interrupts

CHILD = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import test_reproduce_command as here
here.registry.CLAIMS = here.CLAIMS
from factorflow.cli import main
main()
"""


def test_ctrl_c_before_any_run_has_ended(tmp_path, monkeypatch):
    def interrupted(cases, finished, progress):
        raise KeyboardInterrupt

    monkeypatch.setattr(Throw, "run_many", interrupted)
    result = factorflow("reproduce")
    assert result.exit_code == 130
    assert "no run had ended, so nothing is kept" in result.stderr
    assert "claims/runs" not in result.stderr


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc")
def test_a_folder_that_takes_no_other():
    told = factorflow("reproduce", "--output", "/proc/nope").stderr
    assert "no folder can be made in /proc; choose another" in told
    assert "exist" not in told


@pytest.mark.skipif(os.name == "nt", reason="SIGINT is sent in another way there")
def test_ctrl_c_says_how_to_go_on(tmp_path):
    call = [sys.executable, "-c", CHILD, os.path.dirname(__file__), "reproduce"]
    runs = tmp_path / "claims" / "runs"
    with subprocess.Popen(
        call,
        env={**os.environ, SLOW: "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until = time.monotonic() + 60
        while len(list(runs.glob("*.json"))) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.3)  # the second run is counted a moment after its file is there
        process.send_signal(signal.SIGINT)
        shown, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert shown == ""
    assert "2 of 3 runs are done and kept in claims/runs; the same command goes on" in told
    assert "Traceback" not in told
    assert names(tmp_path / "claims") == ["runs"]
    assert factorflow("reproduce").exit_code == 0
