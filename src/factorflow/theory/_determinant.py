"""Bounds by the loss for the 2x2 problem whose unobserved entry goes to infinity.

The problem observes ``[[*, z], [z', epsilon]]`` with `z` and `z'` not zero, published with
``z = z' = 1`` and ``epsilon = 0``. Its loss here is the sum ``l = 1/2 sum (residual)^2``, three
times that of a :class:`Completion`, and ``s = sqrt(2 l)``. Balanced gradient flow never changes the
sign of the determinant. All bounds are for the sign of ``z z'``, which no solution has where
``epsilon = 0`` (:func:`blow_up_sign`): there the smaller the loss, the larger the matrix and the
nearer it is to rank 1. They are facts about single matrices and hold along any path that keeps the
sign, whatever moved it.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from numbers import Real
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.theory._numbers import checked_whole
from factorflow.trajectories import schatten_norm, schatten_norm_of

PUBLISHED = (1.0, 1.0, 0.0)


def _like_its_loss(bound: Callable[..., Any]) -> Callable[..., Any]:
    """Traced losses and JAX arrays give JAX arrays, all else NumPy arrays."""

    @wraps(bound)
    def computed(loss, *arguments, **options):
        with double_precision():
            if isinstance(loss, Tracer):
                return bound(loss, *arguments, **options)
            values = _checked_loss(loss)
            if isinstance(loss, jax.Array):
                return bound(loss, *arguments, **options)
            return np.asarray(bound(values, *arguments, **options))

    return computed


def _checked_loss(loss: Any) -> np.ndarray:
    """A loss whose values are known; nothing is known of a traced one."""
    try:
        values = np.asarray(loss, float)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    if not np.all(values >= 0):
        raise InputError(
            f"loss must be numbers of 0 or more, half the sum of squared residuals; got {loss!r}."
        )
    return values


def blow_up_sign(values: Sequence[float] = PUBLISHED) -> int:
    """The sign of the determinant for which the bounds hold, that of ``z z'``: 1 or -1.

    Parameters
    ----------
    values
        ``(z, z', epsilon)``.

    Raises
    ------
    InputError
        If there are not three finite numbers, or `z` or `z'` is zero.
    """
    z, other, _ = _checked(values)
    return 1 if z * other > 0 else -1


@_like_its_loss
def unobserved_entry_bound(loss: ArrayLike, values: Sequence[float] = PUBLISHED) -> jax.Array:
    """``|w_11| >= (|z| - s) (|z'| - s) / (|epsilon| + s)`` where ``s < min(|z|, |z'|)``.

    Parameters
    ----------
    loss
        ``l``, the sum of half the squared residuals; any shape.
    values
        ``(z, z', epsilon)``.

    Returns
    -------
    numpy.ndarray or jax.Array
        The bound, of the shape of the loss; 0 where the loss is too large for one, infinite at
        ``l = 0`` and ``epsilon = 0``.

    Raises
    ------
    InputError
        If the values are none, or a loss is known to be negative or no number.

    Notes
    -----
    Derived: with the sign of ``z z'`` the determinant gives ``|w_11 w_22| >= |w_12 w_21|``, and no
    entry is farther from its observation than `s`. As the loss falls the bound is attained but for
    a factor of ``1 - O(s)``. The published one is :func:`norm_bound`.
    Source of the problem: Razin and Cohen 2020 (arXiv:2005.06398).
    """
    z, other, corner = map(abs, _checked(values))
    s = _reach(loss)
    room = jnp.maximum(z - s, 0) * jnp.maximum(other - s, 0)
    return jnp.where(room > 0, room / (corner + s), 0.0)


@_like_its_loss
def larger_entry_bound(loss: ArrayLike, size: int) -> jax.Array:
    """``|w_11| >= (1 - sqrt(d) s) / (s (1 + s)^(d-2))`` for the ``d`` by ``d`` problem.

    It observes all but the entry (1, 1): ones at (1, 2), (2, 1) and at (i, i) for ``i >= 3``, else
    zeros. The bound is for a positive determinant; all solutions have -1.

    Parameters
    ----------
    loss
        ``l``, the sum of half the squared residuals; any shape.
    size
        `d`, 2 or more.

    Returns
    -------
    numpy.ndarray or jax.Array
        The bound, of the shape of the loss; 0 where the loss is too large for one.

    Raises
    ------
    InputError
        If ``size`` is below 2, or a loss is known to be negative or no number.

    Notes
    -----
    Derived. The determinant is ``w_11 det B + det W_0`` with `B` the matrix without its first row
    and column and ``W_0`` that with ``w_11 = 0``. `B` has one singular value of at most `s`, the
    others are at most ``1 + s``; ``W_0`` is within `s` of an orthogonal matrix of determinant -1,
    so that ``|det W_0| >= prod (1 - x_i) >= 1 - sqrt(d) s`` with ``sum x_i^2 <= s^2``. At ``d = 2``
    it exceeds :func:`unobserved_entry_bound` for ``s < 2 - sqrt(2)``.
    """
    size = checked_whole("size", size, 2)
    s = _reach(loss)
    room = jnp.maximum(1 - jnp.sqrt(1.0 * size) * s, 0)
    return jnp.where(room > 0, room / (s * (1 + s) ** (size - 2)), 0.0)


class QuasiNorm(eqx.Module):
    """A norm or quasi-norm of matrices with the constants that its bound needs.

    Parameters
    ----------
    function
        From a matrix to its norm, traceable by JAX.
    corner
        ``||e_1 e_1^T||``.
    unit
        ``max_ij ||e_i e_j^T||``.
    triangle
        `kappa` of ``||A + B|| <= kappa (||A|| + ||B||)``; 1 for a norm.

    Raises
    ------
    InputError
        If a constant is out of its range.
    """

    function: Callable[[jax.Array], jax.Array]
    corner: float = eqx.field(static=True, default=1.0)
    unit: float = eqx.field(static=True, default=1.0)
    triangle: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        if not (callable(self.function) and 0 < self.corner <= self.unit and self.triangle >= 1):
            raise InputError(
                "QuasiNorm needs a function, 0 < corner <= unit and a triangle constant of 1 or "
                f"more; got {self.function!r}, {self.corner!r}, {self.unit!r}, {self.triangle!r}."
            )

    @classmethod
    def schatten(cls, p: float) -> "QuasiNorm":
        """``(sum sigma^p)^(1/p)``; below ``p = 1`` its constant `kappa` is ``2^(1/p - 1)``."""
        schatten_norm(p)  # refuses a p that is none
        return cls(_Schatten(float(p)), triangle=max(1.0, 2 ** (1 / p - 1)))


class _Schatten(eqx.Module):
    p: float = eqx.field(static=True)

    def __call__(self, matrix: jax.Array) -> jax.Array:
        return schatten_norm_of(jnp.linalg.svd(matrix, compute_uv=False), self.p)


@_like_its_loss
def norm_bound(loss: ArrayLike, norm: QuasiNorm, values: Sequence[float] = PUBLISHED) -> jax.Array:
    """``||W|| >= a |z| |z'| / (|epsilon| + s) - b`` for any norm or quasi-norm.

        a = ||e_1 e_1^T|| / kappa,
        b = max{ a |z| |z'| / (|epsilon| + min(|z|, |z'|)),
                 8 kappa^2 max(|z|, |z'|, |epsilon|) max_ij ||e_i e_j^T|| }.

    For the published values that is
    ``(a / sqrt(2)) / sqrt(l) - max{a, 8 kappa^2 max_ij ||e_i e_j^T||}``.

    Parameters
    ----------
    loss
        ``l``, the sum of half the squared residuals; any shape.
    norm
        With its constants; :meth:`QuasiNorm.schatten` has those of a Schatten (quasi-)norm.
    values
        ``(z, z', epsilon)``.

    Returns
    -------
    numpy.ndarray or jax.Array
        The bound, of the shape of the loss; below zero where it says nothing.

    Raises
    ------
    InputError
        If the values are none, or a loss is known to be negative or no number.

    Notes
    -----
    Source of the statement: Razin and Cohen 2020 (arXiv:2005.06398). The constants follow the
    paper as we know it; they are proved here: :func:`unobserved_entry_bound` is at least
    ``|z z'| / (|epsilon| + s) - |z| - |z'|``, and by the triangle inequality the three other
    entries, together at most ``|z| + |z'| + |epsilon| + sqrt(3) s``, take no more than
    ``kappa^2`` times the norm of a unit entry each. A Schatten (quasi-)norm is at least ``|w_11|``,
    so that for it :func:`unobserved_entry_bound` itself is a sharper bound.
    """
    z, other, corner = map(abs, _checked(values))
    a = norm.corner / norm.triangle
    largest = max(z, other, corner)
    b = max(a * z * other / (corner + min(z, other)), 8 * norm.triangle**2 * largest * norm.unit)
    return a * z * other / (corner + _reach(loss)) - b


@_like_its_loss
def distance_bound(
    loss: ArrayLike, values: Sequence[float] = PUBLISHED, *, published: bool = False
) -> jax.Array:
    """``D(W, rank 1) = sigma_2 <= |epsilon| + s``; the published one is ``3 s`` for `(1, 1, 0)`.

    Parameters
    ----------
    loss
        ``l``, the sum of half the squared residuals; any shape.
    values
        ``(z, z', epsilon)``.
    published
        Whether to give the published bound, ``3 sqrt(2) sqrt(l)``.

    Returns
    -------
    numpy.ndarray or jax.Array
        Upper bound on the Frobenius distance from the matrices of rank 1, of the shape of the loss.

    Raises
    ------
    InputError
        If the values are none, or not ``(1, 1, 0)`` for the published bound, or a loss is known to
        be negative or no number.

    Notes
    -----
    Derived: the matrix with `W`'s unobserved entry and ``z, z', 0`` in the others has a determinant
    of the other sign and is within ``|epsilon| + s``, so that the segment to it crosses a singular
    matrix. The supremum over matrices is attained in the limit. The same segment shows
    ``sigma_min <= s`` for the larger problem of :func:`larger_entry_bound`.
    Source of the published bound: Razin and Cohen 2020 (arXiv:2005.06398).
    """
    corner = abs(_checked(values)[2])
    s = _reach(loss)
    if published:
        _refuse_other_values(values)
        return 3 * s
    return corner + s


@_like_its_loss
def effective_rank_bound(
    loss: ArrayLike, values: Sequence[float] = PUBLISHED, *, published: bool = False
) -> jax.Array:
    """Upper bound on the effective rank, which falls to 1 with the loss where ``epsilon = 0``.

    With ``q = min(1, (|epsilon| + s) / L)`` it is ``exp H(q / (1 + q))``, `H` the entropy of two
    probabilities and `L` the largest of ``|z| - s``, ``|z'| - s`` and the bound on ``|w_11|``. The
    published one is ``1 + (2 sqrt(12) / ln 2) sqrt(l)`` for `(1, 1, 0)`.

    Parameters
    ----------
    loss
        ``l``, the sum of half the squared residuals; any shape.
    values
        ``(z, z', epsilon)``.
    published
        Whether to give the published bound.

    Returns
    -------
    numpy.ndarray or jax.Array
        The bound, of the shape of the loss; the effective rank of 2x2 matrices is at most 2
        anyway.

    Raises
    ------
    InputError
        If the values are none, or not ``(1, 1, 0)`` for the published bound, or a loss is known to
        be negative or no number.

    Notes
    -----
    Derived: ``sigma_2`` is at most :func:`distance_bound`, ``sigma_1`` at least `L`, and the
    entropy grows with their ratio. For the published values it is ``1 + 2 l ln(1 / l)`` to leading
    order as the loss falls, far below the published root of the loss.
    Source of the published bound: Razin and Cohen 2020 (arXiv:2005.06398), its constants as we know
    them; they hold in our checks.
    """
    z, other, _ = map(abs, _checked(values))
    s = _reach(loss)
    if published:
        _refuse_other_values(values)
        return 1 + jnp.sqrt(24.0) / jnp.log(2.0) * s
    entries = jnp.maximum(jnp.maximum(z, other) - s, unobserved_entry_bound(loss, values))
    far = distance_bound(loss, values)
    return _rank_of_ratio(jnp.where(far < entries, far / entries, 1.0))


def _rank_of_ratio(ratio: jax.Array) -> jax.Array:
    """Effective rank of the singular values 1 and ``ratio``."""
    p = ratio / (1 + ratio)
    logarithm = jnp.log(jnp.where(p > 0, p, 1.0))
    return jnp.exp(-p * logarithm - (1 - p) * jnp.log1p(-p))


def _reach(loss: ArrayLike) -> jax.Array:
    """``s``, the norm of the residual."""
    return jnp.sqrt(2 * jnp.asarray(loss, float))


def _checked(values: Sequence[float]) -> tuple[float, float, float]:
    numbers = tuple(values if isinstance(values, Iterable) else ())
    usable = len(numbers) == 3 and all(
        isinstance(number, Real) and abs(number) < float("inf") for number in numbers
    )
    if not usable or numbers[0] == 0 or numbers[1] == 0:
        raise InputError(
            "values must be three finite numbers (z, z', epsilon), z and z' not zero; "
            f"got {values!r}."
        )
    z, other, corner = map(float, numbers)
    return z, other, corner


def _refuse_other_values(values: Sequence[float]) -> None:
    if _checked(values) != PUBLISHED:
        raise InputError(
            f"The published bound is for the values (1, 1, 0); got {tuple(values)!r}. "
            "published=False has one for all."
        )
