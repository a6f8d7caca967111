"""Balanced factorization of a matrix."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from factorflow._errors import InputError


def balanced_factors(
    target: np.ndarray, shapes: Sequence[tuple[int, ...]]
) -> tuple[np.ndarray, ...]:
    """Factors ``W_1, ..., W_N`` of a matrix with ``W_{j+1}^T W_{j+1} = W_j W_j^T``.

    With the singular value decomposition ``A = U S V^T``,

        W_N = U S^(1/N),    W_j = S^(1/N),    W_1 = S^(1/N) V^T,

    each padded with zeros to its shape. The product is `A` where every hidden width is at least
    its rank; narrower widths give the best approximation of that rank.

    Parameters
    ----------
    target
        The matrix `A`, ``(m, n)``.
    shapes
        Shapes of the factors, first applied first; ``(d_1, n), ..., (m, d_{N-1})``.

    Raises
    ------
    InputError
        If the shapes do not chain from ``n`` to ``m``.

    Notes
    -----
    Source: Arora, Cohen, Golowich and Hu 2019 (arXiv:1810.02281), Procedure 1.
    """
    target = np.asarray(target, dtype=np.float64)
    _check_chain(target.shape, shapes)
    depth = len(shapes)
    if depth == 1:
        return (target.copy(),)
    left, values, right = np.linalg.svd(target, full_matrices=False)
    # A root would make directions of what is rounding: 1e-16 ** (1/5) is 6e-4.
    values[values < max(target.shape) * np.finfo(float).eps * values[0]] = 0
    rank = min(len(values), *(size[0] for size in shapes[:-1]))
    share = values[:rank] ** (1 / depth)
    cores = [np.diag(share)] * (depth - 2)
    factors = [share[:, None] * right[:rank], *cores, left[:, :rank] * share]
    return tuple(_padded(factor, size) for factor, size in zip(factors, shapes, strict=True))


def _padded(factor: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    room = np.zeros(shape)
    room[: factor.shape[0], : factor.shape[1]] = factor
    return room


def _check_chain(shape: tuple[int, ...], shapes: Sequence[tuple[int, ...]]) -> None:
    ends = shapes[-1][0], shapes[0][1]
    links = all(a[0] == b[1] for a, b in pairwise(shapes))
    if ends != tuple(shape) or not links:
        raise InputError(
            f"The factors {list(shapes)} do not chain to a matrix of shape {tuple(shape)}; "
            "expected (d_1, n), (d_2, d_1), ..., (m, d_{N-1})."
        )
