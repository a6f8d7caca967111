"""Two measurements of the same runs against each other."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from factorflow._errors import InputError
from factorflow.plots._instances import MARKERS, name_of, over_a_decade, quantity_of
from factorflow.plots._style import COLORS, calm, draw, legend, new_axes


def plot_agreement(
    left: xr.DataArray,
    right: xr.DataArray,
    ax: Axes | None = None,
    labels: tuple[str, str] = ("First", "Second"),
    by: str | None = None,
) -> Axes:
    """A point for each run at its two values; on the diagonal they agree.

    Both axes have one range and are logarithmic where the values span more than a factor of ten.

    Parameters
    ----------
    left, right
        The values of the same runs, over the same dimensions; runs that one of them lacks are
        left out.
    ax
        Axes to draw in; by default those of a new figure.
    labels
        What the two are, below and beside the axes.
    by
        Dimension whose places differ in colour and marker.

    Raises
    ------
    InputError
        If the two have other dimensions, ``by`` is none of them, or no run is in both.
    """
    groups = _groups(left, right, by)
    every = np.concatenate([pair for _, pair in groups], axis=1)
    if not every.size:
        raise InputError("No run has both values, so nothing can be compared.")
    ax = calm(new_axes(ax, (4.8, 4.6)))
    logarithmic = over_a_decade(every)
    if logarithmic:
        ax.set(xscale="log", yscale="log")
    low, high = _range(every, logarithmic)
    ax.plot([low, high], [low, high], color="black", linewidth=0.9, linestyle=":", label="equal")
    for i, (name, (x, y)) in enumerate(groups):
        color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
        line = draw(ax, x, y, color=color, marker=marker, markersize=5, label=name)
        line.set(linestyle="none", alpha=0.75)
    ax.set(xlim=(low, high), ylim=(low, high), xlabel=labels[0], ylabel=labels[1])
    ax.set_box_aspect(1)
    legend(ax)
    return ax


def _groups(
    left: xr.DataArray, right: xr.DataArray, by: str | None
) -> list[tuple[str, np.ndarray]]:
    """Name and values ``(2, runs)`` of each group, those that lack a value left out."""
    dims = [str(dim) for dim in getattr(left, "dims", ())]
    one, other = (quantity_of(each, None, dims).astype(float) for each in (left, right))
    one, other = xr.align(one, other, join="inner")
    both = xr.concat([one, other], "side")
    if by is None:
        parts = [("runs", both)]
    elif by in dims:
        parts = [(name_of(by, value), both.sel({by: value})) for value in one[by].values]
    else:
        raise InputError(f"by={by!r} is no dimension of the values; they have {', '.join(dims)}.")
    pairs = [(name, part.transpose("side", ...).values.reshape(2, -1)) for name, part in parts]
    return [(name, pair[:, np.isfinite(pair).all(axis=0)]) for name, pair in pairs]


def _range(values: np.ndarray, logarithmic: bool) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if logarithmic:
        return low / 1.3, high * 1.3
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin
