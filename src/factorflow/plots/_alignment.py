"""How far the singular vectors diagonalize the gradient over a run."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from factorflow._errors import InputError
from factorflow.plots._style import COLORS, DASHES, calm, draw, legend, new_axes
from factorflow.plots._variables import along


def plot_alignment(alignment: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Mean sizes of the entries of ``U^T G V`` on its diagonal and off it, on a logarithmic axis.

    Parameters
    ----------
    alignment
        ``diagonal`` and ``off_diagonal`` over ``record`` with the coordinate ``time``, as
        :func:`factorflow.theory.alignment` gives them record by record.
    ax
        Axes to draw in; by default those of a new figure.

    Raises
    ------
    InputError
        If a variable or the time is missing.
    """
    needed = {"diagonal", "off_diagonal", "time"}
    if not isinstance(alignment, xr.Dataset) or not needed <= set(alignment.variables):
        raise InputError(
            "plot_alignment draws a Dataset with diagonal and off_diagonal over record, with the "
            f"coordinate time; got {_described(alignment)}."
        )
    ax = calm(new_axes(ax))
    times = along(alignment, ax, "time")
    for i, (name, words) in enumerate(_WORDS.items()):
        sizes = np.asarray(alignment[name].values, float)
        draw(ax, times, sizes, color=COLORS[i], linestyle=DASHES[i], label=words)
    ax.set_yscale("log", nonpositive="mask")
    ax.set_ylabel(r"Mean size of entries of $U^\top G\, V$")
    legend(ax)
    return ax


def _described(given) -> str:
    if not isinstance(given, xr.Dataset):
        return type(given).__name__
    return "one with " + (", ".join(map(str, given.variables)) or "no variables")


_WORDS = {"diagonal": "on the diagonal", "off_diagonal": "off the diagonal"}
