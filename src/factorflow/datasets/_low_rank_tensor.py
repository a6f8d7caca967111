"""A synthetic tensor of known rank and norm."""

from functools import reduce
from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow._random import stream
from factorflow.datasets._low_rank import is_positive_integer, scaled_to


def low_rank_tensor(
    shape: tuple[int, ...] = (8, 8, 8),
    rank: int = 1,
    norm: float | None = 1.0,
    seed: int = 0,
) -> np.ndarray:
    """A random tensor of given rank: ``c sum_r w_r^1 (x) ... (x) w_r^N``.

    The entries of the vectors are independent draws of N(0, 1), and ``c`` makes the Frobenius
    norm equal to ``norm``.

    Parameters
    ----------
    shape
        The `N` dimensions, two or more.
    rank
        Number of components, from 1 to the product of all dimensions but the largest, which are
        enough for every tensor. Few random components have their number for a rank; beyond the
        generic rank of the shape the rank is less.
    norm
        Frobenius norm of the tensor; None makes the root-mean-square entry 1.
    seed
        The same seed gives the same tensor.

    Returns
    -------
    numpy.ndarray
        The tensor, float64 of shape ``shape``.

    Raises
    ------
    InputError
        If the shape is not two positive integers or more, the rank is none from 1 to that
        product, the norm is not a positive finite number, or the seed is unusable.

    Notes
    -----
    Source: the ground truth of the experiments of Razin and Cohen 2020, arXiv:2005.06398 (8 x 8 x 8
    and 8 x 8 x 8 x 8, ranks 1 and 3, Frobenius norm 1).
    """
    sizes = _checked_shape(shape)
    most = int(np.prod(sizes)) // max(sizes)
    if not is_positive_integer(rank) or rank > most:
        raise InputError(
            f"rank must be an integer from 1 to {most} for a tensor of shape {sizes}; got {rank!r}."
        )
    factors = [
        stream(seed, "low_rank_tensor", str(mode)).standard_normal((size, rank))
        for mode, size in enumerate(sizes)
    ]
    components = reduce(lambda left, right: left[..., None, :] * right, factors)
    return scaled_to(components.sum(axis=-1), norm)


def _checked_shape(shape: Any) -> tuple[int, ...]:
    sizes = tuple(shape) if isinstance(shape, tuple | list) else ()
    if len(sizes) < 2 or not all(map(is_positive_integer, sizes)):
        raise InputError(
            f"shape must be two positive integers or more, for instance (8, 8, 8); got {shape!r}."
        )
    return tuple(map(int, sizes))
