"""What one process compiled, another loads; nothing is kept where it is not wanted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from factorflow import _compilation_cache
from factorflow._compilation_cache import held, keep_compiled, prune

# Both programs call host functions: the kernels by entries, and the graded decomposition.
_RUNS = """
import json
import jax, jax.numpy as jnp
from jax import monitoring
from factorflow._x64 import double_precision
from factorflow.factorizations import DeepLinear
from factorflow.factorizations._graded_svd import graded_svd
from factorflow.problems import Completion, EntriesLoss

events = []
monitoring.register_event_listener(lambda name, **_: events.append(name.rsplit("/", 1)[-1]))
with double_precision():
    known = [0, 0, 1, 2], [1, 3, 2, 3]
    loss = EntriesLoss(DeepLinear(2), (3, 4), known, [1.0, 2.0, 3.0, 4.0], kernel="numba")
    factors = jnp.sin(jnp.arange(12.0).reshape(3, 4)), jnp.cos(jnp.arange(9.0).reshape(3, 3))
    gradients = jax.jit(lambda each: loss.gradient(each))(factors)
    logs = jnp.array([0.0, -9.0, -800.0])
    parts = jax.jit(graded_svd)(factors[1], logs, factors[0].T[:, :3])
print(json.dumps({
    "numbers": [array.tolist() for array in (*gradients, *parts)],
    "loaded": events.count("cache_hits"),
    "kept": events.count("cache_misses"),
}))
"""


def _start(folder: Path) -> subprocess.Popen:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("JAX_")}
    return subprocess.Popen(
        [sys.executable, "-W", "error::UserWarning", "-c", _RUNS],
        env=environment | {"FACTORFLOW_CACHE": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _told(process: subprocess.Popen) -> dict:
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert errors == ""  # no complaint about a processor, no entry that could not be read
    return json.loads(out)


def test_another_process_loads_the_host_calls_too_and_computes_the_same(tmp_path):
    at_once = [_start(tmp_path / "kept") for _ in range(2)]  # both write the same folder
    first, second = map(_told, at_once)
    later = _told(_start(tmp_path / "kept"))
    assert max(first["kept"], second["kept"]) >= 2
    assert later["kept"] == 0
    assert later["loaded"] >= max(first["kept"], second["kept"])
    assert first["numbers"] == second["numbers"] == later["numbers"]


@pytest.fixture
def settings(monkeypatch):
    """JAX as it is before anything was told it, and what we tell it."""
    jax_has = {
        "jax_enable_compilation_cache": True,
        "jax_compilation_cache_dir": None,
        "jax_persistent_cache_min_compile_time_secs": 1.0,
    }
    monkeypatch.setattr(_compilation_cache, "_setting", jax_has.__getitem__)
    monkeypatch.setattr(jax.config, "update", jax_has.__setitem__)
    monkeypatch.delenv("FACTORFLOW_CACHE", raising=False)
    return jax_has


def test_by_default_programs_go_to_the_users_cache_folder(settings, monkeypatch, tmp_path):
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / name))
    keep_compiled.__wrapped__()
    folder = tmp_path / "factorflow" / "compiled"
    assert settings["jax_compilation_cache_dir"] == str(folder)
    assert settings["jax_persistent_cache_min_compile_time_secs"] < 1
    assert folder.stat().st_mode & 0o077 == 0  # who can write it can make us run his code


def test_what_the_user_told_jax_stays(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("FACTORFLOW_CACHE", str(tmp_path / "ours"))
    settings["jax_compilation_cache_dir"] = str(tmp_path / "theirs")
    keep_compiled.__wrapped__()
    assert settings["jax_compilation_cache_dir"] == str(tmp_path / "theirs")
    settings["jax_compilation_cache_dir"] = None
    settings["jax_persistent_cache_min_compile_time_secs"] = 7.0
    keep_compiled.__wrapped__()
    assert settings["jax_compilation_cache_dir"] == str(tmp_path / "ours")
    assert settings["jax_persistent_cache_min_compile_time_secs"] == 7.0


@pytest.mark.parametrize("case", ["off", "OFF", "jax", "no folder", "old jax"])
def test_where_nothing_is_kept(case, settings, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FACTORFLOW_CACHE", str(tmp_path / "made"))
    if case == "jax":
        settings["jax_enable_compilation_cache"] = False
    elif case == "no folder":
        monkeypatch.setenv("FACTORFLOW_CACHE", str(tmp_path / "file" / "below"))
    elif case == "old jax":
        monkeypatch.setattr(jax, "__version_info__", (0, 10, 1))
    else:
        monkeypatch.setenv("FACTORFLOW_CACHE", case)
    keep_compiled.__wrapped__()
    assert settings["jax_compilation_cache_dir"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_longest_unused_programs_are_deleted(tmp_path):
    for age in range(10):
        path = tmp_path / f"program-{age}"
        path.write_bytes(bytes(100))
        os.utime(path, (1e9 - age, 1e9 - age))
    prune(tmp_path, most_bytes=1000, most_files=10)
    assert held(tmp_path) == (10, 1000)
    prune(tmp_path, most_bytes=999, most_files=10)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"program-{k}" for k in range(4)]
    prune(tmp_path, most_bytes=1000, most_files=3)
    assert [path.name for path in tmp_path.iterdir()] == ["program-0"]
    assert held(tmp_path / "none") == (0, 0)
