"""Singular values of matricizations of a tensor that is never formed."""

from collections.abc import Iterable, Sequence
from functools import cached_property, reduce
from itertools import accumulate
from numbers import Real
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from factorflow._blas import one_blas_thread
from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.factorizations import (
    CP,
    AbstractTensorFactorization,
    HierarchicalTucker,
    graded_svd,
    lengths,
)
from factorflow.theory._local_components import checked_factors

Modes = tuple[int, ...]

_SMALL = 200  # columns up to which threads of BLAS cost more than they save


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
    The matrix is ``P diag(c) Q^T`` with unit columns, where `P` and `Q` are products over the modes
    on either side (of a hierarchical tensor over nodes, from the leaves to the cut and from the
    root to the cut). Orthonormal columns leave singular values as they are, so every product is
    replaced by the triangle of its QR factorization, at most ``R x R``, before it goes into the
    next one: memory ``O(d R^2)``, and ``O(R^3)`` of a tree. A Gram matrix would lose values below
    1e-8 of the largest. Where `P` and `Q` have at least `R` rows, the last step is a Jacobi method
    to which the range of `c` is no matter (:func:`graded_svd`): the relative error of every value
    is about 1e-15 times the condition numbers of `P` and `Q`, as long as the products of a
    hierarchical tensor do not cancel in its nodes. Else the error is about 1e-15 times the largest
    value, if components do not cancel.

    For CP derived, for trees after Grasedyck 2010, "Hierarchical singular value decomposition of
    tensors".
    """
    given = checked_factors(factorization, factors)
    chosen = _checked_modes(modes, len(factorization.sizes(given)))
    with one_blas_thread(_is_small(given)):
        return _values(*_parts(factorization, given).halves(chosen))


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
    given = checked_factors(factorization, factors)
    with one_blas_thread(_is_small(given)):
        parts = _parts(factorization, given)
        return {cut: _values(*parts.halves(cut)) for cut in parts.cuts}


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
    if isinstance(tolerance, bool) or not (isinstance(tolerance, Real) and 0 <= tolerance < 1):
        raise InputError(f"tolerance must be from 0 to below 1; got {tolerance!r}.")
    spectra = matricization_spectra(factorization, factors)
    return {cut: int(np.sum(values > tolerance * values[0])) for cut, values in spectra.items()}


def _values(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Singular values of ``left @ right.T``, whose columns may have any lengths."""
    norms = lengths(np, left, 0), lengths(np, right, 0)
    used = (norms[0] > 0) & (norms[1] > 0)
    n_values = min(len(left), len(right), len(used))
    if not used.any():
        return np.zeros(n_values)
    left, right = left[:, used] / norms[0][used], right[:, used] / norms[1][used]
    logs = np.log(norms[0][used]) + np.log(norms[1][used])
    values = _graded(left, logs, right)[:n_values]
    return np.pad(values, (0, n_values - len(values)))


def _graded(left: np.ndarray, logs: np.ndarray, right: np.ndarray) -> np.ndarray:
    if len(logs) > min(len(left), len(right)):
        top = logs.max()
        scaled = left * np.exp(logs - top) @ right.T
        return np.exp(top) * np.linalg.svd(scaled, compute_uv=False)
    with double_precision():
        return np.exp(np.asarray(graded_svd(left, logs, right)[1]))


class _Components:
    """The factors of a CP tensor, to be joined on either side of a cut."""

    def __init__(self, factors: Sequence[np.ndarray]):
        self.cores = [_triangle(factor) for factor in factors]

    @property
    def cuts(self) -> list[Modes]:
        return [tuple(range(k)) for k in range(1, len(self.cores))]

    def halves(self, modes: Modes) -> tuple[np.ndarray, np.ndarray]:
        """Matrices ``(., R)`` with the singular values of the unfolding in their product."""
        k, order = len(modes), len(self.cores)
        if modes == tuple(range(k)):
            return self._prefixes[k - 1], self._suffixes[order - k - 1]
        others = _others(modes, order)
        return _joined([self.cores[n] for n in modes]), _joined([self.cores[n] for n in others])

    @cached_property
    def _prefixes(self) -> list[np.ndarray]:
        return list(accumulate(self.cores, _join))

    @cached_property
    def _suffixes(self) -> list[np.ndarray]:
        return list(accumulate(self.cores[::-1], _join))


class _Tree:
    """A hierarchical tensor whose every node has its columns in an orthonormal basis."""

    def __init__(self, factorization: HierarchicalTucker, factors: Sequence[Any]):
        self.order = len(factorization.sizes(factors))
        self.nodes = dict(factorization.nodes(self.order))
        self.modes: list[Modes] = [(n,) for n in range(self.order)]
        self.factors = factors
        self.above = {child: node for node, below in self.nodes.items() for child in below}
        self.inside = [_triangle(leaf) for leaf in factors[: self.order]]
        for node, children in self.nodes.items():
            self.modes.append(tuple(mode for child in children for mode in self.modes[child]))
            self.inside.append(_triangle(self._product(children) @ factors[node]))

    @property
    def cuts(self) -> list[Modes]:
        cuts: list[Modes] = []
        for modes in self.modes[:-1]:
            if modes not in cuts and _others(modes, self.order) not in cuts:
                cuts.append(modes)
        return cuts

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


def _others(modes: Modes, order: int) -> Modes:
    return tuple(n for n in range(order) if n not in modes)


def _joined(cores: Sequence[np.ndarray]) -> np.ndarray:
    return reduce(_join, cores)


def _join(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The triangle of the products of every row with every row (Khatri-Rao)."""
    return _triangle((a[:, None, :] * b[None, :, :]).reshape(-1, a.shape[1]))


def _triangle(matrix: np.ndarray) -> np.ndarray:
    """A matrix of the same inner products of columns, with no more rows than columns."""
    return np.asarray(np.linalg.qr(matrix, mode="r")) if len(matrix) > 1 else matrix


def _parts(factorization: Any, factors: Sequence[Any]) -> _Components | _Tree:
    return _Components(factors) if isinstance(factorization, CP) else _Tree(factorization, factors)


def _is_small(factors: Sequence[np.ndarray]) -> bool:
    return max(factor.shape[1] for factor in factors) <= _SMALL


def _checked_modes(modes: Iterable[int], order: int) -> Modes:
    try:
        chosen = tuple(sorted({index(mode) for mode in modes}))
    except TypeError:
        raise InputError(f"modes must be a sequence of whole numbers; got {modes!r}.") from None
    if not chosen or len(chosen) == order or not 0 <= chosen[0] <= chosen[-1] < order:
        raise InputError(
            f"modes must be some of 0 to {order - 1} and not all of them; got "
            f"{', '.join(map(str, chosen)) or 'none'}."
        )
    return chosen
