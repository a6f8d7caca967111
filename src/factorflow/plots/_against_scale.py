"""A quantity against the scale of initialization, one line for each depth."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from factorflow._errors import InputError
from factorflow.plots._instances import (
    MARKERS,
    PUBLISHED,
    draw_band,
    is_error,
    name_of,
    numeric,
    quantity_of,
    quartiles,
    words_for,
)
from factorflow.plots._style import COLORS, calm, legend_over, new_axes

_BASELINE = "#4d4d4d"
_EDGE = 0.03  # of the width: where a value that belongs to no scale stands


def plot_against_scale(
    results: xr.Dataset | xr.DataArray,
    quantity: str,
    ax: Axes | None = None,
    *,
    baseline: xr.DataArray | None = None,
    published: Mapping[Any, Any] | None = None,
) -> Axes:
    """A quantity of the end of a run against the scale of its start: median and quartiles.

    The axis of the scale is logarithmic, and so is that of an error, a gap or an excess.

    Parameters
    ----------
    results
        Over ``depth``, ``scale`` and ``instance``; missing combinations are NaN.
    quantity
        Variable that is drawn, e.g. ``"effective_rank"``; of a DataArray its name in words.
    ax
        Axes to draw in; by default those of a new figure.
    baseline
        Over ``instance``: what does not depend on the scale, such as nuclear-norm minimization,
        as a horizontal line with its quartiles. Its ``name`` stands in the legend.
    published
        Published values, as hollow markers: for a depth, in its colour and form, or for a name of
        its own, a pair ``(scales, values)`` of numbers or sequences, or one number that belongs to
        no scale and is marked at the left edge.

    Raises
    ------
    InputError
        If the quantity is missing or has other dimensions, or published values are no such pair.

    Notes
    -----
    The form of figures 1 and 2 of Arora, Cohen, Hu and Luo 2019 (arXiv:1905.13655).
    """
    found = quantity_of(results, quantity, ("depth", "scale", "instance"))
    scales = numeric(found, "scale")
    ax = calm(new_axes(ax))
    ax.set_xscale("log")
    if is_error(quantity):
        ax.set_yscale("log", nonpositive="mask")
    lines = {}
    for i, depth in enumerate(found["depth"].values):
        name = name_of("depth", depth)
        spread = quartiles(found.isel(depth=i))
        lines[depth] = draw_band(ax, scales, spread, i, label=name, markersize=5)
    entries = list(lines.values())
    if baseline is not None:
        entries.append(_draw_baseline(ax, quantity_of(baseline, None, ("instance",))))
    entries += _draw_published(ax, lines, published or {})
    ax.set_xlabel(words_for("scale", found["scale"]))
    ax.set_ylabel(words_for(quantity, found))
    legend_over(ax, entries, columns=2 if baseline is not None else 3)
    return ax


def _draw_baseline(ax: Axes, baseline: xr.DataArray) -> Line2D:
    middle, low, high = (float(each) for each in quartiles(baseline))
    name = str(baseline.name or "baseline").replace("_", " ")
    ax.axhspan(low, high, color=_BASELINE, alpha=0.15, linewidth=0)
    style = {"color": _BASELINE, "linewidth": 1.4, "linestyle": (0, (5, 2, 1, 2))}
    return ax.axhline(middle, **style, label=name)


def _draw_published(
    ax: Axes, lines: Mapping[Any, Line2D], published: Mapping[Any, Any]
) -> list[Line2D]:
    """Hollow markers; the entries of the legend, of which all depths share one."""
    entries = []
    extra = len(lines)
    if any(key in lines for key in published):
        gray = {**PUBLISHED, "color": _BASELINE, "marker": "o"}
        entries.append(Line2D([], [], **gray, label="hollow: published"))
    for key, given in published.items():
        if key in lines:
            style = {"color": lines[key].get_color(), "marker": lines[key].get_marker()}
            _mark(ax, given, {**PUBLISHED, **style})
            continue
        style = {"color": COLORS[extra % len(COLORS)], "marker": MARKERS[extra % len(MARKERS)]}
        extra += 1
        entries.append(_mark(ax, given, {**PUBLISHED, **style, "label": f"published: {key}"}))
    return entries


def _mark(ax: Axes, given: Any, style: dict[str, Any]) -> Line2D:
    if isinstance(given, int | float | np.number):
        # Room for it beside the data at the smallest scale.
        ax.margins(x=0.1)
        return ax.plot([_EDGE], [float(given)], transform=ax.get_yaxis_transform(), **style)[0]
    try:
        x, y = (np.atleast_1d(np.asarray(each, dtype=np.float64)) for each in given)
        x, y = np.broadcast_arrays(x, y)
    except (TypeError, ValueError):
        raise InputError(
            f"published must give a number or a pair (scales, values) of equal lengths; "
            f"got {given!r}."
        ) from None
    return ax.plot(x, y, **style)[0]
