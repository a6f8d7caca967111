"""The component that leaves a critical point of a tensor first."""

from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from factorflow.dynamics._component_hessian import contracted

Factors = tuple[Array, ...]

_CANDIDATES = 64
_LEAST, _MOST = 3, 100  # sweeps
_GAIN = 1e-3  # relative, of the largest value in a sweep, below which the search ends
_APART = 0.5  # cosine of two components below which they are two


def strongest_component(field: Array) -> tuple[Array, Array, Factors, Array]:
    """Largest value ``<field, v_1 (x) ... (x) v_N>`` found over unit vectors, and where.

    The power method of alternating updates ``v_n = field x_{m != n} v_m``, scaled to norm 1, of
    many candidates at once. The value never falls. A candidate is one of the longest fibres along
    the longest mode, beside the unit vectors that say where that fibre is; so the value is at
    least ``||field||_F / sqrt(F)`` for `F` fibres, and no component is stronger by more than
    ``sqrt(F)``. The largest value itself is hard to find in general, and no bound says that this
    is it.

    Returns
    -------
    tuple
        The value; that of the strongest candidate that ended elsewhere, 0 if there is none; the
        unit vectors; and the sweeps, each of which costs what a gradient of all candidates would.
    """

    def more(carry):
        _, values, before, sweeps = carry
        gains = jnp.max(values) > (1 + _GAIN) * before
        return (sweeps < _LEAST) | (gains & (sweeps < _MOST))

    def sweep(carry):
        vectors, values, _, sweeps = carry
        before = jnp.max(values)
        for n in _mode_order(field.shape):
            vectors[n], values = _unit(contracted(field, vectors, [n]))
        return vectors, values, before, sweeps + 1

    vectors = _candidates(field)
    begun = (vectors, jnp.zeros(vectors[0].shape[1]), jnp.zeros(()), jnp.zeros((), int))
    vectors, values, _, sweeps = jax.lax.while_loop(more, sweep, begun)
    best = jnp.argmax(values)
    found = tuple(each[:, best] for each in vectors)
    cosines = _product([v @ each for v, each in zip(found, vectors, strict=True)])
    second = jnp.max(jnp.where(jnp.abs(cosines) < _APART, values, 0.0))
    return values[best], second, found, sweeps


def outer(vectors: Factors) -> Array:
    """``v_1 (x) ... (x) v_N``."""
    whole = vectors[0]
    for each in vectors[1:]:
        whole = jnp.tensordot(whole, each, axes=0)
    return whole


def _candidates(field: Array) -> list[Array]:
    longest = _longest_mode(field.shape)
    others = [size for n, size in enumerate(field.shape) if n != longest]
    fibres = jnp.moveaxis(field, longest, 0).reshape(field.shape[longest], -1)
    count = min(_CANDIDATES, prod(others))
    _, which = jax.lax.top_k(jnp.linalg.norm(fibres, axis=0), count)
    places = jnp.unravel_index(which, others)
    pairs = zip(places, others, strict=True)
    vectors = [jax.nn.one_hot(i, size, dtype=field.dtype, axis=0) for i, size in pairs]
    vectors.insert(longest, _unit(fibres[:, which])[0])
    return vectors


def _mode_order(shape: tuple[int, ...]) -> list[int]:
    """The mode whose vectors are fibres already comes last."""
    longest = _longest_mode(shape)
    return [n for n in range(len(shape)) if n != longest] + [longest]


def _longest_mode(shape: tuple[int, ...]) -> int:
    return max(range(len(shape)), key=lambda n: shape[n])


def _unit(columns: Array) -> tuple[Array, Array]:
    sizes = jnp.linalg.norm(columns, axis=0)
    return columns / jnp.where(sizes > 0, sizes, 1.0)[None, :], sizes


def _product(terms: list[Any]) -> Array:
    return jnp.prod(jnp.stack(terms), axis=0)
