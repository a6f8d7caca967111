"""One BLAS thread while small decompositions are taken."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from threading import Lock

from threadpoolctl import ThreadpoolController

_lock = Lock()
_inside = 0
_limit = None


@contextmanager
def one_blas_thread(when: bool = True) -> Iterator[None]:
    """Keep BLAS and LAPACK to one thread, or leave them as they are.

    On small matrices its threads mostly wait for each other and, on a busy machine, for the rest
    of it. XLA's own products are not concerned. Runs in several threads share one limit, which
    the last of them lifts.
    """
    if not when:
        yield
        return
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside, _limit
    with _lock:
        if _inside == 0:
            _limit = _controller().limit(limits=1, user_api="blas")
        _inside += 1


def _leave() -> None:
    global _inside, _limit
    with _lock:
        _inside -= 1
        if _inside == 0 and _limit is not None:
            _limit.restore_original_limits()
            _limit = None


@cache
def _controller() -> ThreadpoolController:
    import_module("scipy.linalg")  # loads the BLAS that JAX's LAPACK calls go to
    return ThreadpoolController()
