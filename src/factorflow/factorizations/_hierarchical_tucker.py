"""The hierarchical Tucker factorization: components of components, over a tree of modes."""

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import accumulate, count
from math import prod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from factorflow._errors import InputError
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

Node = tuple[int, tuple[int, ...]]  # position of a node's factor, and of those of its children

_SWEEPS = 10_000
_BALANCED = 1e-13


class HierarchicalTucker(AbstractTensorFactorization):
    """The tensor by a tree over its modes, as a deep convolutional arithmetic circuit writes it.

    The leaves of the tree are the modes; each level joins windows of ``arity`` neighbours (the
    last window may be shorter) until one node is left, the root. The tensors of a node `v` are

        T_v[.., s] = sum_r W_v[r, s] outer_{children c} T_c[.., r],    T_n = A_n at a leaf,

    and the end-to-end tensor is the one of the root, whose matrix has a single column.

    Parameters
    ----------
    widths
        Number of local components `R` of the nodes at each level above the leaves, the root's
        last; a single number is for all levels. By default as many as leave every tensor
        possible, which is a lot for large tensors: name numbers there.
    arity
        How many nodes a node joins, 2 or more.

    Notes
    -----
    Factors: a matrix ``A_n (d_n, R)`` for each mode, `R` that of the node above it, then ``W_v
    (R_v, R)`` of the nodes, level by level, last ``(R, 1)`` of the root. Local component `r` of
    node `v` is made of the columns `r` of its children's matrices and row `r` of ``W_v``: of `K`
    vectors, for ``K - 1`` children. Gradient flow conserves the differences of their squared
    norms, and where these are zero the product of the norms moves by
    ``K s^(2 - 2/K) <-G, C>`` with `C` the tensor of that local component alone, its norm made 1.

    Sources: Razin and Cohen 2020 (arXiv:2005.06398) for the circuits; Razin, Maman and Cohen 2022
    (arXiv:2201.11729) for local components.

    Raises
    ------
    InputError
        If a width is no whole number of 1 or more, or the arity none of 2 or more; in use, if the
        widths do not fit the levels of the tree, or the unknown has fewer than two modes.
    """

    widths: int | tuple[int, ...] | None = eqx.field(static=True)
    arity: int = eqx.field(static=True)

    def __init__(self, widths: int | Sequence[int] | None = None, arity: int = 2):
        self.widths = _checked_widths(widths)
        self.arity = checked_width(arity, "arity")
        if self.arity < 2:
            raise InputError(f"arity must be 2 or more; got {arity!r}.")

    def shapes(self, shape: Shape) -> list[tuple[int, ...]]:
        sizes = checked_order(shape, "HierarchicalTucker")
        nodes = self.nodes(len(sizes))
        heights = [*sizes, *self._heights(sizes)]
        above = {child: heights[node] for node, children in nodes for child in children}
        return [(height, above.get(k, 1)) for k, height in enumerate(heights)]

    def nodes(self, order: int) -> list[Node]:
        """``(position, positions of the children)`` of every node above the leaves, root last."""
        return [node for level in self._levels(order) for node in level]

    def n_terms(self, shape: Shape) -> int:
        return prod(self._heights(shape))

    def sizes(self, factors: Sequence[Any]) -> Shape:
        return tuple(factor.shape[0] for factor in factors[: self._order(len(factors))])

    def n_left(self, shape: Shape) -> int:
        ends = list(accumulate(self._modes_below_root(len(shape))))
        return even_split(shape, ends[:-1])

    def combine(
        self, factors: Sequence[jax.Array], features: Features, product: Product
    ) -> tuple[jax.Array, jax.Array]:
        values = list(features)
        *inner, (root, children) = self.nodes(len(features))
        for node, below in inner:
            values.append(reduce(product, [values[child] for child in below]) @ factors[node])
        n_left = self.n_left(self.sizes(factors))
        cut = list(accumulate(self._modes_below_root(len(features)))).index(n_left) + 1
        left = reduce(product, [values[child] for child in children[:cut]])
        right = reduce(product, [values[child] for child in children[cut:]])
        return left * factors[root].T, right

    def vector_norms(self, factors: Sequence[Any]) -> tuple[jax.Array, ...]:
        nodes = self.nodes(self._order(len(factors)))
        return tuple(jnp.stack(_vector_norms(jnp, factors, *node)) for node in nodes)

    def balanced(self, factors: Sequence[Any]) -> tuple[np.ndarray, ...]:
        own = [np.array(factor, np.float64) for factor in factors]
        nodes = self.nodes(self._order(len(own)))
        for _ in range(_SWEEPS):
            if max([_balance(own, *node) for node in nodes]) < _BALANCED:
                break
        return tuple(own)

    def _levels(self, order: int) -> Iterator[list[Node]]:
        below, first = range(order), order
        while len(below) > 1:
            windows = [below[k : k + self.arity] for k in range(0, len(below), self.arity)]
            yield [(first + k, tuple(window)) for k, window in enumerate(windows)]
            below, first = range(first, first + len(windows)), first + len(windows)

    def _heights(self, shape: Shape) -> list[int]:
        """Number of local components of each node above the leaves."""
        levels = list(self._levels(len(shape)))
        if self.widths is None:
            return self._free_heights(shape)
        widths = (self.widths,) * len(levels) if isinstance(self.widths, int) else self.widths
        if len(widths) != len(levels):
            raise InputError(
                f"widths must name {len(levels)} levels for a tensor of order {len(shape)} and "
                f"arity {self.arity}; got {len(widths)}: {widths}."
            )
        return [width for width, level in zip(widths, levels, strict=True) for _ in level]

    def _free_heights(self, shape: Shape) -> list[int]:
        spans = list(shape)
        for _, children in self.nodes(len(shape)):
            spans.append(prod(spans[child] for child in children))
        root = self.nodes(len(shape))[-1][1]
        spans[-1] //= max(spans[child] for child in root)
        return spans[len(shape) :]

    def _modes_below_root(self, order: int) -> list[int]:
        spans = [1] * order
        nodes = self.nodes(order)
        for _, children in nodes:
            spans.append(sum(spans[child] for child in children))
        return [spans[child] for child in nodes[-1][1]]

    def _order(self, n_factors: int) -> int:
        """The order of a tensor with so many factors, which grow with it."""
        for order in count(2):
            total = order + len(self.nodes(order))
            if total >= n_factors:
                break
        if total != n_factors:
            raise InputError(f"No tree of arity {self.arity} has {n_factors} factors.")
        return order

    def __repr__(self) -> str:
        return f"HierarchicalTucker(widths={self.widths}, arity={self.arity})"


def _vector_norms(xp, factors, node: int, children: tuple[int, ...]) -> list:
    """Norms of the vectors of each local component: ``K`` arrays ``(R,)``, the node's own last."""
    columns = [lengths(xp, factors[child], 0) for child in children]
    return [*columns, lengths(xp, factors[node], 1)]


def _balance(factors: list[np.ndarray], node: int, children: tuple[int, ...]) -> float:
    """Even out the norms of a node's local components in place; by how much they differed."""
    norms = np.stack(_vector_norms(np, factors, node, children))
    whole = (norms > 0).all(axis=0)  # a component with a zero vector is zero: so become the others
    logs = np.log(np.where(whole, norms, 1))
    scales = np.where(whole, np.exp(logs.mean(axis=0) - logs), 0)
    for child, scale in zip(children, scales, strict=False):
        factors[child] *= scale
    factors[node] *= scales[-1][:, None]
    return float(np.max(np.ptp(logs, axis=0)))


def _checked_widths(widths: int | Sequence[int] | None) -> int | tuple[int, ...] | None:
    if widths is None:
        return None
    if isinstance(widths, Sequence):
        return tuple(checked_width(width, "every width") for width in widths)
    return checked_width(widths, "widths")
