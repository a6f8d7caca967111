"""Observed cells in canonical form: sorted by row and column, each once."""

from operator import index
from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow.problems._numbers import Labels, refuse_infinite, refuse_missing, to_numbers

_LARGEST_SIZE = np.iinfo(np.int32).max


def checked_shape(shape: Any) -> tuple[int, int]:
    """``(m, n)`` as positive integers."""
    try:
        m, n = (index(size) for size in shape)
    except (TypeError, ValueError):
        raise InputError(f"shape must be two positive integers (m, n); got {shape!r}.") from None
    if not (0 < m <= _LARGEST_SIZE and 0 < n <= _LARGEST_SIZE):
        raise InputError(f"shape must be two integers from 1 to {_LARGEST_SIZE}; got {(m, n)}.")
    return m, n


def checked_indices(indices: Any, name: str) -> np.ndarray:
    """A vector of integers of zero or more, as int64."""
    given = np.asarray(indices)
    if given.ndim != 1:
        raise InputError(f"{name} must be a vector of indices; got an array of {given.ndim} axes.")
    if len(given) == 0:
        return given.astype(np.int64)
    if given.dtype.kind not in "iuf":
        raise InputError(f"{name} must be integer indices; got {given.dtype} such as {given[0]!r}.")
    whole = np.isfinite(given) & (given == np.floor(given))
    if not whole.all():
        k = int(np.argmin(whole))
        raise InputError(f"{name} must be integer indices; {name}[{k}] is {given[k].item()!r}.")
    if given.min() < 0:
        k = int(np.argmax(given < 0))
        raise InputError(f"{name} must be 0 or more; {name}[{k}] is {int(given[k])}.")
    if given.max() >= _LARGEST_SIZE:
        raise InputError(f"{name} must be less than {_LARGEST_SIZE}; got {given.max().item()}.")
    return given.astype(np.int64)


def checked_triples(rows: Any, columns: Any, values: Any):
    """``rows``, ``columns`` (int64) and ``values`` (as given) of one length, 1 or more."""
    rows, columns = checked_indices(rows, "rows"), checked_indices(columns, "columns")
    values = np.asarray(values)
    if values.ndim != 1 or not len(rows) == len(columns) == len(values):
        raise InputError(
            "rows, columns and values must be vectors of one length; "
            f"got shapes {rows.shape}, {columns.shape} and {values.shape}."
        )
    refuse_none(len(rows))
    return rows, columns, values


def refuse_none(n_observed: int) -> None:
    """Raise if nothing was observed."""
    if n_observed == 0:
        raise InputError(
            "No cell is observed: every value is missing. At least one observation is needed."
        )


def canonical(
    rows: Any,
    columns: Any,
    values: Any,
    shape: tuple[int, int],
    labels: Labels,
    duplicates: str = "refuse",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """New arrays (int32, int32, float64) of finite cells, sorted by row then column, each once.

    Raises
    ------
    InputError
        Naming the first index outside the shape, value that is no finite number, or cell that
        comes twice (unless `duplicates` is ``"mean"``).
    """
    if duplicates not in ("refuse", "mean"):
        raise InputError(f"duplicates must be 'refuse' or 'mean'; got {duplicates!r}.")
    rows, columns, values = checked_triples(rows, columns, values)
    check_range(rows, "rows", shape[0])
    check_range(columns, "columns", shape[1])
    values = to_numbers(values, rows, columns, labels)
    refuse_missing(values, rows, columns, labels)
    refuse_infinite(values, rows, columns, labels)
    steps = np.diff(rows * shape[1] + columns)
    if (steps <= 0).any():
        # By value last, so that a mean does not depend on the order of its terms.
        order = np.lexsort((values, columns, rows))
        rows, columns, values = rows[order], columns[order], values[order]
        steps = np.diff(rows * shape[1] + columns)
    again = np.concatenate([[False], steps == 0])
    if again.any():
        if duplicates == "refuse":
            k = int(np.argmax(again))
            raise InputError(
                f"The cell at {labels.cell(rows[k], columns[k])} is given more than once; "
                'remove the duplicates, or average them with duplicates="mean".'
            )
        rows, columns, values = _averaged(rows, columns, values, np.flatnonzero(~again))
    return rows.astype(np.int32), columns.astype(np.int32), values


def check_range(indices: np.ndarray, name: str, size: int) -> None:
    """Raise on the first index outside ``0..size - 1``, by name."""
    if indices.max() >= size:
        k = int(np.argmax(indices >= size))
        raise InputError(
            f"{name} must lie in 0..{size - 1} for this shape; {name}[{k}] is {indices[k]}."
        )


def _averaged(rows, columns, values, firsts):
    counts = np.diff(np.append(firsts, len(values)))
    return rows[firsts], columns[firsts], np.add.reduceat(values, firsts) / counts
