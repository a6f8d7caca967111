"""Trajectories as labelled arrays, in memory and on disk.

Xarray, and pandas with it, are imported where they are used: a run itself goes without.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from factorflow._errors import InputError
from factorflow._files import whole_file
from factorflow.trajectories._observables import Observable

if TYPE_CHECKING:
    import xarray as xr

COORDINATES = {
    "time": "gradient-flow time; for a descent, step times learning rate",
    "step": "accepted steps so far",
    "n_gradients": "gradients evaluated so far, rejected steps and power iterations included",
}


def build_trajectory(
    observables: Sequence[Observable], records: Sequence[dict], attributes: dict
) -> "xr.Dataset":
    """Dataset over the dimension ``record`` from what was seen at each record.

    Each record maps the names of the observables, and ``time``, ``step`` and ``n_gradients``, to
    numbers or arrays.
    """
    import xarray as xr

    check_dimensions(observables, {name: np.shape(seen) for name, seen in records[0].items()})
    variables = {
        observable.name: _variable(observable, [record[observable.name] for record in records])
        for observable in observables
    }
    coordinates = {
        name: ("record", np.array([record[name] for record in records]), {"description": text})
        for name, text in COORDINATES.items()
    }
    return xr.Dataset(variables, coordinates, attributes)


def save_trajectory(trajectory: "xr.Dataset", path: str | Path) -> None:
    """Write a trajectory to a NetCDF file, whole or not at all.

    Raises
    ------
    InputError
        If the folder does not exist.
    """
    with whole_file(path) as unfinished:
        trajectory.to_netcdf(unfinished, engine="h5netcdf", format="NETCDF4")


def load_trajectory(path: str | Path) -> "xr.Dataset":
    """Read a trajectory that :func:`save_trajectory` wrote, wholly into memory.

    Raises
    ------
    InputError
        If there is no such file or it is no NetCDF file.
    """
    import xarray as xr

    if not Path(path).is_file():
        raise InputError(f"There is no trajectory file {path}.")
    try:
        with xr.open_dataset(path, engine="h5netcdf") as stored:
            return stored.load()
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be read as a NetCDF trajectory: {error}") from error


def check_dimensions(observables: Sequence[Observable], shapes: dict[str, tuple]) -> None:
    """Refuse an observable that names more dimensions than its values have.

    Raises
    ------
    InputError
        Naming the observable.
    """
    for observable in observables:
        given = len(shapes[observable.name])
        if given < len(observable.dims):
            raise InputError(
                f"Observable {observable.name!r} names {len(observable.dims)} dimensions, but "
                f"gives arrays of {given}."
            )


def _variable(observable: Observable, seen: Sequence[np.ndarray]) -> tuple:
    values = np.array(seen)
    unnamed = values.ndim - 1 - len(observable.dims)
    extra = tuple(f"{observable.name}_dim_{axis}" for axis in range(unnamed))
    attributes = {"units": observable.units, "description": observable.description}
    return ("record", *observable.dims, *extra), values, attributes
