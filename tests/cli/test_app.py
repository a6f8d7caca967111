"""The script as a whole: help, version, what is imported, and how failures look."""

import os
import re
import subprocess
import sys
import time

import pytest
from cli_inputs import factorflow

import factorflow as ff

COMMANDS = ("complete", "demo", "reproduce", "claims", "doctor")


def test_help_lists_every_command():
    result = factorflow("--help")
    assert result.exit_code == 0
    assert all(command in result.output for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_of_a_command(command, option):
    result = factorflow(command, option)
    assert result.exit_code == 0
    assert f"factorflow {command}" in result.output or f"root {command}" in result.output


def test_help_of_complete_tells_the_defaults():
    text = " ".join(factorflow("complete", "--help").output.replace("│", " ").split())
    for name in ("--depth", "--biases", "--stop", "--seed", "--json", "--report", "--hide"):
        assert name in text
    assert "2 for tables and images, 3 for arrays" in text


def test_help_of_complete_tells_which_option_belongs_to_which_method():
    text = factorflow("complete", "--help").output
    parts = re.split(r"─ (Reading|Writing|Fitting[\w\s-]*?) ─", text)
    panels = dict(zip(parts[1::2], parts[2::2], strict=True))
    for panel, names in {
        "Fitting": ("--method", "--biases", "--test-fraction", "--seed", "soft-impute"),
        "Fitting by --method deep": ("--depth", "--widths"),
        "Fitting by --method deep or tensor": ("--scale", "--stop"),
        "Fitting by --method tensor": ("--factorization", "--components"),
    }.items():
        assert all(name in panels[panel] for name in names)


def test_version():
    result = factorflow("--version")
    assert result.exit_code == 0
    assert result.output == f"factorflow {ff.__version__}\n"


def test_the_script_imports_nothing_heavy_before_a_command_runs():
    code = (
        "import sys; from factorflow.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'jax', 'pandas', 'numpy', 'scipy', 'sklearn', 'numba'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_the_entry_point_answers(tmp_path):
    code = "from factorflow.cli import main; main()"
    call = [sys.executable, "-c", code, "complete", str(tmp_path / "none.csv")]
    began = time.perf_counter()
    run = subprocess.run(call, capture_output=True, text=True)
    assert time.perf_counter() - began < 20
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("error: The file ")
    assert run.stderr.count("\n") == 1


def test_what_was_asked_for_at_the_end_of_the_process_is_done():
    code = (
        "import atexit; atexit.register(print, 'farewell')\nfrom factorflow.cli import main; main()"
    )
    call = [sys.executable, "-c", code, "--version"]
    # Python writes at once where it is told to, which would hide what was lost.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    run = subprocess.run(call, capture_output=True, text=True, env=buffered)
    assert run.returncode == 0
    assert run.stdout.splitlines() == [f"factorflow {ff.__version__}", "farewell"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["complete"], "INPUT"),
        (["complete", "x.csv", "--depth", "two"], "--depth"),
        (["complete", "x.csv", "--stop", "never"], "--stop"),
        (["complete", "x.csv", "--method", "shallow"], "--method"),
        (["complete", "x.csv", "--nonsense"], "--nonsense"),
        (["nonsense"], "nonsense"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(arguments, said):
    result = factorflow(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
