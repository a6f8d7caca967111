"""One calm style for every figure, set on the axes alone: the user's settings stay as they are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from factorflow._errors import InputError

# Okabe and Ito 2008: told apart with every common colour blindness, and in this order in gray.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# A second sign beside the colour, for print in black and white.
DASHES = ("-", "--", "-.", ":")
# For many lines whose colours have an order and are alike side by side.
# Short enough to be told apart in a legend.
MANY_DASHES = (*DASHES, (0, (4, 4)), (0, (3, 1, 1, 1, 1, 1)), (0, (2, 1)), (0, (1, 4)))
GRID = "#d9d9d9"


def new_axes(ax: Axes | None, size: tuple[float, float] = (6.4, 4.0)) -> Axes:
    """The given axes, or those of a new figure of ``size`` inches.

    Raises
    ------
    InputError
        If what is given is no axes; a whole figure is the usual mistake.
    """
    if isinstance(ax, Axes):
        return ax
    if ax is not None:
        raise InputError(
            f"ax must be the matplotlib Axes to draw in, e.g. figure.subplots(), or None for a new "
            f"figure; got {type(ax).__name__}."
        )
    # Imported on use: a figure of the caller's own needs no pyplot and none of its state.
    from matplotlib import pyplot

    return pyplot.subplots(figsize=size, layout="constrained")[1]


def calm(ax: Axes) -> Axes:
    """Axes without a box, with a pale grid behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    ax.grid(True, color=GRID, linewidth=0.6)
    return ax


def draw(ax: Axes, x: np.ndarray, y: np.ndarray, **style: Any) -> Line2D:
    """A line; a single record, which makes no line, becomes a dot."""
    marker = "o" if len(x) == 1 else None
    style = {"linewidth": 1.6, "marker": marker, "markersize": 4, **style}
    return ax.plot(x, y, **style)[0]


def legend(ax: Axes, **chosen: Any) -> None:
    ax.legend(frameon=False, fontsize="small", **chosen)


def legend_over(ax: Axes, handles: Sequence[Artist], columns: int) -> None:
    """A framed legend at the top of the axes, whose range goes on so far that no data are there.

    It is for pictures in which no corner is free of lines for every set of data. Above the axes it
    would lie on a title.
    """
    made = ax.legend(
        handles=handles, loc="upper center", ncols=columns, fontsize="small", framealpha=1
    )
    height = made.get_window_extent().height / ax.get_window_extent().height
    share = min(1.15 * height + 0.02, 0.5)
    scale = ax.yaxis.get_transform()
    low, high = scale.transform(ax.get_ylim())
    top = scale.inverted().transform([low + (high - low) / (1 - share)])[0]
    # Without auto=None more data drawn later would not be taken into the range.
    ax.set_ylim(top=float(top), auto=None)


def ordered_colors(n: int) -> list[str]:
    """``n`` colours from dark to light for things that have an order."""
    # The light end of viridis is too pale for a line on white.
    return [to_hex(colour) for colour in colormaps["viridis"](np.linspace(0, 0.85, n))]
