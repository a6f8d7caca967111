"""Trajectories in memory and on disk."""

import os

import numpy as np
import pytest
import xarray as xr

from factorflow import InputError, Observable, load_trajectory, save_trajectory
from factorflow.trajectories import build_trajectory, singular_values, train_loss

PAIR = Observable("pair", lambda s: None, ("side",), units="m", description="two numbers")
SQUARE = Observable("square", lambda s: None)


def records(n=5):
    rng = np.random.default_rng(0)
    for k in range(n):
        yield {
            "time": np.float64(0.5 * k), "step": np.int64(4 * k), "n_gradients": np.int64(9 * k),
            "train_loss": rng.random(), "singular_values": rng.random(3),
            "pair": rng.random(2), "square": rng.random((2, 2)),
        }  # fmt: skip


def trajectory(n=5):
    observables = [train_loss(), singular_values(), PAIR, SQUARE]
    attributes = {"status": "TIME", "seed": 3, "dynamics": "GradientFlow(solver=RKC())"}
    return build_trajectory(observables, list(records(n)), attributes)


def test_the_records_become_named_arrays():
    built, seen = trajectory(), list(records())
    assert dict(built.sizes) == {
        "record": 5, "component": 3, "side": 2, "square_dim_0": 2, "square_dim_1": 2,
    }  # fmt: skip
    assert set(built.coords) == {"time", "step", "n_gradients"}
    assert built.step.dtype.kind == built.n_gradients.dtype.kind == "i"
    assert built["singular_values"].dims == ("record", "component")
    assert built["pair"].dims == ("record", "side")
    for name in ("time", "step", "n_gradients", "train_loss", "singular_values", "pair", "square"):
        np.testing.assert_array_equal(built[name], [record[name] for record in seen])
    assert built["pair"].attrs == {"units": "m", "description": "two numbers"}
    assert built.attrs["seed"] == 3


def test_more_dimensions_named_than_there_are():
    wrong = Observable("train_loss", lambda s: None, ("row", "column"))
    with pytest.raises(InputError, match="'train_loss' names 2 dimensions, but gives arrays of 0"):
        build_trajectory([wrong], list(records()), {})


def test_a_trajectory_comes_back_from_disk_as_it_was(tmp_path):
    built = trajectory()
    save_trajectory(built, tmp_path / "run.nc")
    xr.testing.assert_identical(load_trajectory(tmp_path / "run.nc"), built)
    # Any NetCDF reader takes it.
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as plain:
        xr.testing.assert_identical(plain.load(), built)


def test_saving_takes_the_place_of_an_older_file(tmp_path):
    path = str(tmp_path / "run.nc")
    save_trajectory(trajectory(7), path)
    save_trajectory(trajectory(2), path)
    loaded = load_trajectory(path)
    xr.testing.assert_identical(loaded, trajectory(2))
    save_trajectory(loaded, path)  # nothing holds the file open
    assert os.listdir(tmp_path) == ["run.nc"]


def test_a_failed_save_leaves_the_older_file(tmp_path):
    path = tmp_path / "run.nc"
    save_trajectory(trajectory(), path)
    unwritable = trajectory().assign_attrs(object=object())
    with pytest.raises(TypeError):
        save_trajectory(unwritable, path)
    xr.testing.assert_identical(load_trajectory(path), trajectory())
    assert os.listdir(tmp_path) == ["run.nc"]


@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused(tmp_path, share):
    path = tmp_path / "run.nc"
    save_trajectory(trajectory(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"run\.nc cannot be read as a NetCDF trajectory"):
        load_trajectory(path)


def test_a_text_file_is_refused(tmp_path):
    path = tmp_path / "run.nc"
    path.write_text("time,train_loss\n0,1\n")
    with pytest.raises(InputError, match="cannot be read as a NetCDF trajectory"):
        load_trajectory(path)


def test_files_and_folders_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="There is no trajectory file"):
        load_trajectory(tmp_path / "none.nc")
    with pytest.raises(InputError, match="There is no trajectory file"):
        load_trajectory(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        save_trajectory(trajectory(), tmp_path / "none" / "run.nc")
