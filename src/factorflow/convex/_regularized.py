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
_LEAST_GAIN = 1e-6  # of the logarithm of the gap, that a round is taken to have had
_STEADY = 0.03  # change of a sweep, as a share of the tolerance's root, that ends a round
_SWEEPS_ALONE = 15  # of effects without a low-rank part, where the path starts

Damping = tuple[float, float]
SideEffects = tuple[np.ndarray, np.ndarray]  # of rows and of columns


@dataclass(frozen=True, eq=False)
class Point:
    """A matrix, and how near it is to the minimizer for its weight."""

    weight: float
    svd: ThinSVD
    effects: SideEffects | None
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

    With a damping ``(r, c)`` effects of rows and columns are fitted along, ``X_ij + b_i + c_j`` in
    place of ``X_ij`` and ``r/2 ||b||^2 + c/2 ||c||^2`` added: in the regressions of the halves
    they are one more coefficient, of a column of ones.

    Parameters
    ----------
    problem
        Entries; held as given if ``m <= n``, else transposed, so that `m` is the smaller side.
    pool
        Threads for the regressions.
    damping
        Of the effects of rows and columns; None for no effects.
    """

    def __init__(
        self, problem: Completion, pool: Executor, seed: int, damping: Damping | None = None
    ):
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
        self._damping = damping
        if damping is not None and self._turned:
            self._damping = damping[1], damping[0]
        self._alone = self._effects_alone()

    def largest_weight(self) -> float:
        """The weight from which on the minimizer is zero.

        That is the spectral norm of the zero-filled matrix, of what effects leave of it.
        """
        nothing = ThinSVD.zero(self.shape)
        return spectral_norm(self._sparse(self._residual(nothing, self._alone)), self._probe)

    def solve(
        self,
        weight: float,
        start: ThinSVD,
        limits: Limits,
        look: Callable[[Point], None],
        effects: SideEffects | None = None,
    ) -> Point:
        """The minimizer from a start, up to a relative duality gap.

        ``look`` is called with every point whose gap was computed; ``effects`` is where those of
        rows and columns start.
        """
        svd = start.transposed if self._turned else start
        effects = self._alone if effects is None else self._as_held(effects)
        residual, n_sweeps, planned = self._residual(svd, effects), 0, _SWEEPS
        last = None
        while True:
            svd = self._shrunk(svd, residual, weight, limits)
            residual = self._residual(svd, effects)
            point = self._judged(svd, effects, residual, weight, n_sweeps, limits, last)
            look(point)
            if point.status is not Certainty.ITERATION_LIMIT or n_sweeps >= limits.max_sweeps:
                return point
            if last is not None and point.gap > _SLOW * last.gap and svd.rank <= last.svd.rank:
                planned = min(2 * planned, _sweeps_left(point, last, limits.tol))
            rises = last is not None and point.objective > last.objective
            planned = min(planned, limits.max_sweeps - n_sweeps)
            steady = _STEADY * np.sqrt(limits.tol * min(1.0, point.gap))
            svd, effects, taken = self._swept(svd, effects, weight, planned, steady, not rises)
            n_sweeps += max(taken, 1)
            residual, last = self._residual(svd, effects), point

    def _shrunk(self, svd: ThinSVD, residual: np.ndarray, weight: float, limits: Limits) -> ThinSVD:
        # Of many new directions most would be dropped again: the first ones take their place.
        most = min(limits.max_rank, max(svd.rank + _NEW, 3 * svd.rank // 2))
        accuracy = _ACCURACY * limits.tol
        return shrunk(svd, self._sparse(residual), weight, most, self._probe, accuracy)

    def _judged(
        self, svd, effects, residual, weight, n_sweeps, limits: Limits, last: Point | None
    ) -> Point:
        objective = 0.5 * float(residual @ residual) + weight * svd.nuclear_norm
        if effects is not None and self._damping is not None:
            penalties = zip(self._damping, effects, strict=True)
            objective += 0.5 * sum(damping * float(each @ each) for damping, each in penalties)
        gap = self._gap(residual, weight, objective, _ACCURACY * limits.tol)
        status = Certainty.CERTIFIED if gap <= limits.tol else Certainty.ITERATION_LIMIT
        if gap > limits.tol and _is_held_down(svd, objective, limits, last):
            status = Certainty.RANK_LIMIT
        kept = svd.transposed if self._turned else svd
        return Point(
            weight, kept, self._as_held(effects), residual, objective, gap, n_sweeps, status
        )

    def _gap(self, residual: np.ndarray, weight: float, objective: float, accuracy: float) -> float:
        """``(primal - dual) / primal`` for the best multiple of the residual.

        The dual is ``max <y, v> - 1/2 ||v||^2`` over `v` whose matrix has spectral norm at most
        ``weight``; with effects the squared sums of its rows and columns, each over twice its
        damping, are taken off as well.
        """
        if objective == 0:
            return 0.0
        size = spectral_norm(self._sparse(residual), self._probe, accuracy)
        square = residual @ residual
        if self._damping is not None:
            for places, damping in zip((self._rows, self._columns), self._damping, strict=True):
                sums = np.bincount(places, residual)
                square += sums @ sums / damping
        if size == 0:
            return 1.0
        along = float(self.values @ residual)
        # A residual against the data proves nothing: the dual point is then zero.
        multiple = max(0.0, min(weight / size, along / square))
        dual = multiple * along - 0.5 * multiple**2 * square
        return float((objective - dual) / objective)

    def _swept(
        self,
        svd: ThinSVD,
        effects: SideEffects | None,
        weight: float,
        n_sweeps: int,
        steady: float,
        extrapolate: bool,
    ) -> tuple[ThinSVD, SideEffects | None, int]:
        """After sweeps of alternating ridge regressions at the rank there is, and their number."""
        if svd.rank == 0 and effects is None:
            return svd, effects, 0
        halves = _Halves(self._damping, weight, svd.rank)
        left, now = halves.of(svd, effects)
        before, step, taken = now, 1, 0
        while taken < n_sweeps:
            taken += 1
            ahead = now + (step - 1) / (step + 2) * (now - before) if extrapolate else now
            left = halves.solved(self._by_row, ahead, 0, self._pool)
            before, now = now, halves.solved(self._by_column, left, 1, self._pool)
            step = 1 if np.sum((ahead - now) * (now - before)) > 0 else step + 1
            if np.linalg.norm(now - ahead) <= steady * np.linalg.norm(now):
                break
        return *halves.parts(left, now, svd), taken

    def _effects_alone(self) -> SideEffects | None:
        """The effects beside a low-rank part of zero: damped means by turns."""
        if self._damping is None:
            return None
        (m, n), (of_rows, of_columns) = self.shape, self._damping
        rows, columns = np.zeros(m), np.zeros(n)
        by_row = np.bincount(self._rows, minlength=m) + of_rows
        by_column = np.bincount(self._columns, minlength=n) + of_columns
        for _ in range(_SWEEPS_ALONE):
            left_over = self.values - rows[self._rows]
            columns = np.bincount(self._columns, left_over, n) / by_column
            left_over = self.values - columns[self._columns]
            rows = np.bincount(self._rows, left_over, m) / by_row
        return rows, columns

    def _as_held(self, effects: SideEffects | None) -> SideEffects | None:
        """Effects of rows and columns, exchanged where the problem is."""
        return (effects[1], effects[0]) if effects is not None and self._turned else effects

    def _residual(self, svd: ThinSVD, effects: SideEffects | None) -> np.ndarray:
        residual = self.values - svd.at(self._rows, self._columns)
        if effects is not None:
            residual -= effects[0][self._rows] + effects[1][self._columns]
        return residual

    def _sparse(self, values: np.ndarray) -> scipy.sparse.csr_array:
        return scipy.sparse.csr_array((values, self._columns, self._starts), shape=self.shape)


def _sweeps_left(point: Point, last: Point, tol: float) -> int:
    """The sweeps that are left to the tolerance, at the rate of the last round."""
    gained = max(np.log(last.gap / point.gap), _LEAST_GAIN)
    left = (point.n_sweeps - last.n_sweeps) * np.log(point.gap / tol) / gained
    return max(_SWEEPS, int(np.ceil(left)))


class _Halves:
    """Halves of a low-rank matrix, the effects of their side as a last column where there are any.

    An effect with damping `d` is held as the coefficient of a column of ``s = sqrt(weight / d)``:
    so the ridge of all coefficients is the one weight, and all change alike with the units.
    """

    def __init__(self, damping: Damping | None, weight: float, rank: int):
        self._rank, self._weight = rank, weight
        self._scales = None if damping is None else [np.sqrt(weight / each) for each in damping]

    def of(self, svd: ThinSVD, effects: SideEffects | None) -> tuple[np.ndarray, np.ndarray]:
        left, right = svd.halves()
        if effects is None or self._scales is None:
            return left, np.ascontiguousarray(right.T)
        rows, columns = (each / s for each, s in zip(effects, self._scales, strict=True))
        return np.column_stack([left, rows]), np.column_stack([right.T, columns])

    def solved(self, rows: RidgeRows, other: np.ndarray, side: int, pool: Executor) -> np.ndarray:
        """The half of a side, 0 of rows and 1 of columns, from the other."""
        if self._scales is None:
            return rows.solve(other, self._weight, pool)
        regressors = other.copy()
        regressors[:, -1] = self._scales[side]
        known = self._scales[1 - side] * other[:, -1]
        return rows.solve(regressors, self._weight, pool, known)

    def parts(
        self, left: np.ndarray, right: np.ndarray, svd: ThinSVD
    ) -> tuple[ThinSVD, SideEffects | None]:
        """The low-rank matrix and the effects; ``svd`` where the matrix is zero."""
        rank = self._rank
        if rank:
            svd = ThinSVD.of_product(left[:, :rank], right[:, :rank].T)
        if self._scales is None:
            return svd, None
        return svd, (self._scales[0] * left[:, -1], self._scales[1] * right[:, -1])


def _is_held_down(svd: ThinSVD, objective: float, limits: Limits, last: Point | None) -> bool:
    """Whether the descent has come to its end at the limit on the rank; the gap then stays open."""
    if svd.rank < limits.max_rank or limits.max_rank == min(svd.shape):
        return False
    if last is None or last.svd.rank < svd.rank:
        return False
    return last.objective - objective <= 0.1 * limits.tol * objective
