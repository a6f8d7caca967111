"""Numbers that the theory is given, refused where they are none."""

from math import inf
from numbers import Real
from operator import index
from typing import Any

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
