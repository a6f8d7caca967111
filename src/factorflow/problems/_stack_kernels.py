"""The Numba kernels of a stack of measurement matrices; imported only where they are used.

A stack is a C-contiguous ``(p, q)`` array, a flattened matrix in every row, in float32 or float64;
all sums are taken in float64. A stack is larger than any cache, so what a pass costs is the
reading of it: the residuals of eight rows and their part of the gradient come out of one reading.

The rows are shared out in ranges that depend on their number alone, and the parts of the
gradient are added up in the order of the ranges: the answer does not depend on the number of
threads.
"""

import functools
import itertools

import numba
import numpy as np

from factorflow.problems._threads import fair_share, in_ranges

# Reassociation lets sums be vectorized; NaN and infinity keep their meaning.
_compiled = functools.partial(numba.njit, nogil=True, cache=True, fastmath={"reassoc", "contract"})

_MOST_RANGES = 16
_ROWS_OF_A_RANGE = 64  # at least: every range has a gradient of its own to add up
_WORTH_A_THREAD = 400_000  # elements of the stack, about 50 microseconds
_CHUNK = 500_000  # elements in float64 at once, 4 MB, when a pass serves several vectors


def _read_only(dtype, n_axes):
    return numba.types.Array(dtype, n_axes, "C", readonly=True)


_stacks = _read_only(numba.float32, 2), _read_only(numba.float64, 2)
_given, _vector = _read_only(numba.float64, 1), numba.float64[::1]
_index, _none = numba.int64, numba.void


@_compiled([_none(stack, _given, _given, _vector, _index, _index) for stack in _stacks])
def _dots(stack, w, y, r, first, last):
    """``r = stack w - y`` on the rows from first to last."""
    i = first
    while i + 8 <= last:
        a, b, c, d = stack[i], stack[i + 1], stack[i + 2], stack[i + 3]
        e, f, g, h = stack[i + 4], stack[i + 5], stack[i + 6], stack[i + 7]
        ra = rb = rc = rd = re = rf = rg = rh = 0.0
        for j in range(w.shape[0]):
            x = w[j]
            ra += a[j] * x
            rb += b[j] * x
            rc += c[j] * x
            rd += d[j] * x
            re += e[j] * x
            rf += f[j] * x
            rg += g[j] * x
            rh += h[j] * x
        r[i], r[i + 1], r[i + 2], r[i + 3] = ra - y[i], rb - y[i + 1], rc - y[i + 2], rd - y[i + 3]
        r[i + 4], r[i + 5] = re - y[i + 4], rf - y[i + 5]
        r[i + 6], r[i + 7] = rg - y[i + 6], rh - y[i + 7]
        i += 8
    while i < last:
        a = stack[i]
        ra = 0.0
        for j in range(w.shape[0]):
            ra += a[j] * w[j]
        r[i] = ra - y[i]
        i += 1


@_compiled([_none(stack, _given, _vector, _index, _index) for stack in _stacks])
def _add_rows(stack, r, gradient, first, last):
    """``gradient += stack^T r`` over the rows from first to last."""
    i = first
    while i + 8 <= last:
        a, b, c, d = stack[i], stack[i + 1], stack[i + 2], stack[i + 3]
        e, f, g, h = stack[i + 4], stack[i + 5], stack[i + 6], stack[i + 7]
        ra, rb, rc, rd = r[i], r[i + 1], r[i + 2], r[i + 3]
        re, rf, rg, rh = r[i + 4], r[i + 5], r[i + 6], r[i + 7]
        for j in range(gradient.shape[0]):
            gradient[j] += (ra * a[j] + rb * b[j] + rc * c[j] + rd * d[j]) + (
                re * e[j] + rf * f[j] + rg * g[j] + rh * h[j]
            )
        i += 8
    while i < last:
        a, ra = stack[i], r[i]
        for j in range(gradient.shape[0]):
            gradient[j] += ra * a[j]
        i += 1


_matrix, _bounds = numba.float64[:, ::1], numba.int64[::1]


@_compiled([_none(s, _given, _given, _vector, _matrix, _bounds, _index, _index) for s in _stacks])
def _fused(stack, w, y, r, parts, bounds, first, last):
    """Residuals, and a gradient for each of the ranges from first to last."""
    for k in range(first, last):
        part = parts[k]
        part[:] = 0.0
        for i in range(bounds[k], bounds[k + 1], 8):
            end = min(i + 8, bounds[k + 1])
            _dots(stack, w, y, r, i, end)
            _add_rows(stack, r, part, i, end)


