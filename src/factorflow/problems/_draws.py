"""Random measurement operators.

All numbers are standard normal draws in float32, divided and rounded in float32: the rounded
quotients are the operator. The first operators of a seed do not depend on how many are drawn.
"""

import numpy as np

from factorflow._random import stream
from factorflow.problems._dense_operator import DenseOperator
from factorflow.problems._entry_operator import EntryOperator
from factorflow.problems._rank_one_operator import RankOneOperator
from factorflow.problems._sampling import checked_count, chosen_cells

_AT_ONCE = 64  # matrices whose symmetric part is taken at a time


def gaussian_operator(shape: tuple[int, int], count: int, symmetric: bool, seed: int):
    """Matrices with entries N(0, 1) / sqrt(m n), or their symmetric parts."""
    m, n = shape
    matrices = _normal("gaussian", (count, m, n), m * n, seed)
    if symmetric:
        for first in range(0, count, _AT_ONCE):
            part = matrices[first : first + _AT_ONCE]
            part[:] = (part + part.transpose(0, 2, 1)) * np.float32(0.5)
    matrices.setflags(write=False)
    return DenseOperator(matrices)


def rank_one_operator(shape: tuple[int, int], count: int, symmetric: bool, seed: int):
    """Vectors with entries N(0, 1) / sqrt(m) and N(0, 1) / sqrt(n), or one for both sides."""
    m, n = shape
    left = _normal("rank one left", (count, m), m, seed)
    right = left if symmetric else _normal("rank one right", (count, n), n, seed)
    return RankOneOperator(left, right)


def entry_operator(shape: tuple[int, int], count: int, symmetric: bool, seed: int):
    """Cells, or pairs on and above the diagonal, uniformly without replacement."""
    m, n = shape
    rows, columns = np.triu_indices(n) if symmetric else (np.empty(0), np.empty(0))
    size = len(rows) if symmetric else m * n
    cells = chosen_cells(size, checked_count(count, "n_measurements", size), seed)
    chosen = (rows[cells], columns[cells]) if symmetric else np.divmod(cells, n)
    return EntryOperator(shape, *chosen, symmetric=symmetric)


def _normal(name: str, shape: tuple[int, ...], divisor: int, seed: int) -> np.ndarray:
    draws = stream(seed, "sensing", name).standard_normal(shape, dtype=np.float32)
    draws /= np.float32(np.sqrt(divisor))
    return draws
