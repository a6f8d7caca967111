"""What the command line read: the problem, and the form in which its answer is written."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from factorflow._errors import InputError

if TYPE_CHECKING:
    from factorflow.problems import Completion

TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
TABLE_ENDINGS = (*TEXT_ENDINGS, ".parquet")
ARRAY_ENDINGS = (".npy", ".npz")
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg")
ENDINGS = (*TABLE_ENDINGS, *ARRAY_ENDINGS, *IMAGE_ENDINGS)


@dataclass(frozen=True)
class LongTable:
    """One line per measured cell; the fields are the names of the three columns."""

    row: str
    column: str
    value: str
    kind: ClassVar[str] = "long table"


@dataclass(frozen=True)
class WideTable:
    """One line per row of the matrix.

    ``label`` is the header of the column of row labels (it may be empty), None without one.
    """

    label: str | None
    kind: ClassVar[str] = "wide table"


@dataclass(frozen=True)
class PlainArray:
    """A NumPy file; ``dtype`` is the floating type in which the answer is written."""

    dtype: np.dtype
    kind: ClassVar[str] = "array"


@dataclass(frozen=True)
class Image:
    """A gray (``channels`` 1) or RGB (3) image of ``height`` times ``width`` pixels.

    ``levels`` is the stored value of white (255 or 65535), which is 1 in the matrix.
    """

    height: int
    width: int
    channels: int
    levels: int
    kind: ClassVar[str] = "image"


Layout = LongTable | WideTable | PlainArray | Image


@dataclass(frozen=True)
class Input:
    """One input of the command line.

    Parameters
    ----------
    source
        The file that was read.
    problem
        The measured cells as a :class:`factorflow.Completion`. Tables keep their labels; an image
        of h times w pixels is its (h, w) matrix, or (h, 3 w) ``[R | G | B]``, scaled to [0, 1].
    layout
        What the output needs beside the matrix to have the form of the input.
    truth
        The whole matrix, where the input holds it: an image, of which some pixels are hidden.
    notes
        Sentences on what was changed while reading, to be shown to the user.
    """

    source: Path
    problem: "Completion"
    layout: Layout
    truth: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """``"long table"``, ``"wide table"``, ``"array"`` or ``"image"``."""
        return self.layout.kind


def ending_of(path: str | os.PathLike) -> str:
    """The known ending of a file name, in lower case.

    Raises
    ------
    InputError
        If the ending is none of ``ENDINGS``.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    for ending in ("".join(suffixes[-2:]), "".join(suffixes[-1:])):
        if ending in ENDINGS:
            return ending
    shown = f"the ending {suffixes[-1]}" if suffixes else "no ending"
    raise InputError(
        f"{path} has {shown}, so its format is not known; known endings: {', '.join(ENDINGS)}."
    )
