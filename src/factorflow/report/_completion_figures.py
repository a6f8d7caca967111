"""The figures of a completion run."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factorflow.plots import (
    color_range,
    plot_component_norms,
    plot_effective_rank,
    plot_errors,
    plot_matrix,
    plot_singular_values,
)

_ERRORS = ("train_error", "held_out_error", "reconstruction_error")
_SIZE = (6.4, 3.6)  # inches
_PANEL = 3.6  # inches: the width of one image


def completion_figures(
    trajectory: xr.Dataset,
    before: np.ndarray | None = None,
    after: np.ndarray | None = None,
    truth: np.ndarray | None = None,
) -> list[tuple[str, Figure]]:
    """Captions and figures of a completion run, for :func:`write_report` or ``figure.savefig``.

    The images come first, if any are given, then the singular values (of a tensor the norms
    of its components), the errors and the effective rank over time, each where the trajectory
    has it.

    Parameters
    ----------
    trajectory
        A :attr:`Solution.trajectory`.
    before
        What was observed, ``(m, n)`` or a photograph in colour ``(h, w, 3)``, NaN elsewhere.
    after
        The completed matrix or photograph.
    truth
        The matrix or photograph as it is, where it is known.

    Returns
    -------
    list
        Pairs of a caption and a figure. They do not belong to pyplot, so none needs closing.

    Raises
    ------
    InputError
        If an image is neither a matrix nor a photograph.
    """
    given = {"Observed": before, "Completed": after, "Truth": truth}
    panels = {name: np.asarray(image) for name, image in given.items() if image is not None}
    courses = [
        _course(trajectory, plot, caption)
        for plot, needs, caption in _COURSES
        if any(name in trajectory for name in needs)
    ]
    return [_images(panels), *courses] if panels else courses


_COURSES: tuple[tuple[Callable[..., Axes], tuple[str, ...], str], ...] = (
    (
        plot_singular_values,
        ("singular_values",),
        "Largest singular values of the completed matrix on the way. Those that leave zero "
        "make up its rank.",
    ),
    (
        plot_component_norms,
        ("component_norms",),
        "Norms of the largest components of the completed tensor on the way. Those that leave zero "
        "make it up.",
    ),
    (
        plot_errors,
        _ERRORS,
        "Errors on the way. Each is of another kind, so compare the course of the lines and not "
        "their height.",
    ),
    (
        plot_effective_rank,
        ("effective_rank",),
        "Effective rank of the matrix on the way: how many directions carry it. Near the start "
        "no direction leads yet, so it is large there.",
    ),
)


def _course(trajectory: xr.Dataset, plot: Callable[..., Axes], caption: str) -> tuple[str, Figure]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    plot(trajectory, figure.subplots())
    return caption, figure


def _images(panels: dict[str, np.ndarray]) -> tuple[str, Figure]:
    """The images side by side on one scale, that of the first: what was observed, if given."""
    first = next(iter(panels.values()))
    scale = color_range(first)
    height = _PANEL * float(np.clip(first.shape[0] / first.shape[1], 0.4, 1.6)) + 0.6
    figure = Figure(figsize=(_PANEL * len(panels) + 0.6, height), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, (name, image) in zip(axes, panels.items(), strict=True):
        plot_matrix(image, ax, title=name, value_range=scale)
        ax.label_outer()
    if first.ndim == 2:
        bar = figure.colorbar(axes[-1].images[0], ax=list(axes), label="Value", shrink=0.8)
        bar.outline.set_visible(False)
    caption = ", ".join(panels).capitalize() + "."
    if "Observed" in panels:
        caption += " Cells that were not observed have a colour of their own."
    if first.ndim == 2:
        caption += f" The colours span {scale[0]:.4g} to {scale[1]:.4g}."
    return caption, figure
