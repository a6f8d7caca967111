"""Observed entries whose least nuclear norm is not where a vanishing start leads."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow.problems import Completion
from factorflow.theory._numbers import checked_positive


@dataclass(frozen=True, eq=False)
class NuclearNormCounterexample:
    """Two ways to complete one matrix; made by :func:`nuclear_norm_counterexample`.

    Attributes
    ----------
    problem
        The six observed entries, of a ``(4, 4)`` matrix.
    least_nuclear_norm
        The positive semidefinite solution of least nuclear norm: rank 2, trace ``4 R``,
        ``(4, 4)``. No other solution has less, and no other semidefinite one as little.
    rank_one
        The solution of rank 1, trace ``2 R^2 + 2``, ``(4, 4)``.
    dual
        The proof that the former is least, ``(4, 4)``: zero where nothing is observed, of spectral
        norm 1, and its inner product with the observed matrix is ``4 R``.
    ratio
        `R`.
    """

    problem: Completion
    least_nuclear_norm: np.ndarray
    rank_one: np.ndarray
    dual: np.ndarray
    ratio: float


def nuclear_norm_counterexample(R: float) -> NuclearNormCounterexample:
    """Six entries of a symmetric matrix, whose rank-1 solution has a large nuclear norm.

    Observed is, for ``R > 1``,

        [ ? 1 ? R ]            [ R 1 1 R ]       [ 1 1 R   R   ]
        [ 1 ? R ? ]            [ 1 R R 1 ]       [ 1 1 R   R   ]
        [ ? R ? ? ]     fits   [ 1 R R 1 ]  and  [ R R R^2 R^2 ]
        [ R ? ? ? ]            [ R 1 1 R ]       [ R R R^2 R^2 ]

    both positive semidefinite. Gradient flow of depth 2 goes to the second as its start goes to
    zero, although its nuclear norm exceeds that of the first as much as one likes. The eigenvalues
    of the observed matrix, with zeros for what is not observed, are
    ``+-(sqrt(R^2 + 1/4) +- 1/2)``: the two that grow from zero differ by ``1 / R`` of their size,
    so that for large `R` only very small starts tell them apart.

    Parameters
    ----------
    R
        Above 1; at 1 both solutions would have the same nuclear norm.

    Raises
    ------
    InputError
        If ``R`` is not a finite number above 1.

    Notes
    -----
    Source: Li, Luo and Lyu 2021 (arXiv:2012.09839), their example against the conjecture that the
    flow minimizes the nuclear norm. The proof of the least nuclear norm is derived: with ``a`` and
    ``b`` the sums of the unit vectors 1, 4 and 2, 3 the dual matrix maps ``a`` to ``a`` and ``b``
    to ``b``, which span the range of the first solution; in that range the observed entries leave
    no choice. Solutions that are not semidefinite have the norm ``4 R`` too, such as the first with
    zeros on the diagonal and in every second place from it.
    """
    ratio = _checked(R)
    rows, columns = [0, 0, 1, 1, 2, 3], [1, 3, 0, 2, 1, 0]
    values = [1.0, ratio, 1.0, ratio, ratio, ratio]
    outer, inner = np.array([1.0, 0, 0, 1]), np.array([0, 1.0, 1, 0])
    least = ratio * (np.outer(outer, outer) + np.outer(inner, inner))
    least += np.outer(outer, inner) + np.outer(inner, outer)
    direction = np.array([1.0, 1, ratio, ratio])
    return NuclearNormCounterexample(
        problem=Completion.from_triples(rows, columns, values, (4, 4)),
        least_nuclear_norm=least,
        rank_one=np.outer(direction, direction),
        dual=np.eye(4)[[3, 2, 1, 0]],
        ratio=ratio,
    )


def _checked(R: Any) -> float:
    ratio = checked_positive("R", R)
    if ratio <= 1:
        raise InputError(f"R must be above 1, where the two solutions differ; got {R!r}.")
    return ratio
