"""Frames of labels and values as completion problems."""

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from factorflow._errors import InputError
from factorflow.cli._input import LongTable, WideTable
from factorflow.cli._read_frame import MISSING

if TYPE_CHECKING:
    import pandas as pd

    from factorflow.problems import Completion

_ID = re.compile(r"index|id|ID|Id|.*[_\s.-](id|ID|Id)|.*[a-z0-9]I[dD]")
_ENTITY = {"user", "item", "movie", "row", "column", "col", "i", "j"}


def long_problem(
    frame: "pd.DataFrame", names: tuple[str, str, str], duplicates: str = "refuse"
) -> tuple["Completion", LongTable]:
    """Problem of a long table.

    Raises
    ------
    InputError
        If a line lacks a label or its value is neither a number nor missing, or two lines have
        one cell and ``duplicates="refuse"``.
    """
    from factorflow.problems import Completion

    row, column, value = names
    labels = {name: _labels(frame[name]) for name in (row, column)}
    for name, series in labels.items():
        empty = np.asarray(series.isna() | (series == ""))
        if empty.any():
            line = int(np.argmax(empty)) + 1
            raise InputError(f"row {line} below the header has no label in column {name!r}")
    values = _numbers(frame[[value]], None)
    table = values.assign(**labels)
    if duplicates == "refuse":
        _refuse_repeated_cells(table, names, [name for name in frame.columns if name not in names])
    problem = Completion.from_long_frame(table, row, column, value, duplicates=duplicates)
    return problem, LongTable(row, column, value)


def wide_problem(frame: "pd.DataFrame") -> tuple["Completion", WideTable]:
    """Problem of a wide table.

    Raises
    ------
    InputError
        If the table looks long, a row label occurs twice, there is no column of values, or a
        cell is neither a number nor empty.
    """
    from factorflow.problems import Completion

    _refuse_long(frame)
    label = _label_header(frame)
    if label is None:
        values = _numbers(frame, None)
    else:
        labels = _labels(frame[label])
        _refuse_repeated(frame, labels, label)
        values = _numbers(frame.drop(columns=label), labels).set_axis(labels, axis=0)
    if not values.shape[1]:
        raise InputError("it has row labels and no column of values")
    return Completion.from_frame(values), WideTable(label)


def _label_header(frame: "pd.DataFrame") -> str | None:
    first = frame.columns[0]
    if not first or _ID.fullmatch(first):
        return first
    cells = frame[first]
    numeric = np.isnan(_as_numbers(cells).to_numpy(dtype=float)) & ~_is_missing(cells)
    return first if numeric.any() else None


def _refuse_long(frame: "pd.DataFrame") -> None:
    """A wide table of two or three columns of ids is a long table read without its options."""
    names = list(frame.columns)
    ids = [_ID.fullmatch(name) or name.lower() in _ENTITY for name in names[:2]]
    if len(names) in (3, 4) and all(ids):
        raise InputError("it looks like a long table; " + _advice(names))


def _advice(names: list[str]) -> str:
    quoted = [f'"{name}"' if re.search(r"\W", name) else name for name in names]
    return f"add --row {quoted[0]} --column {quoted[1]} --value {quoted[2]}"


def _refuse_repeated(frame: "pd.DataFrame", labels, label: str) -> None:
    repeated = labels[labels.duplicated()]
    if not len(repeated):
        return
    mend = "give each row its own label"
    if frame.shape[1] in (3, 4):
        mend += ", or, if this is a long table, " + _advice(list(frame.columns))
    raise InputError(
        f"the row label {_shown(repeated.iloc[0])} (column {label!r}) occurs twice; {mend}"
    )


def _refuse_repeated_cells(table: "pd.DataFrame", names: tuple, others: list[str]) -> None:
    """Of a cell that comes twice beside other columns the reason may be a third axis."""
    row, column, value = names
    known = table.dropna(subset=[value])
    again = np.asarray(known.duplicated(subset=[row, column]))
    if not (again.any() and others):
        return
    i, j = (_shown(known[name].iloc[int(np.argmax(again))]) for name in (row, column))
    quoted = ", ".join(map(repr, (row, column, others[0], value)))
    raise InputError(
        f"the cell at row {i}, column {j} is given more than once. If the lines are repeated "
        "measurements, average them with --duplicates mean; if another column tells them apart "
        f"({', '.join(map(repr, others[:3]))}), this is an array of more than two axes: in Python, "
        f"TensorCompletion().fit(Completion.from_long_frame(df, {quoted}))"
    )


def _labels(cells) -> Any:
    """Labels of a text column as whole numbers where that loses nothing ("7" but not "007")."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(cells):
        return cells
    try:
        codes, unique = pd.factorize(cells)
    except TypeError as error:
        raise InputError(f"the cells of column {cells.name!r} are no labels: {error}") from error
    text = pd.Series(unique, dtype=object)
    if not text.map(lambda label: isinstance(label, str)).all():
        return cells
    if not text.str.fullmatch(r"0|-?[1-9]\d{0,17}").all():
        return cells.astype(object)
    whole = text.astype("int64").to_numpy()
    return pd.Series(whole[codes], index=cells.index, name=cells.name)


def _is_missing(cells):
    return cells.isna() | cells.isin(MISSING)


def _as_numbers(cells):
    """The cells as float64; NaN where a cell is missing, true, false, a date or a text."""
    import pandas as pd

    kind = pd.api.types.infer_dtype(cells, skipna=True)
    if kind in ("boolean", "datetime64", "datetime", "date", "timedelta64", "complex"):
        return pd.Series(np.nan, index=cells.index)
    return pd.Series(pd.to_numeric(cells, errors="coerce"), dtype="float64")


def _numbers(frame, labels) -> Any:
    """The frame as float64; refuses the first cell that is no finite number."""
    texts = [name for name, dtype in frame.dtypes.items() if dtype.kind not in "iuf"]
    # A table may have thousands of columns, of which most are numbers as they were read.
    numbers = frame.assign(**{name: _as_numbers(frame[name]) for name in texts}).astype("float64")
    values = numbers.to_numpy()
    doubtful = np.isinf(values).any(axis=0) | frame.columns.isin(texts)
    for j in np.flatnonzero(doubtful):
        name = frame.columns[j]
        cells = frame[name]
        wrong = np.isinf(values[:, j]) | (np.isnan(values[:, j]) & ~_is_missing(cells).to_numpy())
        if wrong.any():
            i = int(np.argmax(wrong))
            place = (
                f"row {i + 1} below the header"
                if labels is None
                else f"row {_shown(labels.iloc[i])}"
            )
            raise InputError(
                f"{place}, column {name!r} holds {str(cells.iloc[i])!r}, which is not a finite "
                "number; leave the cell empty if the value is missing"
            )
    return numbers


def _shown(label) -> str:
    return repr(label) if isinstance(label, str) else str(label)
