"""The checks of the installation."""

import re

import pytest
from cli_inputs import factorflow

from factorflow.cli import _checks
from factorflow.cli._versions import PACKAGES, versions


def test_all_works_here():
    result = factorflow("doctor")
    assert result.exit_code == 0, result.output
    assert all(name in result.stdout for name in (*PACKAGES, "python", *_checks._CHECKS))
    assert "fails" not in result.stdout


def test_versions_of_what_is_missing(monkeypatch):
    monkeypatch.setattr("factorflow.cli._versions.PACKAGES", ("numpy", "no-such-package"))
    found = versions()
    assert re.match(r"\d+\.\d+", found["numpy"])
    assert found["no-such-package"] is None


def test_the_kernel_is_compared_to_rounding():
    works, sentence = _checks._kernel()
    assert works
    assert float(re.search(r"by ([\d.e-]+)\.", sentence)[1]) < 1e-12


@pytest.mark.parametrize("broken", list(_checks._CHECKS))
def test_a_check_that_fails_names_its_mend_and_leaves_the_others(broken, monkeypatch):
    def fail():
        raise OSError("it is gone")

    mend = _checks._CHECKS[broken][1]
    quick = {name: (lambda: (True, "fine."), mend) for name in _checks._CHECKS}
    monkeypatch.setattr(_checks, "_CHECKS", quick | {broken: (fail, mend)})
    result = factorflow("doctor")
    assert result.exit_code == 1
    found = {check.name: check for check in _checks.checks()}
    assert found[broken].sentence == f"OSError: it is gone. {mend}"
    assert [name for name, check in found.items() if not check.works] == [broken]


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "file" / name)
    assert not _checks._cache()[0]
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "not" / "yet" / name)
    assert _checks._cache()[0]
    assert not (tmp_path / "not").exists()
