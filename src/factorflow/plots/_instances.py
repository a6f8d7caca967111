"""Quantities of many runs: checks of their dimensions, their words, and their spread."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from factorflow._errors import InputError
from factorflow.plots._style import COLORS, DASHES, draw
from factorflow.plots._variables import label

PUBLISHED: dict[str, Any] = {
    "linestyle": "none",
    "markerfacecolor": "white",
    "markeredgewidth": 1.4,
    "markersize": 7,
    "zorder": 5,
}
MARKERS = "osD^vPX"
_WORDS = {
    "mean_squared_error": "Mean squared error",
    "relative_error": "Relative error",
    "reconstruction_error": "Reconstruction error",
    "train_error": "Train error",
    "nuclear_norm": "Nuclear norm",
    "effective_rank": "Effective rank",
    "n_gradients": "Gradients evaluated",
    "recovered": "Share of instances recovered",
    "oversampling": "Measurements per degree of freedom",
    "scale": "Scale of initialization",
    "n_observed": "Number of observed entries",
    "n_measurements": "Number of measurements",
}
_Z = 1.96  # of a 95 per cent interval


def quantity_of(
    results: xr.Dataset | xr.DataArray, quantity: str | None, dims: Sequence[str]
) -> xr.DataArray:
    """The quantity of runs over exactly ``dims``, in this order.

    Raises
    ------
    InputError
        If it is not there, has other dimensions, no number at all, or values that are none.
    """
    found = _found(results, quantity)
    if set(found.dims) != set(dims):
        raise InputError(
            f"{found.name or 'The array'!r} has the dimensions {found.dims}, and this plot draws "
            f"{tuple(dims)}; choose one of each other first, e.g. results.isel(depth=0)."
        )
    if found.dtype.kind not in "biuf":
        raise InputError(f"{found.name!r} must hold numbers; got an array of {found.dtype}.")
    if not found.notnull().any():
        raise InputError(f"{found.name or 'The array'!r} holds no number, so nothing can be drawn.")
    return found.transpose(*dims)


def _found(results: xr.Dataset | xr.DataArray, quantity: str | None) -> xr.DataArray:
    if isinstance(results, xr.DataArray):
        return results
    if not isinstance(results, xr.Dataset):
        raise InputError(
            "A plot of many runs draws an xarray.Dataset or DataArray over named dimensions; "
            f"got {type(results).__name__}."
        )
    if quantity not in results:
        has = ", ".join(map(str, results.data_vars)) or "no variables"
        raise InputError(f"The results have no {quantity!r}; they have {has}.")
    return results[quantity]


def words_for(name: Any, *found: xr.DataArray) -> str:
    """A label for a quantity or a coordinate: its ``long_name`` or its name, with its units."""
    given = next((each.attrs["long_name"] for each in found if "long_name" in each.attrs), None)
    text = str(name or "Value")
    return label(given or _WORDS.get(text, text.replace("_", " ").capitalize()), *found)


def is_error(name: Any) -> bool:
    """Whether a quantity is one of those of which the order of magnitude is what matters."""
    return str(name).endswith(("error", "gap", "excess"))


def over_a_decade(values: np.ndarray) -> bool:
    """Whether positive values, and no others, span more than a factor of ten."""
    known = values[np.isfinite(values)]
    return bool(known.size and known.min() > 0 and known.max() > 10 * known.min())


def numeric(found: xr.DataArray, dim: str) -> np.ndarray:
    """Numbers of a coordinate, which must be there to be an axis."""
    if dim not in found.coords or found[dim].dtype.kind not in "iuf":
        raise InputError(f"The results need a coordinate {dim!r} of numbers to be drawn against.")
    return np.asarray(found[dim].values, dtype=np.float64)


def names_of(found: xr.DataArray, dim: str) -> list[str]:
    """A name for each place along a dimension; a depth is called so."""
    values = found[dim].values
    return [name_of(dim, value) for value in values]


def name_of(dim: str, value: Any) -> str:
    return f"{dim} {value:g}" if dim in ("depth", "scale") else str(value)


def quartiles(found: xr.DataArray, dim: str = "instance") -> tuple[np.ndarray, ...]:
    """Median, first and third quartile along a dimension; missing runs do not count."""
    values = np.moveaxis(found.values.astype(float), found.get_axis_num(dim), -1)
    return tuple(np.moveaxis(np.apply_along_axis(_quartiles_of_known, -1, values), -1, 0))


def _quartiles_of_known(values: np.ndarray) -> np.ndarray:
    known = values[np.isfinite(values)]
    return np.quantile(known, [0.5, 0.25, 0.75]) if known.size else np.full(3, np.nan)


def shares(found: xr.DataArray, dim: str = "instance") -> tuple[np.ndarray, ...]:
    """Share of True along a dimension with the ends of its interval (Wilson 1927, 95 %)."""
    values = found.astype(float)
    n = values.notnull().sum(dim).values.astype(float)
    share = values.mean(dim, skipna=True).values
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return share, np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


def draw_band(
    ax: Axes,
    x: np.ndarray,
    spread: Sequence[np.ndarray],
    which: int,
    band: bool = True,
    **style: Any,
) -> Line2D:
    """A line with its band, in colour, dash and marker of the ``which``-th of its kind.

    Places without a run are left out, so that the line goes on across them.
    """
    middle, low, high = spread
    known = np.isfinite(middle)
    order = np.argsort(x[known])
    x, middle, low, high = (each[known][order] for each in (x, middle, low, high))
    style = {
        "color": COLORS[which % len(COLORS)],
        "linestyle": DASHES[which % len(DASHES)],
        "marker": MARKERS[which % len(MARKERS)],
    } | style
    if band:
        ax.fill_between(x, low, high, color=style["color"], alpha=0.18, linewidth=0)
    return draw(ax, x, middle, **style)
