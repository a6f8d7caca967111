"""The convolutional arithmetic circuit with one hidden layer, which is a CP factorization."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.circuits._layers import (
    LocallyConnected,
    product_pool,
    transposed,
    values_at_places,
)
from factorflow.factorizations import CP


class ShallowCircuit(eqx.Module):
    """A locally connected layer, product pooling over all places, and the sum over channels.

        f(x_1, ..., x_N) = sum_r prod_n <w_r^n, x_n>

    Parameters
    ----------
    weights
        For each of the `N` places a matrix ``(R, d_n)`` with the vectors ``w_r^n`` in rows.

    Raises
    ------
    InputError
        If there are fewer than two places, the weights of one are no matrix, or they differ in
        their number `R` of channels.

    Notes
    -----
    With the tensor ``T = sum_r w_r^1 (x) ... (x) w_r^N`` it is ``<T, x_1 (x) ... (x) x_N>``: on
    one-hot vectors an entry of a CP factorization (:meth:`from_factors`, :meth:`to_factors`).

    It computes in float64. Take its derivatives, and batches by ``jax.vmap``, where JAX does too:
    within ``jax.enable_x64(True)``.

    Source: Razin and Cohen 2020 (arXiv:2005.06398), section 5.
    """

    hidden: LocallyConnected

    def __init__(self, weights: Sequence[Any]):
        self.hidden = LocallyConnected(weights)
        channels = set(self.hidden.channels_out)
        if self.hidden.n_places < 2:
            raise InputError("A circuit needs two places or more; got one.")
        if len(channels) > 1:
            raise InputError(
                "All places must have the same number of channels to be multiplied; they have "
                f"{', '.join(map(str, self.hidden.channels_out))}."
            )

    @classmethod
    def from_factors(cls, factors: Sequence[Any]) -> "ShallowCircuit":
        """The circuit whose tensor is that of CP factors ``A_n``, each ``(d_n, R)``.

        Raises
        ------
        InputError
            If they are no such factors.
        """
        return cls(transposed(factors))

    def to_factors(self) -> tuple[CP, tuple[jax.Array, ...]]:
        """The factorization and the factors that the circuit evaluates."""
        return CP(self.n_channels), tuple(transposed(self.hidden.weights))

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
            values = self.hidden(values_at_places(inputs, self.sizes))
            (pooled,) = product_pool(values, len(values))
            return jnp.sum(pooled, axis=-1)

    def tensor(self) -> jax.Array:
        """The values on all one-hot vectors, ``(d_1, ..., d_N)``."""
        factorization, factors = self.to_factors()
        with double_precision():
            return factorization.tensor(factors)

    @property
    def sizes(self) -> tuple[int, ...]:
        """``(d_1, ..., d_N)``."""
        return self.hidden.channels_in

    @property
    def n_channels(self) -> int:
        """`R`."""
        return self.hidden.channels_out[0]
