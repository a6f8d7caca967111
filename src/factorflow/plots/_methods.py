"""A quantity of several methods beside each other."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from factorflow._errors import InputError
from factorflow.plots._instances import (
    MARKERS,
    PUBLISHED,
    names_of,
    over_a_decade,
    quantity_of,
    words_for,
)
from factorflow.plots._style import COLORS, GRID, calm, new_axes

_WIDE = 0.22  # half of the width over which the points of a method are spread
_BESIDE = 0.36  # where its published value stands: by its points, far from the next method


def plot_methods(
    results: xr.Dataset | xr.DataArray,
    quantity: str,
    ax: Axes | None = None,
    published: Mapping[str, float] | None = None,
) -> Axes:
    """All instances of each method as points, with a bar at their median.

    The axis is logarithmic where the values span more than a factor of ten.

    Parameters
    ----------
    results
        Over ``method`` and ``instance``; missing runs are NaN.
    quantity
        Variable that is drawn; of a DataArray its name in words.
    ax
        Axes to draw in; by default those of a new figure.
    published
        For a method its published value, marked by a hollow diamond to the right of its points.

    Raises
    ------
    InputError
        If the quantity is missing or has other dimensions, or a published method is none of them.
    """
    found = quantity_of(results, quantity, ("method", "instance")).astype(float)
    names = names_of(found, "method")
    marks = {_place(names, name): float(value) for name, value in (published or {}).items()}
    ax = calm(new_axes(ax))
    ax.grid(False, axis="x")
    for i in range(len(names)):
        _draw_method(ax, i, found.values[i])
    if marks:
        style = {**PUBLISHED, "marker": "D", "color": "black", "label": "published"}
        ax.plot([i + _BESIDE for i in marks], list(marks.values()), **style)
        # Outside, where its diamond cannot be taken for a value.
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize="small", borderaxespad=0.4)
    if over_a_decade(np.concatenate([found.values.ravel(), list(marks.values())])):
        ax.set_yscale("log")
    name_places(ax, names)
    ax.set_ylabel(words_for(quantity, found))
    return ax


def _draw_method(ax: Axes, place: int, values: np.ndarray) -> None:
    values = values[np.isfinite(values)]
    if not values.size:
        return
    color = COLORS[place % len(COLORS)]
    # Spread by order and not by chance: the same results give the same picture.
    offsets = np.linspace(-_WIDE, _WIDE, values.size + 2)[1:-1]
    style = {"marker": MARKERS[place % len(MARKERS)], "linestyle": "none", "markersize": 4}
    ax.plot(place + offsets, values, color=color, alpha=0.7, **style)
    median = float(np.median(values))
    ax.plot([place - _WIDE, place + _WIDE], [median, median], color=color, linewidth=2.6)


def _place(names: list[str], name: str) -> int:
    if str(name) not in names:
        raise InputError(
            f"There is a published value of {name!r}, which is no method of the results; "
            f"they have {', '.join(names)}."
        )
    return names.index(str(name))


def name_places(ax: Axes, names: list[str]) -> None:
    """Names below the places 0, 1, ..., of an axis that has no numbers."""
    ax.set_xticks(range(len(names)), names)
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.tick_params(axis="x", length=0, color=GRID)
