"""A module that stands for another until it is used."""

import sys
from types import ModuleType

import pytest

from factorflow.cli._later import import_later


@pytest.fixture
def package(monkeypatch, tmp_path):
    """A package on disk with a part, which no other test knows."""
    (tmp_path / "later_package" / "part").mkdir(parents=True)
    (tmp_path / "later_package" / "__init__.py").write_text("from later_package import part\n")
    (tmp_path / "later_package" / "part" / "__init__.py").write_text("answer = 42\n")
    (tmp_path / "later_package" / "part" / "inner.py").write_text("answer = 43\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "later_package"
    for name in [name for name in sys.modules if name.startswith("later_package")]:
        del sys.modules[name]


def _is_loaded() -> bool:
    return type(sys.modules["later_package.part"]) is ModuleType


@pytest.mark.parametrize(
    "use",
    [
        "import later_package\nfound = later_package.part.answer",
        "import later_package.part as part\nfound = part.answer",
        "from later_package.part import answer as found",
        "from later_package.part.inner import answer\nfound = answer - 1",
    ],
)
def test_it_is_loaded_when_it_is_used_and_not_before(package, use):
    import_later(f"{package}.part")
    exec("import later_package.part", {})
    assert not hasattr(sys.modules["later_package.part"], "__file__")
    assert not _is_loaded()
    seen: dict = {}
    exec(use, seen)
    assert seen["found"] == 42
    assert _is_loaded()
    assert sys.modules["later_package"].part is sys.modules["later_package.part"]


def test_it_does_not_load_the_package(package):
    import_later(f"{package}.part")
    assert package not in sys.modules


def test_a_package_that_is_loaded_has_its_part(package):
    sys.modules[package] = ModuleType(package)
    import_later(f"{package}.part")
    assert sys.modules[package].part is sys.modules[f"{package}.part"]


def test_what_is_loaded_stays(package):
    exec("import later_package.part", {})
    loaded = sys.modules["later_package.part"]
    import_later(f"{package}.part")
    assert sys.modules["later_package.part"] is loaded


def test_what_is_missing_is_missed(package):
    import_later(f"{package}.part")
    with pytest.raises(AttributeError, match="nothing"):
        _ = sys.modules["later_package.part"].nothing
    with pytest.raises(ImportError, match="nothing"):
        exec("from later_package.part import nothing", {})
