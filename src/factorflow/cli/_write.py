"""Writing the completed matrix in the form of the input; the output's ending decides the format."""

import os
from pathlib import Path
from typing import Literal

import numpy as np

from factorflow._errors import InputError
from factorflow._files import check_target, whole_file, write_json
from factorflow.cli._input import (
    ARRAY_ENDINGS,
    IMAGE_ENDINGS,
    TABLE_ENDINGS,
    Image,
    Input,
    LongTable,
    PlainArray,
    ending_of,
)
from factorflow.cli._unfolding import to_image
from factorflow.cli._write_table import write_table

__all__ = ["LONG_LIMIT", "check_output", "write_json", "write_output"]

Cells = Literal["missing", "all"]

LONG_LIMIT = 10_000_000
"""The most lines that a long output may have (MovieLens latest-small has 5.9 million cells)."""


def check_output(
    path: str | os.PathLike, source: Input | None = None, *, cells: Cells | None = None
) -> None:
    """Refuse, before a long computation, an output that could not be written after it.

    Without ``source`` only the ending, the folder and the permissions are checked; with it also
    whether the format fits the input, and whether a long output stays below ``LONG_LIMIT`` lines.

    Raises
    ------
    InputError
        If :func:`write_output` would refuse the path.
    """
    ending = ending_of(path)
    target = check_target(path)
    if source is None:
        return
    if target == Path(os.path.realpath(source.source)):
        raise InputError(f"{path} is the input itself; give the output another name.")
    if ending in IMAGE_ENDINGS and source.kind != "image":
        raise InputError(
            f"{path} is an image, but the input {source.source} is a {source.kind}; choose one of "
            f"{', '.join((*TABLE_ENDINGS, *ARRAY_ENDINGS))}."
        )
    if ending in TABLE_ENDINGS and source.kind == "image":
        raise InputError(
            f"{path} is a table, but the input {source.source} is an image; choose one of "
            f"{', '.join((*IMAGE_ENDINGS, *ARRAY_ENDINGS))}."
        )
    if ending in TABLE_ENDINGS and source.problem.order != 2:
        raise InputError(
            f"{path} is a table, but the input {source.source} has {source.problem.order} axes; "
            f"choose one of {', '.join(ARRAY_ENDINGS)}."
        )
    _check_cells(path, ending, source, cells)


def _check_cells(path: str | os.PathLike, ending: str, source: Input, cells: str | None) -> None:
    if cells not in (None, "missing", "all"):
        raise InputError(f'cells must be "missing" or "all"; got {cells!r}.')
    if source.kind != "long table" or ending not in TABLE_ENDINGS:
        if cells == "missing":
            raise InputError(
                f"{path} would hold the whole matrix; only a long table can list its missing "
                "cells alone."
            )
        return
    n_rows, n_columns = source.problem.shape
    n_lines = n_rows * n_columns - (0 if cells == "all" else source.problem.n_observed)
    if n_lines > LONG_LIMIT:
        raise InputError(
            f"{path} would have {n_lines:,} lines, one per cell of the {n_rows} x {n_columns} "
            f"matrix, more than {LONG_LIMIT:,}; write it as .npz, which holds the matrix and its "
            "labels."
        )


def write_output(
    path: str | os.PathLike, source: Input, matrix: np.ndarray, *, cells: Cells | None = None
) -> None:
    """Write the completed matrix, whole or not at all.

    ====================  ======================================================================
    long table            tables: one line per cell with the input's three column names, by
                          default the *missing* cells only (what the input did not know), with
                          ``cells="all"`` every cell; by row, then by column
    wide table            tables: the matrix with the input's labels
    array                 tables: the matrix under the header ``0, 1, ...``
    image                 ``.png .jpg .jpeg``: the matrix clipped to [0, 1], rounded to 8 bits, to
                          16 bits in a PNG if the input had 16
    any of these          ``.npy`` and ``.npz``: the matrix, of an image the (h, w[, 3]) array in
                          [0, 1], of a table with labels also ``row_labels`` and
                          ``column_labels`` in ``.npz``
    ====================  ======================================================================

    The matrix is written as it is: cells that were measured hold the value that ``matrix`` has.

    Parameters
    ----------
    source
        What :func:`~factorflow.cli._read.read_input` gave.
    matrix
        Shape (m, n), the shape of the problem.
    cells
        ``"missing"`` or ``"all"``, for a long table.

    Raises
    ------
    InputError
        As :func:`check_output`; and if the matrix has another shape or is not finite.
    """
    check_output(path, source, cells=cells)
    matrix = np.asarray(matrix, dtype="float64")
    if matrix.shape != source.problem.shape:
        raise InputError(
            f"The matrix has shape {matrix.shape}, but the input {source.source} has shape "
            f"{source.problem.shape}."
        )
    if not np.isfinite(matrix).all():
        raise InputError("The matrix holds NaN or infinity: the run failed; nothing was written.")
    ending = ending_of(path)
    with whole_file(path) as temporary:
        if isinstance(source.layout, Image) and ending in IMAGE_ENDINGS:
            _write_image(temporary, ending, source.layout, matrix)
        elif ending in ARRAY_ENDINGS:
            _write_array(temporary, ending, source, matrix)
        else:
            write_table(temporary, ending, source, matrix, everything=cells == "all")


def _write_image(path: Path, ending: str, layout: Image, matrix: np.ndarray) -> None:
    import PIL.Image

    deep = layout.levels > 255 and ending == ".png"
    levels = layout.levels if deep else 255
    pixels = np.rint(to_image(np.clip(matrix, 0, 1), layout.channels) * levels)
    image = PIL.Image.fromarray(pixels.astype(np.uint16 if deep else np.uint8))
    if ending == ".png":
        image.save(path, format="PNG")
    else:
        image.save(path, format="JPEG", quality=95, subsampling=0)


def _write_array(path: Path, ending: str, source: Input, matrix: np.ndarray) -> None:
    layout = source.layout
    labels = {}
    if isinstance(layout, Image):
        matrix = np.clip(to_image(matrix, layout.channels), 0, 1)
    elif isinstance(layout, PlainArray):
        matrix = matrix.astype(layout.dtype)
    else:
        labels["column_labels"] = _label_array(source.problem.column_labels)
        if isinstance(layout, LongTable) or layout.label is not None:
            labels["row_labels"] = _label_array(source.problem.row_labels)
    if ending == ".npy":
        np.save(path, matrix, allow_pickle=False)
    else:
        np.savez_compressed(path, allow_pickle=False, values=matrix, **labels)


def _label_array(labels) -> np.ndarray:
    """Labels as an array that needs no pickle: numbers if they are, text otherwise."""
    plain = np.asarray(list(labels))
    return np.asarray([str(label) for label in labels]) if plain.dtype.kind == "O" else plain
