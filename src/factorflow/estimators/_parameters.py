"""Checks of an estimator's parameters: one sentence for each that cannot be used."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from factorflow._errors import InputError


def check_one_of(name: str, value: Any, choices: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(f'"{choice}"' for choice in choices)
        raise InputError(f"{name} must be one of {listed}; got {value!r}.")


def check_number(name: str, value: Any, above: float = 0.0, below: float = np.inf) -> None:
    """Refuse what is not a number strictly between two."""
    if isinstance(value, bool) or not isinstance(value, Real) or not above < float(value) < below:
        limits = f"above {above:g}" + (f" and below {below:g}" if below < np.inf else "")
        raise InputError(f"{name} must be a finite number {limits}; got {value!r}.")


def check_count(name: str, value: Any) -> None:
    """Refuse what is neither None nor a whole number of 1 or more."""
    if value is not None and not (_is_whole(value) and value >= 1):
        raise InputError(f"{name} must be a whole number of 1 or more, or None; got {value!r}.")


def check_whole(name: str, value: Any) -> None:
    """Refuse what is no whole number of 1 or more."""
    if not (_is_whole(value) and value >= 1):
        raise InputError(f"{name} must be a whole number of 1 or more; got {value!r}.")


def check_kind(name: str, value: Any, kind: type, wanted: str) -> None:
    """Refuse what is neither None nor of a kind."""
    if value is not None and not isinstance(value, kind):
        raise InputError(f"{name} must be {wanted}, or None; got {value!r}.")


def check_size(name: str, value: Any) -> None:
    """Refuse what is no finite number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < np.inf:
        raise InputError(f"{name} must be a finite number of 0 or more; got {value!r}.")


def check_callable(name: str, value: Any) -> None:
    """Refuse what is neither None nor can be called."""
    if value is not None and not callable(value):
        raise InputError(f"{name} must be something to call, or None; got {value!r}.")


def check_random_state(value: Any) -> None:
    """Refuse what :func:`seed_of` cannot make a seed of."""
    if value is None or isinstance(value, np.random.RandomState):
        return
    if not (_is_whole(value) and value >= 0):
        raise InputError(
            "random_state must be an integer of 0 or more, a numpy RandomState or None; "
            f"got {value!r}."
        )


def seed_of(random_state: Any) -> int:
    """An integer: itself, 0 for None, or the next that a RandomState draws."""
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(np.iinfo(np.int32).max))
    return 0 if random_state is None else int(random_state)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
