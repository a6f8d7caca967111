"""Singular values of matricizations of a tensor that is never formed."""

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.factorizations import (
    CP,
    AbstractTensorFactorization,
    HierarchicalTucker,
    graded_svd,
)

Modes = tuple[int, ...]


def matricization_singular_values(
    factorization: AbstractTensorFactorization,
    factors: Sequence[ArrayLike],
    modes: Iterable[int],
) -> np.ndarray:
    """Singular values of the tensor laid out as a matrix, some modes by all others.

    Parameters
    ----------
    factorization
        :class:`CP` or :class:`HierarchicalTucker`.
    factors
        Its factors.
    modes
        The modes of the rows, from 0: some of them, not all. Of a hierarchical tensor what its
        tree cuts off: the modes below a node, or below some of the nodes that a node joins.

    Returns
    -------
    numpy.ndarray
        Descending; as many as the factors allow to be other than zero, at most the least of rows,
        columns and width `R` of the cut. All others are zero.

    Raises
    ------
    InputError
        If the factors do not fit the factorization or are not finite, or the tree does not cut
        off these modes.

    Notes
    -----
    The matrix is ``P diag(c) Q^T`` with unit columns, where `P` and `Q` are products over the
    modes on either side (of a hierarchical tensor over nodes, from the leaves to the cut and from
    the root to the cut). Orthonormal columns leave singular values as they are, so every product
    is replaced by the triangle of its QR factorization, at most ``R x R``, before it goes into the
    next one: memory ``O(d R^2)``, and no Gram matrix, which would lose all values below 1e-8 of
    the largest. Where `P` and `Q` have at least `R` rows, the last step is a Jacobi method to which
    the range of `c` is no matter (:func:`graded_svd`): the relative error of every value is about
    1e-15 times the condition numbers of `P` and `Q`, as long as the products of a hierarchical
    tensor do not cancel in its nodes. Else the error is about 1e-15 times the largest value,
    if components do not cancel.

    For CP derived, for trees after Grasedyck 2010, "Hierarchical singular value decomposition of
    tensors", section 4.
    """
    cores = _checked(factorization, factors)
    left, right = _halves(factorization, cores, _checked_modes(modes, factorization.sizes(cores)))
    return _values(left, right)


def matricization_spectra(
    factorization: AbstractTensorFactorization, factors: Sequence[ArrayLike]
) -> dict[Modes, np.ndarray]:
    """:func:`matricization_singular_values` of every cut, by the modes of the rows.

    Of a hierarchical tensor the cuts are those at the nodes of its tree but the root, each once;
    of CP, which has none of its own, those of the first modes by the last ones.

    Raises
    ------
    InputError
        As there.
    """
    cores = _checked(factorization, factors)
    cuts = _cuts(factorization, len(factorization.sizes(cores)))
    return {cut: _values(*_halves(factorization, cores, cut)) for cut in cuts}


def matricization_ranks(
    factorization: AbstractTensorFactorization,
    factors: Sequence[ArrayLike],
    tolerance: float = 1e-10,
) -> dict[Modes, int]:
    """How many singular values of every cut exceed ``tolerance`` times the largest.

    Of a hierarchical tensor these are its hierarchical ranks: the least widths that write it.
    Every CP rank is at least the largest of them.

    Raises
    ------
    InputError
        As for :func:`matricization_singular_values`, or if the tolerance is not from 0 to below 1.
    """
    if not 0 <= tolerance < 1:
        raise InputError(f"tolerance must be from 0 to below 1; got {tolerance!r}.")
    spectra = matricization_spectra(factorization, factors)
    return {cut: int(np.sum(values > tolerance * values[0])) for cut, values in spectra.items()}


