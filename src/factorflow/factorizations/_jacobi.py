"""One-sided Jacobi rotations on columns with logarithmic scales; imported only where used."""

import functools
from math import exp, hypot, log, sqrt

import numba
import numpy as np

# Reassociation lets sums be vectorized; NaN and infinity keep their meaning.
_compiled = functools.partial(numba.njit, nogil=True, cache=True, fastmath={"reassoc", "contract"})

_SWEEPS = 60
_ORTHOGONAL = 4e-16

_matrix, _vector = numba.float64[:, ::1], numba.float64[::1]


@_compiled
def _dot(a, b):
    total = 0.0
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@_compiled
def _rotate(rows, squares, logs, turned, i, j):
    """Make two rows orthogonal; whether they were not yet."""
    first, second, between = squares[i], squares[j], _dot(rows[i], rows[j])
    if abs(between) <= _ORTHOGONAL * sqrt(len(logs) * first * second) or first * second == 0.0:
        return False
    if logs[j] - logs[i] + 0.5 * log(second / first) > 0:  # i is the longer one
        i, j, first, second = j, i, second, first
    ratio = exp(logs[j] - logs[i])
    gap = max(first - ratio * ratio * second, 0.0)
    # The tangent of the angle is ratio * slope; slope stays finite however small the ratio.
    slope = -2 * between / (gap + hypot(gap, 2 * ratio * between))
    tangent = ratio * slope
    cosine = 1 / sqrt(1 + tangent * tangent)
    for c in range(rows.shape[1]):
        a, b = rows[i, c], rows[j, c]
        rows[i, c] = cosine * (a - tangent * ratio * b)
        rows[j, c] = cosine * (slope * a + b)
    squares[i], squares[j] = _dot(rows[i], rows[i]), _dot(rows[j], rows[j])
    for c in range(turned.shape[1]):
        a, b = turned[i, c], turned[j, c]
        turned[i, c] = cosine * (a - tangent * b)
        turned[j, c] = cosine * (tangent * a + b)
    return True


@_compiled([numba.void(_matrix, _vector, _matrix)])
def orthogonalize(rows, logs, turned):
    """Make the vectors ``exp(logs[k]) rows[k]`` orthogonal by rotations of pairs of them.

    All three arrays, ``(k, k)``, ``(k,)`` and ``(k, k)``, are changed in place: ``rows`` become
    unit vectors, ``logs`` the logarithms of their lengths, and the rotations act on the rows of
    ``turned`` as well, so that ``sum_k exp(logs[k]) turned[k]^T rows[k]`` stays what it is.

    The scales enter by their ratios alone: singular values of any size come out to full relative
    accuracy where the rows are well conditioned (Demmel and Veselic 1992).
    """
    k = len(logs)
    squares = np.empty(k)
    for i in range(k):
        squares[i] = _dot(rows[i], rows[i])
    for _ in range(_SWEEPS):
        done = True
        for i in range(k - 1):
            for j in range(i + 1, k):
                if _rotate(rows, squares, logs, turned, i, j):
                    done = False
        if done:
            break
    for i in range(k):
        size = sqrt(_dot(rows[i], rows[i]))
        if size > 0:
            rows[i] /= size
            logs[i] += log(size)
        else:
            logs[i] = -np.inf
