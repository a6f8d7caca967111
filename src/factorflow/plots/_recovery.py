"""Where recovery begins, method by method."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from factorflow.plots._instances import (
    draw_band,
    is_error,
    names_of,
    numeric,
    quantity_of,
    quartiles,
    shares,
    words_for,
)
from factorflow.plots._style import calm, legend, new_axes


def plot_recovery(
    results: xr.Dataset | xr.DataArray,
    quantity: str,
    ax: Axes | None = None,
    *,
    x: str = "oversampling",
) -> Axes:
    """A quantity against the number of measurements, or another setting, one line a method.

    Of booleans, such as whether the truth was recovered, the share that is True is drawn with
    the 95 per cent interval of Wilson (1927); of numbers the median with the quartiles. The axis
    of an error is logarithmic, and so is that of ``x="scale"``.

    Parameters
    ----------
    results
        Over ``method``, the dimension ``x`` and ``instance``. Missing runs are NaN; a variable
        ``recovered`` of ones, zeros and NaN is taken for booleans of which some are missing.
    quantity
        Variable that is drawn; of a DataArray its name in words.
    ax
        Axes to draw in; by default those of a new figure.
    x
        The dimension along which it is drawn, with a coordinate of numbers.

    Raises
    ------
    InputError
        If the quantity is missing or has other dimensions, or ``x`` has no numbers.
    """
    found = quantity_of(results, quantity, ("method", x, "instance"))
    places = numeric(found, x)
    spread: Callable = shares if _is_share(found, quantity) else quartiles
    ax = calm(new_axes(ax))
    for i, name in enumerate(names_of(found, "method")):
        draw_band(ax, places, spread(found.isel(method=i)), i, label=name, markersize=5)
    if spread is shares:
        ax.set_ylim(-0.04, 1.04)
    elif is_error(quantity):
        ax.set_yscale("log", nonpositive="mask")
    if x == "scale":
        ax.set_xscale("log")
    ax.set_xlabel(words_for(x, found[x]))
    ax.set_ylabel(words_for(quantity, found))
    legend(ax)
    return ax


def _is_share(found: xr.DataArray, quantity: str) -> bool:
    """Booleans, also those that became 0, 1 and NaN where runs are missing."""
    if found.dtype == bool:
        return True
    known = found.values[np.isfinite(found.values.astype(float))]
    return quantity == "recovered" and bool(np.isin(known, (0, 1)).all())
