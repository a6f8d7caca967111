"""Exceptions as one line and an exit code."""

import pytest
import typer

from factorflow._errors import FlowError, InputError
from factorflow.cli._failures import plain_failures


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("The table\nis empty."), 2, "error: The table is empty."),
        (FlowError("The run diverged."), 1, "error: The run diverged."),
        (OSError(28, "No space left", "out.csv"), 1, "error: out.csv: No space left."),
        (MemoryError(), 1, "error: The memory of this machine is not enough."),
        (KeyboardInterrupt(), 130, "Interrupted."),
    ],
)
def test_each_failure_has_its_line_and_code(error, code, line, capsys, monkeypatch):
    monkeypatch.delenv("FACTORFLOW_DEBUG", raising=False)
    with pytest.raises(typer.Exit) as caught, plain_failures():
        raise error
    assert caught.value.exit_code == code
    assert capsys.readouterr().err == line + "\n"


def test_the_unforeseen_shows_its_traceback_only_when_asked(capsys, monkeypatch):
    for wanted in ("", "1"):
        monkeypatch.setenv("FACTORFLOW_DEBUG", wanted)
        with pytest.raises(typer.Exit) as caught, plain_failures():
            raise ZeroDivisionError("by zero")
        assert caught.value.exit_code == 1
        shown = capsys.readouterr().err
        assert ("Traceback" in shown) == bool(wanted)
        assert shown.splitlines()[-1].startswith("error: Something unforeseen happened (Zero")


def test_success_is_left_alone():
    with plain_failures():
        value = 3
    assert value == 3
