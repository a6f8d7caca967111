"""The cells of a problem laid out by rows and by columns."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class CellIndex(NamedTuple):
    """Where the ``p`` observed cells of an ``(m, n)`` matrix are, twice.

    By rows: ``rows (p,)`` ascending, ``columns (p,)``, ``row_starts (m + 1,)``. By columns:
    ``order_by_column (p,)`` (positions in the order of rows), ``rows_by_column (p,)``,
    ``columns_by_column (p,)`` ascending, ``column_starts (n + 1,)``. Starts are int64, the
    others int32.
    """

    rows: jax.Array
    columns: jax.Array
    row_starts: jax.Array
    order_by_column: jax.Array
    rows_by_column: jax.Array
    columns_by_column: jax.Array
    column_starts: jax.Array


def cell_index(shape: tuple[int, int], rows: np.ndarray, columns: np.ndarray) -> CellIndex:
    """Lay out cells that are sorted by row. Call it in double precision (int64 starts)."""
    order = np.argsort(columns, kind="stable")
    arrays = (
        rows.astype(np.int32),
        columns.astype(np.int32),
        _starts(rows, shape[0]),
        order.astype(np.int32),
        rows[order].astype(np.int32),
        columns[order].astype(np.int32),
        _starts(columns, shape[1]),
    )
    return CellIndex(*map(jnp.asarray, arrays))


def _starts(sorted_or_not: np.ndarray, size: int) -> np.ndarray:
    counts = np.bincount(sorted_or_not, minlength=size)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
