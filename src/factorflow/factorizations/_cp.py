"""The CP factorization: a sum of outer products of vectors."""

from collections.abc import Sequence
from functools import reduce
from math import prod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from factorflow.factorizations._abstract import Shape
from factorflow.factorizations._abstract_tensor import (
    AbstractTensorFactorization,
    Features,
    Product,
    checked_order,
    even_split,
    lengths,
)
from factorflow.factorizations._symmetric import checked_width


class CP(AbstractTensorFactorization):
    """The tensor as a sum of components: ``T = sum_r w_r^1 (x) ... (x) w_r^N``.

    Parameters
    ----------
    components
        Number `R` of components. By default the product of all dimensions but the largest, which
        does not constrain the rank; that many are ``8 R (d_1 + ... + d_N)`` bytes, so name a
        number for large tensors.

    Notes
    -----
    ``factors[n]`` is ``A_n``, ``(d_n, R)``, whose column `r` is ``w_r^n``; `N` is the order. With
    ``G = dL/dT`` the gradient of a loss of the tensor,

        dL/dw_r^n = G contracted with w_r^m over every mode m but n.

    Gradient flow conserves ``||w_r^n||^2 - ||w_r^m||^2``, and the norm of a component,
    ``c_r = prod_n ||w_r^n||``, moves by ``N c_r^(2 - 2/N) <-G, C_r / c_r>`` where these are zero.
    It is a convolutional arithmetic circuit with one hidden layer, and at order 2 a matrix
    factorization of depth 2.

    Sources: Razin and Cohen 2020 (arXiv:2005.06398), section 5; Razin, Maman and Cohen 2021
    (arXiv:2102.09972) for the norms.

    Raises
    ------
    InputError
        If the number of components is no whole number of 1 or more; in use, if the unknown has
        fewer than two modes.
    """

    components: int | None = eqx.field(static=True)

    def __init__(self, components: int | None = None):
        self.components = None if components is None else checked_width(components, "components")

    def shapes(self, shape: Shape) -> list[tuple[int, ...]]:
        sizes = checked_order(shape, "CP")
        n_components = self.n_terms(sizes)
        return [(size, n_components) for size in sizes]

    def n_terms(self, shape: Shape) -> int:
        return prod(shape) // max(shape) if self.components is None else self.components

    def sizes(self, factors: Sequence[Any]) -> Shape:
        return tuple(factor.shape[0] for factor in factors)

    def n_left(self, shape: Shape) -> int:
        return even_split(shape, range(1, len(shape)))

    def combine(
        self, factors: Sequence[jax.Array], features: Features, product: Product
    ) -> tuple[jax.Array, jax.Array]:
        cut = self.n_left(self.sizes(factors))
        return reduce(product, features[:cut]), reduce(product, features[cut:])

    def vector_norms(self, factors: Sequence[Any]) -> tuple[jax.Array, ...]:
        return (jnp.stack([lengths(jnp, factor, 0) for factor in factors]),)

    def balanced(self, factors: Sequence[Any]) -> tuple[np.ndarray, ...]:
        return equal_norms(np, [np.asarray(factor) for factor in factors])

    def __repr__(self) -> str:
        return f"CP(components={self.components})"


def equal_norms(xp: Any, factors: Sequence[Any]) -> tuple[Any, ...]:
    """Factors of the same components, each of vectors of equal norms, by NumPy or JAX."""
    norms = xp.stack([lengths(xp, factor, 0) for factor in factors])
    whole = (norms > 0).all(axis=0)  # a component with a zero vector is zero
    logs = xp.log(xp.where(whole[None, :], norms, 1))
    scales = xp.where(whole[None, :], xp.exp(logs.mean(axis=0, keepdims=True) - logs), 0)
    return tuple(factor * scale[None, :] for factor, scale in zip(factors, scales, strict=True))
