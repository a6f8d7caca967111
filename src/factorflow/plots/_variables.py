"""Variables of a trajectory, or an error that says how to record them."""

from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from factorflow._errors import InputError

Along = Literal["time", "step", "n_gradients"]

_ALONG = {
    "time": "Gradient-flow time",
    "step": "Accepted steps",
    "n_gradients": "Gradients evaluated",
}
_TWO_DECADES = 100.0
_RECORDED_BY = {
    "singular_values": "trajectories.singular_values()",
    "component_norms": "trajectories.component_norms()",
    "effective_rank": "trajectories.effective_rank()",
    "train_error": "trajectories.train_error()",
    "reconstruction_error": "trajectories.reconstruction_error(problem)",
    "held_out_error": "trajectories.held_out_error(held_out)",
}


def variable(trajectory: xr.Dataset, name: str, dims: tuple[str, ...] = ()) -> xr.DataArray:
    """The variable ``name`` over the dimensions ``record, *dims``.

    Raises
    ------
    InputError
        If it is not there or has other dimensions, such as those of many runs.
    """
    check_trajectory(trajectory)
    if name not in trajectory:
        raise missing(trajectory, name)
    found, wanted = trajectory[name], ("record", *dims)
    if set(found.dims) != set(wanted):
        raise InputError(
            f"{name!r} has the dimensions {found.dims}, and a plot draws {wanted}; "
            "choose one run first, e.g. trajectory.isel(run=0)."
        )
    return found.transpose(*wanted)


def missing(trajectory: xr.Dataset, *names: str) -> InputError:
    """The error for a trajectory that has none of ``names``."""
    has = ", ".join(map(str, trajectory.data_vars)) or "no variables"
    wanted = " or ".join(map(repr, names))
    how = " or ".join(_RECORDED_BY[name] for name in names)
    return InputError(
        f"The trajectory has no {wanted}; it has {has}. "
        f"Record it with solve(..., record=Record(extra=[...])), by {how}."
    )


def check_trajectory(trajectory: xr.Dataset) -> None:
    """Refuse what is no trajectory; a solution is the usual mistake."""
    if isinstance(trajectory, xr.Dataset):
        return
    mend = (
        "give its .trajectory" if hasattr(trajectory, "trajectory") else "see Solution.trajectory"
    )
    raise InputError(
        f"A plot draws a trajectory (an xarray.Dataset); got {type(trajectory).__name__}: {mend}."
    )


def label(words: str, *variables: xr.DataArray) -> str:
    """Words for an axis, with the units in brackets where the variables share any.

    ``value`` stands for the units of the entries, whatever they are: it tells a reader nothing.
    """
    units = {found.attrs.get("units", "1") for found in variables}
    unit = units.pop() if len(units) == 1 else "1"
    return words if unit in ("1", "", "value", "value^2") else f"{words} ({unit})"


def along(trajectory: xr.Dataset, ax: Axes, x: Along) -> np.ndarray:
    """Values of the coordinate ``x``, whose axis is labelled and scaled for them.

    Time is logarithmic where it spans more than two decades; time 0 is then out of the picture.
    """
    check_trajectory(trajectory)
    if x not in _ALONG:
        raise InputError(f"x must be one of {', '.join(map(repr, _ALONG))}; got {x!r}.")
    if x not in trajectory.coords:
        has = ", ".join(map(str, trajectory.coords)) or "no coordinates"
        raise InputError(f"The trajectory has no coordinate {x!r}; it has {has}.")
    values = np.asarray(trajectory[x].values)
    if x == "n_gradients" and values.size > 1 and values[0] == values[-1]:
        raise InputError('The solver of this run counts no gradients; draw it with x="time".')
    ax.set_xlabel(label(_ALONG[x], trajectory[x]))
    positive = values[values > 0]
    if x == "time" and positive.size and positive.max() > _TWO_DECADES * positive.min():
        ax.set_xscale("log", nonpositive="mask")
    return values
