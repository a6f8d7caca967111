"""What depth does to the movement of a singular value."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from factorflow._errors import InputError
from factorflow.plots._style import MANY_DASHES, calm, draw, legend, new_axes, ordered_colors

_POINTS = 400


def plot_factor(
    depths: Sequence[float] = (1, 2, 3, 4), ax: Axes | None = None, *, largest: float = 1.2
) -> Axes:
    r"""The factor ``N sigma^(2 - 2/N)`` against the singular value ``sigma``, for each depth `N`.

    Under gradient flow on a balanced network of depth `N` a singular value moves by

        d sigma_r / dt = -N sigma_r^(2 - 2/N) <G, u_r v_r^T>,

    with `G` the gradient of the loss by the matrix: without depth the factor is 1; with it, small
    singular values are slowed down and large ones sped up.

    Parameters
    ----------
    depths
        Depths of 1 or more, drawn in the given order from dark to light.
    ax
        Axes to draw in; by default those of a new figure.
    largest
        Where the axis of singular values ends.

    Raises
    ------
    InputError
        If there is no depth, one is below 1, or ``largest`` is not positive.

    Notes
    -----
    Source: Arora, Cohen, Hu and Luo 2019 (arXiv:1905.13655), Theorem 3.
    """
    depths = [float(depth) for depth in depths]
    if not depths or not all(1 <= depth < np.inf for depth in depths):
        raise InputError(f"depths must be one or more numbers of at least 1; got {depths}.")
    if not 0 < largest < np.inf:
        raise InputError(f"largest must be a positive number; got {largest!r}.")
    ax = calm(new_axes(ax))
    values = np.linspace(0, largest, _POINTS)
    for i, (depth, color) in enumerate(zip(depths, ordered_colors(len(depths)), strict=True)):
        factor = depth * values ** (2 - 2 / depth)
        dashes = MANY_DASHES[i % len(MANY_DASHES)]
        draw(ax, values, factor, color=color, linestyle=dashes, label=f"depth {depth:g}")
    ax.set_xlim(0, largest)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("Singular value")
    ax.set_ylabel("Factor on its movement")
    legend(ax)
    return ax
