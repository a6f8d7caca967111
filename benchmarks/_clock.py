"""Seconds and memory: warmed up, taken in turns, compilation apart."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isinf
from time import perf_counter, sleep
from typing import Any

import jax
import numpy as np


@dataclass(frozen=True)
class Timing:
    """Seconds of one contestant.

    Parameters
    ----------
    first
        Of its first call, which compiles, loads and warms caches.
    seconds
        Of the calls after it.
    """

    first: float
    seconds: np.ndarray

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    @property
    def least(self) -> float:
        """For limits of the hardware, to which noise only adds."""
        return float(np.min(self.seconds))

    def over(self, other: "Timing") -> float:
        """How many times longer than the other this one took, by the medians."""
        return self.median / other.median


def spread(values: Sequence[float] | np.ndarray) -> str:
    """What repeats lay between: least and most of up to three, the quartiles of four or more.

    A dash of a single one.
    """
    if len(values) == 1:
        return "–"
    ends = [0.0, 1.0] if len(values) < 4 else [0.25, 0.75]
    low, high = np.quantile(values, ends)
    return f"{three_digits(float(low))}–{three_digits(float(high))}"


def three_digits(value: float) -> str:
    """A number for a table: three significant digits, in powers of ten if far from 1."""
    if isinf(value) or value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e5 else f"{value:.3g}"
    return f"{value:.2e}"


def interleaved(
    contestants: dict[str, Callable[[], object]],
    repeats: int,
    inner: int = 1,
    pause: float = 0.0,
    enough: float = inf,
) -> dict[str, Timing]:
    """Each contestant once to warm up, then all in turns, so that noise hits all alike.

    ``inner`` calls make one measurement where a call takes microseconds. ``pause`` seconds before
    each let the threads of the one before fall asleep: those of OpenBLAS spin for a while. A first
    call of ``enough`` seconds stands for itself: what it compiled is nothing beside them.
    """
    first = {name: _seconds(run) for name, run in contestants.items()}
    taken = {name: [each] if each > enough else [] for name, each in first.items()}
    again = {name: run for name, run in contestants.items() if first[name] <= enough}
    for _ in range(repeats):
        for name, run in again.items():
            sleep(pause)
            taken[name].append(_seconds(run, inner))
    return {name: Timing(first[name], np.array(taken[name])) for name in contestants}


def _seconds(run: Callable[[], object], inner: int = 1) -> float:
    began = perf_counter()
    for _ in range(inner):
        result = run()
    jax.block_until_ready(result)
    return (perf_counter() - began) / inner


@dataclass(frozen=True)
class Child:
    """What a process of its own gave: its answer, seconds from start to end, peak memory in MiB."""

    answer: Any
    seconds: float
    peak_mb: float


def in_child(module: str, function: str, *arguments: Any, environment: dict | None = None) -> Child:
    """``function(*arguments)`` of a module, in a fresh interpreter; all of it plain JSON.

    Peak memory is the whole process's, the libraries that it loads included.
    """
    began = perf_counter()
    done = run_command(
        [sys.executable, "-m", "benchmarks._child", module, function, json.dumps(arguments)],
        environment,
    )
    seconds = perf_counter() - began
    told = json.loads(done.splitlines()[-1])
    return Child(told["answer"], seconds, told["peak_mb"])


def run_command(command: Sequence[str], environment: dict | None = None) -> str:
    """Standard output of a command; its errors are shown if it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout
