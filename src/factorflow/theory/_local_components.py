"""How the local components of a hierarchical factorization grow under gradient flow."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.factorizations import CP, AbstractTensorFactorization, HierarchicalTucker
from factorflow.theory._component_norms import (
    checked_components,
    largest_gap,
    product_norm_velocities,
    product_norms,
)
from factorflow.theory._singular_basis import checked_gradient, checked_matrix


def local_component_norms(
    factorization: AbstractTensorFactorization, factors: Sequence[ArrayLike]
) -> tuple[np.ndarray, ...]:
    """``sigma_(v,r)``, the product of the norms of the vectors of each local component.

    Local component `r` of node `v` is made of the columns `r` of the matrices of the children of
    `v` and of row `r` of its own matrix.

    Parameters
    ----------
    factorization
        :class:`HierarchicalTucker`, or :class:`CP`, which has one node and no matrix there.
    factors
        Its factors.

    Returns
    -------
    tuple of numpy.ndarray
        ``(R_v,)`` for each node `v`, the root last.

    Raises
    ------
    InputError
        If the factorization is another, or the factors are not its.
    """
    given = checked_factors(factorization, factors)
    return tuple(product_norms(node) for node in _by_node(factorization, given))


def local_component_unbalancedness(
    factorization: AbstractTensorFactorization, factors: Sequence[ArrayLike]
) -> float:
    """The largest difference of squared norms of two vectors of one local component.

    Gradient flow keeps each of these differences constant, whatever the loss of the tensor.

    Parameters
    ----------
    factorization, factors
        As for :func:`local_component_norms`.

    Raises
    ------
    InputError
        As for :func:`local_component_norms`.

    Notes
    -----
    Source: Razin, Maman and Cohen 2022 (arXiv:2201.11729).
    """
    given = checked_factors(factorization, factors)
    return max(largest_gap(node) for node in _by_node(factorization, given))


def local_component_growth_rates(
    factorization: AbstractTensorFactorization, factors: Sequence[ArrayLike], gradient: ArrayLike
) -> tuple[np.ndarray, ...]:
    """``gamma_(v,r) = <-G, C_(v,r)> / sigma_(v,r)``.

    ``C_(v,r)`` is the tensor with all other local components of node `v` left out.

    Parameters
    ----------
    factorization, factors
        As for :func:`local_component_norms`.
    gradient
        `G`, the gradient of the loss at the tensor, ``(d_1, ..., d_N)``.

    Returns
    -------
    tuple of numpy.ndarray
        ``(R_v,)`` for each node `v`, the root last; NaN where a local component is zero.

    Raises
    ------
    InputError
        If the factorization, factors or gradient are unusable.
    """
    given = checked_factors(factorization, factors)
    nodes = _by_node(factorization, given)
    moves = _by_node(factorization, _velocities(factorization, given, gradient))
    rates = []
    for vectors, velocities in zip(nodes, moves, strict=True):
        norms = product_norms(vectors)
        # The tensor is linear in each vector, so that <w, dw/dt> = <-G, C> for any of them.
        inner = np.sum(vectors[-1] * velocities[-1], axis=0)
        rates.append(inner / np.where(norms > 0, norms, np.nan))
    return tuple(rates)


def local_component_velocities(
    factorization: AbstractTensorFactorization, factors: Sequence[ArrayLike], gradient: ArrayLike
) -> tuple[np.ndarray, ...]:
    """Velocities of the norms of the local components under gradient flow on all factors.

    Exact for any factors:

        d sigma/dt = gamma sum_k sigma^2 / ||w^k||^2

    over the vectors ``w^1, ..., w^K`` of a local component, `K` one more than the children of the
    node (`N` for :class:`CP`), with ``gamma`` of :func:`local_component_growth_rates`. Where they
    are balanced it is ``K gamma sigma^(2 - 2/K)``; in general :func:`component_norm_bounds` holds
    it, for ``order=K``.

    Parameters
    ----------
    factorization, factors
        As for :func:`local_component_norms`.
    gradient
        `G`, the gradient of the loss at the tensor, ``(d_1, ..., d_N)``.

    Returns
    -------
    tuple of numpy.ndarray
        ``(R_v,)`` for each node `v`, the root last. Where one vector of a local component is zero,
        its norm has a corner: this is the velocity forward in time.

    Raises
    ------
    InputError
        If the factorization, factors or gradient are unusable.

    Notes
    -----
    Source: Razin, Maman and Cohen 2022 (arXiv:2201.11729) for balanced local components; the
    general formula is derived.
    """
    given = checked_factors(factorization, factors)
    moves = _velocities(factorization, given, gradient)
    pairs = zip(_by_node(factorization, given), _by_node(factorization, moves), strict=True)
    return tuple(product_norm_velocities(vectors, velocities) for vectors, velocities in pairs)


def _by_node(
    factorization: AbstractTensorFactorization, arrays: Sequence[np.ndarray]
) -> list[list[np.ndarray]]:
    """For each node, `K` matrices whose columns `r` are the vectors of local component `r`."""
    if not isinstance(factorization, HierarchicalTucker):
        return [list(arrays)]
    nodes = factorization.nodes(len(factorization.sizes(arrays)))
    return [[*(arrays[child] for child in children), arrays[v].T] for v, children in nodes]


def _velocities(
    factorization: AbstractTensorFactorization, factors: list[np.ndarray], gradient: ArrayLike
) -> list[np.ndarray]:
    """Those of the factors: ``-dL/dW = -d<G, T>/dW`` at constant `G`."""
    slope = checked_gradient(gradient, factorization.sizes(factors))
    with double_precision():
        direction = jnp.asarray(slope)

        def descent(parameters: list[jax.Array]) -> jax.Array:
            return -jnp.sum(direction * factorization.tensor(parameters))

        moves = jax.grad(descent)([jnp.asarray(factor) for factor in factors])
        return [np.asarray(move) for move in moves]


def checked_factors(
    factorization: AbstractTensorFactorization, factors: Sequence[ArrayLike]
) -> list[np.ndarray]:
    """The factors of a CP or hierarchical Tucker factorization, in float64.

    Raises
    ------
    InputError
        If the factorization is another, or the factors are not its or not finite.
    """
    if isinstance(factorization, CP):
        return checked_components(factors)
    if not isinstance(factorization, HierarchicalTucker):
        raise InputError(
            f"factorization must be CP or HierarchicalTucker; got {type(factorization).__name__}."
        )
    given = [checked_matrix(factor) for factor in factors]
    for v, children in factorization.nodes(len(factorization.sizes(given))):
        widths = [given[child].shape[1] for child in children]
        if set(widths) != {len(given[v])}:
            raise InputError(
                f"Factor {v} must have a row for each column of factors {children}; "
                f"got {len(given[v])} rows and {widths} columns."
            )
    if given[-1].shape[1] != 1:
        raise InputError(f"The last factor must have one column; got {given[-1].shape[1]}.")
    return given
