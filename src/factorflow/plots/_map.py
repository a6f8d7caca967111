"""A table of two dimensions as coloured cells."""

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike

from factorflow._errors import InputError
from factorflow.plots._instances import is_error, over_a_decade, quantity_of, words_for
from factorflow.plots._style import new_axes

_MISSING = "#e6e6e6"
_MOST = 400  # cells in which numbers are written


def plot_map(table: xr.DataArray, ax: Axes | None = None) -> Axes:
    """Cells coloured by their value, with the number in each and a scale beside them.

    The scale is logarithmic for positive values of an error that span more than a factor of ten.
    A cell without a value is gray.

    Parameters
    ----------
    table
        Over two dimensions: rows from the top, columns from the left.
    ax
        Axes to draw in; by default those of a new figure.

    Raises
    ------
    InputError
        If it has not two dimensions, or no number.
    """
    if not isinstance(table, xr.DataArray) or table.ndim != 2:
        over = f" over {table.dims}" if isinstance(table, xr.DataArray) else ""
        raise InputError(
            "plot_map draws a DataArray over two dimensions, e.g. results['error'].median("
            f"'instance'); got a {type(table).__name__}{over}."
        )
    found = quantity_of(table, None, [str(dim) for dim in table.dims])
    values = found.values.astype(float)
    rows, columns = values.shape
    size = (np.clip(1.8 + 0.85 * columns, 4, 12), np.clip(1.2 + 0.45 * rows, 2.4, 10))
    ax = new_axes(ax, (float(size[0]), float(size[1])))
    logarithmic = is_error(table.name) and over_a_decade(values)
    norm = LogNorm if logarithmic else Normalize
    known = values[np.isfinite(values)]
    scale = colormaps["cividis"].with_extremes(bad=_MISSING)
    image = ax.imshow(
        np.ma.masked_invalid(values), cmap=scale, norm=norm(known.min(), known.max()), aspect="auto"
    )
    bar = ax.figure.colorbar(image, ax=ax, label=words_for(table.name, found))
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    if values.size <= _MOST:
        _write(ax, image, values)
    _name_sides(ax, found)
    return ax


def _write(ax: Axes, image: AxesImage, values: np.ndarray) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            ax.text(
                column,
                row,
                short(value),
                ha="center",
                va="center",
                fontsize="small",
                color=_readable_on(image.cmap(image.norm(value))),
            )


def _readable_on(color: ArrayLike) -> str:
    """Black or white, whichever has the higher contrast (relative luminance of sRGB)."""
    channels = np.asarray(color)[:3]
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    # Equal contrast with both: (1 + 0.05) / (l + 0.05) = (l + 0.05) / 0.05.
    return "black" if linear @ [0.2126, 0.7152, 0.0722] > 0.179 else "white"


def short(value: float) -> str:
    """A number of two or three digits, the exponent without zeros before it."""
    text = f"{value:.2g}"
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if mark else text


def _name_sides(ax: Axes, found: xr.DataArray) -> None:
    rows, columns = found.dims
    for side, dim in ((ax.yaxis, rows), (ax.xaxis, columns)):
        values = found[dim].values
        texts = [short(v) if values.dtype.kind == "f" else str(v) for v in values]
        side.set_ticks(range(len(texts)), texts)
        side.set_label_text(words_for(dim, found[dim]))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