def _values(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Singular values of ``left @ right.T``, whose columns may have any lengths."""
    lengths = [np.linalg.norm(each, axis=0) for each in (left, right)]
    used = (lengths[0] > 0) & (lengths[1] > 0)
    n_values = min(len(left), len(right), len(used))
    if not used.any():
        return np.zeros(n_values)
    left, right = left[:, used] / lengths[0][used], right[:, used] / lengths[1][used]
    logs = np.log(lengths[0][used]) + np.log(lengths[1][used])
    values = _graded(left, logs, right)[:n_values]
    return np.pad(values, (0, n_values - len(values)))


def _graded(left: np.ndarray, logs: np.ndarray, right: np.ndarray) -> np.ndarray:
    if len(logs) > min(len(left), len(right)):
        top = logs.max()
        scaled = left * np.exp(logs - top) @ right.T
        return np.exp(top) * np.linalg.svd(scaled, compute_uv=False)
    with double_precision():
        return np.exp(np.asarray(graded_svd(left, logs, right)[1]))


def _halves(factorization: Any, cores: Sequence[np.ndarray], modes: Modes):
    """Matrices ``(., R)`` with the singular values of the unfolding in their product."""
    if isinstance(factorization, CP):
        others = [n for n in range(len(cores)) if n not in modes]
        return _joined([cores[n] for n in modes]), _joined([cores[n] for n in others])
    return _Tree(factorization, cores).halves(modes)


def _cuts(factorization: Any, order: int) -> list[Modes]:
    if isinstance(factorization, CP):
        return [tuple(range(k)) for k in range(1, order)]
    below = _modes_below(factorization, order)[:-1]
    cuts: list[Modes] = []
    for modes in below:
        if modes not in cuts and _others(modes, order) not in cuts and len(modes) < order:
            cuts.append(modes)
    return cuts


class _Tree:
    """A hierarchical tensor with every node's columns in an orthonormal basis."""

    def __init__(self, factorization: HierarchicalTucker, factors: Sequence[Any]):
        self.order = len(factorization.sizes(factors))
        self.nodes = dict(factorization.nodes(self.order))
        self.modes = _modes_below(factorization, self.order)
        self.factors = factors
        self.above = {child: node for node, below in self.nodes.items() for child in below}
        self.inside = [_triangle(leaf) for leaf in factors[: self.order]]
        for node, children in self.nodes.items():
            self.inside.append(_triangle(self._product(children) @ factors[node]))

    def halves(self, modes: Modes) -> tuple[np.ndarray, np.ndarray]:
        for wanted in (set(modes), set(_others(modes, self.order))):
            for node, children in self.nodes.items():
                inner = [child for child in children if wanted.issuperset(self.modes[child])]
                if wanted == {mode for child in inner for mode in self.modes[child]}:
                    outer = [child for child in children if child not in inner]
                    return self._product(inner), _joined(
                        [*(self.inside[child] for child in outer), self._outside(node)]
                    )
        raise InputError(
            f"The tree does not cut off the modes {', '.join(map(str, modes))}; its nodes have "
            f"{', '.join(str(each) for each in dict.fromkeys(self.modes))}."
        )

    def _outside(self, node: int) -> np.ndarray:
        """What the rows of a node's factor are joined with, beside its children."""
        factor = self.factors[node]
        if node not in self.above:
            return factor.T
        above = self.above[node]
        siblings = [self.inside[child] for child in self.nodes[above] if child != node]
        return _triangle(_joined([*siblings, self._outside(above)]) @ factor.T)

    def _product(self, children: Sequence[int]) -> np.ndarray:
        return _joined([self.inside[child] for child in children])


def _modes_below(factorization: HierarchicalTucker, order: int) -> list[Modes]:
    """The modes of every node, leaves first, the root last."""
    modes: list[Modes] = [(n,) for n in range(order)]
    for _, children in factorization.nodes(order):
        modes.append(tuple(mode for child in children for mode in modes[child]))
    return modes


def _others(modes: Modes, order: int) -> Modes:
    return tuple(n for n in range(order) if n not in modes)


def _joined(cores: Sequence[np.ndarray]) -> np.ndarray:
    """The triangle of a product of columns, each with each (Khatri-Rao)."""
    return reduce(lambda a, b: _triangle(_each_with_each(a, b)), cores[1:], _triangle(cores[0]))


def _each_with_each(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a[:, None, :] * b[None, :, :]).reshape(-1, a.shape[1])


def _triangle(matrix: np.ndarray) -> np.ndarray:
    """What is left of a matrix without the orthonormal basis of its columns."""
    return np.asarray(np.linalg.qr(matrix, mode="r")) if len(matrix) > 1 else matrix


def _checked(factorization: Any, factors: Sequence[ArrayLike]) -> list[Any]:
    if not isinstance(factorization, CP | HierarchicalTucker):
        raise InputError(
            f"Matricizations are computed of CP and HierarchicalTucker; got {factorization!r}."
        )
    given = [np.asarray(factor, np.float64) for factor in factors]
    if any(factor.ndim != 2 for factor in given):
        raise InputError("Every factor must be a matrix.")
    if not all(np.isfinite(factor).all() for factor in given):
        raise InputError("Every factor must be finite.")
    return given


def _checked_modes(modes: Iterable[int], sizes: Sequence[int]) -> Modes:
    order = len(sizes)
    chosen = tuple(sorted({index(mode) for mode in modes}))
    if not chosen or len(chosen) == order or not 0 <= chosen[0] <= chosen[-1] < order:
        raise InputError(
            f"modes must be some of 0 to {order - 1} and not all of them; got "
            f"{', '.join(map(str, chosen)) or 'none'}."
        )
    return chosen
