"""Full observation: each eigenpair of the target is learned by itself, the largest first."""

from math import inf, isfinite, log
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from factorflow._errors import InputError
from factorflow.factorizations import checked_real_depth, growth_power
from factorflow.theory._commuting import relative_exposure
from factorflow.theory._mode_clock import Above, Below, inverse
from factorflow.theory._numbers import checked_arrays

_BELOW_ROUNDING = 1e-18


def mode_size(time: ArrayLike, start: ArrayLike, target: ArrayLike, depth: float) -> np.ndarray:
    """Size of one eigenvalue along gradient flow towards a fully observed matrix.

    For ``f(W) = 1/2 ||W - S||_F^2`` with ``S`` positive semidefinite, from a start that shares its
    eigenvectors, such as a multiple of the identity, balanced layers keep them, and each eigenvalue
    moves by itself:

        s' = N s^(2 - 2/N) (s* - s),
        s(t) = s* e^(2 s* t) / (e^(2 s* t) - 1 + s*/s_0)      for N = 2.

    Beyond depth 2 it is the root of :func:`mode_time`. The time to escape from a small start is in
    proportion to ``1 / s*``, so that the largest eigenvalue is learned first.

    Parameters
    ----------
    time
        `t`, zero or more: that of the flow on the layers, with the sum `f` for its loss. The mean
        over all ``n^2`` entries, the loss of a :class:`Completion`, takes ``n^2`` times as long. At
        infinite depth, time multiplied by depth.
    start
        ``s_0``, positive.
    target
        ``s*``, zero or more; below the start too.
    depth
        `N`, a real number of 2 or more, or infinity.

    Returns
    -------
    numpy.ndarray
        Of the shape to which time, start and target broadcast.

    Raises
    ------
    InputError
        If the depth or a number is unusable.

    Notes
    -----
    A start of 1e-100 is no harder than another, but the moment of the escape is: rounding of its
    time blurs it by 1e-16 of itself. Ask for times by :func:`mode_time` there.
    Source at depth 2: Saxe, McClelland and Ganguli 2014 (arXiv:1312.6120); beyond, derived. For a
    singular value of a rectangular target it is the same law.
    """
    power, rate = _power_and_rate(depth)
    shape, t, s0, goal = checked_arrays(time=(time, 0), start=(start, None), target=(target, 0))
    found = _without_target(t, s0, power, rate)
    # A target below the rounding of that has no say yet.
    felt = (goal > _BELOW_ROUNDING * found) & (goal != s0)
    found[goal == s0] = goal[goal == s0]
    for side, part in ((Below, felt & (goal > s0)), (Above, felt & (goal < s0))):
        law = side(power)
        clock = (
            law.clock(law.place(s0[part], goal[part])) + _unit(goal[part], power, rate) * t[part]
        )
        found[part] = goal[part] * law.share(inverse(law, clock))
    return found.reshape(shape)


def mode_time(size: ArrayLike, start: ArrayLike, target: ArrayLike, depth: float) -> np.ndarray:
    """When the eigenvalue of :func:`mode_size` has a size: ``integral of ds / s'``.

    With ``x = s / s*`` and ``q = 1 - 2/N``

        t = (F(x) - F(x_0)) / (N s*^(2 - 2/N)),     F'(x) = x^(-1-q) / (1 - x).

    Parameters
    ----------
    size
        `s`, positive.
    start, target, depth
        As for :func:`mode_size`.

    Returns
    -------
    numpy.ndarray
        Of the shape to which size, start and target broadcast; infinite where it never has that
        size.

    Raises
    ------
    InputError
        If the depth or a number is unusable.
    """
    power, rate = _power_and_rate(depth)
    shape, s, s0, goal = checked_arrays(size=(size, None), start=(start, None), target=(target, 0))
    found = np.where(s == s0, 0.0, inf)
    falls = (s < s0) & (goal < s)
    little = falls & (goal <= _BELOW_ROUNDING * s)
    growth = relative_exposure(np.log(s0[little] / s[little]), 1 + power)
    found[little] = growth / (rate * s[little] ** (1 + power))
    for side, part in ((Below, (s0 < s) & (s < goal)), (Above, falls & ~little)):
        law = side(power)
        to, since = (law.clock(law.place(each[part], goal[part])) for each in (s, s0))
        found[part] = (to - since) / _unit(goal[part], power, rate)
    return found.reshape(shape)


def escape_time(
    start: ArrayLike, rate: ArrayLike, depth: float, size: float | None = None
) -> np.ndarray:
    """How long an unstable mode takes to escape from a small start.

    While the mode is small, it grows by ``s' = N mu s^(2 - 2/N)``, so that it has a size after

        ln(size / s_0) / (2 mu)                                        for N = 2,
        (s_0^(-(1-2/N)) - size^(-(1-2/N))) / ((N - 2) mu)              for N > 2,

    which above depth 2 is finite for an infinite size.

    Parameters
    ----------
    start
        ``s_0``, positive.
    rate
        ``mu``, the eigenvalue of ``-grad f`` at the point where the mode is zero.
    depth
        `N`, a real number of 2 or more, or infinity, where time is multiplied by depth.
    size
        What counts as escaped; by default 1 at depth 2 and infinite above.

    Returns
    -------
    numpy.ndarray
        Of the shape to which start and rate broadcast; infinite where the rate is zero or below.

    Raises
    ------
    InputError
        If a number is unusable, the size is below a start or infinite at depth 2.

    Notes
    -----
    Derived. Time is that of :func:`mode_size`, whose mode has the rate ``mu = s*``.
    """
    power, layers = _power_and_rate(depth)
    end = _checked_size(size, power)
    shape, s0, mu = checked_arrays(start=(start, None), rate=(rate, -inf))
    if np.any(s0 > end):
        raise InputError(f"size must be no less than any start; got {end:g} for {s0.max():g}.")
    if isfinite(end):
        needed = s0**-power * relative_exposure(log(end) - np.log(s0), power)
    else:
        needed = s0**-power / power
    grows = mu > 0
    found = np.where(grows, needed / (layers * np.where(grows, mu, 1.0)), inf)
    return found.reshape(shape)


def _without_target(t: np.ndarray, s0: np.ndarray, power: float, rate: float) -> np.ndarray:
    """``s' = -N s^(2 + q)``: the law where the target is zero."""
    order = 1 + power
    return s0 * np.exp(-np.log1p(order * rate * t * s0**order) / order)


def _unit(target: np.ndarray, power: float, rate: float) -> np.ndarray:
    return rate * target ** (1 + power)


def _power_and_rate(depth: float) -> tuple[float, float]:
    """``q = 1 - 2/N`` and `N`, which is 1 in the rescaled time of infinite depth."""
    N = checked_real_depth(depth)
    if N < 2:
        raise InputError(f"depth must be 2 or more, where a mode leaves zero slowly; got {N:g}.")
    return growth_power(N), N if isfinite(N) else 1.0


def _checked_size(size: Any, power: float) -> float:
    if size is None:
        return 1.0 if power == 0 else inf
    if isinstance(size, bool) or not isinstance(size, Real) or not float(size) > 0:
        raise InputError(f"size must be a positive number or None; got {size!r}.")
    if power == 0 and size == inf:
        raise InputError("At depth 2 an infinite size is never reached; give a finite size.")
    return float(size)
