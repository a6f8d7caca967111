"""Eigenvalues of a run one by one, beside their closed forms and the saddles it stays at."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from factorflow._errors import InputError
from factorflow.plots._instances import MARKERS
from factorflow.plots._style import COLORS, calm, draw, new_axes
from factorflow.theory import SaddleVisit

_SHADE, _GRAY = "#e8e8e8", "#4d4d4d"
_N_POINTS = 48  # more would hide the line of the closed form


def plot_modes(
    times: ArrayLike,
    values: ArrayLike,
    ax: Axes | None = None,
    *,
    curves: tuple[ArrayLike, ArrayLike] | None = None,
    visits: Sequence[SaddleVisit] = (),
) -> Axes:
    """Measured sizes over time as points, the closed form as lines; stays at saddles are shaded.

    Time is logarithmic. Of many records only some are drawn as points.

    Parameters
    ----------
    times
        Of the records, ``(n,)``; records at zero are left out.
    values
        A column for each mode, ``(n, k)``.
    ax
        Axes to draw in; by default those of a new figure.
    curves
        Times ``(p,)`` and the sizes expected then, ``(p, j)`` with ``j <= k``: column `i` is
        drawn in the colour of mode `i`.
    visits
        Stays, e.g. of :func:`factorflow.theory.saddle_visits`, in the same time; each is named by
        its rank.

    Raises
    ------
    InputError
        If the shapes do not fit, or no time is positive.
    """
    t, sizes = _checked(times, values, "values")
    ax = calm(new_axes(ax))
    ax.set_xscale("log")
    for visit in visits:
        _shade(ax, visit, float(t[0]))
    for i, column in enumerate(sizes.T):
        shown = _spread_out(t, column)
        style = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)]}
        draw(ax, t[shown], column[shown], **style, linestyle="none", markersize=3.5)
    if curves is not None:
        x, expected = _checked(*curves, "curves")
        if expected.shape[1] > sizes.shape[1]:
            raise InputError(
                f"curves has {expected.shape[1]} modes, more than the {sizes.shape[1]} of values."
            )
        for i, column in enumerate(expected.T):
            draw(ax, x, column, color=COLORS[i % len(COLORS)], linewidth=1.2)
    ax.margins(y=0.12)  # room for the names of the stays
    ax.set_xlabel("Gradient-flow time")
    ax.set_ylabel("Eigenvalue")
    return ax


def _shade(ax: Axes, visit: SaddleVisit, first: float) -> None:
    entered, left = max(visit.entered, first), max(visit.left, first)
    ax.axvspan(entered, left, color=_SHADE, linewidth=0, zorder=0)
    style: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": "small", "color": _GRAY}
    place = float(np.sqrt(entered * left)), 0.99
    ax.annotate(str(visit.which), place, xycoords=("data", "axes fraction"), **style)


def _spread_out(times: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Records at about equal distances along the curve, so that a steep rise has its points."""
    across, up = np.log(times), sizes
    steps = [np.diff(each) / max(np.ptp(each), np.finfo(float).tiny) for each in (across, up)]
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*steps))])
    return np.unique(np.searchsorted(length, np.linspace(0, length[-1], _N_POINTS)))


def _checked(times: ArrayLike, values: ArrayLike, name: str) -> tuple[np.ndarray, np.ndarray]:
    t, table = np.asarray(times, np.float64), np.asarray(values, np.float64)
    if t.ndim != 1 or table.ndim != 2 or len(t) != len(table):
        raise InputError(
            f"{name} must have a row for each time and a column for each mode; got shapes "
            f"{t.shape} and {table.shape}."
        )
    if not np.any(t > 0):
        raise InputError("plot_modes draws positive times on a logarithmic axis; there is none.")
    return t[t > 0], table[t > 0]
