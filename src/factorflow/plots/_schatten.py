"""Schatten quasi-norms along a perturbation that the measurements do not see."""

import xarray as xr
from matplotlib.axes import Axes

from factorflow.plots._instances import numeric, quantity_of
from factorflow.plots._style import MANY_DASHES, calm, draw, legend, new_axes, ordered_colors


def plot_schatten(powers: xr.DataArray, ax: Axes | None = None) -> Axes:
    """``sum_r sigma_r^p`` relative to that of the unperturbed matrix, one line for each ``p``.

    Where a line falls from its middle, the flow, which ends there, does not minimize that
    quasi-norm, not even among the points nearby.

    Parameters
    ----------
    powers
        Over ``p`` and ``epsilon``: the sums of powers of the perturbed matrices, with one
        ``epsilon`` of zero.
    ax
        Axes to draw in; by default those of a new figure.

    Raises
    ------
    InputError
        If it has other dimensions, or no numbers along them.
    """
    found = quantity_of(powers, None, ("p", "epsilon"))
    epsilons, exponents = numeric(found, "epsilon"), numeric(found, "p")
    relative = found / found.sel(epsilon=0, method="nearest")
    ax = calm(new_axes(ax))
    for i, color in enumerate(ordered_colors(exponents.size)):
        style = {"color": color, "linestyle": MANY_DASHES[i % len(MANY_DASHES)]}
        draw(ax, epsilons, relative.values[i], label=f"p = {exponents[i]:g}", **style)
    ax.plot([0], [1], "o", color="black", zorder=5, label="end of the flow")
    ax.set_xlabel(r"Perturbation $\epsilon$ of the entries (1, 2) and (2, 1)")
    ax.set_ylabel(r"$\sum_r \sigma_r^p$, relative to that at $\epsilon = 0$")
    legend(ax)
    return ax
