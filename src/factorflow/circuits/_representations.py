"""What enters a circuit: representation vectors of indices and of pixels."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from factorflow._errors import InputError

Kind = Literal["affine", "linear", "angle"]


def one_hot(indices: Any, sizes: Sequence[int]) -> tuple[np.ndarray, ...]:
    """The vectors on which a circuit gives the entries of its tensor.

    Parameters
    ----------
    indices
        An array ``(..., N)`` of indices from 0, or a sequence of `N` arrays ``(...)``.
    sizes
        ``(d_1, ..., d_N)``.

    Returns
    -------
    tuple of numpy.ndarray
        `N` arrays ``(..., d_n)`` of zeros with a single one.

    Raises
    ------
    InputError
        If the indices are no integers, not one for each mode, or outside the tensor.
    """
    separated = (
        [indices[..., n] for n in range(indices.shape[-1])] if _is_array(indices) else indices
    )
    if len(separated) != len(sizes):
        raise InputError(
            f"indices must be {len(sizes)}, one for each mode, in the last axis of an array or as "
            f"a sequence; got {len(separated)}."
        )
    return tuple(
        np.eye(size)[_checked(np.asarray(index), int(size), n)]
        for n, (index, size) in enumerate(zip(separated, sizes, strict=True))
    )


def representation(pixels: Any, kind: Kind = "affine") -> np.ndarray:
    """The vector with which a place enters a circuit, made of the pixels at the place.

    Parameters
    ----------
    pixels
        Values from 0 to 1, ``(..., k)`` for `k` pixels at a place.
    kind
        ``"affine"``, ``(1, x_1, ..., x_k)``: the tensor holds the coefficients of a polynomial
        that is affine in the pixels of each place. With the mean ``x`` over the place,
        ``"linear"`` is ``(1 - x, x)``, on black and white one-hot, and ``"angle"`` is
        ``(cos(pi x / 2), sin(pi x / 2))``, of norm 1.

    Returns
    -------
    numpy.ndarray
        ``(..., k + 1)`` of the first kind, ``(..., 2)`` of the others.

    Raises
    ------
    InputError
        If a value is not from 0 to 1, or the kind is none of these.

    Notes
    -----
    Source of the last: Stoudenmire and Schwab 2016 (arXiv:1605.05775); the others are ours.
    """
    if kind not in _KINDS:
        raise InputError(f"kind must be one of {', '.join(_KINDS)}; got {kind!r}.")
    values = np.asarray(pixels)
    if values.ndim == 0 or not values.shape[-1]:
        raise InputError("pixels must be an array (..., k), with k pixels at a place.")
    if values.dtype.kind not in "biuf" or not ((values >= 0) & (values <= 1)).all():
        raise InputError("pixels must be numbers from 0 to 1; divide by the largest value first.")
    return _KINDS[kind](values.astype(np.float64))


def _affine(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((*pixels.shape[:-1], 1)), pixels], axis=-1)


def _linear(pixels: np.ndarray) -> np.ndarray:
    mean = pixels.mean(axis=-1)
    return np.stack([1 - mean, mean], axis=-1)


def _angle(pixels: np.ndarray) -> np.ndarray:
    quarter = np.pi / 2 * pixels.mean(axis=-1)
    return np.stack([np.cos(quarter), np.sin(quarter)], axis=-1)


_KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "affine": _affine,
    "linear": _linear,
    "angle": _angle,
}


def _is_array(indices: Any) -> bool:
    return hasattr(indices, "ndim") and indices.ndim > 0


def _checked(index: np.ndarray, size: int, mode: int) -> np.ndarray:
    if index.dtype.kind not in "iu":
        raise InputError(f"The indices of mode {mode} must be integers; got {index.dtype}.")
    outside = (index < 0) | (index >= size)
    if outside.any():
        raise InputError(
            f"Mode {mode} has the indices 0 to {size - 1}; got {int(index[outside].flat[0])}."
        )
    return index
