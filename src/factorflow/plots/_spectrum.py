"""Spectra beside each other."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from factorflow._errors import InputError
from factorflow.plots._style import COLORS, DASHES, calm, draw, legend, new_axes

_MARKERS = "osD^vPX"
_NOISE = 1e-12  # of the largest value: below is the rounding of a decomposition


def plot_spectrum(
    values_by_name: Mapping[str, np.ndarray], ax: Axes | None = None, log: bool = True
) -> Axes:
    """Singular values of several matrices against their index, e.g. an answer and its truth.

    Parameters
    ----------
    values_by_name
        For each name in the legend the singular values, a 1-d array, drawn in descending order.
    ax
        Axes to draw in; by default those of a new figure.
    log
        Whether the values are drawn on a logarithmic axis, which then ends at 1e-12 of the
        largest: what is smaller is rounding.

    Raises
    ------
    InputError
        If there is no name with its spectrum, or one is no 1-d array of finite numbers of zero or
        more.
    """
    if not isinstance(values_by_name, Mapping):
        raise _no_spectra(values_by_name)
    spectra = {str(name): _checked(name, values) for name, values in values_by_name.items()}
    if not spectra:
        raise InputError("plot_spectrum needs at least one name with its singular values.")
    ax = calm(new_axes(ax))
    for i, (name, values) in enumerate(spectra.items()):
        style = {"color": COLORS[i % len(COLORS)], "linestyle": DASHES[i % len(DASHES)]}
        style["marker"] = _MARKERS[i % len(_MARKERS)]
        draw(ax, np.arange(1, values.size + 1), values, label=name, **style)
    largest = max(values[0] for values in spectra.values())
    if log and largest > 0:
        _logarithmic(ax, largest, min(values[-1] for values in spectra.values()))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlim(left=0.5)
    ax.set_xlabel("Index, from the largest")
    ax.set_ylabel("Singular value")
    legend(ax)
    return ax


def _logarithmic(ax: Axes, largest: float, least: float) -> None:
    ax.set_yscale("log", nonpositive="mask")
    if least < _NOISE * largest:
        ax.set_ylim(bottom=_NOISE * largest)


def _no_spectra(given: Any) -> InputError:
    """The error for what has singular values but is no mapping of them."""
    values = "numpy.linalg.svd(matrix, compute_uv=False)"
    if hasattr(given, "singular_values"):
        values = "solution.singular_values"
    return InputError(
        f"plot_spectrum draws singular values by name, e.g. {{'answer': {values}}}; "
        f"got {type(given).__name__}."
    )


def _checked(name: str, values: np.ndarray) -> np.ndarray:
    spectrum = np.asarray(values, dtype=np.float64)
    if spectrum.ndim != 1 or not spectrum.size or not np.all((spectrum >= 0) & (spectrum < np.inf)):
        raise InputError(
            f"The spectrum {name!r} must be a 1-d array of finite numbers of zero or more; "
            f"got one of shape {spectrum.shape}."
        )
    return np.sort(spectrum)[::-1]
