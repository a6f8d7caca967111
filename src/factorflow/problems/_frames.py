"""Observed cells and labels out of pandas frames.

Pandas is imported where it is used: it takes half as long as all that a flow needs.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from factorflow._errors import InputError
from factorflow.problems._numbers import Indices, Labels, to_numbers

if TYPE_CHECKING:
    import pandas as pd


def is_frame(data: Any) -> bool:
    """Whether this is a pandas frame; without pandas nothing is."""
    return "pandas" in sys.modules and isinstance(data, sys.modules["pandas"].DataFrame)


def checked_labels(
    labels: Sequence[Any] | None, shape: tuple[int, ...]
) -> tuple[np.ndarray | None, ...]:
    """For each axis None or its labels, as many as it is long."""
    if labels is None:
        return (None,) * len(shape)
    if len(labels) != len(shape):
        raise InputError(
            f"labels must be {len(shape)}, None or a vector for each axis; got {len(labels)}."
        )
    names = ("row", "column") if len(shape) == 2 else [f"axis {k}" for k in range(len(shape))]
    return tuple(
        None if given is None else label_vector(given, size, name)
        for given, size, name in zip(labels, shape, names, strict=True)
    )


def label_vector(labels: Any, size: int, name: str) -> np.ndarray:
    """A read-only vector of `size` labels, none of them missing, none twice."""
    import pandas as pd

    vector = _plain(labels)
    if vector.shape != (size,):
        raise InputError(f"{name} labels must be {size}, one for each {name}; got {len(vector)}.")
    missing = np.asarray(pd.isna(vector))
    if missing.any():
        raise InputError(
            f"The label of {name} {int(np.argmax(missing))} is missing; every {name} needs one."
        )
    again = pd.Index(vector, tupleize_cols=False).duplicated()
    if again.any():
        label = vector[int(np.argmax(again))]
        raise InputError(f"The {name} label {label!r} stands for more than one {name}.")
    vector.setflags(write=False)
    return vector


def _plain(labels: Any) -> np.ndarray:
    """A new one-dimensional array; tuples stay whole."""
    values = labels.to_numpy() if hasattr(labels, "to_numpy") else labels
    if isinstance(values, np.ndarray) and values.dtype != object and values.ndim == 1:
        return values.copy()
    values = list(values)
    plain = np.empty(len(values), object)
    for k, value in enumerate(values):
        plain[k] = value
    return plain


def frame_grid(df: "pd.DataFrame") -> tuple[np.ndarray, Labels]:
    """The values of a wide frame as a matrix, and its labels."""
    labels = (
        label_vector(df.index, df.shape[0], "row"),
        label_vector(df.columns, df.shape[1], "column"),
    )
    if all(map(_is_real, df.dtypes)):
        return df.to_numpy(dtype=np.float64, na_value=np.nan), labels
    return df.to_numpy(dtype=object), labels


def long_frame_cells(
    df: "pd.DataFrame", axes: Sequence[Any], value: Any
) -> tuple[Indices, np.ndarray, tuple[np.ndarray, ...]]:
    """``(indices, values, labels)`` of a frame with one line for each cell.

    Lines whose value is missing are left out; their labels remain.
    """
    given = _column(df, value)
    coded = [_codes(_column(df, name), name) for name in axes]
    indices, labels = tuple(codes for codes, _ in coded), tuple(found for _, found in coded)
    if _is_real(given.dtype):
        numbers = given.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        numbers = to_numbers(given.to_numpy(dtype=object), indices, labels)
    present = ~np.isnan(numbers)
    return tuple(codes[present] for codes in indices), numbers[present], labels


def _is_real(dtype: Any) -> bool:
    import pandas as pd

    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype)


def _column(df: "pd.DataFrame", name: Any) -> "pd.Series":
    import pandas as pd

    series = df[name] if name in df.columns else None
    if isinstance(series, pd.Series):
        return series
    count = "no column" if series is None else "more than one column"
    raise InputError(f"The frame has {count} {name!r}; it has {', '.join(map(repr, df.columns))}.")


def _codes(series: "pd.Series", name: Any) -> tuple[np.ndarray, np.ndarray]:
    """Positions in a vector of labels, sorted where labels can be compared."""
    import pandas as pd

    missing = series.isna().to_numpy()
    if missing.any():
        raise InputError(
            f"The label in column {name!r} is missing in line {int(np.argmax(missing))} of the "
            "frame (counted from 0); drop such lines or name them."
        )
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
    try:
        codes, found = pd.factorize(series)
    except TypeError:
        raise InputError(f"Labels in column {name!r} must be hashable.") from None
    labels = _plain(found)
    try:
        order = np.array(sorted(range(len(labels)), key=labels.__getitem__), dtype=np.int64)
    except TypeError:  # labels of different kinds keep their order of appearance
        return codes.astype(np.int64), labels
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    return position[codes], labels[order]
