"""How two singular values move together: measured pairs on the curve of their closed form."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from factorflow._errors import InputError
from factorflow.plots._instances import MARKERS, name_of
from factorflow.plots._style import COLORS, calm, draw, legend, new_axes
from factorflow.theory import SingleObservationRelation

_N_POINTS = 256


def plot_relation(
    curves: Mapping[SingleObservationRelation, tuple[ArrayLike, ArrayLike]], ax: Axes | None = None
) -> Axes:
    """One singular value as a function of another, one curve for each relation, named by depth.

    Points are measured, lines the closed form. A dotted line to the right edge marks a finite cap,
    which the value approaches however large the other becomes.

    Parameters
    ----------
    curves
        For each :class:`SingleObservationRelation` the measured values of ``sigma_s`` and of
        ``sigma_r``, positive, ``(n,)`` each.
    ax
        Axes to draw in; by default those of a new figure.

    Raises
    ------
    InputError
        If there is no curve, or a pair is not of two arrays of one length.

    Notes
    -----
    The form of the figure on a single observation in Arora, Cohen, Hu and Luo 2019
    (arXiv:1905.13655).
    """
    pairs = {relation: _checked(relation, pair) for relation, pair in curves.items()}
    if not pairs:
        raise InputError("plot_relation needs at least one relation with its measured values.")
    ax = calm(new_axes(ax))
    largest = max(other.max() for other, _ in pairs.values())
    entries = []
    for i, (relation, (other, value)) in enumerate(pairs.items()):
        color = COLORS[i % len(COLORS)]
        x = np.linspace(other.min(), other.max(), _N_POINTS)
        draw(ax, x, relation(x), color=color, linewidth=1.4)
        style = {"color": color, "marker": MARKERS[i % len(MARKERS)], "markersize": 4}
        draw(ax, other, value, **style, linestyle="none")
        name = name_of("depth", relation.depth)
        entries.append(Line2D([], [], **style, linewidth=1.4, label=name))
        if np.isfinite(relation.cap):
            ends = [other.max(), 1.12 * largest]
            ax.plot(ends, [relation.cap] * 2, color=color, linestyle=":", linewidth=1.2)
    ax.set_xlabel(r"The other singular value $\sigma_s$")
    ax.set_ylabel(r"Singular value $\sigma_r$")
    ax.set_xlim(right=1.5 * largest)  # room for the legend beside the caps
    legend(ax, handles=entries, loc="upper right")
    return ax


def _checked(relation: object, pair: tuple[ArrayLike, ArrayLike]) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(relation, SingleObservationRelation):
        raise InputError(
            "plot_relation draws pairs of values by their SingleObservationRelation; "
            f"got {type(relation).__name__}."
        )
    other, value = (np.asarray(each, dtype=np.float64) for each in pair)
    if other.ndim != 1 or other.shape != value.shape or not other.size:
        raise InputError(
            "Measured values of the two singular values must be two 1-d arrays of one length; "
            f"got shapes {other.shape} and {value.shape}."
        )
    return other, value
