"""The deep convolutional arithmetic circuit, which is a hierarchical Tucker factorization."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import equinox as eqx
import jax

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.circuits._layers import (
    LocallyConnected,
    product_pool,
    transposed,
    values_at_places,
)
from factorflow.factorizations import HierarchicalTucker


class DeepCircuit(eqx.Module):
    """Locally connected layers with product pooling between them, and one linear output.

    With ``x_n`` at place `n` of the first layer,

        h = W_n x_n at each place of a layer,    x = the product of h over a window of places,

    from layer to layer until one place is left, whose layer has a single channel, the output.

    Parameters
    ----------
    layers
        For each layer, the first one first, a matrix ``(channels out, channels in)`` for each of
        its places; a layer has as many places as the one before has windows, the last has one.
    arity
        Number of places in a window, 2 or more; the last window of a layer may be shorter.

    Raises
    ------
    InputError
        If the layers do not follow each other, or weights are no matrices.

    Notes
    -----
    With the end-to-end tensor `T` of a hierarchical Tucker factorization it is
    ``<T, x_1 (x) ... (x) x_N>``: on one-hot vectors an entry (:meth:`from_factors`,
    :meth:`to_factors`). With all places in one window it is a :class:`ShallowCircuit` with weights
    at its output.

    It computes in float64. Take its derivatives, and batches by ``jax.vmap``, where JAX does too:
    within ``jax.enable_x64(True)``.

    Source: Razin and Cohen 2020 (arXiv:2005.06398) and Razin, Maman and Cohen 2022
    (arXiv:2201.11729), after Cohen, Sharir and Shashua 2016 (arXiv:1509.05009).
    """

    layers: tuple[LocallyConnected, ...]
    arity: int = eqx.field(static=True)

    def __init__(self, layers: Sequence[Sequence[Any]], arity: int = 2):
        self.arity = HierarchicalTucker(arity=arity).arity
        self.layers = tuple(LocallyConnected(_weights_of(each)) for each in layers)
        _check_places(self.layers, self.arity)
        _check_channels(self.layers, self.arity)

    @classmethod
    def from_factors(cls, factors: Sequence[Any], arity: int = 2) -> "DeepCircuit":
        """The circuit whose tensor is that of hierarchical Tucker factors over a tree of an arity.

        Raises
        ------
        InputError
            If no tree has so many factors, or their shapes do not fit it.
        """
        weights = transposed(factors)
        order = len(HierarchicalTucker(arity=arity).sizes(weights))
        counts = _places(order, arity)
        ends = list(accumulate(counts))
        return cls([weights[end - n : end] for n, end in zip(counts, ends, strict=True)], arity)

    def to_factors(self) -> tuple[HierarchicalTucker, tuple[jax.Array, ...]]:
        """The factorization and the factors that the circuit evaluates.

        Raises
        ------
        InputError
            If the places of a layer differ in their number of channels otherwise than those of
            ``HierarchicalTucker(None, arity)`` do: no factorization names such widths.
        """
        factors = self._factors
        return HierarchicalTucker(self._widths([f.shape for f in factors]), self.arity), factors

    def __call__(self, inputs: Any) -> jax.Array:
        """The output for representation vectors.

        Parameters
        ----------
        inputs
            An array ``(..., N, M)``, if all vectors have one length, or a sequence of `N` arrays
            ``(..., d_n)``. The leading axes are examples: none for a single one.

        Returns
        -------
        jax.Array
            A number for each example, ``(...)``.

        Raises
        ------
        InputError
            If the inputs do not fit the places.
        """
        with double_precision():
            values = values_at_places(inputs, self.sizes)
            for layer in self.layers:
                values = product_pool(layer(values), self.arity)
            return values[0][..., 0]

    def tensor(self) -> jax.Array:
        """The values on all one-hot vectors, ``(d_1, ..., d_N)``."""
        with double_precision():  # the formula goes by the factors, whatever their widths
            return HierarchicalTucker(None, self.arity).tensor(self._factors)

    @property
    def sizes(self) -> tuple[int, ...]:
        """``(d_1, ..., d_N)``."""
        return self.layers[0].channels_in

    @property
    def _factors(self) -> tuple[jax.Array, ...]:
        return tuple(transposed([w for layer in self.layers for w in layer.weights]))

    def _widths(self, shapes: list[tuple[int, ...]]) -> tuple[int, ...] | None:
        channels = [set(layer.channels_in) for layer in self.layers[1:]]
        if all(len(each) == 1 for each in channels):
            return tuple(min(each) for each in channels)
        if HierarchicalTucker(None, self.arity).shapes(self.sizes) == shapes:
            return None
        raise InputError(
            "HierarchicalTucker has one width for all nodes of a level; the places of a layer here "
            f"differ: {', '.join(str(layer.channels_in) for layer in self.layers[1:])}."
        )


def _weights_of(layer: Any) -> Sequence[Any]:
    return layer.weights if isinstance(layer, LocallyConnected) else layer


def _places(n_places: int, arity: int) -> list[int]:
    """How many places each layer has, down to one."""
    counts = [n_places]
    while counts[-1] > 1:
        counts.append(-(-counts[-1] // arity))
    return counts


def _check_places(layers: Sequence[LocallyConnected], arity: int) -> None:
    counts = [layer.n_places for layer in layers]
    if not counts or counts[0] < 2:
        raise InputError("A circuit needs two places or more in its first layer.")
    wanted = _places(counts[0], arity)
    if counts != wanted:
        raise InputError(
            f"With {counts[0]} places and arity {arity} the layers must have "
            f"{', '.join(map(str, wanted))} places; got {', '.join(map(str, counts))}."
        )


def _check_channels(layers: Sequence[LocallyConnected], arity: int) -> None:
    for number, (below, above) in enumerate(pairwise(layers), start=2):
        for place, wanted in enumerate(above.channels_in):
            joined = below.channels_out[place * arity : (place + 1) * arity]
            if set(joined) != {wanted}:
                raise InputError(
                    f"Place {place} of layer {number} takes {wanted} channels; the places that it "
                    f"joins give {', '.join(map(str, joined))}."
                )
    (last,) = layers[-1].channels_out
    if last != 1:
        raise InputError(f"The last layer must have one channel, the output; it has {last}.")
