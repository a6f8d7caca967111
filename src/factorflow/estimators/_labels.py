"""Rows and columns by their labels."""

from typing import Any

import numpy as np
import pandas as pd

from factorflow._errors import InputError
from factorflow.problems import Completion


def labels_of(X: Any, order: int = 2) -> tuple[pd.Index | None, ...]:
    """Labels of each axis of data of an order; None where they are only numbered."""
    if isinstance(X, pd.DataFrame):
        return X.index.to_flat_index(), X.columns.to_flat_index()
    if isinstance(X, Completion) and X.labels is not None:
        return tuple(None if labels is None else _index(labels) for labels in X.labels)
    return (None,) * order


def positions(given: Any, labels: pd.Index | None, size: int, name: str) -> np.ndarray:
    """Positions of rows or columns that are given by label, or by number without labels.

    Raises
    ------
    InputError
        Naming the first that there is not.
    """
    if labels is None:
        return _checked_numbers(given, size, name)
    if not labels.is_unique:
        twice = shown(labels[labels.duplicated()][0])
        raise InputError(
            f"The {name} label {twice} stands for more than one {name}, so that cells cannot be "
            "found by label; reconstruct() gives all of them in order."
        )
    wanted = _as_labels(given, labels)
    found = labels.get_indexer(_index(wanted.ravel())).reshape(wanted.shape)
    if (found < 0).any():
        raise InputError(f"There is no {name} labelled {shown(wanted[found < 0][0])}.")
    return found


def shown(label: Any) -> str:
    """A label as a person would write it."""
    return repr(label.item() if isinstance(label, np.generic) else label)


def _index(labels: np.ndarray) -> pd.Index:
    return pd.Index(labels, tupleize_cols=False)


def _as_labels(given: Any, labels: pd.Index) -> np.ndarray:
    """An array of labels; where labels are tuples, a tuple is one and a list has several."""
    if isinstance(labels[0], tuple):
        return _array_of_tuples([given] if isinstance(given, tuple) else given, given)
    # Without a type of their own, numbers and text side by side would all become text.
    return np.asarray(given) if hasattr(given, "dtype") else np.asarray(given, dtype=object)


def _array_of_tuples(items: Any, given: Any) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for k, item in enumerate(items):
        array[k] = item
    return array.reshape(()) if isinstance(given, tuple) else array


def _checked_numbers(given: Any, size: int, name: str) -> np.ndarray:
    numbers = np.asarray(given)
    if numbers.size == 0:
        return numbers.astype(int)
    if not np.issubdtype(numbers.dtype, np.integer):
        raise InputError(f"{name} indices must be whole numbers; got {numbers.dtype}.")
    if not (numbers.min() >= 0 and numbers.max() < size):
        outside = numbers[(numbers < 0) | (numbers >= size)][0]
        raise InputError(f"{name} indices must lie in 0..{size - 1}; got {outside}.")
    return numbers
