"""Newton's equations of the loss in the columns of its factors."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from factorflow.dynamics._component_hessian import slope_and_hessian
from factorflow.factorizations import CP, DeepLinear, Symmetric, equal_norms
from factorflow.problems import AbstractLoss, EntriesLoss

Factors = tuple[Array, ...]

_FEW_COMPONENTS = 8


def newton_step(loss: AbstractLoss, factors: Factors, damping: Array) -> tuple[Factors, Array]:
    """A step ``-(H + damping I)^(-1) g`` and the decrease that the quadratic model promises.

    `H` is the whole Hessian by the factors, `g` the gradient. It is one linearly implicit Euler
    step of length ``1 / damping`` of gradient flow. Where ``H + damping I`` is not positive
    definite, the result is not a number.

    Parameters
    ----------
    loss
        Of :class:`DeepLinear` of depth 2, of :class:`Symmetric` or of :class:`CP`. If it is a sum
        over entries, `H` is written down; if not, it is differentiated, column by column.
    factors
        ``(W_1, W_2)``, ``(U,)`` or ``(A_1, ..., A_N)``.
    damping
        A number.
    """
    if not type(loss).entrywise:
        return _differentiated(loss, factors, damping)
    solvers = {Symmetric: _symmetric, CP: _components}
    solve = solvers.get(type(loss.factorization), _two_halves)
    return solve(*by_entries(loss, factors), factors, damping)


def by_entries(loss: AbstractLoss, factors: Factors) -> tuple[Array, Array]:
    """Gradient and curvature of the loss by the entries of the unknown, both of its shape."""
    dense: Any = loss.dense() if isinstance(loss, EntriesLoss) else loss
    of_unknown = dense.of(DeepLinear(1))
    unknown = loss.factorization.tensor(factors)

    def gradient(unknown: Array) -> Array:
        return of_unknown.gradient((unknown,))[0]

    return jax.jvp(gradient, (unknown,), (jnp.ones_like(unknown),))


def _two_halves(gradient, curvature, factors: Factors, damping) -> tuple[Factors, Array]:
    """``U`` is eliminated: its block of `H` is one small matrix for each row."""
    V, U = factors[0].T, factors[1]
    (m, k), n = U.shape, V.shape[0]
    one = damping * jnp.eye(k)[None]
    rows = jnp.einsum("ij,ja,jb->iab", curvature, V, V) + one
    columns = jnp.einsum("ij,ia,ib->jab", curvature, U, U) + one
    cross = curvature[:, None, :, None] * V.T[None, :, :, None] * U[:, None, None, :]
    cross += gradient[:, None, :, None] * jnp.eye(k)[None, :, None, :]
    by_U, by_V = gradient @ V, gradient.T @ U
    root = jnp.linalg.cholesky(rows)
    half_cross = _forward(root, cross.reshape(m, k, n * k))
    half_U = _forward(root, by_U[:, :, None]).reshape(m * k)
    flat = half_cross.reshape(m * k, n * k)
    diagonal = jnp.zeros((n, k, n, k)).at[jnp.arange(n), :, jnp.arange(n), :].set(columns)
    reduced = diagonal.reshape(n * k, n * k) - flat.T @ flat
    step_V = _solved(reduced, -(by_V.reshape(n * k) - flat.T @ half_U))
    left = -(half_U + flat @ step_V).reshape(m, k, 1)
    step_U = jax.scipy.linalg.solve_triangular(root, left, lower=True, trans=1)[:, :, 0]
    step_V = step_V.reshape(n, k)
    slope = jnp.vdot(by_U, step_U) + jnp.vdot(by_V, step_V)
    moved = step_U @ V.T + U @ step_V.T
    bend = jnp.vdot(curvature, moved**2) + 2 * jnp.vdot(gradient, step_U @ step_V.T)
    return (step_V.T, step_U), -(slope + 0.5 * bend)


def _symmetric(gradient, curvature, factors: Factors, damping) -> tuple[Factors, Array]:
    (U,) = factors
    d, k = U.shape
    gradient, curvature = gradient + gradient.T, curvature + curvature.T
    blocks = jnp.einsum("ij,ja,jb->iab", curvature, U, U)
    hessian = curvature[:, None, :, None] * U.T[None, :, :, None] * U[:, None, None, :]
    hessian += gradient[:, None, :, None] * jnp.eye(k)[None, :, None, :]
    hessian = hessian.at[jnp.arange(d), :, jnp.arange(d), :].add(blocks).reshape(d * k, d * k)
    by_U = (gradient @ U).ravel()
    step = _solved(hessian + damping * jnp.eye(d * k), -by_U)
    predicted = -(by_U @ step + 0.5 * step @ (hessian @ step))
    return (step.reshape(d, k),), predicted


def _components(gradient, curvature, factors: Factors, damping) -> tuple[Factors, Array]:
    _, as_factors = ravel_pytree(factors)
    slope, hessian = slope_and_hessian(gradient, curvature, factors)
    step = _solved(hessian + damping * jnp.eye(slope.size), -slope)
    return as_factors(step), -(slope @ step + 0.5 * step @ (hessian @ step))


def _differentiated(loss: AbstractLoss, factors: Factors, damping) -> tuple[Factors, Array]:
    flat, as_factors = ravel_pytree(factors)

    def gradient(flat: Array) -> Array:
        return ravel_pytree(loss.gradient(as_factors(flat)))[0]

    slope, hessian = gradient(flat), jax.jacfwd(gradient)(flat)
    step = _solved(hessian + damping * jnp.eye(flat.size), -slope)
    return as_factors(step), -(slope @ step + 0.5 * step @ (hessian @ step))


def _solved(matrix: Array, right: Array) -> Array:
    return jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(matrix), True), right)


def _forward(root: Array, right: Array) -> Array:
    return jax.scipy.linalg.solve_triangular(root, right, lower=True)


def aligned(factorization: Any, factors: Factors) -> Factors:
    """Factors of the same matrix whose columns go along its singular vectors, largest first.

    Two halves are balanced as well. Of CP components, factors of the same tensor whose vectors
    have equal norms within each component.
    """
    if isinstance(factorization, CP):
        return equal_norms(jnp, factors)
    if isinstance(factorization, Symmetric):
        u, s, _ = jnp.linalg.svd(factors[0], full_matrices=False)
        return (u * s[None, :],)
    right, left = factors[0].T, factors[1]
    (q, r), (p, t) = jnp.linalg.qr(left), jnp.linalg.qr(right)
    u, s, vt = jnp.linalg.svd(r @ t.T, full_matrices=False)
    root = jnp.sqrt(s)[None, :]
    return ((p @ (vt.T * root)).T, q @ (u * root))


def columns_of(factorization: Any, factors: Factors) -> tuple[Array, ...]:
    """The factors with their columns last: ``(W_2, W_1^T)``, ``(U,)`` or ``(A_1, ..., A_N)``."""
    if isinstance(factorization, Symmetric | CP):
        return factors
    return factors[1], factors[0].T


def from_columns(factorization: Any, columns: tuple[Array, ...]) -> Factors:
    """Inverse of :func:`columns_of`."""
    if isinstance(factorization, Symmetric | CP):
        return columns
    return columns[1].T, columns[0]


def each_width(factorization: Any, factors: Factors, function: Callable[..., Any]) -> Any:
    """``function(factorization, factors)`` on the columns in use alone, which come first.

    Compiled for every width (of CP components for few or all of them, of which the last may be
    zero); ``function`` returns factors and other arrays, and the factors come
    back with zeros in place of the columns that are not in use.
    """
    columns = columns_of(factorization, factors)
    most = columns[0].shape[1]

    def of_width(k: int) -> Callable[[], Any]:
        def run():
            some = narrowed(factorization, k)
            used = tuple(column[:, :k] for column in columns)
            found, *others = function(some, from_columns(some, used))
            wide = tuple(
                jnp.pad(column, ((0, 0), (0, most - column.shape[1])))
                for column in columns_of(some, found)
            )
            return from_columns(factorization, wide), *others

        return run

    widths = _widths(factorization, most)
    which = jnp.searchsorted(jnp.array(widths), n_columns(columns))
    return jax.lax.switch(which, [of_width(k) for k in widths])


def _widths(factorization: Any, most: int) -> list[int]:
    """Those that are compiled, increasing."""
    if isinstance(factorization, CP):  # each takes seconds to compile
        return sorted({min(_FEW_COMPONENTS, most), most})
    return list(range(1, most + 1))


def n_columns(columns: tuple[Array, ...]) -> Array:
    """Number of columns in use: those before the first that is zero in every factor."""
    sizes = sum(jnp.sum(column**2, axis=0) for column in columns)
    return jnp.sum(jnp.cumprod(jnp.where(sizes > 0, 1, 0)))


def narrowed(factorization: Any, width: int) -> Any:
    """The factorization with fewer columns."""
    if isinstance(factorization, Symmetric | CP):
        return type(factorization)(width)
    return DeepLinear(2, [width])
