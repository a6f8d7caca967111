"""How the components of a CP factorization grow under gradient flow."""

from collections.abc import Sequence
from functools import reduce
from math import inf

import numpy as np
from numpy.typing import ArrayLike

from factorflow._errors import InputError
from factorflow.factorizations import lengths
from factorflow.theory._learning_of_eigenpairs import escape_time
from factorflow.theory._numbers import checked_arrays, checked_whole
from factorflow.theory._singular_basis import checked_gradient, checked_matrix
from factorflow.trajectories import effective_rank_of


def component_norms(factors: Sequence[ArrayLike]) -> np.ndarray:
    """``c_r = prod_n ||w_r^n||``, the norm of each outer product of a CP factorization.

    Parameters
    ----------
    factors
        ``A_1, ..., A_N``, each ``(d_n, R)``; ``w_r^n`` is column `r` of ``A_n``.

    Returns
    -------
    numpy.ndarray
        ``(R,)``.

    Raises
    ------
    InputError
        If the factors are fewer than two, or no finite matrices with the same number of columns.
    """
    return product_norms(checked_components(factors))


def component_unbalancedness(factors: Sequence[ArrayLike]) -> float:
    """``max_r max_{n,m} | ||w_r^n||^2 - ||w_r^m||^2 |``.

    Gradient flow keeps each of these differences constant, whatever the loss of the tensor:
    ``d ||w_r^n||^2 / dt = 2 <-G, outer_m w_r^m>`` for every mode `n`. Components are balanced where
    all are zero.

    Parameters
    ----------
    factors
        As for :func:`component_norms`.

    Raises
    ------
    InputError
        As for :func:`component_norms`.

    Notes
    -----
    Source: Razin, Maman and Cohen 2021 (arXiv:2102.09972).
    """
    return largest_gap(checked_components(factors))


def component_growth_rates(factors: Sequence[ArrayLike], gradient: ArrayLike) -> np.ndarray:
    """``gamma_r = <-G, outer_n w_r^n / ||w_r^n||>``: how well a component's direction descends.

    Parameters
    ----------
    factors
        As for :func:`component_norms`.
    gradient
        `G`, the gradient of the loss at the tensor, ``(d_1, ..., d_N)``.

    Returns
    -------
    numpy.ndarray
        ``(R,)``; NaN where a component has a zero vector, hence no direction.

    Raises
    ------
    InputError
        If the factors or the gradient are unusable.
    """
    given = checked_components(factors)
    slope = checked_gradient(gradient, tuple(len(factor) for factor in given))
    # Each vector scaled by itself: a product of three norms of 1e-120 would be zero.
    return -_contracted(slope, [_directions(factor) for factor in given])


def component_norm_velocity(factors: Sequence[ArrayLike], gradient: ArrayLike) -> np.ndarray:
    """Velocities of the component norms under gradient flow ``dA_n/dt = -dL/dA_n``.

    Exact for any factors:

        dc_r/dt = gamma_r sum_n c_r^2 / ||w_r^n||^2,

    which is ``N gamma_r c_r^(2 - 2/N)`` for a balanced component, and
    :func:`component_norm_bounds` holds it for others. ``gamma_r`` is that of
    :func:`component_growth_rates`.

    Parameters
    ----------
    factors
        As for :func:`component_norms`.
    gradient
        `G`, the gradient of the loss at the tensor, ``(d_1, ..., d_N)``.

    Returns
    -------
    numpy.ndarray
        ``(R,)``. Where one vector of a component is zero, its norm has a corner: this is the
        velocity forward in time. Where more are zero it is zero.

    Raises
    ------
    InputError
        If the factors or the gradient are unusable.

    Notes
    -----
    Source: Razin, Maman and Cohen 2021 (arXiv:2102.09972) for balanced components; the general
    formula is derived.
    """
    given = checked_components(factors)
    slope = checked_gradient(gradient, tuple(len(factor) for factor in given))
    moves = [-_contracted(slope, given, but=n) for n in range(len(given))]
    return product_norm_velocities(given, moves)


