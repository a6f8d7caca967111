"""Threads of this process for the compiled kernels."""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Lock

import numba

# As many as the cores this process may use, unless the variable of this name says otherwise.
N_THREADS: int = numba.config.NUMBA_NUM_THREADS  # pyright: ignore

_lock = Lock()
_calls = 0


def in_ranges(work: Callable[[int, int], object], ranges: Sequence[tuple[int, int]]) -> None:
    """Call ``work(first, last)`` on every range, each in a thread; the first in this one."""
    others = [_pool(os.getpid()).submit(work, *each) for each in ranges[1:]]
    try:
        work(*ranges[0])
    finally:
        wait(others)  # nobody may write into the outputs after this call
    for other in others:
        other.result()


@contextmanager
def fair_share() -> Iterator[int]:
    """How many threads this call may take: all, or a part of them beside other such calls.

    Runs that go on side by side then keep to about one thread each.
    """
    global _calls
    with _lock:
        _calls += 1
        share = max(1, N_THREADS // _calls)
    try:
        yield share
    finally:
        with _lock:
            _calls -= 1


@functools.cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Threads of this process; a forked child needs its own."""
    return ThreadPoolExecutor(N_THREADS, "factorflow")
