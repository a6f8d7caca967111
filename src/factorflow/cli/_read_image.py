"""Images as arrays in [0, 1]."""

import struct
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from factorflow._errors import InputError
from factorflow._random import stream
from factorflow.cli._input import Image

if TYPE_CHECKING:
    import PIL.Image


def read_image(source: Path) -> tuple[np.ndarray, Image, tuple[str, ...]]:
    """The image (h, w) or (h, w, 3) scaled to [0, 1], its layout, and notes on what was dropped.

    Gray stays gray (8 or 16 bits), every other mode becomes RGB, an orientation that a camera
    noted is carried out, and transparency is dropped with a note.

    Raises
    ------
    InputError
        If the file is no PNG or JPEG image, or is cut short.
    """
    opened, _ = _open(source)
    notes = []
    if "A" in opened.getbands() or "transparency" in opened.info:
        notes.append(f"{source}: the transparency was dropped.")
    if opened.mode not in ("1", "L", "LA", "RGB", "RGBA", "P", "PA") and not _is_deep(opened):
        notes.append(f"{source}: the mode {opened.mode} was converted to RGB.")
    pixels = _pixels(opened)
    levels = 65535 if pixels.dtype == np.uint16 else 255
    height, width = pixels.shape[:2]
    layout = Image(height, width, 1 if pixels.ndim == 2 else 3, levels)
    return pixels / levels, layout, tuple(notes)


def _open(source: Path) -> tuple["PIL.Image.Image", str | None]:
    """The image, decoded whole and turned upright, and the format of the file."""
    import PIL.Image
    import PIL.ImageOps

    unreadable = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
    unreadable += (TypeError, KeyError, IndexError, OverflowError, MemoryError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PIL.Image.open(source, formats=("PNG", "JPEG")) as image:
                image.load()
                return PIL.ImageOps.exif_transpose(image), image.format
    except PIL.UnidentifiedImageError as error:
        raise InputError(f"{source} is no PNG or JPEG image; save it as one of the two.") from error
    except PIL.Image.DecompressionBombError as error:
        raise InputError(f"{source} is too large: {error}; scale it down.") from error
    except unreadable as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InputError(
            f"{source} could not be read as an image: {reason}. The file may be cut short."
        ) from error


def _is_deep(image: "PIL.Image.Image") -> bool:
    return image.mode.startswith("I")


def _pixels(image: "PIL.Image.Image") -> np.ndarray:
    if _is_deep(image):
        return np.asarray(image).astype(np.uint16)
    return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))


def hidden_pixels(size: tuple[int, int], share: float, seed: int) -> np.ndarray:
    """Boolean (h, w), True for ``round(share h w)`` pixels drawn without replacement.

    Raises
    ------
    InputError
        If ``share`` does not lie between 0 and 1, or hides no pixel or every pixel.
    """
    if not 0 < share < 1:
        raise InputError(f"--hide is a share between 0 and 1, such as 0.7; got {share}")
    count = size[0] * size[1]
    n_hidden = round(share * count)
    if n_hidden in (0, count):
        raise InputError(
            f"--hide {share} hides {n_hidden} of the {count} pixels; some must be hidden and some "
            "be left"
        )
    hidden = np.zeros(count, dtype=bool)
    hidden[stream(seed, "image", "hide").choice(count, n_hidden, replace=False)] = True
    return hidden.reshape(size)


def read_mask_image(source: Path) -> np.ndarray:
    """Boolean (h, w), True where an image is not black.

    A JPEG has no exact zeros; there, True is brighter than half.

    Raises
    ------
    InputError
        As :func:`read_image`.
    """
    opened, file_format = _open(source)
    pixels = _pixels(opened)
    brightest = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    return brightest > (127 if file_format == "JPEG" else 0)
