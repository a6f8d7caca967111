"""Compiled programs kept from one process to the next, in the user's cache folder.

JAX writes and finds them by a hash of the program, of its own version and of the processor. Host
functions stand in them by name alone (``_host_call``), so that no address outlives its process.
"""

import functools
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax

VARIABLE = "FACTORFLOW_CACHE"

# Before it, loading a program printed complaints about processors with AVX-512.
_OLDEST_JAX = (0, 10, 2)
_FOLDER = "jax_compilation_cache_dir"
# JAX keeps none that compiled within a second. Loading took 2 ms where the least took 10.
_THRESHOLD = "jax_persistent_cache_min_compile_time_secs"
_JAX_DEFAULT, _OURS = 1.0, 0.0
_MOST_BYTES, _MOST_FILES = 256 * 2**20, 10_000
_SECONDS_BETWEEN_PRUNINGS = 24 * 3600
_MARK = "pruned"


def default_folder() -> Path | None:
    """Where programs are kept unless JAX was told another place; None if they are not.

    The environment variable FACTORFLOW_CACHE names another folder, or says ``off``.
    """
    told = os.environ.get(VARIABLE, "")
    if told.lower() == "off":
        return None
    if told:
        return Path(told).expanduser().absolute()
    import platformdirs  # the one that pooch stands on, in a tenth of its time

    return Path(platformdirs.user_cache_dir("factorflow")) / "compiled"


def folder_in_use() -> Path | None:
    """The folder that JAX keeps programs in, or will with the first computation."""
    if not _setting("jax_enable_compilation_cache"):
        return None
    own = _setting(_FOLDER)
    if own is not None:
        return Path(own) if own else None
    return default_folder() if jax.__version_info__ >= _OLDEST_JAX else None


@functools.cache
def keep_compiled() -> None:
    """Let JAX keep what it compiles; what the user told JAX stays as it is.

    Nothing is kept, and nothing said, where the folder cannot be made or written.
    """
    folder = folder_in_use()
    if folder is None or _setting(_FOLDER) is not None:
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return
        _prune_now_and_then(folder)
    except OSError:
        return
    jax.config.update(_FOLDER, str(folder))
    untouched = _setting(_THRESHOLD) == _JAX_DEFAULT
    if untouched and _THRESHOLD.upper() not in os.environ:
        jax.config.update(_THRESHOLD, _OURS)


def _setting(name: str) -> Any:
    return getattr(jax.config, name)


def _prune_now_and_then(folder: Path) -> None:
    """Once a day: to look at every file takes its time on a network's disk."""
    mark = folder / _MARK
    now = time.time()
    if mark.exists() and now - mark.stat().st_mtime < _SECONDS_BETWEEN_PRUNINGS:
        return
    mark.touch()
    prune(folder)


def prune(folder: Path, most_bytes: int = _MOST_BYTES, most_files: int = _MOST_FILES) -> None:
    """Delete the programs that were not used for the longest time, down to half of the bounds.

    What another process deletes or reads at the same time is no error: it compiles anew.
    """
    programs = sorted(_programs(folder), reverse=True)
    if len(programs) <= most_files and sum(size for _, size, _ in programs) <= most_bytes:
        return
    kept_files = kept_bytes = 0
    for _, size, path in programs:
        if kept_files < most_files // 2 and kept_bytes + size <= most_bytes // 2:
            kept_files, kept_bytes = kept_files + 1, kept_bytes + size
        else:
            Path(path).unlink(missing_ok=True)


def held(folder: Path) -> tuple[int, int]:
    """Number of programs in a folder and their bytes."""
    sizes = [size for _, size, _ in _programs(folder)] if folder.is_dir() else []
    return len(sizes), sum(sizes)


def _programs(folder: Path) -> Iterable[tuple[float, int, str]]:
    """Time of the last use, bytes and path of each program."""
    for entry in os.scandir(folder):
        try:
            if entry.is_file() and entry.name != _MARK:
                about = entry.stat()
                yield max(about.st_atime, about.st_mtime), about.st_size, entry.path
        except FileNotFoundError:  # another process prunes too
            continue
