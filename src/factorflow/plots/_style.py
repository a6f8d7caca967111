"""One calm style for every figure, set on the axes alone: the user's settings stay as they are."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

# Okabe and Ito 2008: told apart with every common colour blindness, and in this order in gray.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# A second sign beside the colour, for print in black and white.
DASHES = ("-", "--", "-.", ":")
GRID = "#d9d9d9"


def new_axes(ax: Axes | None, size: tuple[float, float] = (6.4, 4.0)) -> Axes:
    """The given axes, or those of a new figure of ``size`` inches."""
    if ax is not None:
        return ax
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


def ordered_colors(n: int) -> list[str]:
    """``n`` colours from dark to light for things that have an order."""
    # The light end of viridis is too pale for a line on white.
    return [to_hex(colour) for colour in colormaps["viridis"](np.linspace(0, 0.85, n))]
