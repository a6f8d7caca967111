"""SciPy's BLAS: where it is, and one thread of it while small decompositions are taken."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = Lock()
_inside = 0
_before: list[int] = []  # threads of each library


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
    global _inside
    with _lock:
        if _inside == 0:
            _before[:] = [library.num_threads for library in _libraries()]
            for library in _libraries():
                _set(library, 1)
        _inside += 1


def _leave() -> None:
    global _inside
    with _lock:
        _inside -= 1
        if _inside == 0:
            for library, number in zip(_libraries(), _before, strict=True):
                _set(library, number)


def _set(library: Any, number: int) -> None:
    # threadpoolctl 3.8 and later heed only the first thread that ever set a limit, for as long as
    # it lives. Here all threads share one limit under a lock, so that none can fight another.
    getattr(library, "_real_set_num_threads", library.set_num_threads)(number)


@cache
def _libraries() -> list[Any]:
    cython_blas()  # loads the BLAS that JAX's LAPACK calls go to
    return ThreadpoolController().select(user_api="blas").lib_controllers


@cache
def cython_blas() -> Any:
    """``scipy.linalg.cython_blas`` alone: all of its package takes a fifth of a second."""
    scipy: Any = find_spec("scipy")
    folders = [str(Path(place, "linalg")) for place in scipy.submodule_search_locations]
    spec: Any = PathFinder.find_spec("scipy.linalg.cython_blas", folders)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
