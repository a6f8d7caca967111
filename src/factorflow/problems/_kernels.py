"""The Numba kernels of the loss by entries; imported only when such a loss is made.

Cells come twice: by rows (CSR) for the residuals and the gradient of the left half, by columns
(CSC) for the gradient of the right half. Every row or column is summed by one thread in a fixed
order, so the answer does not depend on how the rows are shared out among threads.
"""

import functools
import itertools
from collections.abc import Callable

import numba
import numpy as np

from factorflow.problems._threads import N_THREADS, in_ranges

# Only these two liberties: without reassociation a dot product is not vectorized; NaN and
# infinity keep their meaning.
_compiled = functools.partial(numba.njit, nogil=True, cache=True, fastmath={"reassoc", "contract"})
_matrix, _vector = numba.float64[:, ::1], numba.float64[::1]
_indices, _starts, _index = numba.int32[::1], numba.int64[::1], numba.int64

_N_THREADS = N_THREADS

# Multiplications below which a second thread costs more than it saves (about 50 microseconds).
_WORTH_A_THREAD = 400_000


@_compiled(
    [_vector(_matrix, _matrix, _starts, _indices, _vector, _vector, _vector, _index, _index)]
)
def _residual_rows(left, right_t, starts, columns, values, residuals, row_sums, first, last):
    for i in range(first, last):
        left_row = left[i]
        row_sum = 0.0
        for k in range(starts[i], starts[i + 1]):
            right_row = right_t[columns[k]]
            residual = 0.0
            for c in range(left_row.shape[0]):
                residual += left_row[c] * right_row[c]
            residual -= values[k]
            residuals[k] = residual
            row_sum += residual * residual
        row_sums[i] = row_sum
    return row_sums


@_compiled([_vector(_vector, _matrix, _indices, _vector, _index, _index)])
def _weighted_sum(total, matrix, picked, weights, first, last):
    # Four rows at a time: the total is then read and written a quarter as often.
    total[:] = 0.0
    k = first
    while k + 4 <= last:
        a, b = matrix[picked[k]], matrix[picked[k + 1]]
        c, d = matrix[picked[k + 2]], matrix[picked[k + 3]]
        x, y, z, t = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        for j in range(total.shape[0]):
            total[j] += x * a[j] + y * b[j] + z * c[j] + t * d[j]
        k += 4
    while k < last:
        a, x = matrix[picked[k]], weights[k]
        for j in range(total.shape[0]):
            total[j] += x * a[j]
        k += 1
    return total


@_compiled([_matrix(_matrix, _matrix, _starts, _indices, _vector, _index, _index)])
def _gradient_rows(gradient, other, starts, picked, residuals, first, last):
    for i in range(first, last):
        _weighted_sum(gradient[i], other, picked, residuals, starts[i], starts[i + 1])
    return gradient


@_compiled([_vector(_vector, _vector, _indices, _index, _index)])
def _permuted(result, source, order, first, last):
    for k in range(first, last):
        result[k] = source[order[k]]
    return result


def value(inputs: list[np.ndarray], outputs: list[np.ndarray]) -> None:
    """Residuals, and their squares summed by row.

    Inputs: ``left (m, w)``, ``right_t (n, w)``, ``values (p,)``, ``row_starts (m + 1,)``,
    ``columns (p,)``. Outputs: ``row_sums (m,)``, ``residuals (p,)``.
    """
    left, right_t, values, row_starts, columns = inputs
    row_sums, residuals = outputs

    def rows(first: int, last: int) -> None:
        _residual_rows(left, right_t, row_starts, columns, values, residuals, row_sums, first, last)

    _in_parallel(rows, row_starts, left.shape[1])


def value_and_gradient(inputs: list[np.ndarray], outputs: list[np.ndarray]) -> None:
    """Residuals, their squares summed by row, and the gradients of ``1/2 sum(residual^2)``.

    Inputs: those of :func:`value`, then ``column_starts (n + 1,)``, ``rows_by_column (p,)`` and
    ``order_by_column (p,)``. Outputs: ``row_sums (m,)``, ``residuals (p,)``, ``left_gradient
    (m, w)``, ``right_gradient_t (n, w)``, and room for ``p`` residuals in the order of columns.
    """
    left, right_t, values, row_starts, columns, column_starts, rows_by_column, order = inputs
    row_sums, residuals, left_gradient, right_gradient, permuted = outputs

    def rows(first: int, last: int) -> None:
        _residual_rows(left, right_t, row_starts, columns, values, residuals, row_sums, first, last)
        _gradient_rows(left_gradient, right_t, row_starts, columns, residuals, first, last)

    def by_column(first: int, last: int) -> None:
        _permuted(permuted, residuals, order, column_starts[first], column_starts[last])
        _gradient_rows(right_gradient, left, column_starts, rows_by_column, permuted, first, last)

    _in_parallel(rows, row_starts, left.shape[1])
    _in_parallel(by_column, column_starts, left.shape[1])


def _in_parallel(work: Callable[[int, int], None], starts: np.ndarray, width: int) -> None:
    """Call ``work(first, last)`` on ranges that hold about equally many cells each."""
    n_cells = int(starts[-1])
    n_threads = int(min(_N_THREADS, 1 + n_cells * width // _WORTH_A_THREAD))
    if n_threads == 1:
        work(0, len(starts) - 1)
        return
    shares = np.arange(1, n_threads) * (n_cells / n_threads)
    bounds = [0, *np.searchsorted(starts, shares).tolist(), len(starts) - 1]
    ranges = list(itertools.pairwise(bounds))
    in_ranges(work, ranges)
