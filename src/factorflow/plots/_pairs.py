"""The same instances under several methods."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from factorflow.plots._instances import names_of, quantity_of, words_for
from factorflow.plots._methods import name_places
from factorflow.plots._style import COLORS, calm, draw, legend, new_axes

_INSTANCE = "#404040"


def plot_pairs(results: xr.Dataset | xr.DataArray, quantity: str, ax: Axes | None = None) -> Axes:
    """One thin line for each instance across the methods, and the median as a thick one.

    It shows whether a method wins instance by instance, which medians side by side do not. The
    axis is logarithmic unless a value is zero or negative.

    Parameters
    ----------
    results
        Over ``method``, drawn in its order, and ``instance``; missing runs are NaN.
    quantity
        Variable that is drawn; of a DataArray its name in words.
    ax
        Axes to draw in; by default those of a new figure.

    Raises
    ------
    InputError
        If the quantity is missing or has other dimensions.
    """
    found = quantity_of(results, quantity, ("instance", "method")).astype(float)
    names = names_of(found, "method")
    places = np.arange(len(names))
    ax = calm(new_axes(ax))
    if not np.any(found.values <= 0):
        ax.set_yscale("log")
    for i, values in enumerate(found.values):
        name = "one instance" if i == 0 else "_nolegend_"
        style = {"color": _INSTANCE, "alpha": 0.6, "linewidth": 0.9, "label": name}
        draw(ax, places, values, **style, marker="o", markersize=2.5)
    median = found.median("instance", skipna=True).values
    style = {"color": COLORS[0], "linewidth": 5, "marker": "s", "markersize": 8, "label": "median"}
    # Wide and below: an instance that lies on it stays to be seen.
    draw(ax, places, median, **style, alpha=0.6, zorder=1.8)
    name_places(ax, names)
    ax.set_ylabel(words_for(quantity, found))
    legend(ax)
    return ax
