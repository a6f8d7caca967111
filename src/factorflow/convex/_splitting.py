"""Douglas-Rachford splitting of the nuclear norm and the fit to the measurements."""

from dataclasses import dataclass

import numpy as np

from factorflow.convex._anderson import Anderson
from factorflow.convex._feasible import FeasibleSet
from factorflow.convex._shrinkage import Shrinkage
from factorflow.convex._thin_svd import ThinSVD

_RELAXATION = 1.5
_MEMORY = 10
_FIRST_THRESHOLD = 0.2  # of the largest singular value of the least-norm fit
_WORSE = 2.0  # times the best step: an extrapolated point that steps further is given up
_WINDOW = 10  # iterations between two looks at the threshold
_MOST_CHANGES = 6
_LEAST_CHANGE, _MOST_CHANGE = 1.5, 10.0
_INNER_ERROR = 0.01  # of the last step: error that a partial decomposition may have


@dataclass(frozen=True)
class Iterate:
    """A point of the iteration with both of its parts.

    Attributes
    ----------
    point
        ``V``.
    threshold
        ``g``.
    low_rank
        ``Z = shrink(V, g)`` in its factors.
    shrunk
        ``Z`` as a matrix.
    feasible
        ``X``, the projection of ``2 Z - V``.
    dual
        Multipliers ``nu`` with ``A*(nu) = (X - 2 Z + V) / g``, at the solution a subgradient of
        the norm at ``X``.
    step
        Number of iterations up to here.
    """

    point: np.ndarray
    threshold: float
    low_rank: ThinSVD
    shrunk: np.ndarray
    feasible: np.ndarray
    dual: np.ndarray
    step: int

    @property
    def length(self) -> float:
        """``||X - Z||_F``; zero at a solution."""
        return float(np.linalg.norm(self.feasible - self.shrunk))

    @property
    def subgradient(self) -> np.ndarray:
        """``W = (V - Z) / g``, of operator norm at most 1."""
        return (self.point - self.shrunk) / self.threshold


class Splitting:
    """The iteration, its acceleration and the choice of its threshold.

    Parameters
    ----------
    feasible
        The matrices that fit the measurements.
    start
        None, or where to begin: a matrix, multipliers and a threshold.
    """

    def __init__(
        self,
        feasible: FeasibleSet,
        start: tuple[np.ndarray, np.ndarray, float] | None = None,
    ):
        self.feasible = feasible
        self._shrink = Shrinkage(feasible.least_norm.shape)
        self._anderson = Anderson(_MEMORY)
        self._begin = self._first_point(start)
        self._restart()
        self._changes = 0
        self._mark: Iterate | None = None

    def iterate(self) -> Iterate:
        """The first iterate."""
        return self._at(*self._begin, step=0, error=0.0)

    def next_after(self, now: Iterate) -> Iterate:
        """The iterate that follows."""
        now = self._with_better_threshold(now)
        length = now.length
        if self._plain is not None and length > _WORSE * self._best:
            point = self._plain
            self._restart()
        else:
            self._best = min(self._best, length)
            step = _RELAXATION * (now.feasible - now.shrunk)
            self._plain = now.point + step
            point = self._anderson.next_point(step, self._plain)
        return self._at(point, now.threshold, now.step + 1, _INNER_ERROR * length)

    def _at(self, point: np.ndarray, threshold: float, step: int, error: float) -> Iterate:
        low_rank = self._shrink(point, threshold, error)
        return self._projected(point, threshold, low_rank, low_rank.matrix(), step)

    def _projected(self, point, threshold, low_rank, shrunk, step) -> Iterate:
        feasible, multipliers = self.feasible.project(2 * shrunk - point)
        dual = multipliers / threshold
        return Iterate(point, threshold, low_rank, shrunk, feasible, dual, step)

    def _first_point(self, start) -> tuple[np.ndarray, float]:
        if start is not None:
            matrix, dual, threshold = start
            return matrix + threshold * self.feasible.operator.adjoint(dual), threshold
        largest = float(np.linalg.norm(self.feasible.least_norm, 2))
        return np.zeros(self.feasible.least_norm.shape), _FIRST_THRESHOLD * largest

    def _restart(self) -> None:
        self._anderson.clear()
        self._plain: np.ndarray | None = None
        self._best = np.inf

    def _with_better_threshold(self, now: Iterate) -> Iterate:
        """The same shrunk matrix and subgradient with the threshold that balances their motion."""
        if self._mark is None:
            self._mark = now
        if self._changes == _MOST_CHANGES or now.step - self._mark.step < _WINDOW:
            return now
        moved = np.linalg.norm(now.shrunk - self._mark.shrunk)
        turned = np.linalg.norm(now.subgradient - self._mark.subgradient)
        self._mark = now
        change = float(moved / turned / now.threshold) if moved and turned else 1.0
        if max(change, 1 / change) < _LEAST_CHANGE:
            return now
        self._changes += 1
        self._restart()
        threshold = now.threshold * float(np.clip(change, 1 / _MOST_CHANGE, _MOST_CHANGE))
        point = now.shrunk + threshold * now.subgradient
        self._mark = self._projected(point, threshold, now.low_rank, now.shrunk, now.step)
        return self._mark
