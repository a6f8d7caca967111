"""A quantity that grows or falls as the loss falls, beside its bounds."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from factorflow._errors import InputError
from factorflow.plots._instances import quantity_of, words_for
from factorflow.plots._style import COLORS, MANY_DASHES, calm, draw, legend_over, new_axes

_BOUND = "#8c8c8c"
_BOUND_DASHES = ((0, (5, 2, 1, 2)), (0, (1, 2)), (0, (6, 3)))
_POINTS = 400
_DIMS = ("run", "record")

Bound = Callable[[np.ndarray], Any]


def plot_blow_up(
    runs: xr.Dataset,
    quantity: str,
    ax: Axes | None = None,
    *,
    bounds: Mapping[str, Bound] | None = None,
) -> Axes:
    """A quantity of runs against their loss, both logarithmic, training from left to right.

    Parameters
    ----------
    runs
        ``loss`` and the quantity over ``run`` and ``record``; a run with fewer records ends in
        NaN. The coordinate ``run`` names them: runs of one name have one look.
    quantity
        The variable that is drawn. What is not positive is left out.
    ax
        Axes to draw in; by default those of a new figure.
    bounds
        For each name a function of an array of losses. It is drawn in gray over the losses of the
        runs, where it is finite and not below what is drawn of them.

    Raises
    ------
    InputError
        If a variable is missing, has other dimensions or holds no number.

    Notes
    -----
    The form of the figures of Razin and Cohen 2020 (arXiv:2005.06398), with the bounds added.
    """
    losses = quantity_of(runs, "loss", _DIMS).astype(float)
    found = quantity_of(runs, quantity, _DIMS).astype(float)
    shown = (losses.values > 0) & (found.values > 0) & np.isfinite(losses.values + found.values)
    if not shown.any():
        raise InputError(
            f"plot_blow_up draws where the loss and {quantity!r} are positive; they never are."
        )
    ax = calm(new_axes(ax))
    ax.set(xscale="log", yscale="log")
    names = [str(name) for name in found["run"].values] if "run" in found.coords else None
    lines = _draw_runs(ax, losses.values, found.values, names)
    reach = np.geomspace(losses.values[shown].min(), losses.values[shown].max(), _POINTS)
    lines += _draw_bounds(ax, reach, np.min(found.values[shown]), bounds or {})
    ax.xaxis.set_inverted(True)
    ax.set_xlabel(words_for("loss", losses))
    ax.set_ylabel(words_for(quantity, found))
    named = [line for line in lines if not str(line.get_label()).startswith("_")]
    if named:
        legend_over(ax, named, columns=2)
    return ax


def _draw_runs(
    ax: Axes, losses: np.ndarray, values: np.ndarray, names: list[str] | None
) -> list[Line2D]:
    kinds = list(dict.fromkeys(names or ["_run"]))
    lines, entered = [], set()
    for i, (loss, value) in enumerate(zip(losses, values, strict=True)):
        name = names[i] if names else "_run"
        which = kinds.index(name)
        known = np.isfinite(loss) & np.isfinite(value) & (loss > 0) & (value > 0)
        style = {
            "color": COLORS[which % len(COLORS)],
            "linestyle": MANY_DASHES[which % len(MANY_DASHES)],
            "linewidth": 1.2,
            "label": "_" + name if name in entered else name,
        }
        entered.add(name)
        lines.append(draw(ax, loss[known], value[known], **style))
    return lines


def _draw_bounds(
    ax: Axes, losses: np.ndarray, least: float, bounds: Mapping[str, Bound]
) -> list[Line2D]:
    lines = []
    for i, (name, bound) in enumerate(bounds.items()):
        values = np.asarray(bound(losses), float)
        known = np.isfinite(values) & (values >= least)
        dashes = _BOUND_DASHES[i % len(_BOUND_DASHES)]
        style = {"color": _BOUND, "linestyle": dashes, "linewidth": 2.4, "zorder": 1.5}
        lines.append(draw(ax, losses[known], values[known], **style, label=name))
    return lines
