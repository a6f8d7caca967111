"""Losses of several methods over their steps."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from factorflow.plots._instances import names_of, numeric, quantity_of, words_for
from factorflow.plots._style import COLORS, MANY_DASHES, calm, draw, legend, new_axes


def plot_losses(losses: xr.DataArray, ax: Axes | None = None) -> Axes:
    """One line for each method, both axes logarithmic.

    Parameters
    ----------
    losses
        Over ``method`` and ``step``, positive; what a run lacks is NaN. Step 0 has no place on a
        logarithmic axis and is left out.
    ax
        Axes to draw in; by default those of a new figure.

    Raises
    ------
    InputError
        If the array has other dimensions, no numbers, or no steps to be drawn against.
    """
    found = quantity_of(losses, None, ("method", "step")).astype(float)
    steps = numeric(found, "step")
    ax = calm(new_axes(ax))
    ax.set(xscale="log", yscale="log")
    for i, name in enumerate(names_of(found, "method")):
        known = np.isfinite(found.values[i]) & (steps > 0)
        style = {"color": COLORS[i % len(COLORS)], "linestyle": MANY_DASHES[i % len(MANY_DASHES)]}
        draw(ax, steps[known], found.values[i][known], **style, label=name)
    ax.set_xlabel("Steps")
    ax.set_ylabel(words_for(found.name or "loss", found))
    legend(ax)
    return ax
