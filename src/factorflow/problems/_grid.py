"""Observed cells out of an array."""

from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow.problems._cells import refuse_none
from factorflow.problems._numbers import (
    Labels,
    cell_name,
    refuse_infinite,
    refuse_missing,
    to_numbers,
)


def grid_cells(X: Any, observed: Any = None, labels: Labels | None = None):
    """``(shape, indices, values)`` of the observed cells of an array of two axes or more.

    Without `observed`, NaN (and the mask of a masked array) is missing. With it, values where it
    is False are never read.
    """
    masked = isinstance(X, np.ma.MaskedArray)
    grid = as_grid(X.data if masked else X, "X")
    labels = (None,) * grid.ndim if labels is None else labels
    candidates = ~np.ma.getmaskarray(X) if masked else np.ones(grid.shape, bool)
    if observed is not None:
        chosen = _checked_observed(observed, grid.shape)
        _refuse_masked(chosen & ~candidates, labels)
        candidates = chosen
    indices = np.nonzero(candidates)
    values = to_numbers(grid[indices], indices, labels)
    if observed is None:
        present = ~np.isnan(values)
        indices, values = tuple(axis[present] for axis in indices), values[present]
    else:
        refuse_missing(values, indices, labels)
    refuse_infinite(values, indices, labels)
    refuse_none(len(values))
    return grid.shape, indices, values


def as_grid(X: Any, name: str) -> np.ndarray:
    """`X` as an array of two axes or more, not copied if it is one already."""
    try:
        grid = np.asarray(X)
    except ValueError:
        raise InputError(f"{name} must be a matrix; its rows have different lengths.") from None
    if grid.ndim < 2:
        raise InputError(
            f"{name} must be a matrix of two axes, shape (m, n), or a tensor of more; "
            f"got shape {grid.shape}."
        )
    return grid


def _checked_observed(observed: Any, shape: tuple[int, ...]) -> np.ndarray:
    given = np.asarray(observed)
    if given.shape != shape:
        raise InputError(f"observed must have the shape of X, {shape}; got {given.shape}.")
    if given.dtype != bool:
        raise InputError(
            f"observed must hold True (observed) and False; got {given.dtype}. "
            "Convert it with observed.astype(bool)."
        )
    return given


def _refuse_masked(both: np.ndarray, labels: Labels) -> None:
    if both.any():
        cell = cell_name(np.argwhere(both)[0], labels)
        raise InputError(
            f"The value at {cell} is masked in X but given as observed; mend one of the two."
        )
