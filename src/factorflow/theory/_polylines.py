"""Distances of polylines that do not depend on how fast each is run through."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_SHARE = 1e-10  # relative width at which bisection ends


def ordered_distance(points: np.ndarray, line: np.ndarray) -> float:
    """``min max_i |p_i - P(t_i)|`` over ``t_1 <= ... <= t_q`` on the polyline `P`.

    Parameters
    ----------
    points
        ``(q, d)``, in order.
    line
        Vertices of the polyline, ``(p, d)``; one vertex is a polyline too.
    """
    gaps = _gaps_to(points, line)
    least = float(gaps.closest.min(axis=1).max())
    most = float(np.linalg.norm(points - line[0], axis=1).max())
    return _least_radius(lambda radius: _in_order(gaps, radius), least, most)


def frechet_distance(line: np.ndarray, other: np.ndarray) -> float:
    """Fréchet distance of two polylines, ``(p, d)`` and ``(q, d)``.

    The least of ``max_s |P(a(s)) - Q(b(s))|`` over increasing parametrizations `a` and `b` of the
    whole of both. Bisection over the radius, where the free-space diagram of Alt and Godau (1995)
    decides.
    """
    upright, flat = _gaps_to(other, line), _gaps_to(line, other)
    ends = np.linalg.norm([line[0] - other[0], line[-1] - other[-1]], axis=1)
    near = (gaps.closest.min(axis=1).max() for gaps in (upright, flat))
    least = float(max(ends.max(), *near))
    most = float(max(np.linalg.norm(other - vertex, axis=1).max() for vertex in line))
    return _least_radius(lambda radius: _passes(upright, flat, radius), least, most)


def _least_radius(fits: Callable[[float], bool], least: float, most: float) -> float:
    """The least radius that fits, by bisection; ``most`` fits but for rounding."""
    if least >= most or fits(least):
        return least
    low, high = least, min(2 * least, most) if least > 0 else most
    while high < most and not fits(high):
        low, high = high, min(2 * high, most)
    while high - low > _SHARE * high:
        middle = (low + high) / 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


class _Gaps(NamedTuple):
    """Each of q points against each segment of a polyline of p vertices, ``(q, p - 1)``.

    Positions on a segment are from 0 to 1; on its straight line they may be beyond.
    """

    closest: np.ndarray
    position: np.ndarray  # of what is closest on the segment
    offset: np.ndarray  # distance from the straight line
    foot: np.ndarray  # position of what is closest on the straight line
    lengths: np.ndarray  # (p - 1,)


def _gaps_to(points: np.ndarray, line: np.ndarray) -> _Gaps:
    vertices = line if len(line) > 1 else np.repeat(line, 2, axis=0)
    starts, edges = vertices[:-1], np.diff(vertices, axis=0)
    lengths = np.linalg.norm(edges, axis=1)
    units = edges / np.where(lengths > 0, lengths, 1.0)[:, None]
    rows = [_gaps_of(point, starts, edges, units, lengths) for point in points]
    closest, position, offset, foot = map(np.stack, zip(*rows, strict=True))
    return _Gaps(closest, position, offset, foot, lengths)


def _gaps_of(point, starts, edges, units, lengths) -> tuple[np.ndarray, ...]:
    away = point - starts
    along = np.sum(away * units, axis=1)
    foot = along / np.where(lengths > 0, lengths, 1.0)
    position = np.clip(foot, 0, 1)
    # From the differences themselves: |a|^2 - (a u)^2 would lose half of the digits.
    closest = np.linalg.norm(away - position[:, None] * edges, axis=1)
    offset = np.linalg.norm(away - along[:, None] * units, axis=1)
    return closest, position, offset, foot


def _free(gaps: _Gaps, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """First and last position on each segment within the radius; infinity and less where none."""
    half = np.sqrt(np.maximum(radius - gaps.offset, 0) * (radius + gaps.offset))
    half = np.divide(half, gaps.lengths, out=np.full_like(half, np.inf), where=gaps.lengths > 0)
    first = np.minimum(np.clip(gaps.foot - half, 0, 1), gaps.position)
    last = np.maximum(np.clip(gaps.foot + half, 0, 1), gaps.position)
    within = gaps.closest <= radius
    return np.where(within, first, np.inf), np.where(within, last, -np.inf)


def _in_order(gaps: _Gaps, radius: float) -> bool:
    """Whether all points find a place within the radius, none before that of the one before."""
    segment, position = 0, 0.0
    for first, last in zip(*_free(gaps, radius), strict=True):
        place = first[segment:].copy()
        place[0] = max(place[0], position)
        found = place <= last[segment:]
        step = int(np.argmax(found))
        if not found[step]:
            return False
        segment, position = segment + step, float(place[step])
    return True


def _passes(upright: _Gaps, flat: _Gaps, radius: float) -> bool:
    """Whether a path leads from corner to corner of the free space, never back on either line.

    Cell ``(i, j)`` has segment `i` of one line and `j` of the other. What is reachable of its
    left edge, vertex `j` against segment `i`, and of its lower edge, vertex `i` against segment
    `j`, is an interval that ends where the free one ends: its first position is enough, infinity
    where none. Cells of a diagonal ``i + j = k`` are taken at once.
    """
    left_first, left_last = (each.T for each in _free(upright, radius))  # (n, m + 1)
    low_first, low_last = _free(flat, radius)  # (n + 1, m)
    n, m = len(left_first), low_first.shape[1]
    if left_first[0, 0] > 0 or max(left_last[-1, -1], low_last[-1, -1]) < 1:
        return False
    first_column = _along_edge(left_first[:, 0], left_last[:, 0])
    first_row = _along_edge(low_first[0], low_last[0])
    shape = n + m, n + 1
    lefts = _skewed(left_first, shape, np.inf), _skewed(left_last, shape, -np.inf)
    lows = _skewed(low_first, shape, np.inf), _skewed(low_last, shape, -np.inf)
    left, low = np.full(n + 1, np.inf), np.full(n + 1, np.inf)
    left[0], low[0] = first_column[0], first_row[0]
    for k in range(1, n + m):
        # An edge that is entered from the other direction is reachable from its free beginning.
        right = np.maximum(lefts[0][k], np.where(low < np.inf, 0.0, left))
        upper = np.maximum(lows[0][k, 1:], np.where(left < np.inf, 0.0, low)[:-1])
        left = np.where(right <= lefts[1][k], right, np.inf)
        low = np.concatenate([[np.inf], np.where(upper <= lows[1][k, 1:], upper, np.inf)])
        if k < n:
            left[k] = first_column[k]
        if k < m:
            low[0] = first_row[k]
    return bool(left[n - 1] < np.inf or low[n] < np.inf)


def _along_edge(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Where each interval of an outer edge is first reached, from the corner along the edge."""
    through = np.cumprod((first == 0) & (last == 1))
    reached = (first == 0) & np.concatenate([[True], through[:-1] > 0])
    return np.where(reached, 0.0, np.inf)


def _skewed(cells: np.ndarray, shape: tuple[int, int], outside: float) -> np.ndarray:
    """``(diagonal, row)`` from ``(row, column)``, in an array of this shape."""
    rows, columns = np.indices(cells.shape)
    found = np.full(shape, outside)
    found[rows + columns, rows] = cells
    return found
