"""Photographs: real matrices that are nearly, but not exactly, of low rank."""

from typing import Any, Literal

import numpy as np

from factorflow._errors import InputError

NAMES = ("china", "flower")

# ITU-R BT.601 luma: the weights of red, green and blue that are customary for gray photographs.
LUMA = np.array([0.299, 0.587, 0.114])


def photograph(
    name: Literal["china", "flower"] = "china",
    *,
    gray: bool = True,
    max_side: int | None = None,
) -> np.ndarray:
    """One of the two sample photographs that scikit-learn ships; nothing is downloaded.

    Parameters
    ----------
    name
        ``"china"`` (the Summer Palace in Beijing) or ``"flower"``, both 427 x 640 pixels.
    gray
        True gives the luminance ``0.299 R + 0.587 G + 0.114 B`` (ITU-R BT.601); False keeps
        the three colours.
    max_side
        Largest number of pixels of the longer side. A larger photograph is scaled down, with
        its proportions kept, by Pillow's Lanczos filter (a windowed sinc over every source
        pixel under the new one, so that fine texture does not alias), rounded to 8 bits per
        colour before it turns gray. A smaller photograph is left as it is.

    Returns
    -------
    numpy.ndarray
        Brightness in [0, 1], float64 of shape (height, width), or (height, width, 3) in colour.

    Raises
    ------
    InputError
        If there is no such photograph or ``max_side`` is no positive integer.
    """
    if name not in NAMES:
        raise InputError(f"name must be one of {', '.join(map(repr, NAMES))}; got {name!r}.")
    # Imported on use: scikit-learn takes most of a second, and most users need no photograph.
    from sklearn.datasets import load_sample_image

    pixels = load_sample_image(f"{name}.jpg")
    if max_side is not None:
        pixels = _scaled_down(pixels, _checked_side(max_side))
    colours = np.asarray(pixels, dtype=np.float64) / 255.0
    return colours @ LUMA if gray else colours


def _checked_side(max_side: Any) -> int:
    integer = isinstance(max_side, int | np.integer) and not isinstance(max_side, bool)
    if not integer or max_side < 1:
        raise InputError(
            f"max_side must be a positive number of pixels, or None for all; got {max_side!r}."
        )
    return int(max_side)


def _scaled_down(pixels: np.ndarray, max_side: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    factor = max_side / max(height, width)
    if factor >= 1:
        return pixels
    from PIL import Image

    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
