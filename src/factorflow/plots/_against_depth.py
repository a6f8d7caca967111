"""A quantity against real depth, one line for each scale of initialization."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from factorflow._errors import InputError
from factorflow.plots._instances import (
    draw_band,
    is_error,
    numeric,
    quantity_of,
    quartiles,
    words_for,
)
from factorflow.plots._style import calm, legend_over, new_axes

_TICKS = (1, 1.2, 1.5, 2, 3, 5, 10, np.inf)


def plot_against_depth(
    results: xr.Dataset | xr.DataArray,
    quantity: str,
    ax: Axes | None = None,
    *,
    truth: float | None = None,
) -> Axes:
    """A quantity of the end of a run against real depth from 1 to infinity: median and quartiles.

    Depth `N` stands at ``2 - 2/N``, the power of a singular value in the law of its growth, so
    that infinite depth has a place. The axis of an error is logarithmic.

    Parameters
    ----------
    results
        Over ``depth`` (``inf`` is infinite depth), ``scale`` and ``instance``.
    quantity
        Variable that is drawn, e.g. ``"effective_rank"``; of a DataArray its name in words.
    ax
        Axes to draw in; by default those of a new figure.
    truth
        What the quantity is of the true matrix, as a dotted line.

    Raises
    ------
    InputError
        If the quantity is missing or has other dimensions, or a depth is below 1.
    """
    found = quantity_of(results, quantity, ("depth", "scale", "instance"))
    depths = numeric(found, "depth")
    if not (depths >= 1).all():
        raise InputError(f"Depths must be 1 or more, infinity included; got {depths.min():g}.")
    ax = calm(new_axes(ax))
    if is_error(quantity):
        ax.set_yscale("log", nonpositive="mask")
    entries = []
    for i, scale in enumerate(found["scale"].values):
        spread, label = quartiles(found.isel(scale=i)), f"scale {scale:g}"
        entries.append(draw_band(ax, _place(depths), spread, i, label=label, markersize=4))
    if truth is not None:
        style = {"color": "black", "linewidth": 0.9, "linestyle": ":"}
        entries.append(ax.axhline(truth, **style, label="truth"))
    ax.set_xticks(_place(np.array(_TICKS)), [f"{n:g}" if n < np.inf else "∞" for n in _TICKS])
    ax.set_xlabel("Depth")
    ax.set_ylabel(words_for(quantity, found))
    legend_over(ax, entries, columns=3)
    return ax


def _place(depths: np.ndarray) -> np.ndarray:
    return 2 - 2 / depths
