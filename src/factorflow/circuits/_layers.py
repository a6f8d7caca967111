"""The two layers of a convolutional arithmetic circuit, and what enters the first."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from factorflow._errors import InputError
from factorflow._x64 import double_precision


class LocallyConnected(eqx.Module):
    """A linear map at each place with weights of its own, and no bias.

    Parameters
    ----------
    weights
        A matrix ``(channels out, channels in)`` for each place.

    Raises
    ------
    InputError
        If there is no place, or the weights of one are no matrix of real numbers.
    """

    weights: tuple[jax.Array, ...]

    def __init__(self, weights: Sequence[Any]):
        self.weights = tuple(_checked_weights(each, n) for n, each in enumerate(weights))
        if not self.weights:
            raise InputError("A layer needs the weights of one place or more.")

    def __call__(self, values: Sequence[jax.Array]) -> list[jax.Array]:
        """``(..., channels in)`` at each place to ``(..., channels out)``."""
        return [x @ weights.T for x, weights in zip(values, self.weights, strict=True)]

    @property
    def n_places(self) -> int:
        """Number of places."""
        return len(self.weights)

    @property
    def channels_in(self) -> tuple[int, ...]:
        """Number of channels that come in at each place."""
        return tuple(weights.shape[1] for weights in self.weights)

    @property
    def channels_out(self) -> tuple[int, ...]:
        """Number of channels that go out at each place."""
        return tuple(weights.shape[0] for weights in self.weights)


def product_pool(values: Sequence[jax.Array], window: int) -> list[jax.Array]:
    """The products, channel by channel, over windows of neighbours; the last may be shorter."""
    starts = range(0, len(values), window)
    return [reduce(jnp.multiply, values[start : start + window]) for start in starts]


def values_at_places(inputs: Any, sizes: tuple[int, ...]) -> list[jax.Array]:
    """The inputs of a circuit as an array ``(..., d_n)`` for each place.

    Raises
    ------
    InputError
        If they do not fit the places, or differ in their leading axes.
    """
    n_places = len(sizes)
    values = [jnp.asarray(each, jnp.float64) for each in _separated(inputs)]
    if len(values) != n_places:
        raise InputError(
            f"The circuit has {n_places} places and the inputs {len(values)}; give one array "
            f"(..., {n_places}, M), or a sequence of {n_places} arrays (..., d_n)."
        )
    for n, (value, size) in enumerate(zip(values, sizes, strict=True)):
        if value.ndim == 0 or value.shape[-1] != size:
            raise InputError(
                f"The vectors at place {n} must have length {size}; got an array of shape "
                f"{value.shape}."
            )
    leading = {value.shape[:-1] for value in values}
    if len(leading) > 1:
        raise InputError(
            "The inputs of all places must have the same examples; their leading axes are "
            f"{', '.join(map(str, sorted(leading)))}."
        )
    return values


def transposed(matrices: Sequence[Any]) -> list[jax.Array]:
    """Factors hold in columns what layers hold in rows."""
    with double_precision():
        return [jnp.asarray(matrix).T for matrix in matrices]


def _separated(inputs: Any) -> Sequence[Any]:
    """One array for each place; of a single array its last axis but one are the places."""
    if not isinstance(inputs, jax.Array | np.ndarray):
        return list(inputs)
    if inputs.ndim < 2:
        raise InputError(
            f"The inputs must be an array (..., N, M) or a sequence of N arrays (..., d_n); got an "
            f"array of shape {inputs.shape}."
        )
    return [inputs[..., n, :] for n in range(inputs.shape[-2])]


def _checked_weights(given: Any, place: int) -> jax.Array:
    with double_precision():
        # What JAX traces has a dtype and is no array of NumPy's.
        dtype = given.dtype if hasattr(given, "dtype") else np.asarray(given).dtype
        shape = np.shape(given)
        if len(shape) != 2 or 0 in shape or np.dtype(dtype).kind not in "biuf":
            raise InputError(
                f"The weights at place {place} must be a matrix of real numbers, (channels out, "
                f"channels in); got an array of {dtype} of shape {shape}."
            )
        return jnp.asarray(given, jnp.float64)
