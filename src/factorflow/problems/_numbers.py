"""Values of cells as float64, or one sentence about the first that is no number."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from factorflow._errors import InputError

Indices = tuple[np.ndarray, ...]
Labels = Sequence[np.ndarray | None]  # of each axis; None where it is only numbered

_AXES = ("row", "column")


def cell_name(cell: Iterable[int], labels: Labels) -> str:
    """A cell as a person would name it."""
    names = [_shown(k, axis) for k, axis in zip(cell, labels, strict=True)]
    if len(labels) != len(_AXES):
        return f"index ({', '.join(names)})"
    return ", ".join(f"{axis} {name}" for axis, name in zip(_AXES, names, strict=True))


def index_names(order: int) -> tuple[str, ...]:
    """What the vectors of indices are called in errors."""
    return ("rows", "columns") if order == 2 else tuple(f"indices[{k}]" for k in range(order))


def _shown(position: int, labels: np.ndarray | None) -> str:
    if labels is None:
        return str(int(position))
    label = labels[position]
    return str(label.item()) if isinstance(label, np.generic) else repr(label)


def positive_number(value: Any, name: str) -> float:
    """A positive finite number as a float, or one sentence that names it."""
    given = np.asarray(value)
    if given.ndim or given.dtype.kind not in "iuf" or not 0 < float(given) < np.inf:
        raise InputError(f"{name} must be a positive finite number; got {value!r}.")
    return float(given)


def to_numbers(values: np.ndarray, indices: Indices, labels: Labels) -> np.ndarray:
    """A vector of cell values as a new float64 array; what counts as missing becomes NaN.

    Booleans, integers, floats and objects that are real numbers are numbers; None, NaN and
    pandas' NA and NaT are missing. Text is no number, even if it reads like one.

    Raises
    ------
    InputError
        Naming the cell and the value of the first that is neither.
    """
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    import pandas as pd

    result = np.full(len(values), np.nan)
    for k in np.flatnonzero(~np.asarray(pd.isna(values))):
        result[k] = _number(values[k], cell_name([axis[k] for axis in indices], labels))
    return result


def _number(value: Any, cell: str) -> float:
    try:
        # Text, dates and complex numbers could be converted, but nobody means that.
        if isinstance(
            value, (str, bytes, complex, np.complexfloating, np.datetime64, np.timedelta64)
        ):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        shown = value.item() if isinstance(value, np.generic) else value
        raise InputError(
            f"The value at {cell} is {shown!r}, which is no real number; "
            "convert it to a float, or mark it as missing."
        ) from None


def refuse_infinite(values: np.ndarray, indices: Indices, labels: Labels) -> None:
    """Raise on the first infinite value, by name."""
    _refuse(np.isinf(values), "infinite; use NaN if it is missing", indices, labels)


def refuse_missing(values: np.ndarray, indices: Indices, labels: Labels) -> None:
    """Raise on the first NaN among cells that are said to be observed, by name."""
    what = "missing (NaN) but given as observed; leave it out"
    _refuse(np.isnan(values), what, indices, labels)


def _refuse(bad: np.ndarray, what: str, indices: Indices, labels: Labels) -> None:
    if bad.any():
        k = int(np.argmax(bad))
        cell = cell_name([axis[k] for axis in indices], labels)
        raise InputError(f"The value at {cell} is {what}.")
