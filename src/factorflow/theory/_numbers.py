"""Numbers that the theory is given, refused where they are none."""

from math import inf
from numbers import Real
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from factorflow._errors import InputError


def checked_positive(name: str, value: Any) -> float:
    """A positive finite number.

    Raises
    ------
    InputError
        If it is none, naming it.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < inf:
        raise InputError(f"{name} must be a positive finite number; got {value!r}.")
    return float(value)


def checked_whole(name: str, value: Any, least: int) -> int:
    """A whole number of ``least`` or more.

    Raises
    ------
    InputError
        If it is none, naming it.
    """
    try:
        whole = least - 1 if isinstance(value, bool) else index(value)
    except TypeError:
        whole = least - 1
    if whole < least:
        raise InputError(f"{name} must be a whole number of {least} or more; got {value!r}.")
    return whole


def checked_arrays(**given: tuple[ArrayLike, float | None]) -> tuple[Any, ...]:
    """The common shape, and each array flat, as many numbers as that shape has.

    Every name comes with the numbers and the least that they may be, None for positive ones.

    Raises
    ------
    InputError
        If numbers are not finite or below, or the shapes do not broadcast.
    """
    arrays = []
    for name, (values, least) in given.items():
        array = np.asarray(values, np.float64)
        within = array > 0 if least is None else array >= least
        if not np.all(within & np.isfinite(array)):
            kind = "positive " if least is None else "" if least == -inf else "non-negative "
            raise InputError(f"{name} must be finite {kind}numbers; got {values!r}.")
        arrays.append(array)
    try:
        spread = np.broadcast_arrays(*arrays)
    except ValueError:
        shapes = ", ".join(
            f"{name} {array.shape}" for name, array in zip(given, arrays, strict=True)
        )
        raise InputError(f"These shapes do not broadcast: {shapes}.") from None
    return spread[0].shape, *(array.ravel() for array in spread)
