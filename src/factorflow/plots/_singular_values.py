"""The singular values of a run, one line each."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from factorflow._errors import InputError
from factorflow.plots._style import calm, draw, new_axes, ordered_colors
from factorflow.plots._variables import Along, along, label, variable

_APART = 0.05  # of the height of the axes: labels nearer than this would touch


def plot_singular_values(
    trajectory: xr.Dataset,
    ax: Axes | None = None,
    k: int = 10,
    x: Along = "time",
    log: bool = False,
) -> Axes:
    """The ``k`` largest singular values of the end-to-end matrix, each named at its end.

    Parameters
    ----------
    trajectory
        A :attr:`Solution.trajectory` with ``singular_values``.
    ax
        Axes to draw in; by default those of a new figure.
    k
        How many, counted at each record from the largest.
    x
        ``"time"`` (logarithmic over more than two decades), ``"step"`` or ``"n_gradients"``.
    log
        Whether the singular values are drawn on a logarithmic axis.

    Raises
    ------
    InputError
        If ``k`` is below 1, ``x`` is none of these, or the trajectory lacks the variable.
    """
    if k < 1:
        raise InputError(f"k must be 1 or more singular values; got {k!r}.")
    found = variable(trajectory, "singular_values", ("component",))
    return _draw_largest(found, trajectory, ax, k, x, log, ("Singular value", r"\sigma"))


def plot_component_norms(
    trajectory: xr.Dataset,
    ax: Axes | None = None,
    k: int = 10,
    x: Along = "time",
    log: bool = False,
) -> Axes:
    """The ``k`` largest norms of the components of a tensor, each named at its end.

    Parameters and errors as for :func:`plot_singular_values`, of ``component_norms``.
    """
    if k < 1:
        raise InputError(f"k must be 1 or more components; got {k!r}.")
    found = variable(trajectory, "component_norms", ("component",))
    return _draw_largest(found, trajectory, ax, k, x, log, ("Norm of a component", "c"))


def _draw_largest(found, trajectory, ax, k: int, x: Along, log: bool, words) -> Axes:
    name, symbol = words
    values = found.values[:, :k]
    ax = calm(new_axes(ax))
    times = along(trajectory, ax, x)
    lines = [
        draw(ax, times, values[:, i], color=color, label=f"${symbol}_{{{i + 1}}}$")
        for i, color in enumerate(ordered_colors(values.shape[1]))
    ]
    ax.set_ylabel(label(name, found))
    if log:
        ax.set_yscale("log", nonpositive="mask")
    _name_ends(ax, lines)
    return ax


def _name_ends(ax: Axes, lines: list[Line2D]) -> None:
    """Name the lines at their ends; those that end close together share one name."""
    ax.autoscale_view()
    to_axes = ax.transData - ax.transAxes
    crowds: list[list[Line2D]] = []
    highest = np.inf
    for line in lines:
        height = to_axes.transform(_end(line))[1]
        if not np.isfinite(height):  # a run that diverged, or 0 on a logarithmic axis
            continue
        if not crowds or highest - height > _APART:
            crowds.append([])
            highest = height
        crowds[-1].append(line)
    for crowd in crowds:
        _name(ax, crowd)


def _name(ax: Axes, crowd: list[Line2D]) -> None:
    names = [str(line.get_label()) for line in crowd]
    ax.annotate(
        ", ".join(names) if len(names) < 3 else f"{names[0]} … {names[-1]}",
        _end(crowd[0]),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        color=crowd[0].get_color(),
        annotation_clip=False,
    )


def _end(line: Line2D) -> tuple[float, float]:
    x, y = line.get_data()
    return float(np.asarray(x)[-1]), float(np.asarray(y)[-1])
