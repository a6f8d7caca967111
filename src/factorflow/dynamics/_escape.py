"""Directions in which a matrix or tensor of more columns would leave a critical point."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from factorflow.dynamics._component_escape import outer, strongest_component
from factorflow.dynamics._lanczos import largest_eigenpair
from factorflow.dynamics._newton import by_entries
from factorflow.factorizations import CP, DeepLinear, Symmetric
from factorflow.problems import AbstractLoss, EntriesLoss

Factors = tuple[Array, ...]


class Escape(NamedTuple):
    """Which directions leave a critical point, and how fast."""

    value: Array  # largest eigenvalue, or singular value, of minus the gradient by the matrix
    runner_up: Array
    columns: tuple[Array, ...]  # each (., most): one unit vector for each direction that leaves
    count: Array  # of them
    n_gradients: Array


def directions_of_escape(loss: AbstractLoss, factors: Factors, most: int, tie: float) -> Escape:
    """The top of the spectrum of ``-df/dW``, with all that ties with it.

    Of a :class:`Symmetric` matrix the largest eigenvalue of the symmetric part, else the largest
    singular value. Lanczos, with ``-df/dW`` known by its products alone where the loss visits
    entries; each product is then a gradient. Of a tensor the strongest component found, whose
    sweeps count as gradients, and which leaves alone.

    Parameters
    ----------
    loss, factors
        The loss and where it is.
    most
        Number of directions at most.
    tie
        Directions whose value falls short of the largest by at most this share of it tie with it.
    """
    if isinstance(loss.factorization, CP):
        return _component(loss, factors, most)
    symmetric = isinstance(loss.factorization, Symmetric)
    m, n = loss.factorization.matrix(factors).shape
    product, by_products = _product(loss, factors, symmetric)
    size = m if symmetric else m + n

    def more(carry):
        _, values, count, _ = carry
        last = values[count - 1]
        ties = (values[0] > 0) & (last >= (1 - tie) * values[0])
        return (count < min(most + 1, size)) & ((count < 2) | ties)

    def next_pair(carry):
        known, values, count, spent = carry
        found = largest_eigenpair(product, size, known)
        known = known.at[:, count].set(found.vector)
        values = values.at[count].set(found.value)
        return known, values, count + 1, spent + found.n_products

    zero = jnp.zeros((), int)
    begun = (jnp.zeros((size, most + 1)), jnp.full(most + 1, -jnp.inf), zero, zero)
    vectors, values, _, spent = jax.lax.while_loop(more, next_pair, begun)
    tied = (values >= (1 - tie) * values[0])[:most]
    vectors = jnp.where(tied[None, :], vectors[:, :most], 0.0)
    halves = (vectors,) if symmetric else (vectors[:m], vectors[m:])
    columns = tuple(each / _sizes(each)[None, :] for each in halves)
    second = jnp.where(jnp.isfinite(values[1]), values[1], 0.0)
    return Escape(values[0], second, columns, jnp.sum(tied), spent if by_products else zero + 1)


def curvature_along(loss: AbstractLoss, factors: Factors, escape: Escape) -> Array:
    """``d^2 f / dc^2`` of ``f(W + c u v^T)`` along the first direction."""
    if isinstance(loss.factorization, CP):
        along = outer(tuple(columns[:, 0] for columns in escape.columns))
        return jnp.vdot(by_entries(loss, factors)[1], along**2)
    u, v = escape.columns[0][:, :1], escape.columns[-1][:, :1]
    wide = loss.of(DeepLinear(2))

    def slope(size: Array) -> Array:
        _, by_left = wide.gradient(_with_columns(loss, factors, size * u, v))
        return by_left[:, -1] @ u[:, 0]

    return jax.jvp(slope, (jnp.zeros(()),), (jnp.ones(()),))[1]


def _component(loss, factors, most: int) -> Escape:
    field = -by_entries(loss, factors)[0]
    value, second, vectors, sweeps = strongest_component(field)
    columns = tuple(jnp.pad(each[:, None], ((0, 0), (0, most - 1))) for each in vectors)
    # The field, the sweeps, and the curvature of where they led.
    return Escape(value, second, columns, jnp.ones((), int), sweeps + 2)


def _product(loss, factors, symmetric: bool) -> tuple[Callable[[Array], Array], bool]:
    """``x -> K x``, and whether each costs a gradient."""
    by_products = isinstance(loss, EntriesLoss)
    both = _by_gradients(loss, factors) if by_products else _by_matrix(loss, factors)

    def of_symmetric(x: Array) -> Array:
        forward, backward = both(x, x)
        return -0.5 * (forward + backward)

    def of_halves(x: Array) -> Array:
        m = loss.factorization.halves(factors)[0].shape[0]
        forward, backward = both(x[:m], x[m:])
        return -jnp.concatenate([forward, backward])

    return (of_symmetric if symmetric else of_halves), by_products


def _by_matrix(loss, factors):
    (gradient,) = loss.of(DeepLinear(1)).gradient((loss.factorization.matrix(factors),))

    def both(u: Array, v: Array) -> tuple[Array, Array]:
        return gradient @ v, gradient.T @ u

    return both


def _by_gradients(loss, factors):
    """``G v`` and ``G^T u`` are the gradients by columns of zeros opposite to `v` and `u`."""
    wide = loss.of(DeepLinear(2))

    def both(u: Array, v: Array) -> tuple[Array, Array]:
        lefts = jnp.stack([jnp.zeros_like(u), u], axis=1)
        rights = jnp.stack([v, jnp.zeros_like(v)], axis=1)
        by_right, by_left = wide.gradient(_with_columns(loss, factors, lefts, rights))
        return by_left[:, -2], by_right[-1]

    return both


def _with_columns(loss, factors, lefts: Array, rights: Array) -> Factors:
    """Factors of depth 2 with more columns, ``(m, j)`` and ``(n, j)``."""
    left, right = loss.factorization.halves(factors)
    return (
        jnp.concatenate([right, rights.T], axis=0),
        jnp.concatenate([left, lefts], axis=1),
    )


def _sizes(columns: Array) -> Array:
    sizes = jnp.linalg.norm(columns, axis=0)
    return jnp.where(sizes > 0, sizes, 1.0)
