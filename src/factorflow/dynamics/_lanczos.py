"""The largest eigenpairs of a symmetric matrix that is known by its products alone."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

_STEPS = 48
_RESTARTS = 30
_TINY = 1e-13


class Eigenpair(NamedTuple):
    """An eigenvalue, its unit eigenvector and the number of products that they took."""

    value: Array
    vector: Array
    n_products: Array


def largest_eigenpair(
    product: Callable[[Array], Array], size: int, known: Array, tolerance: float = 1e-8
) -> Eigenpair:
    """The algebraically largest eigenvalue apart from known ones, by restarted Lanczos.

    Parameters
    ----------
    product
        ``x -> K x`` of a symmetric `K`, ``(size,)`` to ``(size,)``.
    size
        Of the matrix.
    known
        ``(size, j)``: orthonormal eigenvectors to leave out; columns of zeros do not matter.
    tolerance
        Residual ``||K x - value x||`` at which to end, as a share of the largest ``|value|`` seen.
    """
    steps = min(size, _STEPS)

    def apart(x: Array) -> Array:
        return x - known @ (known.T @ x)

    def sweep(carry):
        _, start, _, _, sweeps = carry
        value, vector, residual, scale = _krylov(product, apart, start, steps)
        return value, vector, residual, scale, sweeps + 1

    def more(carry):
        _, _, residual, scale, sweeps = carry
        return (residual > tolerance * scale) & (sweeps < _RESTARTS)

    # Any vector that no structure of a matrix is orthogonal to, and another one each time: what
    # is left of the same would miss the rest of an eigenspace of which it found one vector.
    turn = 1 + jnp.sum(known**2)
    start = apart(jnp.cos(turn * (1.0 + jnp.arange(size) ** 2)))
    zero = jnp.zeros(())
    begun = (zero, start, jnp.ones(()), zero, jnp.zeros((), int))
    value, vector, _, _, sweeps = jax.lax.while_loop(more, sweep, begun)
    return Eigenpair(value, vector, sweeps * steps)


def _krylov(product, apart, start: Array, steps: int):
    """The best pair of one Krylov space, kept orthogonal in full."""

    def step(j, carry):
        basis, diagonal, off = carry
        w = apart(product(basis[j]))
        before = jnp.linalg.norm(w)
        entry = basis[j] @ w
        for _ in range(2):
            w = apart(w - (basis @ w) @ basis)
        size = jnp.linalg.norm(w)
        goes_on = size > _TINY * before
        after = jnp.where(goes_on, w / jnp.where(goes_on, size, 1.0), jnp.zeros_like(w))
        return (
            basis.at[j + 1].set(after),
            diagonal.at[j].set(entry),
            off.at[j].set(jnp.where(goes_on, size, 0.0)),
        )

    basis = jnp.zeros((steps + 1, start.size)).at[0].set(start / jnp.linalg.norm(start))
    begun = (basis, jnp.zeros(steps), jnp.zeros(steps))
    basis, diagonal, off = jax.lax.fori_loop(0, steps, step, begun)
    scale = jnp.max(jnp.abs(diagonal)) + jnp.max(off)
    # Steps beyond an invariant space must not pass for eigenvalues of zero.
    used = jnp.sum(basis[:-1] ** 2, axis=1) > 0.5
    filled = jnp.where(used, diagonal, -2 * scale - 1)
    values, vectors = jnp.linalg.eigh(
        jnp.diag(filled) + jnp.diag(off[:-1], 1) + jnp.diag(off[:-1], -1)
    )
    vector = vectors[:, -1] @ basis[:-1]
    residual = jnp.abs(off[-1] * vectors[-1, -1])
    return values[-1], vector / jnp.linalg.norm(vector), residual, scale
