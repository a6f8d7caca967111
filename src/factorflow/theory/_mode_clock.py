"""The time that one fully observed eigenvalue takes, as an integral and its inverse.

With ``x = s / s*`` and ``q = 1 - 2/N`` it is, but for a factor, ``F = int x^(-1-q) / (1 - x) dx``.
In ``y = ln(x / |1 - x|)``, which grows without bound on the way to ``x = 1``, that is
``F = int x^(-q) dy``: at depth 2 the clock `F` is `y` itself.
"""

from math import inf, log

import numpy as np

from factorflow.theory._commuting import growth_of, relative_exposure

_TERMS = 110  # of series whose ratio is 2/3 or less: the rest is below 1e-19
_MOST_STEPS = 60


class Below:
    """From a start below the target; the clock is zero where ``x = 1/2``.

    ``place`` gives `y` of a size, ``share`` `x` at `y`, ``clock`` `F` at `y`.
    """

    least = -inf  # value of the clock

    def __init__(self, power: float):
        self.power = power

    def place(self, size: np.ndarray, target: np.ndarray) -> np.ndarray:
        return np.log(size) - np.log(target - size)

    def share(self, y: np.ndarray) -> np.ndarray:
        return np.exp(-np.logaddexp(0, -y))

    def clock(self, y: np.ndarray) -> np.ndarray:
        x, v = -np.logaddexp(0, -y) + log(2), -np.logaddexp(0, np.maximum(y, 0))
        early = sum(_power_integral(np.minimum(x, 0), k - self.power) for k in range(_TERMS))
        return np.where(y <= 0, early, _to_one(v, self.power, 1))

    def from_simple(self, h: np.ndarray) -> np.ndarray:
        """`y` by a simple clock, ``dh = max(1, e^(-q y)) dy``, that starts with the other."""
        return np.where(h < 0, -growth_of(-np.minimum(h, 0), -self.power), h)

    def slope(self, y: np.ndarray) -> np.ndarray:
        """``dF/dh``, from 1 to 2."""
        return (1 + np.exp(-np.abs(y))) ** self.power


class Above:
    """From a start above the target, likewise; the clock is zero at ``x = inf``."""

    least = np.finfo(float).tiny

    def __init__(self, power: float):
        self.power = power

    def place(self, size: np.ndarray, target: np.ndarray) -> np.ndarray:
        return np.where(
            target < size / 2, -np.log1p(-target / size), np.log(size) - np.log(size - target)
        )

    def share(self, y: np.ndarray) -> np.ndarray:
        return -1 / np.expm1(-y)

    def clock(self, y: np.ndarray) -> np.ndarray:
        split = log(3)  # x = 3/2
        later = np.maximum(y, split)
        late = _to_one(-later - np.log1p(-np.exp(-later)), self.power, -1)
        return self._from_infinity(np.minimum(y, split)) + np.where(y > split, late, 0.0)

    def _from_infinity(self, y: np.ndarray) -> np.ndarray:
        w, exponents = -np.expm1(-y), self.power + np.arange(1, _TERMS)
        return sum((w**c / c for c in exponents), np.zeros_like(y))

    def from_simple(self, h: np.ndarray) -> np.ndarray:
        """`y` by a simple clock, ``dh = min(1, y^q) dy``, that starts with the other."""
        c = 1 + self.power
        return np.where(h * c < 1, np.minimum(h * c, 1) ** (1 / c), h - 1 / c + 1)

    def slope(self, y: np.ndarray) -> np.ndarray:
        """``dF/dh``, from 0.6 to 1."""
        return (-np.expm1(-y) / np.minimum(y, 1)) ** self.power


def _power_integral(relative: np.ndarray, exponent: float) -> np.ndarray:
    """``int u^(c - 1) du`` from 1/2 to ``1/2 e^relative``, also for ``c = 0``."""
    return 0.5**exponent * relative_exposure(relative, -exponent)


def _to_one(log_v: np.ndarray, power: float, sign: int) -> np.ndarray:
    """``int (1 -+ u)^(-1-q) du / u`` from ``v = |1 - x|`` to 1/2, by the binomial series."""
    found, coefficient = -log(2) - log_v, 1.0
    for k in range(1, _TERMS):
        coefficient *= sign * (power + k) / k
        found = found + coefficient * (0.5**k - np.exp(k * log_v)) / k
    return found


def inverse(law: Below | Above, clock: np.ndarray) -> np.ndarray:
    """Where the law's clock has these values.

    Newton's method on the simple clock, by which the other is nearly straight: a few steps
    suffice however long the plateau.
    """
    simple = np.maximum(clock, law.least)
    for _ in range(_MOST_STEPS):
        y = law.from_simple(simple)
        move = (clock - law.clock(y)) / law.slope(y)
        # Where the clock starts at zero, a step must not leave it.
        simple = simple + move if law.least < 0 else np.maximum(simple + move, simple / 2)
        unit = np.maximum(np.abs(simple), 1.0 if law.least < 0 else 0.0)
        if np.all(np.abs(move) <= 1e-9 * unit):
            break  # the error left is the square of the move
    return law.from_simple(simple)
