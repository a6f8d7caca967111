"""Handwritten digits in two classes, and their controls."""

from dataclasses import dataclass, field
from operator import index
from typing import Any, Literal

import numpy as np

from factorflow._errors import InputError
from factorflow._random import stream

Control = Literal["labels", "images"]

_SIDE = 8
_BRIGHTEST = 16
_GRIDS = (1, 2, 4, 8)
_CONTROLS = (None, "labels", "images")


@dataclass(frozen=True, eq=False)
class Digits:
    """Small images in two classes, cut into places.

    Attributes
    ----------
    pixels
        Brightness of the pixels at each place, from 0 to 1, ``(p, grid^2, (8 / grid)^2)``. Places
        are in Z-order: four that follow each other are a block of 2 x 2, sixteen one of 4 x 4, so
        that windows of neighbouring places are neighbours in the image.
    labels
        +1 or -1, ``(p,)``.
    grid
        Number of places along a side.
    """

    pixels: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    grid: int

    @property
    def images(self) -> np.ndarray:
        """The pixels where they are in the image, ``(p, 8, 8)``."""
        block = _SIDE // self.grid
        rows = self.pixels[:, np.argsort(_z_order(self.grid))]
        blocks = rows.reshape(-1, self.grid, self.grid, block, block)
        return blocks.transpose(0, 1, 3, 2, 4).reshape(-1, _SIDE, _SIDE)


def digits(
    positive: int,
    negative: int | None = None,
    *,
    grid: int = 4,
    control: Control | None = None,
    seed: int = 0,
) -> Digits:
    """Two classes of the 8 x 8 handwritten digits that scikit-learn ships; no download.

    Parameters
    ----------
    positive, negative
        The digits labelled +1 and -1; without the second one all others are -1.
    grid
        Number of places along a side: 1, 2, 4 or 8.
    control
        ``"labels"`` for the same labels handed out to the images at random; ``"images"`` for
        images put together at random, each pixel keeping its brightnesses but handing them out
        to the images by itself; None for what was written.
    seed
        Of the controls.

    Raises
    ------
    InputError
        If a class is no digit or both are the same, the grid or the control is none of these, or
        the seed is unusable.

    Notes
    -----
    Source of the images: the test part of the "Optical Recognition of Handwritten Digits" of the
    UCI repository, 1,797 images, about 180 of each digit, brightness 0 to 16.
    """
    classes = _checked_classes(positive, negative)
    if isinstance(grid, bool) or grid not in _GRIDS:
        raise InputError(f"grid must be one of {', '.join(map(str, _GRIDS))}; got {grid!r}.")
    if control not in _CONTROLS:
        raise InputError(f'control must be "labels", "images" or None; got {control!r}.')
    # Imported on use: scikit-learn takes most of a second.
    from sklearn.datasets import load_digits

    images, written = load_digits(return_X_y=True)
    chosen = np.isin(written, classes) if len(classes) == 2 else np.ones(len(written), bool)
    pixels = _places(images[chosen].reshape(-1, _SIDE, _SIDE) / _BRIGHTEST, grid)
    labels = np.where(written[chosen] == classes[0], 1.0, -1.0)
    draws = stream(seed, "digits", control or "none")
    if control == "labels":
        labels = draws.permutation(labels)
    if control == "images":
        pixels = draws.permuted(pixels, axis=0)
    return Digits(pixels, labels, grid)


def _places(images: np.ndarray, grid: int) -> np.ndarray:
    """The pixels of each place, places in Z-order: ``(p, 8, 8)`` to ``(p, grid^2, block^2)``."""
    block = _SIDE // grid
    blocks = images.reshape(-1, grid, block, grid, block).transpose(0, 1, 3, 2, 4)
    return blocks.reshape(len(images), grid**2, block**2)[:, _z_order(grid)]


def _z_order(grid: int) -> np.ndarray:
    """Numbers of the cells of a grid, row by row, in the order of interleaved binary digits."""
    cells = np.zeros((1, 1), int)
    while len(cells) < grid:
        n = cells.size
        cells = np.block([[cells, cells + n], [cells + 2 * n, cells + 3 * n]])
    return np.argsort(cells.ravel())


def _checked_classes(positive: Any, negative: Any) -> tuple[int, ...]:
    given = (positive,) if negative is None else (positive, negative)
    try:
        classes = tuple(-1 if isinstance(each, bool) else index(each) for each in given)
    except TypeError:
        classes = ()
    if not classes or not all(0 <= each <= 9 for each in classes) or len(set(classes)) < len(given):
        raise InputError(
            "positive and negative must be two different digits from 0 to 9, or negative None for "
            f"all others; got {positive!r} and {negative!r}."
        )
    return classes
