"""The errors of a run on one logarithmic axis."""

import xarray as xr
from matplotlib.axes import Axes

from factorflow.plots._style import COLORS, DASHES, calm, draw, legend, new_axes
from factorflow.plots._variables import Along, along, check_trajectory, label, missing, variable

NAMES = {
    "train_error": "train",
    "held_out_error": "held out",
    "reconstruction_error": "reconstruction",
}


def plot_errors(trajectory: xr.Dataset, ax: Axes | None = None, x: Along = "time") -> Axes:
    """Train, held-out and reconstruction error, those that were recorded, on a logarithmic axis.

    The three are of different kinds (a mean square, a root mean square, a ratio), so each is
    described in the legend and only its own course can be compared.

    Parameters
    ----------
    trajectory
        A :attr:`Solution.trajectory` with at least one of ``train_error``, ``held_out_error`` and
        ``reconstruction_error``.
    ax
        Axes to draw in; by default those of a new figure.
    x
        ``"time"`` (logarithmic over more than two decades), ``"step"`` or ``"n_gradients"``.

    Raises
    ------
    InputError
        If the trajectory has none of the three, or ``x`` is none of these.
    """
    check_trajectory(trajectory)
    present = [name for name in NAMES if name in trajectory]
    if not present:
        raise missing(trajectory, *NAMES)
    ax = calm(new_axes(ax))
    times = along(trajectory, ax, x)
    for name, color, dash in zip(NAMES, COLORS, DASHES, strict=False):
        if name in present:
            found = variable(trajectory, name)
            text = label(_described(name, found), found)
            draw(ax, times, found.values, color=color, linestyle=dash, label=text)
    ax.set_yscale("log", nonpositive="mask")
    ax.set_ylabel("Error")
    legend(ax)
    return ax


def _described(name: str, found: xr.DataArray) -> str:
    description = found.attrs.get("description")
    return f"{NAMES[name]}: {description}" if description else NAMES[name]
