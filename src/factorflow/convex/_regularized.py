"""Completion under a nuclear-norm penalty at one weight, with a certificate."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from factorflow._random import stream
from factorflow.convex._certainty import Certainty
from factorflow.convex._low_rank_plus_sparse import shrunk, spectral_norm
from factorflow.convex._ridge import RidgeRows
from factorflow.convex._thin_svd import ThinSVD
from factorflow.problems import Completion

_SWEEPS = 4
_NEW = 16  # directions that a step may add at least, and in any case half of those there are
_SLOW = 0.2  # a round that leaves more than this share of the gap is followed by a longer one
_ACCURACY = 0.01  # of iterations for singular values, as a share of the tolerance
_STEADY = 0.03  # change of a sweep, as a share of the tolerance's root, that ends a round


@dataclass(frozen=True, eq=False)
class Point:
    """A matrix, and how near it is to the minimizer for its weight."""

    weight: float
    svd: ThinSVD
    residual: np.ndarray
    objective: float
    gap: float
    n_sweeps: int
    status: Certainty

    @property
    def train_error(self) -> float:
        return float(np.mean(self.residual**2))


@dataclass(frozen=True)
class Limits:
    """When the work on a weight ends."""

    tol: float
    max_rank: int
    max_sweeps: int


class Regularized:
    """``minimize 1/2 sum_observed (X_ij - Y_ij)^2 + weight ||X||_*``.

    Two kinds of steps take turns. A proximal step

        X <- shrink(X + E, weight),    E = Y - X on observed cells, 0 elsewhere,

    goes down from any point, finds the directions that are missing and drops those that are not
    wanted; between two of them, sweeps of alternating ridge regressions of the halves ``A``, ``B``
    of ``X = A B``, whose squares sum to the nuclear norm where the halves are balanced,

        minimize 1/2 sum_observed ((A B)_ij - Y_ij)^2 + weight/2 (||A||_F^2 + ||B||_F^2),

    with Nesterov's extrapolation of ``B`` that begins anew when a sweep turns back.

    Parameters
    ----------
    problem
        Entries; held as given if ``m <= n``, else transposed, so that `m` is the smaller side.
    pool
        Threads for the regressions.
    """

    def __init__(self, problem: Completion, pool: Executor, seed: int):
        self.problem = problem
        self._turned = problem.shape[0] > problem.shape[1]
        rows, columns, values = problem.rows, problem.columns, problem.values
        by_column = np.lexsort((rows, columns))
        other = columns[by_column], rows[by_column], values[by_column]
        own = rows, columns, values
        if self._turned:
            own, other = other, own
        m, n = sorted(problem.shape)
        self.shape = m, n
        self._rows, self._columns, self.values = own
        self._starts = np.searchsorted(self._rows, np.arange(m + 1))
        self._by_row = RidgeRows(*own, (m, n))
        self._by_column = RidgeRows(*other, (n, m))
        self._pool = pool
        self._probe = stream(seed, "soft_impute", "probe").standard_normal(m)

    def largest_weight(self) -> float:
        """The spectral norm of the zero-filled matrix, from which on the minimizer is zero."""
        return spectral_norm(self._sparse(self.values), self._probe)

    def solve(
        self,
        weight: float,
        start: ThinSVD,
        limits: Limits,
        look: Callable[[Point], None],
    ) -> Point:
        """The minimizer from a start, up to a relative duality gap.

        ``look`` is called with every point whose gap was computed.
        """
        svd = start.transposed if self._turned else start
        residual, n_sweeps, planned = self._residual(svd), 0, _SWEEPS
        last = None
        while True:
            svd = self._shrunk(svd, residual, weight, limits)
            residual = self._residual(svd)
            point = self._judged(svd, residual, weight, n_sweeps, limits, last)
            look(point)
            if point.status is not Certainty.ITERATION_LIMIT or n_sweeps >= limits.max_sweeps:
                return point
            if last is not None and point.gap > _SLOW * last.gap and svd.rank <= last.svd.rank:
                planned *= 2
            rises = last is not None and point.objective > last.objective
            planned = min(planned, limits.max_sweeps - n_sweeps)
            steady = _STEADY * np.sqrt(limits.tol * min(1.0, point.gap))
            svd, taken = self._swept(svd, weight, planned, steady, extrapolate=not rises)
            n_sweeps += max(taken, 1)
            residual, last = self._residual(svd), point

    def _shrunk(self, svd: ThinSVD, residual: np.ndarray, weight: float, limits: Limits) -> ThinSVD:
        # Of many new directions most would be dropped again: the first ones take their place.
        most = min(limits.max_rank, max(svd.rank + _NEW, 3 * svd.rank // 2))
        accuracy = _ACCURACY * limits.tol
        return shrunk(svd, self._sparse(residual), weight, most, self._probe, accuracy)

    def _judged(self, svd, residual, weight, n_sweeps, limits: Limits, last: Point | None) -> Point:
        objective = 0.5 * float(residual @ residual) + weight * svd.nuclear_norm
        gap = self._gap(residual, weight, objective, _ACCURACY * limits.tol)
        status = Certainty.CERTIFIED if gap <= limits.tol else Certainty.ITERATION_LIMIT
        if gap > limits.tol and _is_held_down(svd, objective, limits, last):
            status = Certainty.RANK_LIMIT
        kept = svd.transposed if self._turned else svd
        return Point(weight, kept, residual, objective, gap, n_sweeps, status)

    def _gap(self, residual: np.ndarray, weight: float, objective: float, accuracy: float) -> float:
        """``(primal - dual) / primal`` for the best multiple of the residual.

        The dual is ``max <y, v> - 1/2 ||v||^2`` over `v` whose matrix has spectral norm at most
        ``weight``.
        """
        if objective == 0:
            return 0.0
        size = spectral_norm(self._sparse(residual), self._probe, accuracy)
        square = residual @ residual
        if size == 0:
            return 1.0
        along = float(self.values @ residual)
        # A residual against the data proves nothing: the dual point is then zero.
        multiple = max(0.0, min(weight / size, along / square))
        dual = multiple * along - 0.5 * multiple**2 * square
        return float((objective - dual) / objective)

    def _swept(
        self, svd: ThinSVD, weight: float, n_sweeps: int, steady: float, extrapolate: bool
    ) -> tuple[ThinSVD, int]:
        """After sweeps of alternating ridge regressions at the rank there is, and their number."""
        if svd.rank == 0:
            return svd, 0
        left, right = svd.halves()
        now = before = np.ascontiguousarray(right.T)
        step, taken = 1, 0
        while taken < n_sweeps:
            taken += 1
            ahead = now + (step - 1) / (step + 2) * (now - before) if extrapolate else now
            left = self._by_row.solve(ahead, weight, self._pool)
            before, now = now, self._by_column.solve(left, weight, self._pool)
            step = 1 if np.sum((ahead - now) * (now - before)) > 0 else step + 1
            if np.linalg.norm(now - ahead) <= steady * np.linalg.norm(now):
                break
        return ThinSVD.of_product(left, now.T), taken

    def _residual(self, svd: ThinSVD) -> np.ndarray:
        return self.values - svd.at(self._rows, self._columns)

    def _sparse(self, values: np.ndarray) -> scipy.sparse.csr_array:
        return scipy.sparse.csr_array((values, self._columns, self._starts), shape=self.shape)


def _is_held_down(svd: ThinSVD, objective: float, limits: Limits, last: Point | None) -> bool:
    """Whether the descent has come to its end at the limit on the rank; the gap then stays open."""
    if svd.rank < limits.max_rank or limits.max_rank == min(svd.shape):
        return False
    if last is None or last.svd.rank < svd.rank:
        return False
    return last.objective - objective <= 0.1 * limits.tol * objective
