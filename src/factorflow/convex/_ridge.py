"""Ridge regressions of all rows of a half, each on its own observed cells."""

from collections.abc import Iterator
from concurrent.futures import Executor

import numpy as np

_NUMBERS_AT_ONCE = 1_000_000
_PADDING = 1.15  # rows of a bucket have counts within this factor of one another


class RidgeRows:
    """Rows of a half from the other half.

    With observed cells ``O_i`` of row `i`, values ``y_i`` and a weight,

        a_i = argmin 1/2 ||y_i - B_(O_i) a||^2 + weight/2 ||a||^2.

    Rows with about as many cells are solved together, the shorter ones filled up with cells that
    say nothing (a zero row of `B` and a zero value).

    Parameters
    ----------
    rows, columns, values
        Observed cells, sorted by row.
    shape
        ``(m, n)``: `m` rows, and `n` rows of the other half.
    """

    def __init__(
        self, rows: np.ndarray, columns: np.ndarray, values: np.ndarray, shape: tuple[int, int]
    ):
        self.size, n_others = shape
        self._buckets = [
            (group, np.append(columns, n_others)[cells], np.append(values, 0.0)[cells])
            for group, cells in _buckets(rows, self.size)
        ]

    def solve(
        self, other: np.ndarray, weight: float, pool: Executor, known: np.ndarray | None = None
    ) -> np.ndarray:
        """The half ``(m, r)`` from the other, ``(n, r)``; a row without cells is zero.

        ``known``, ``(n,)``, is taken off the values of each column first.
        """
        rank = other.shape[1]
        found = np.zeros((self.size, rank))
        padded = np.vstack([other, np.zeros((1, rank))])
        taken_off = None if known is None else np.append(known, 0.0)

        def solve_part(part) -> None:
            group, columns, values = part
            wanted = values if taken_off is None else values - taken_off[columns]
            found[group] = _solved(padded[columns], wanted, weight)

        # A list, so that an exception of a thread is raised here.
        list(pool.map(solve_part, self._parts(rank)))
        return found

    def _parts(self, rank: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for group, columns, values in self._buckets:
            step = max(1, _NUMBERS_AT_ONCE // (columns.shape[1] * rank))
            for first in range(0, len(group), step):
                part = slice(first, first + step)
                yield group[part], columns[part], values[part]


def _buckets(rows: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows ``(g,)`` with positions of their cells ``(g, p)``; one past the last cell is padding."""
    counts = np.bincount(rows, minlength=size)
    starts = np.cumsum(counts) - counts
    longest = int(counts.max())
    while longest > 0:
        group = np.flatnonzero((counts <= longest) & (counts > longest / _PADDING))
        places = np.arange(longest)
        positions = starts[group, None] + places
        yield group, np.where(places < counts[group, None], positions, len(rows))
        longest = int(counts[counts <= longest / _PADDING].max(initial=0))


def _solved(seen: np.ndarray, values: np.ndarray, weight: float) -> np.ndarray:
    """Ridge solutions ``(g, r)`` of stacked rows: ``seen`` (g, p, r), ``values`` (g, p)."""
    across = seen.transpose(0, 2, 1)
    if seen.shape[1] < seen.shape[2]:
        gram = _plus_weight(seen @ across, weight)
        return (across @ np.linalg.solve(gram, values[..., None]))[..., 0]
    gram = _plus_weight(across @ seen, weight)
    return np.linalg.solve(gram, across @ values[..., None])[..., 0]


def _plus_weight(gram: np.ndarray, weight: float) -> np.ndarray:
    diagonal = np.arange(gram.shape[-1])
    gram[:, diagonal, diagonal] += weight
    return gram
