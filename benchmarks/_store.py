"""Results on disk, one file for each case, with the machine that gave them."""

import json
import os
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks._case import Bar, Result, Table
from benchmarks._peers import PEERS
from factorflow._cores import usable_cores
from factorflow._files import write_json

RESULTS = Path(__file__).parent / "results"
_ROOT = Path(__file__).parent.parent
_OURS = ("factorflow", "jax", "jaxlib", "equinox", "optax", "numpy", "numba")


def save(name: str, full: bool, result: Result, seconds: float) -> Path:
    """Write a result, whole or not at all."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    about = {
        "case": name,
        "size": "full" if full else "quick",
        "day": datetime.now(UTC).date().isoformat(),
        "seconds": round(seconds, 1),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
    }
    write_json(path, about | {"result": asdict(result)})
    return path


def load(name: str) -> tuple[dict[str, Any], Result] | None:
    """What is known about a stored run, and its result; None if there is none."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return None
    stored = json.loads(path.read_text())
    found = stored.pop("result")
    found["tables"] = [Table(**table) for table in found["tables"]]
    found["bars"] = [Bar(**bar) for bar in found["bars"]]
    return stored, Result(**found)


def machine() -> dict[str, Any]:
    """Processor, cores, memory and system, without the machine's name."""
    return {
        "processor": _processor(),
        "cores": usable_cores(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Of ourselves, of what we stand on and of the peers that are installed."""
    found = {}
    for name in (*_OURS, *PEERS.values()):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> dict[str, Any] | None:
    """The checkout's commit, and whether its files differ from it; None without git.

    What the benchmarks themselves write does not count.
    """
    try:
        number = _git("rev-parse", "HEAD")
        changes = _git("status", "--porcelain", "--", ".", ":!benchmarks/results", ":!docs")
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"number": number, "changed": bool(changes)}


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=_ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None