def residuals(stack: np.ndarray, w: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``stack w - y``, shape ``(p,)``."""
    r, bounds = np.empty(len(stack)), _ranges(len(stack))

    def rows(first: int, last: int) -> None:
        for k in range(first, last):
            _dots(stack, w, y, r, bounds[k], bounds[k + 1])

    _in_parallel(rows, stack, bounds)
    return r


def transposed(stack: np.ndarray, r: np.ndarray) -> np.ndarray:
    """``stack^T r``, shape ``(q,)``."""
    bounds = _ranges(len(stack))
    parts = np.zeros((len(bounds) - 1, stack.shape[1]))

    def rows(first: int, last: int) -> None:
        for k in range(first, last):
            _add_rows(stack, r, parts[k], bounds[k], bounds[k + 1])

    _in_parallel(rows, stack, bounds)
    return parts.sum(axis=0)


def _residuals_and_gradient(stack, w, y) -> tuple[np.ndarray, np.ndarray]:
    """``r = stack w - y`` and ``stack^T r`` by one reading of the stack."""
    bounds, r = _ranges(len(stack)), np.empty(len(stack))
    parts = np.empty((len(bounds) - 1, stack.shape[1]))

    def rows(first: int, last: int) -> None:
        _fused(stack, w, y, r, parts, bounds, first, last)

    _in_parallel(rows, stack, bounds)
    return r, parts.sum(axis=0)


def value(inputs: list[np.ndarray], outputs: list[np.ndarray]) -> None:
    """Residuals for one or for many vectors.

    Inputs: ``stack (..., p, q)``, ``w (..., q)``, ``y (..., p)``, with the leading axes of the
    outputs or 1 in their place. Output: ``r (..., p)``.
    """
    (r,) = outputs
    stack, w, y = _one_axis_of_runs(inputs, r.shape[:-1])
    r = r.reshape(-1, r.shape[-1])
    if len(stack) == 1 < len(r):
        _chunks_of_many(stack[0], w, y, r, None)
        return
    for k in range(len(r)):
        r[k] = residuals(stack[min(k, len(stack) - 1)], w[k], y[k])


def value_and_gradient(inputs: list[np.ndarray], outputs: list[np.ndarray]) -> None:
    """Residuals ``r`` and ``stack^T r`` for one or for many vectors.

    Inputs as for :func:`value`. Outputs: ``r (..., p)``, ``gradient (..., q)``.
    """
    r, gradient = outputs
    stack, w, y = _one_axis_of_runs(inputs, r.shape[:-1])
    r, gradient = r.reshape(-1, r.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
    if len(stack) == 1 < len(r):
        _chunks_of_many(stack[0], w, y, r, gradient)
        return
    for k in range(len(r)):
        one = stack[min(k, len(stack) - 1)]
        r[k], gradient[k] = _residuals_and_gradient(one, w[k], y[k])


def _one_axis_of_runs(inputs, lead: tuple[int, ...]):
    """The inputs with their leading axes made one; a stack shared by all is left single."""
    stack, w, y = inputs
    shared = all(size == 1 for size in stack.shape[:-2])
    full = stack if shared else np.broadcast_to(stack, (*lead, *stack.shape[-2:]))
    return (
        full.reshape(-1, *stack.shape[-2:]),
        np.broadcast_to(w, (*lead, w.shape[-1])).reshape(-1, w.shape[-1]),
        np.broadcast_to(y, (*lead, y.shape[-1])).reshape(-1, y.shape[-1]),
    )


def _chunks_of_many(stack, w, y, r, gradient) -> None:
    """One stack and many vectors: matrix products of a few rows of the stack at a time."""
    p, q = stack.shape
    rows = max(16, _CHUNK // q)
    bounds = [*range(0, p, rows), p]
    if gradient is not None:
        gradient[:] = 0.0
    for first, last in itertools.pairwise(bounds):
        chunk = stack[first:last].astype(np.float64, copy=False)
        r[:, first:last] = w @ chunk.T - y[:, first:last]
        if gradient is not None:
            gradient += r[:, first:last] @ chunk


def _ranges(p: int) -> np.ndarray:
    """Bounds of the ranges of rows, which depend on nothing but their number."""
    n_ranges = min(_MOST_RANGES, max(1, p // _ROWS_OF_A_RANGE))
    return np.linspace(0, p, n_ranges + 1).astype(np.int64)


def _in_parallel(work, stack: np.ndarray, bounds: np.ndarray) -> None:
    """Call ``work(first, last)`` on the ranges, with the threads that are worth their while."""
    n_ranges = len(bounds) - 1
    with fair_share() as share:
        n_threads = min(share, n_ranges, 1 + stack.size // _WORTH_A_THREAD)
        cuts = np.linspace(0, n_ranges, n_threads + 1).astype(int).tolist()
        in_ranges(work, list(itertools.pairwise(cuts)))
