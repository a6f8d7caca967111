"""Timing helpers: warm, interleaved, median of many."""

from collections.abc import Callable
from time import perf_counter

import jax
import numpy as np


def interleaved(cases: dict[str, Callable[[], object]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds of each case, warmed up once, taken in turns so that noise hits all alike."""
    for run in cases.values():
        jax.block_until_ready(run())
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, run in cases.items():
            began = perf_counter()
            jax.block_until_ready(run())
            seconds[name].append(perf_counter() - began)
    return {name: np.array(taken) for name, taken in seconds.items()}


def median_ratio(over: np.ndarray, under: np.ndarray) -> float:
    """Ratio of the medians."""
    return float(np.median(over) / np.median(under))
