"""A matrix, or a photograph, as an image."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from factorflow._errors import InputError
from factorflow.plots._style import new_axes

# Colours that no observed cell has: the signed scale is without gray, the gray one without hue.
UNOBSERVED = "#93a9cc"
UNOBSERVED_SIGNED = "#bdbdbd"
_MOST = 1500  # rows or columns drawn
_LONGEST = 4  # times the shorter side: beyond it square cells make a thread


def plot_matrix(
    matrix: np.ndarray,
    ax: Axes | None = None,
    observed: np.ndarray | None = None,
    title: str | None = None,
    value_range: tuple[float, float] | None = None,
    colorbar: bool = False,
) -> Axes:
    """A matrix as an image; cells that were not observed have a colour of their own.

    Parameters
    ----------
    matrix
        ``(m, n)``, drawn in gray from black (low) to white (high), or from blue over white (0) to
        red where it has both signs; or a photograph in colour, ``(h, w, 3)``. NaN is unobserved.
    ax
        Axes to draw in; by default those of a new figure.
    observed
        Boolean array ``(m, n)``, or of the shape of the photograph, True where observed. A pixel
        of a photograph counts as observed where all its colours are.
    title
        Text above the image.
    value_range
        Values at the two ends of the scale; beyond them the colour stays that of the end. By
        default :func:`color_range` of the matrix.
    colorbar
        Whether a scale stands beside the matrix; a photograph in colour has none.

    Raises
    ------
    InputError
        If the shapes do not fit, or the range is not ascending.

    Notes
    -----
    Of more than 1,500 rows or columns, which no page shows, every second, third, ... is drawn.
    """
    values, shown = _checked(matrix, observed)
    low, high = color_range(matrix, observed) if value_range is None else _ascending(value_range)
    m, n = np.shape(matrix)[:2]
    ax = new_axes(ax, (4.6, float(np.clip(4.6 * m / n, 2, 7))))
    style: dict[str, Any] = {
        "aspect": "auto" if max(m, n) > _LONGEST * min(m, n) else "equal",
        "extent": (-0.5, n - 0.5, m - 0.5, -0.5),
    }
    if values.ndim == 3:
        ax.imshow(_photograph(values, shown, low, high), **style)
    else:
        _draw(ax, np.ma.array(values, mask=~shown), low, high, colorbar, style)
    ax.set(xlabel="Column", ylabel="Row", title=title or "")
    return ax


def _draw(ax: Axes, values, low: float, high: float, colorbar: bool, style: dict) -> None:
    name, unobserved = ("RdBu_r", UNOBSERVED_SIGNED) if low < 0 < high else ("gray", UNOBSERVED)
    scale = colormaps[name].with_extremes(bad=unobserved)
    # Where several cells fall on a pixel their colours are mixed, the unobserved among them.
    image = ax.imshow(values, cmap=scale, vmin=low, vmax=high, interpolation_stage="rgba", **style)
    if colorbar:
        bar = ax.figure.colorbar(image, ax=ax, label="Value", shrink=0.85)
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]


def _photograph(values: np.ndarray, shown: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = np.clip((np.where(np.isfinite(values), values, 0) - low) / (high - low), 0, 1)
    return np.where(shown[..., None], scaled, to_rgb(UNOBSERVED))


def _checked(matrix: Any, observed: Any) -> tuple[np.ndarray, np.ndarray]:
    """The values, and True for the cells or pixels that are drawn; both thinned."""
    every = np.asarray(matrix)
    if not every.size or not (every.ndim == 2 or (every.ndim == 3 and every.shape[2] == 3)):
        raise InputError(
            "plot_matrix draws a matrix (m, n) or a photograph (h, w, 3); "
            f"got an array of shape {every.shape}."
        )
    values = _thinned(every).astype(np.float64)
    shown: np.ndarray = np.isfinite(values)
    if observed is not None:
        seen = np.asarray(observed)
        if seen.dtype != bool or seen.shape not in (every.shape, every.shape[:2]):
            raise InputError(
                f"observed must be a boolean array of the shape of the matrix {every.shape}; "
                f"got {seen.dtype} of shape {seen.shape}."
            )
        seen = _thinned(seen)
        shown = shown & (seen if seen.ndim == values.ndim else seen[..., None])
    return values, (shown if values.ndim == 2 else np.all(shown, axis=2))


def _thinned(array: np.ndarray) -> np.ndarray:
    rows, columns = (-(-length // _MOST) for length in array.shape[:2])
    return array[::rows, ::columns]


def _ascending(value_range: tuple[float, float]) -> tuple[float, float]:
    low, high = map(float, value_range)
    if not -np.inf < low < high < np.inf:
        raise InputError(f"value_range must be two ascending numbers; got {value_range!r}.")
    return low, high


def color_range(matrix: np.ndarray, observed: np.ndarray | None = None) -> tuple[float, float]:
    """The range of values over which :func:`plot_matrix` spreads its colours.

    It lets several matrices share one scale: ``plot_matrix(b, value_range=color_range(a))``.

    Parameters
    ----------
    matrix, observed
        As for :func:`plot_matrix`.

    Returns
    -------
    tuple
        Least and largest value of the cells drawn, ``(-a, a)`` where they have both signs; for a
        photograph in colour (0, 255) if it is of integers and (0, 1) otherwise.

    Raises
    ------
    InputError
        If the shapes do not fit.
    """
    values, shown = _checked(matrix, observed)
    if values.ndim == 3:
        return 0.0, 255.0 if np.issubdtype(np.asarray(matrix).dtype, np.integer) else 1.0
    drawn = values[shown]
    if not drawn.size:
        return 0.0, 1.0
    low, high = float(drawn.min()), float(drawn.max())
    if low < 0 < high:
        low, high = -max(-low, high), max(-low, high)
    return (low, high) if low < high else (low - 0.5, high + 0.5)
