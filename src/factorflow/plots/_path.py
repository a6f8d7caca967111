"""The path of weights of a penalized completion."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from factorflow._errors import InputError
from factorflow.convex import SoftImputePath
from factorflow.plots._style import COLORS, DASHES, calm, draw, legend, new_axes


def plot_path(path: SoftImputePath, ax: Axes | None = None) -> Axes:
    """Train error, held-out error and rank over the weights of the penalty.

    The weights descend from left to right on a logarithmic axis, as the path was walked; the rank
    has an axis of its own on the right. A dotted line stands at the weight that was chosen, where
    there were held-out entries to choose it by.

    Parameters
    ----------
    path
        What :func:`soft_impute` gave, or :attr:`SoftImpute.path_`. Both errors are drawn as root
        mean squares.
    ax
        Axes to draw in; by default those of a new figure.

    Raises
    ------
    InputError
        If it is no path.
    """
    if not isinstance(path, SoftImputePath):
        raise InputError(
            f"plot_path draws what soft_impute gives, a SoftImputePath; got {type(path).__name__}."
        )
    ax = calm(new_axes(ax))
    train_errors = np.sqrt(path.train_errors)
    lines = [draw(ax, path.weights, train_errors, color=COLORS[0], label="train")]
    if path.held_out_errors is not None:
        dashed = {"color": COLORS[1], "linestyle": DASHES[1], "label": "held out"}
        lines.append(draw(ax, path.weights, path.held_out_errors, **dashed))
        ax.axvline(path.weight, color="black", linestyle=":", linewidth=0.8)
    lines.append(_draw_ranks(path, ax))
    ax.set_xscale("log")
    ax.xaxis.set_inverted(True)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("Weight of the penalty")
    ax.set_ylabel("Root-mean-square error")
    # Above: with two scales no corner is free of lines for every path.
    legend(ax, handles=lines, loc="lower right", bbox_to_anchor=(1, 1), ncols=3)
    return ax


def _draw_ranks(path: SoftImputePath, ax: Axes):
    right = ax.twinx()
    right.spines[["top", "left"]].set_visible(False)
    right.yaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_ylabel("Rank")
    style = {"color": "gray", "linestyle": DASHES[2], "linewidth": 1.0, "label": "rank"}
    return draw(right, path.weights, path.ranks, **style)
