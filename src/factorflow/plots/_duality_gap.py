"""How far above the least nuclear norm a flow ends."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from factorflow._errors import InputError
from factorflow.plots._instances import draw_band, name_of, numeric, quantity_of, quartiles
from factorflow.plots._style import calm, legend, new_axes


def plot_duality_gap(results: xr.Dataset | xr.DataArray, ax: Axes | None = None) -> Axes:
    """The relative duality gap against the scale of initialization, both axes logarithmic.

    Parameters
    ----------
    results
        Over ``depth`` and ``scale``, and ``instance`` where there are several (median and
        quartiles are drawn): the variable ``gap``, what the flow's own multipliers certify; and,
        where it is there, ``excess``, the true distance from the least nuclear norm, relative to
        it, as thin lines of medians alone. A DataArray is the gap. What is zero or below
        (rounding) has no place on the axis.
    ax
        Axes to draw in; by default those of a new figure.

    Raises
    ------
    InputError
        If ``gap`` is missing or has other dimensions.
    """
    gap = _of_instances(results, "gap")
    if not (gap > 0).any():
        raise InputError("The gap has no positive value, and the axis is logarithmic.")
    ax = calm(new_axes(ax))
    ax.set_xscale("log")
    ax.set_yscale("log", nonpositive="mask")
    lines = [
        _draw(ax, gap.isel(depth=i), i, label=name_of("depth", depth), markersize=5)
        for i, depth in enumerate(gap["depth"].values)
    ]
    if isinstance(results, xr.Dataset) and "excess" in results:
        excess = _of_instances(results, "excess").sel(depth=gap["depth"].values)
        thin: dict[str, Any] = {
            "linewidth": 0.9,
            "markerfacecolor": "white",
            "markersize": 4,
            "label": None,
        }
        for i in range(excess.sizes["depth"]):
            _draw(ax, excess.isel(depth=i), i, band=False, **thin)
        gray = {**thin, "color": "gray", "marker": "o", "label": "true excess"}
        lines.append(ax.plot([], [], **gray)[0])
    ax.set_xlabel("Scale of initialization")
    ax.set_ylabel("Nuclear norm above the least, relative")
    legend(ax, handles=lines)
    return ax


def _of_instances(results: xr.Dataset | xr.DataArray, name: str) -> xr.DataArray:
    if isinstance(results, xr.Dataset) and name in results:
        results = results[name]
    if isinstance(results, xr.DataArray) and "instance" not in results.dims:
        results = results.expand_dims("instance")
    return quantity_of(results, name, ("depth", "scale", "instance"))


def _draw(ax: Axes, found: xr.DataArray, which: int, band: bool = True, **style: Any) -> Line2D:
    spread = tuple(np.where(each > 0, each, np.nan) for each in quartiles(found))
    return draw_band(ax, numeric(found, "scale"), spread, which, band, **style)
