"""Our flow and the recipe in PyTorch, each in interpreters of its own, from start to end."""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._case import Table
from benchmarks._clock import Child, in_child, spread

COLD, KEPT, TORCH = (
    "factorflow, flow, nothing compiled",
    "factorflow, flow, compiled before",
    "PyTorch, recipe",
)


def whole_processes(
    arrays: dict[str, np.ndarray],
    seed: int,
    threads: int | None,
    rounds: int,
    tell: Callable[[str], None],
) -> dict[str, list[Child]]:
    """The processes of each contestant, in turns.

    ``arrays`` are those of an instance. ``threads`` is the better number for PyTorch; None leaves
    it out.
    """
    found: dict[str, list[Child]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "instance.npz")
        np.savez(path, **arrays)
        ours: Any = ("benchmarks._processes", "flow", path, seed)
        kept = {**os.environ, "FACTORFLOW_CACHE": str(Path(folder) / "cache")}
        in_child(*ours, environment=kept)
        ways: dict[str, Callable[[], Child]] = {
            COLD: partial(in_child, *ours, environment={**os.environ, "FACTORFLOW_CACHE": "off"}),
            KEPT: partial(in_child, *ours, environment=kept),
        }
        for _ in range(2):
            for name, way in ways.items():
                found.setdefault(name, []).append(way())
        if threads is not None:
            recipe = partial(in_child, "benchmarks._recipe_torch", "whole", path, threads)
            for _ in range(rounds):
                found.setdefault(TORCH, []).append(recipe())
                tell(f"whole process: {TORCH} {found[TORCH][-1].seconds:.1f} s")
                for name, way in ways.items():
                    found[name].append(way())
    return found


def seconds(runs: list[Child]) -> float:
    return float(np.median([run.seconds for run in runs]))


def table(processes: dict[str, list[Child]], setting: str) -> Table:
    return Table(
        f"Whole processes, {setting}: start, imports, compilation, run.",
        ("process", "gradients", "seconds", "spread (s)", "runs", "train error",
         "peak memory (MiB)"),
        [_row(name, runs) for name, runs in processes.items()],
    )  # fmt: skip


def _row(name: str, runs: list[Child]) -> tuple:
    answer = runs[0].answer
    return (
        name, answer["n_gradients"], seconds(runs), spread([run.seconds for run in runs]),
        len(runs), answer["train_error"], float(np.median([run.peak_mb for run in runs])),
    )  # fmt: skip
