"""The effective rank of a run."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from factorflow.plots._style import COLORS, calm, draw, new_axes
from factorflow.plots._variables import Along, along, label, variable


def plot_effective_rank(trajectory: xr.Dataset, ax: Axes | None = None, x: Along = "time") -> Axes:
    """Effective rank of the end-to-end matrix (Roy and Vetterli 2007), which is 1 or more, on a
    logarithmic axis.

    Parameters
    ----------
    trajectory
        A :attr:`Solution.trajectory` with ``effective_rank``.
    ax
        Axes to draw in; by default those of a new figure.
    x
        ``"time"`` (logarithmic over more than two decades), ``"step"`` or ``"n_gradients"``.

    Raises
    ------
    InputError
        If the trajectory lacks the variable, or ``x`` is none of these.
    """
    found = variable(trajectory, "effective_rank")
    ax = calm(new_axes(ax))
    draw(ax, along(trajectory, ax, x), found.values, color=COLORS[0])
    ax.set_ylabel(label("Effective rank", found))
    # Near the start all singular values are alike and it is large; what matters is small.
    ax.set_yscale("log", nonpositive="mask")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylim(bottom=0.9)
    return ax
