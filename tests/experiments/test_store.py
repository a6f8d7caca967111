"""Runs come back from the disk exactly, or not at all."""

import json
from importlib.metadata import version

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from toy_claims import Draw

from factorflow._errors import FactorflowWarning, InputError
from factorflow.experiments import Run, Store

CASE = Draw(3, 0.5)
RUN = Run.of({"numbers": np.array([0.1, np.nan]), "name": "a", "sum": np.float64(0.1)}, 2.5)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def assert_equal(found, expected):
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_equal(found[name], expected[name])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            assert_equal(*pair)
    elif isinstance(expected, np.ndarray):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert found.tobytes() == expected.tobytes() or np.array_equal(found, expected, True)
    else:
        assert found == expected or (found != found and expected != expected)


arrays = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.bool_]),
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | arrays,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=5), values), st.floats(0, 1e6))
def test_everything_comes_back(tmp_path_factory, result, seconds):
    store = Store(tmp_path_factory.mktemp("store"))
    store.save(CASE, Run.of(result, seconds))
    found = store.load(CASE)
    assert_equal(found.result, result)
    assert found.seconds == seconds


def test_a_run_is_the_same_whether_it_was_stored_or_not(store):
    run = Run.of({"pair": (1, np.int64(2)), "zero": np.array(1.5)}, 1)
    assert run.result == {"pair": [1, 2], "zero": 1.5}
    store.save(CASE, run)
    assert_equal(store.load(CASE).result, run.result)


def test_what_a_file_holds(store):
    store.save(CASE, RUN)
    content = json.loads(store.path(CASE).read_text())
    assert content["configuration"] == {
        "factorflow": version("factorflow"),
        "kind": "draw",
        "revision": 1,
        "fields": {"seed": 3, "scale": 0.5},
    }
    assert content["seconds"] == 2.5
    assert store.path(CASE).name == f"{CASE.key}.json"


def test_nothing_there(store):
    assert store.load(CASE) is None
    store.save(CASE, RUN)
    assert store.load(Draw(4)) is None


def truncated(text):
    return text[: len(text) // 2]


def changed(text):
    return text.replace("0.1", "0.2", 1)


def of_another_run(text):
    return None


def of_another_version(text):
    return text.replace('"format":1', '"format":0')


DAMAGES = [truncated, changed, of_another_run, of_another_version, lambda text: "[]", lambda _: ""]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_cannot_be_trusted(store, damage):
    store.save(CASE, RUN)
    store.save(Draw(4), RUN)
    path = store.path(CASE)
    text = damage(path.read_text())
    path.write_text(store.path(Draw(4)).read_text() if text is None else text)
    with pytest.warns(FactorflowWarning, match=f"{path.name} is not used.*computed again"):
        assert store.load(CASE) is None
    store.save(CASE, RUN)
    assert_equal(store.load(CASE).result, RUN.result)


def test_bytes_that_are_no_text(store):
    store.save(CASE, RUN)
    store.path(CASE).write_bytes(b"\xff\xfe{")
    with pytest.warns(FactorflowWarning, match="cannot be read"):
        assert store.load(CASE) is None


@pytest.mark.parametrize(
    "result",
    [{"a": object()}, {"a": {1: 2}}, {"a": np.array([1j])}, {"__array__": 1}, [1], {"a": 1j}],
)
def test_results_without_a_form(result):
    with pytest.raises(InputError, match="result of a run"):
        Run.of(result, 1)


def test_a_failed_save_leaves_the_old_file(store, monkeypatch):
    store.save(CASE, RUN)
    before = store.path(CASE).read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("factorflow._files.os.replace", full)
    with pytest.raises(OSError, match="No space"):
        store.save(CASE, Run.of({}, 1))
    assert [path.read_bytes() for path in store.folder.iterdir()] == [before]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(InputError, match="is a file"):
        Store(tmp_path / "runs")
