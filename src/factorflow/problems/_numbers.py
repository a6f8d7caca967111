"""Values of cells as float64, or one sentence about the first that is no number."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from factorflow._errors import InputError


class Labels(NamedTuple):
    """Names of rows and columns; None where they are only numbered."""

    rows: np.ndarray | None = None
    columns: np.ndarray | None = None

    def cell(self, row: int, column: int) -> str:
        """The cell as a person would name it."""
        return f"{_named('row', row, self.rows)}, {_named('column', column, self.columns)}"


def _named(kind: str, position: int, labels: np.ndarray | None) -> str:
    if labels is None:
        return f"{kind} {int(position)}"
    label = labels[position]
    return f"{kind} {label.item() if isinstance(label, np.generic) else label!r}"


def positive_number(value: Any, name: str) -> float:
    """A positive finite number as a float, or one sentence that names it."""
    given = np.asarray(value)
    if given.ndim or given.dtype.kind not in "iuf" or not 0 < float(given) < np.inf:
        raise InputError(f"{name} must be a positive finite number; got {value!r}.")
    return float(given)


def to_numbers(values: np.ndarray, rows: np.ndarray, columns: np.ndarray, labels: Labels):
    """A vector of cell values as a new float64 array; what counts as missing becomes NaN.

    Booleans, integers, floats and objects that are real numbers are numbers; None, NaN and
    pandas' NA and NaT are missing. Text is no number, even if it reads like one.

    Raises
    ------
    InputError
        Naming the row, the column and the value of the first that is neither.
    """
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    result = np.full(len(values), np.nan)
    for k in np.flatnonzero(~np.asarray(pd.isna(values))):
        result[k] = _number(values[k], labels, rows[k], columns[k])
    return result


def _number(value: Any, labels: Labels, row: int, column: int) -> float:
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
            f"The value at {labels.cell(row, column)} is {shown!r}, which is no real number; "
            "convert it to a float, or mark it as missing."
        ) from None


def refuse_infinite(values, rows, columns, labels: Labels) -> None:
    """Raise on the first infinite value, by name."""
    _refuse(np.isinf(values), "infinite; use NaN if it is missing", rows, columns, labels)


def refuse_missing(values, rows, columns, labels: Labels) -> None:
    """Raise on the first NaN among cells that are said to be observed, by name."""
    _refuse(
        np.isnan(values), "missing (NaN) but given as observed; leave it out", rows, columns, labels
    )


def _refuse(bad: np.ndarray, what: str, rows, columns, labels: Labels) -> None:
    if bad.any():
        k = int(np.argmax(bad))
        raise InputError(f"The value at {labels.cell(rows[k], columns[k])} is {what}.")
