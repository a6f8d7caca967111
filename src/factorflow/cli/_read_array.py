"""NumPy files as completion problems."""

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from factorflow._errors import InputError
from factorflow.cli._input import PlainArray

if TYPE_CHECKING:
    from factorflow.problems import Completion

_UNREADABLE = (ValueError, OSError, EOFError, RuntimeError, MemoryError, TypeError, SyntaxError)
_UNREADABLE += (KeyError, zipfile.BadZipFile, zlib.error)


def array_problem(
    source: Path, ending: str, observed: np.ndarray | None, any_order: bool = False
) -> tuple["Completion", PlainArray]:
    """Problem of an ``.npy`` or ``.npz`` file; ``observed`` is a boolean array of its shape.

    With ``any_order`` it may have more than two axes.

    Raises
    ------
    InputError
        If the file is unreadable, its keys say nothing, or it holds no real matrix.
    """
    from factorflow.problems import Completion

    arrays = _load(source, ending)
    if "format" in arrays and "shape" in arrays:
        if observed is not None:
            raise InputError("a sparse matrix lists its measured cells: leave out --observed")
        return _sparse_problem(source)
    values = _single(arrays)
    _check_values(values, any_order)
    inside = arrays.get("observed")
    if inside is not None and observed is not None:
        raise InputError("it holds the key 'observed' already: leave out --observed")
    if inside is not None:
        observed = as_mask(inside, any_order)
    numbers = values.astype("float64")
    if observed is None:
        observed = ~np.isnan(numbers)
    elif observed.shape != values.shape:
        raise InputError(
            f"the observed array has shape {observed.shape}, but the values have {values.shape}"
        )
    _refuse_not_finite(numbers, observed)
    return Completion.from_array(numbers, observed=observed), _layout(values.dtype)


def _layout(dtype: np.dtype) -> PlainArray:
    return PlainArray(dtype if dtype.kind == "f" else np.dtype("float64"))


def _load(source: Path, ending: str) -> dict[str, Any]:
    try:
        loaded = np.load(source, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"values": loaded}
        with loaded:
            return {key: loaded[key] for key in loaded.files}
    except _UNREADABLE as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InputError(
            f"{source} could not be read as a NumPy {ending} file: {reason}. "
            "The file may be cut short or have the wrong ending."
        ) from error


def _single(arrays: dict[str, Any]) -> np.ndarray:
    """The array under ``values``, or the only one beside ``observed``."""
    names = [name for name in arrays if name != "observed"]
    if "values" in arrays:
        return arrays["values"]
    if len(names) == 1:
        return arrays[names[0]]
    raise InputError(
        f"it holds the arrays {', '.join(map(repr, arrays)) or 'none'}; "
        "name the matrix 'values', and a boolean array of measured cells 'observed'"
    )


def _check_values(values: np.ndarray, any_order: bool) -> None:
    if values.ndim > 2 and not any_order:
        raise InputError(
            f"it holds an array of shape {values.shape}; a matrix (m, n) is expected, "
            "or give --method tensor"
        )
    if values.ndim < 2 or 0 in values.shape:
        raise InputError(f"it holds an array of shape {values.shape}; a matrix (m, n) is expected")
    if values.dtype.kind not in "iuf":
        raise InputError(f"it holds an array of type {values.dtype}; real numbers are expected")


def _refuse_not_finite(values: np.ndarray, observed: np.ndarray) -> None:
    wrong = observed & ~np.isfinite(values)
    if wrong.any():
        place = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        raise InputError(
            f"entry ({', '.join(map(str, place))}) is measured and holds {values[place]}; "
            "a missing entry is NaN and not observed, every other one a finite number"
        )


def _sparse_problem(source: Path) -> tuple["Completion", PlainArray]:
    import scipy.sparse

    from factorflow.problems import Completion

    try:
        matrix = scipy.sparse.load_npz(source)
        problem = Completion.from_sparse(matrix)
    except InputError:
        raise
    except (*_UNREADABLE, AttributeError, IndexError) as error:
        raise InputError(f"its sparse matrix is not valid: {error}") from error
    return problem, _layout(matrix.dtype)


def read_mask_array(source: Path, any_order: bool = False) -> np.ndarray:
    """Boolean array of an ``.npy`` file, True where it is not zero.

    Raises
    ------
    InputError
        If the file is unreadable or holds no array of numbers, without ``any_order`` of two axes.
    """
    return as_mask(_load(source, ".npy")["values"], any_order)


def as_mask(mask: np.ndarray, any_order: bool = False) -> np.ndarray:
    """An array of booleans or of finite numbers as booleans, True where it is not zero.

    Raises
    ------
    InputError
        If the array has not two axes, or holds something else.
    """
    if (
        (mask.ndim != 2 and not any_order)
        or mask.dtype.kind not in "biuf"
        or not np.isfinite(mask).all()
    ):
        raise InputError(
            f"an observed array {'holds' if any_order else 'is a matrix of'} booleans "
            f"(True = measured); "
            f"got type {mask.dtype}, shape {mask.shape}"
        )
    return mask.astype(bool)
