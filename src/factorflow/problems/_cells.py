"""Observed cells in canonical form: sorted by their indices, the first one first, each once."""

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow.problems._numbers import (
    Indices,
    Labels,
    cell_name,
    index_names,
    refuse_infinite,
    refuse_missing,
    to_numbers,
)

_LARGEST_SIZE = np.iinfo(np.int32).max


def checked_shape(shape: Any) -> tuple[int, ...]:
    """``(d_1, ..., d_N)`` as two or more positive integers."""
    try:
        sizes = tuple(index(size) for size in shape)
    except TypeError:
        raise InputError(f"shape must be positive integers (m, n, ...); got {shape!r}.") from None
    if len(sizes) < 2 or not all(0 < size <= _LARGEST_SIZE for size in sizes):
        raise InputError(
            f"shape must be two integers or more, from 1 to {_LARGEST_SIZE}; got {sizes}."
        )
    return sizes


def checked_matrix_shape(shape: Any) -> tuple[int, int]:
    """``(m, n)`` as positive integers."""
    sizes = checked_shape(shape)
    if len(sizes) != 2:
        raise InputError(f"A matrix is needed, of shape (m, n); this has the shape {sizes}.")
    return sizes[0], sizes[1]


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


def checked_tuples(indices: Sequence[Any], values: Any) -> tuple[Indices, np.ndarray]:
    """Vectors of indices (int64) and ``values`` (as given) of one length, 1 or more."""
    names = index_names(len(indices))
    checked = tuple(checked_indices(each, name) for each, name in zip(indices, names, strict=True))
    values = np.asarray(values)
    if values.ndim != 1 or {len(each) for each in checked} != {len(values)}:
        shapes = ", ".join(str(each.shape) for each in checked)
        raise InputError(
            f"{', '.join(names)} and values must be vectors of one length; "
            f"got shapes {shapes} and {values.shape}."
        )
    refuse_none(len(values))
    return checked, values


def refuse_none(n_observed: int) -> None:
    """Raise if nothing was observed."""
    if n_observed == 0:
        raise InputError(
            "No cell is observed: every value is missing. At least one observation is needed."
        )


def canonical(
    indices: Sequence[Any],
    values: Any,
    shape: tuple[int, ...],
    labels: Labels,
    duplicates: str = "refuse",
) -> tuple[Indices, np.ndarray]:
    """New arrays (int32 each, float64) of finite cells, sorted by their indices, each once.

    Raises
    ------
    InputError
        Naming the first index outside the shape, value that is no finite number, or cell that
        comes twice (unless `duplicates` is ``"mean"``).
    """
    if duplicates not in ("refuse", "mean"):
        raise InputError(f"duplicates must be 'refuse' or 'mean'; got {duplicates!r}.")
    if len(indices) != len(shape):
        raise InputError(f"A tensor of shape {shape} has {len(shape)} indices; got {len(indices)}.")
    indices, values = checked_tuples(indices, values)
    for each, name, size in zip(indices, index_names(len(shape)), shape, strict=True):
        check_range(each, name, size)
    values = to_numbers(values, indices, labels)
    refuse_missing(values, indices, labels)
    refuse_infinite(values, indices, labels)
    steps = _steps(indices)
    if (steps <= 0).any():
        # By value last, so that a mean does not depend on the order of its terms.
        order = np.lexsort((values, *reversed(indices)))
        indices, values = tuple(each[order] for each in indices), values[order]
        steps = _steps(indices)
    again = np.concatenate([[False], steps == 0])
    if again.any():
        if duplicates == "refuse":
            k = int(np.argmax(again))
            raise InputError(
                f"The cell at {cell_name([each[k] for each in indices], labels)} is given more "
                'than once; remove the duplicates, or average them with duplicates="mean".'
            )
        indices, values = _averaged(indices, values, np.flatnonzero(~again))
    return tuple(each.astype(np.int32) for each in indices), values


def _steps(indices: Indices) -> np.ndarray:
    """Whether each cell comes after (1), before (-1) or upon (0) the one before it."""
    steps = np.zeros(max(len(indices[0]) - 1, 0), np.int64)
    for each in indices:
        steps = np.where(steps == 0, np.sign(np.diff(each)), steps)
    return steps


def check_range(indices: np.ndarray, name: str, size: int) -> None:
    """Raise on the first index outside ``0..size - 1``, by name."""
    if indices.max() >= size:
        k = int(np.argmax(indices >= size))
        raise InputError(
            f"{name} must lie in 0..{size - 1} for this shape; {name}[{k}] is {indices[k]}."
        )


def _averaged(indices, values, firsts):
    counts = np.diff(np.append(firsts, len(values)))
    return tuple(each[firsts] for each in indices), np.add.reduceat(values, firsts) / counts
