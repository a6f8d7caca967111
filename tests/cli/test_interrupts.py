"""Ctrl-C, sent to a process of its own."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from factorflow.cli._interrupts import Interrupts

pytestmark = pytest.mark.skipif(os.name == "nt", reason="SIGINT is sent in another way there")


@pytest.fixture
def running(tmp_path):
    """A fit that would take minutes, just begun."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((300, 300)))
    call = [
        sys.executable, "-c", "from factorflow.cli import main; main()", "complete",
        str(tmp_path / "x.npy"), "--stop", "interpolate", "--depth", "2",
        "--output", str(tmp_path / "y.npy"), "--json", str(tmp_path / "y.json"),
    ]  # fmt: skip
    with subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr.readline().startswith("Fitting ")
        yield process
        process.kill()


def test_the_first_one_shows_what_there_is_and_writes_nothing(running, tmp_path):
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    shown, told = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "interrupted" in shown
    assert "row and column effects" in shown
    assert "The run was interrupted" in shown
    assert "no file was written" in told
    assert "Traceback" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_the_second_one_ends_at_once(running, tmp_path):
    running.send_signal(signal.SIGINT)
    assert "Ctrl-C once more" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    shown, _ = running.communicate(timeout=10)
    assert running.returncode == 130
    assert shown == ""
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_outside_a_flow_it_is_raised():
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
    assert interrupts.asked


def test_in_a_flow_it_waits_for_a_step():
    with Interrupts() as interrupts:
        with interrupts.flow():
            os.kill(os.getpid(), signal.SIGINT)
            interrupts.between_steps({"step": 0})
            with pytest.raises(KeyboardInterrupt):
                interrupts.between_steps({"step": 1})
            interrupts.between_steps({"step": 2})  # the run may report where it ended
        with pytest.raises(KeyboardInterrupt):
            interrupts.end_if_asked()


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
    assert signal.set_wakeup_fd(-1) == -1