def component_norm_bounds(
    norms: ArrayLike,
    growth_rates: ArrayLike,
    unbalancedness: ArrayLike,
    order: int,
    *,
    published: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds on the velocities of the component norms.

    For ``gamma >= 0``, with ``epsilon`` the unbalancedness, which gradient flow conserves,

        N gamma c^(2 - 2/N) <= dc/dt <= N gamma (c^(2/N) + epsilon)^(N - 1),

    and the other way round for ``gamma < 0``. They meet where ``epsilon = 0``. The published lower
    bound is ``N gamma c^2 / (c^(2/N) + epsilon)``.

    Parameters
    ----------
    norms
        `c`, zero or more.
    growth_rates
        ``gamma``, of :func:`component_growth_rates`; NaN, of a component without a direction,
        gives NaN.
    unbalancedness
        ``epsilon``, of :func:`component_unbalancedness`, zero or more.
    order
        `N`, the number of vectors of a component.
    published
        Whether to give the published bounds.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper, of the shape to which the three arrays broadcast.

    Raises
    ------
    InputError
        If a number is out of its range, or shapes do not broadcast.

    Notes
    -----
    Derived from :func:`component_norm_velocity`. The mean of the ``c^2 / ||w^n||^2`` is no less
    than their geometric mean, ``c^(2 - 2/N)``: an unbalanced component is never slower than a
    balanced one. And each is the product of the other squared norms, of which none is above
    ``c^(2/N) + epsilon``, as the least is no more than the geometric mean ``c^(2/N)`` of all; that
    shows the published lower bound too.
    Source of the published bounds: Razin, Maman and Cohen 2021 (arXiv:2102.09972), in the form that
    we know.
    """
    order = checked_whole("order", order, 2)
    rates = np.asarray(growth_rates, np.float64)
    known = np.where(np.isnan(rates), 0.0, rates)
    shape, c, gamma, gap = checked_arrays(
        norms=(norms, 0), growth_rates=(known, -inf), unbalancedness=(unbalancedness, 0)
    )
    mean = c ** (2 / order)
    most = mean + gap
    least = mean ** (order - 1)
    if published:
        least = least * np.divide(mean, most, out=np.ones_like(c), where=most > 0)
    ends = np.sort([order * gamma * least, order * gamma * most ** (order - 1)], axis=0)
    unknown = np.broadcast_to(np.isnan(rates), shape)
    low, high = (np.where(unknown, np.nan, end.reshape(shape)) for end in ends)
    return low, high


def component_effective_rank(norms: ArrayLike) -> float:
    """``exp(-sum_r p_r ln p_r)`` with ``p_r = c_r / sum_s c_s``: how many components there are.

    Parameters
    ----------
    norms
        Component norms, ``(R,)``, zero or more.

    Returns
    -------
    float
        From 1 to `R`; NaN if all norms are zero.

    Raises
    ------
    InputError
        If a norm is negative or not finite, or they are no vector.

    Notes
    -----
    For components that are orthogonal in two modes or more these are the singular values of the
    unfoldings there, and it is their effective rank (Roy and Vetterli 2007). In general it depends
    on the factors: two equal components count twice, but are one.
    """
    shape, sizes = checked_arrays(norms=(norms, 0))
    if len(shape) != 1 or not sizes.size:
        raise InputError(f"norms must be a vector of one or more; got shape {shape}.")
    return float(effective_rank_of(sizes)) if sizes.any() else float("nan")


def balanced_component_norm(
    time: ArrayLike, start: ArrayLike, growth_rate: ArrayLike, order: int
) -> np.ndarray:
    """Norm of a balanced component along ``dc/dt = N gamma c^(2 - 2/N)`` with ``gamma`` constant.

        c(t) = c_0 e^(2 gamma t)                                          for N = 2,
        c(t) = (c_0^-(1-2/N) - (N - 2) gamma t)^(-1 / (1-2/N))            for N > 2.

    It is what a component does while its direction and the gradient stay: near zero, or alone.

    Parameters
    ----------
    time
        `t`, zero or more.
    start
        ``c_0``, positive.
    growth_rate
        ``gamma``, of :func:`component_growth_rates`.
    order
        `N`, 2 or more.

    Returns
    -------
    numpy.ndarray
        Of the shape to which time, start and rate broadcast; infinite from
        :func:`component_blow_up_time` on.

    Raises
    ------
    InputError
        If a number is out of its range, or shapes do not broadcast.
    """
    order = checked_whole("order", order, 2)
    shape, t, c0, gamma = checked_arrays(
        time=(time, 0), start=(start, None), growth_rate=(growth_rate, -inf)
    )
    if order == 2:
        return (c0 * np.exp(2 * gamma * t)).reshape(shape)
    power = 1 - 2 / order
    left = 1 - (order - 2) * gamma * t * c0**power
    grown = np.power(left, -1 / power, out=np.full_like(c0, inf), where=left > 0)
    return (c0 * grown).reshape(shape)


def component_blow_up_time(start: ArrayLike, growth_rate: ArrayLike, order: int) -> np.ndarray:
    """When :func:`balanced_component_norm` becomes infinite: ``c_0^-(1-2/N) / ((N - 2) gamma)``.

    Parameters
    ----------
    start, growth_rate, order
        As for :func:`balanced_component_norm`.

    Returns
    -------
    numpy.ndarray
        Infinite at order 2, and where the rate is zero or below.

    Raises
    ------
    InputError
        As for :func:`balanced_component_norm`.
    """
    if checked_whole("order", order, 2) > 2:
        return escape_time(start, growth_rate, order)
    shape, _, _ = checked_arrays(start=(start, None), growth_rate=(growth_rate, -inf))
    return np.full(shape, inf)


def product_norms(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """Products of the norms of columns, ``(R,)``."""
    return reduce(np.multiply, [lengths(np, each, 0) for each in vectors])


def product_norm_velocities(
    vectors: Sequence[np.ndarray], moves: Sequence[np.ndarray]
) -> np.ndarray:
    """Velocities of :func:`product_norms`, given those of the vectors; forward at corners."""
    norms = [lengths(np, each, 0) for each in vectors]
    total = np.zeros_like(norms[0])
    for n in range(len(norms)):
        along = np.sum(_directions(vectors[n]) * moves[n], axis=0)
        grown = np.where(norms[n] > 0, along, lengths(np, moves[n], 0))
        total += grown * reduce(np.multiply, norms[:n] + norms[n + 1 :])
    return total


def largest_gap(vectors: Sequence[np.ndarray]) -> float:
    """The largest difference of the squared norms that belong to one component."""
    squares = np.stack([lengths(np, each, 0) ** 2 for each in vectors])
    return float(np.max(np.ptp(squares, axis=0)))


def checked_components(factors: Sequence[ArrayLike]) -> list[np.ndarray]:
    """The matrices of a CP factorization, in float64.

    Raises
    ------
    InputError
        If they are fewer than two, or no finite matrices with the same number of columns.
    """
    given = [checked_matrix(factor) for factor in factors]
    if len(given) < 2:
        raise InputError(f"factors must be two matrices or more, one a mode; got {len(given)}.")
    if len({factor.shape[1] for factor in given}) > 1:
        raise InputError(
            "factors must have a column for each component, as many in every mode; got the "
            f"shapes {', '.join(str(factor.shape) for factor in given)}."
        )
    return given


def _contracted(
    tensor: np.ndarray, factors: Sequence[np.ndarray], but: int | None = None
) -> np.ndarray:
    """The tensor with ``w_r^n`` in each mode: ``(R,)``, or ``(d_n, R)`` if one mode is left out."""
    order = tensor.ndim
    operands: list = [tensor, [*range(order)]]
    for n, factor in enumerate(factors):
        if n != but:
            operands += [factor, [n, order]]
    kept = [order] if but is None else [but, order]
    return np.einsum(*operands, kept, optimize="greedy")


def _directions(vectors: np.ndarray) -> np.ndarray:
    """Columns of norm 1; NaN where a column is zero."""
    norms = lengths(np, vectors, 0)
    return vectors / np.where(norms > 0, norms, np.nan)
