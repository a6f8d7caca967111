"""What data an estimator takes, and the cells in it."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from factorflow._errors import FactorflowWarning, InputError
from factorflow.estimators._labels import labels_of, shown
from factorflow.problems import Completion

_LARGEST = 1e100  # beyond, squares of errors would leave the range of float64


class Cells(NamedTuple):
    """Observed cells sorted by row; unlike in a :class:`Completion` there may be none.

    ``dtype`` is that of the data they come from, which the answer has too.
    """

    shape: tuple[int, ...]
    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    dtype: np.dtype

    def fill(self, matrix: np.ndarray) -> np.ndarray:
        """Put the observed values in their places, and give the data's own type."""
        matrix[self.rows, self.columns] = self.values
        return matrix.astype(self.dtype, copy=False)


def read_to_fit(estimator: BaseEstimator, X: Any) -> tuple[Completion, Cells]:
    """The problem in `X` and its cells; the estimator takes over its size and its names.

    Raises
    ------
    InputError
        If it is no matrix, nothing is observed, or a value is too large or too small to be
        squared.
    """
    _refuse_tensor(X)
    checked = _validated(estimator, X, reset=True)
    problem = Completion.of(checked)
    _refuse_beyond_squares(problem)
    return problem, _cells(problem, checked)


def read_tensor(
    estimator: BaseEstimator, X: Any, observed: Any = None, *, reset: bool = True
) -> tuple[Completion, np.dtype]:
    """The problem in `X`, of any order, and the type of the data.

    With ``reset`` the estimator takes over names and number of the columns, else it checks them.

    Raises
    ------
    InputError
        If a frame holds text, nothing is observed, or a value is too large or too small to be
        squared.
    """
    if observed is not None:
        problem, kind = Completion.of(X, observed), getattr(X, "dtype", None)
    else:
        _refuse_text(X)
        X = _validated(estimator, X, reset=reset, allow_nd=True)
        problem, kind = Completion.of(X), getattr(X, "dtype", None)
    _refuse_beyond_squares(problem)
    return problem, np.dtype(np.float32 if kind == np.float32 else np.float64)


def read_rows(estimator: BaseEstimator, X: Any, fitted_columns: pd.Index | None) -> Cells:
    """The cells of rows with the columns that were fitted.

    Raises
    ------
    InputError
        If both name their columns, and not alike.
    """
    checked = _validated(estimator, X, reset=False)
    columns = labels_of(X)[1]
    if columns is not None and fitted_columns is not None and not columns.equals(fitted_columns):
        k = int(np.argmax(np.asarray(columns != fitted_columns)))
        raise InputError(
            f"The columns must be those that were fitted, in their order; column {k} is "
            f"{shown(columns[k])} in place of {shown(fitted_columns[k])}."
        )
    return _no_cells(checked) if _is_empty(checked) else _cells(Completion.of(checked), checked)


def warn_of_empty(problem: Completion) -> None:
    """Warn of rows and of columns, of a tensor of slices, without any observation."""
    names = [f"slices of axis {axis}" for axis in range(problem.order)]
    if problem.order == 2:
        names = ["rows", "columns"]
    for axis, name in enumerate(names):
        empty = problem.empty_slices(axis)
        if len(empty):
            warnings.warn(
                f"{name} without any observation: {len(empty)}, the first at position {empty[0]}; "
                "they get the biases that are known of them, else zero.",
                FactorflowWarning,
                stacklevel=4,
            )


def _refuse_tensor(X: Any) -> None:
    shape = getattr(X, "shape", None)
    if shape is None and isinstance(X, Sequence):
        try:
            shape = np.shape(X)  # pyright: ignore[reportArgumentType]
        except ValueError:  # of unequal lengths, as others will say
            return
    if shape is not None and len(shape) > 2:
        raise InputError(
            f"A matrix (m, n) is expected; got the shape {shape}. Arrays of more axes are "
            "completed by TensorCompletion."
        )


def _refuse_text(X: Any) -> None:
    """Refuse a frame with a column that has text, as one line for each entry would have."""
    if not isinstance(X, pd.DataFrame):
        return
    for k, name in enumerate(X.columns):
        column = X.iloc[:, k]
        if pd.api.types.is_numeric_dtype(column.dtype):
            continue
        text = pd.notna(column) & pd.isna(pd.to_numeric(column, errors="coerce"))
        if np.any(text):
            first = column.iloc[int(np.argmax(text))]
            raise InputError(
                f"Column {shown(name)} holds {shown(first)}, which is no number. If the frame has "
                "a line for each entry, give Completion.from_long_frame(df, ...) with the names of "
                "the columns of labels and that of the values."
            )


def _refuse_beyond_squares(problem: Completion) -> None:
    largest = float(np.abs(problem.values).max())
    if not (largest == 0 or 1 / _LARGEST < largest < _LARGEST):
        raise InputError(
            f"The largest value has magnitude {largest:.3g}, which cannot be squared in double "
            "precision; give the data in other units."
        )


def _validated(estimator: BaseEstimator, X: Any, *, reset: bool, allow_nd: bool = False):
    """A Completion as it is; else an array or sparse matrix of floats, checked by scikit-learn."""
    if isinstance(X, Completion):
        if allow_nd:
            return X
        validate_data(estimator, _header(X), reset=reset, skip_check_array=True)
        return X
    return validate_data(
        estimator,
        _with_gaps(X),
        reset=reset,
        accept_sparse=True,
        allow_nd=allow_nd,
        dtype=[np.float64, np.float32],
        ensure_all_finite="allow-nan",
    )


def _header(problem: Completion) -> Any:
    """No rows, and the problem's columns: what scikit-learn takes names and their number from."""
    columns = labels_of(problem)[1]
    return np.empty((0, problem.shape[1])) if columns is None else pd.DataFrame(columns=columns)


def _with_gaps(X: Any) -> Any:
    """The same in a form of which scikit-learn sees what is missing and what is there."""
    if scipy.sparse.issparse(X):
        return X.tocoo()
    if isinstance(X, np.ma.MaskedArray):
        return np.ma.filled(X.astype(np.result_type(X.dtype, np.float32)), np.nan)
    if isinstance(X, pd.DataFrame) and any(isinstance(d, pd.SparseDtype) for d in X.dtypes):
        return X.astype(float)
    return X


def _is_empty(checked) -> bool:
    if isinstance(checked, Completion):
        return False
    return checked.nnz == 0 if scipy.sparse.issparse(checked) else bool(np.isnan(checked).all())


def _cells(problem: Completion, checked) -> Cells:
    dtype = problem.values.dtype if isinstance(checked, Completion) else checked.dtype
    return Cells(problem.shape, problem.rows, problem.columns, problem.values, dtype)


def _no_cells(checked) -> Cells:
    none = np.empty(0, int)
    return Cells(checked.shape, none, none, np.empty(0), checked.dtype)
