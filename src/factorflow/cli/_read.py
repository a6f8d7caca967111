"""Reading the input of the command line: the way from a file name to a problem."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from factorflow._errors import InputError
from factorflow.cli._input import ARRAY_ENDINGS, IMAGE_ENDINGS, Input, ending_of


def read_input(
    path: str | os.PathLike,
    *,
    row: str | None = None,
    column: str | None = None,
    value: str | None = None,
    observed: str | os.PathLike | None = None,
    hide: float | None = None,
    seed: int = 0,
    duplicates: str = "refuse",
    tensors: bool = False,
) -> Input:
    """Read a table, an array or an image as a completion problem; the ending decides.

    Tables (``.csv .tsv .txt``, each also with ``.gz``, and ``.parquet``) have a header line.
    With ``row``, ``column`` and ``value`` the table is *long*, one line per measured cell; without
    them it is *wide*, one line per row of the matrix, an empty cell is missing, and the first
    column holds row labels when its header is empty, ``index`` or an id (``id``, ``user_id``,
    ``userId``), or when one of its cells is not a number. Empty cells, ``NA``, ``NaN`` and
    ``null`` are missing values; labels are taken as they are written. A line of a long table with a
    missing value measures nothing, but its labels make a row and a column.

    Arrays are ``.npy`` (NaN is missing) or ``.npz``: one array, the keys ``values`` and
    ``observed``, or a matrix of ``scipy.sparse.save_npz``, where a stored zero is an observed zero.

    Images (``.png .jpg .jpeg``) are scaled to [0, 1] and unfolded by
    :func:`~factorflow.cli._unfolding.to_matrix`, or with ``tensors`` kept as they are.

    Parameters
    ----------
    row, column, value
        Names of the columns of a long table: all three or none.
    observed
        For an image or an array: an image or a ``.npy`` file of the same size, non-zero where the
        input counts as measured (in a JPEG, which has no exact zeros: brighter than half).
    hide
        For an image: the share of its pixels to hide, between 0 and 1. The pixels are drawn
        uniformly without replacement from the stream ``(seed, "image", "hide")``, and a hidden
        pixel is hidden in all its colours.
    seed
        Seed of ``hide``.
    duplicates
        ``"refuse"`` or ``"mean"``: what to do with two lines for one cell in a long table.
    tensors
        Whether arrays may have more than two axes, and colour images are such.

    Raises
    ------
    InputError
        If the file is missing, unreadable or of no known format, or if its content or the options
        do not make a problem. The message names the file, the place in it and the mend.
    """
    source = _existing(path)
    ending = ending_of(source)
    long = _long_names(row, column, value)
    is_image = ending in IMAGE_ENDINGS
    is_table = not is_image and ending not in ARRAY_ENDINGS
    if long and not is_table:
        raise InputError(f"{path} is no table: leave out --row, --column and --value.")
    if observed is not None and is_table:
        raise InputError(
            f"{path} is a table: leave out --observed, empty cells are its missing ones."
        )
    if hide is not None and not is_image:
        raise InputError(f"{path} is no image: leave out --hide, which hides pixels.")
    mask = None if observed is None else _mask(_existing(observed), tensors and not is_image)
    with _naming(source):
        if is_image:
            return _image(source, mask, hide, seed, tensors)
        if is_table:
            return _table(source, ending, long, duplicates)
        return _array(source, ending, mask, tensors)


def _existing(path: str | os.PathLike) -> Path:
    source = Path(path)
    if source.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file in it.")
    if not source.exists():
        raise InputError(f"The file {path} does not exist; check its name and folder.")
    return source


def _long_names(row, column, value) -> tuple[str, str, str] | None:
    names = {"--row": row, "--column": column, "--value": value}
    missing = [option for option, name in names.items() if name is None]
    if len(missing) == 3:
        return None
    if missing:
        raise InputError(
            "A long table needs --row, --column and --value together; "
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing."
        )
    if len({row, column, value}) < 3:
        raise InputError(
            f"--row, --column and --value must name three different columns; "
            f"got {row}, {column} and {value}."
        )
    return row, column, value


@contextmanager
def _naming(source: Path) -> Iterator[None]:
    """Put the file's name before a message on its content."""
    try:
        yield
    except InputError as error:
        message = str(error)
        if str(source) in message:
            raise
        raise InputError(f"{source}: {message.rstrip('.')}.") from error


def _table(source: Path, ending: str, long: tuple[str, str, str] | None, duplicates: str) -> Input:
    from factorflow.cli._read_frame import read_frame
    from factorflow.cli._read_table import long_problem, wide_problem

    frame = read_frame(source, ending, long)
    if long is None:
        problem, layout = wide_problem(frame)
    else:
        problem, layout = long_problem(frame, long, duplicates)
    return Input(source, problem, layout)


def _array(source: Path, ending: str, mask: np.ndarray | None, tensors: bool) -> Input:
    from factorflow.cli._read_array import array_problem

    problem, layout = array_problem(source, ending, mask, tensors)
    return Input(source, problem, layout)


def _image(
    source: Path, mask: np.ndarray | None, hide: float | None, seed: int, tensors: bool
) -> Input:
    from factorflow.cli._read_image import hidden_pixels, read_image
    from factorflow.cli._unfolding import to_matrix
    from factorflow.problems import Completion

    image, layout, notes = read_image(source)
    if mask is not None and hide is None:
        seen = mask
    elif mask is None and hide is not None:
        seen = ~hidden_pixels(image.shape[:2], hide, seed)
    else:
        raise InputError(
            "an image needs either --hide, the share of its pixels to hide, or --observed, an "
            "image that is not black where a pixel is measured; give one of the two"
        )
    if seen.shape != image.shape[:2]:
        raise InputError(
            "it has {} x {} pixels (height x width), but --observed has {} x {}; "
            "both must have the same size".format(*image.shape[:2], *seen.shape)
        )
    whole = np.broadcast_to(seen[..., None] if image.ndim == 3 else seen, image.shape)
    values, seen = (image, whole) if tensors else (to_matrix(image), to_matrix(whole))
    problem = Completion.from_array(values, observed=seen)
    if hide is None:
        return Input(source, problem, layout, notes=notes)
    return Input(source, replace(problem, truth=values), layout, truth=values, notes=notes)


def _mask(path: Path, any_order: bool) -> np.ndarray:
    """Boolean array of an ``observed`` file, True where it is not zero."""
    with _naming(path):
        ending = ending_of(path)
        if ending in IMAGE_ENDINGS:
            from factorflow.cli._read_image import read_mask_image

            return read_mask_image(path)
        if ending == ".npy":
            from factorflow.cli._read_array import read_mask_array

            return read_mask_array(path, any_order)
        raise InputError("--observed takes an image (.png, .jpg) or a .npy file")
