"""Random streams that come from names, so that no draw depends on the order of calls."""

from zlib import crc32

import numpy as np

from factorflow._errors import InputError


def stream(seed: int, *names: str) -> np.random.Generator:
    """The generator that belongs to a seed and a path of names.

    Raises
    ------
    InputError
        If ``seed`` is no integer of zero or more.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed must be an integer of zero or more; got {seed!r}.")
    return np.random.default_rng([int(seed), *(crc32(name.encode()) for name in names)])
