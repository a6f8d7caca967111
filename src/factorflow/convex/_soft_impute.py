"""Matrix completion under a nuclear-norm penalty, over a whole path of weights."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from numbers import Integral, Real
from time import perf_counter
from typing import Any

import numpy as np

from factorflow._blas import one_blas_thread
from factorflow._cores import usable_cores
from factorflow._errors import InputError
from factorflow.convex._certainty import Certainty
from factorflow.convex._regularized import Damping, Limits, Point, Regularized, SideEffects
from factorflow.convex._thin_svd import ThinSVD
from factorflow.problems import Completion

_STRIDE = 0.6  # between weights further apart there are steps that are not kept
_COARSE = 0.2  # their relative gap
_MOST_THREADS = 8
_SMALLEST, _LARGEST = 1e-140, 1e140  # sums of squares beyond these are rounding or infinite

Progress = Callable[[dict], None]


@dataclass(frozen=True, eq=False, repr=False)
class SoftImputePath:
    """Minimizers over descending weights, and the one that is chosen.

    Attributes
    ----------
    weights
        ``(k,)``, descending: those that were solved, which may be fewer than were asked for.
    solutions
        The minimizers by their singular values and vectors.
    objectives
        ``1/2 sum_observed (X_ij - Y_ij)^2 + weight ||X||_*``, ``(k,)``.
    train_errors
        Mean squared errors on the observed entries, ``(k,)``.
    held_out_errors
        Root-mean-square errors on the held-out entries, ``(k,)``; None without any.
    gaps
        Relative duality gaps, ``(k,)``: the minimum is at most this share of the objective below.
    statuses
        How each weight ended.
    chosen
        Index of the weight with the least held-out error; without held-out entries the last one.
    refitted
        The minimizer for all entries at the chosen weight, where that was asked for.
    refit_gap
        Its relative duality gap.
    effects
        Of rows ``(m,)`` and of columns ``(n,)``, those of :attr:`best`; None without damping.
    n_sweeps
        Sweeps of alternating regressions in all.
    interrupted
        Whether Ctrl-C ended the path early.
    seconds
        Wall-clock time.
    """

    weights: np.ndarray
    solutions: tuple[ThinSVD, ...]
    objectives: np.ndarray
    train_errors: np.ndarray
    held_out_errors: np.ndarray | None
    gaps: np.ndarray
    statuses: tuple[Certainty, ...]
    chosen: int
    refitted: ThinSVD | None
    refit_gap: float | None
    effects: SideEffects | None
    n_sweeps: int
    interrupted: bool
    seconds: float

    def __repr__(self) -> str:
        m, n = self.best.shape
        return (
            f"<SoftImputePath {m}x{n}: {len(self.weights)} weights from {self.weights[0]:.4g} to "
            f"{self.weights[-1]:.4g}, chosen {self.weight:.4g} of rank {self.best.rank}>"
        )

    @property
    def ranks(self) -> np.ndarray:
        """Ranks of the solutions, ``(k,)``."""
        return np.array([solution.rank for solution in self.solutions])

    @property
    def weight(self) -> float:
        """The chosen weight."""
        return float(self.weights[self.chosen])

    @property
    def best(self) -> ThinSVD:
        """The answer: the minimizer at the chosen weight, for all entries if it was refitted."""
        return self.solutions[self.chosen] if self.refitted is None else self.refitted

    def matrix(self, k: int | None = None) -> np.ndarray:
        """Solution number `k`, ``(m, n)``; by default :attr:`best`."""
        return (self.best if k is None else self.solutions[k]).matrix()


def soft_impute(
    problem: Completion,
    weights: float | Sequence[float] | np.ndarray | None = None,
    *,
    n_weights: int = 30,
    smallest: float = 1e-3,
    held_out: Completion | None = None,
    validation_fraction: float | None = None,
    patience: int | None = 3,
    refit: bool = True,
    damping: Damping | None = None,
    tol: float = 1e-3,
    max_rank: int | None = None,
    max_sweeps: int = 1000,
    start: ThinSVD | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> SoftImputePath:
    """Complete a matrix under a nuclear-norm penalty, for a whole path of weights.

        minimize  1/2 sum_observed (X_ij - Y_ij)^2 + weight ||X||_*

    from the largest weight down, each solution the start of the next, each solved until a duality
    gap proves it: residuals ``E``, scaled so that ``||E||_op <= weight``, are feasible for the
    dual. The solutions are kept as thin factors; nothing of the size of the matrix is formed where
    the matrix is large. With a damping ``(r, c)`` effects of rows and columns are fitted along:
    ``X_ij + b_i + c_j`` takes the place of ``X_ij`` in the squares, and ``r/2 ||b||^2 +
    c/2 ||c||^2`` is added.

    Parameters
    ----------
    problem
        Observed entries. Biases are not taken off; :class:`SoftImpute` does so.
    weights
        The weights, in any order, or one; by default a geometric grid from the spectral norm of
        the zero-filled matrix, where the minimizer becomes zero, down to a share of it.
    n_weights, smallest
        Number of weights of that grid, and the last one as a share of the first.
    held_out
        Entries to choose the weight by, of the same shape; or
    validation_fraction
        the share of the problem's own entries that is held out for it. With neither the last
        weight is chosen.
    patience
        The path ends early once this many weights in a row have not improved on the least
        held-out error; None goes on to the end.
    refit
        Whether the chosen weight is solved once more for all entries, the held-out ones too.
    damping
        Of effects of rows and columns, two positive numbers; None for no effects. The mean of all
        values is not taken off here.
    tol
        Relative duality gap to reach at every weight.
    max_rank
        Limit on the rank, or None. Where it is felt, the point is a minimizer among matrices of
        that rank at best, and its status says so.
    max_sweeps
        Limit on the sweeps of alternating regressions at each weight.
    start
        Where the first weight starts, such as a solution of a similar problem.
    seed
        Seed of the held-out entries.
    progress
        Function of a dictionary (``step``, ``weight``, ``rank``, ``gap``, ``train_error``, and
        ``held_out_error`` once there is one), called now and then. Ctrl-C ends the path with the
        weights that are done.

    Raises
    ------
    InputError
        If the problem is no completion of a matrix that is not zero, or a parameter cannot be used.

    Notes
    -----
    Sources: Mazumder, Hastie and Tibshirani 2010 for path and proximal steps, Hastie, Mazumder,
    Lee and Zadeh 2015 for alternating regressions. Here the regressions are of the observed
    entries themselves, not of the filled-in matrix, and are extrapolated.

    Examples
    --------
    >>> import numpy as np
    >>> from factorflow import Completion, soft_impute
    >>> truth = np.outer([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 2.0, 3.0])
    >>> truth[1, 2] = np.nan
    >>> path = soft_impute(Completion.of(truth))
    >>> bool(abs(path.matrix()[1, 2] - 4.0) < 0.05)
    True
    """
    _check(problem, n_weights, smallest, patience, tol, max_rank, max_sweeps, start)
    damping = checked_damping(damping)
    began = perf_counter()
    train, held_out = _parts(problem, held_out, validation_fraction, seed)
    limits = Limits(float(tol), min(max_rank or min(problem.shape), *problem.shape), max_sweeps)
    with one_blas_thread(), ThreadPoolExecutor(_n_threads()) as pool:
        solver = Regularized(train, pool, seed, damping)
        largest = solver.largest_weight()
        grid = _grid(weights, largest, n_weights, smallest)
        walk = _Walk(solver, limits, held_out, patience, progress)
        walk.down(grid, largest, start)
        if refit and held_out is not None and not walk.interrupted:
            walk.refit(Regularized(_together(train, held_out), pool, seed, damping))
    return walk.path(perf_counter() - began)


class _Walk:
    """The way down the path."""

    def __init__(
        self,
        solver: Regularized,
        limits: Limits,
        held_out: Completion | None,
        patience: int | None,
        progress: Progress | None,
    ):
        self.solver, self.limits, self.held_out = solver, limits, held_out
        self.patience, self.progress = patience, progress
        self.points: list[Point] = []
        self.errors: list[float] = []
        self.refitted: Point | None = None
        self.interrupted = False
        self.n_sweeps = self._n_looks = 0
        self._seen: Point | None = None

    @property
    def chosen(self) -> int:
        return int(np.argmin(self.errors)) if self.errors else len(self.points) - 1

    def down(self, weights: np.ndarray, largest: float, start: ThinSVD | None) -> None:
        """Solve the weights in turn, until the held-out error has passed its minimum."""
        above = weights[0] if start is not None else max(largest, weights[0])
        svd = ThinSVD.zero(self._shape) if start is None else start
        effects = None
        try:
            for weight in weights:
                for between in _between(above, weight):
                    point = self._solved(self.solver, between, svd, effects, self._coarse)
                    svd, effects = point.svd, point.effects
                point = self._solved(self.solver, weight, svd, effects, self.limits)
                self._keep(point)
                if self._has_passed():
                    return
                svd, effects, above = point.svd, point.effects, weight
        except KeyboardInterrupt:
            if not self.points:
                if self._seen is None:
                    raise
                self._keep(replace(self._seen, status=Certainty.INTERRUPTED))
            self.interrupted = True

    def refit(self, solver: Regularized) -> None:
        """Solve the chosen weight for other entries."""
        best = self.points[self.chosen]
        try:
            self.refitted = self._solved(solver, best.weight, best.svd, best.effects, self.limits)
        except KeyboardInterrupt:
            self.interrupted = True

    def path(self, seconds: float) -> SoftImputePath:
        points, refitted = self.points, self.refitted
        return SoftImputePath(
            weights=np.array([point.weight for point in points]),
            solutions=tuple(point.svd for point in points),
            objectives=np.array([point.objective for point in points]),
            train_errors=np.array([point.train_error for point in points]),
            held_out_errors=np.array(self.errors) if self.errors else None,
            gaps=np.array([point.gap for point in points]),
            statuses=tuple(point.status for point in points),
            chosen=self.chosen,
            refitted=None if refitted is None else refitted.svd,
            refit_gap=None if refitted is None else refitted.gap,
            effects=(refitted or points[self.chosen]).effects,
            n_sweeps=self.n_sweeps,
            interrupted=self.interrupted,
            seconds=seconds,
        )

    @property
    def _shape(self) -> tuple[int, int]:
        return self.solver.problem.matrix_shape

    @property
    def _coarse(self) -> Limits:
        limits = self.limits
        return Limits(max(_COARSE, limits.tol), limits.max_rank, limits.max_sweeps)

    def _solved(
        self,
        solver: Regularized,
        weight: float,
        svd: ThinSVD,
        effects: SideEffects | None,
        limits: Limits,
    ) -> Point:
        point = solver.solve(weight, svd, limits, self._look, effects)
        self.n_sweeps += point.n_sweeps
        return point

    def _keep(self, point: Point) -> None:
        self.points.append(point)
        if self.held_out is not None:
            found = point.svd.at(self.held_out.rows, self.held_out.columns)
            if point.effects is not None:
                rows, columns = point.effects
                found += rows[self.held_out.rows] + columns[self.held_out.columns]
            self.errors.append(float(np.sqrt(np.mean((found - self.held_out.values) ** 2))))

    def _has_passed(self) -> bool:
        if self.patience is None or not self.errors:
            return False
        return len(self.errors) - 1 - self.chosen >= self.patience

    def _look(self, point: Point) -> None:
        self._n_looks, self._seen = self._n_looks + 1, point
        if self.progress is None:
            return
        news = {
            "step": self._n_looks,
            "weight": point.weight,
            "rank": point.svd.rank,
            "gap": point.gap,
            "train_error": point.train_error,
        }
        self.progress(news | ({"held_out_error": min(self.errors)} if self.errors else {}))


def _between(above: float, below: float) -> np.ndarray:
    """Weights between two, so that none is far from the next."""
    n_steps = int(np.ceil(np.log(below / above) / np.log(_STRIDE) - 1e-9))
    return np.geomspace(above, below, max(n_steps, 1) + 1)[1:-1]


def _grid(weights, largest: float, n_weights: int, smallest: float) -> np.ndarray:
    """The weights, descending."""
    if weights is None:
        if largest == 0:
            raise InputError(
                "All observed values are zero, and so is the minimizer for every weight: there is "
                "no grid of weights; give them."
            )
        return np.geomspace(largest, smallest * largest, n_weights)
    try:
        given = np.atleast_1d(np.asarray(weights, dtype=float))
    except (TypeError, ValueError):
        given = np.empty(0)
    if given.ndim != 1 or given.size == 0 or not (np.isfinite(given) & (given > 0)).all():
        raise InputError(f"weights must be positive finite numbers, or None; got {weights!r}.")
    return np.unique(given)[::-1]


def _parts(
    problem: Completion, held_out: Completion | None, fraction: float | None, seed: int
) -> tuple[Completion, Completion | None]:
    """The entries that are fitted, and those that the weight is chosen by."""
    if held_out is None:
        return (problem, None) if fraction is None else problem.split(fraction, seed)
    if fraction is not None:
        raise InputError("Give held_out or validation_fraction, not both.")
    if not isinstance(held_out, Completion) or held_out.shape != problem.shape:
        raise InputError(
            f"held_out must be a Completion of the problem's shape, {problem.shape}; "
            f"got {held_out!r}."
        )
    return problem, held_out


def _together(train: Completion, held_out: Completion) -> Completion:
    """All entries; one that both have counts with its value in ``train``."""
    n = train.shape[1]
    known = np.isin(
        held_out.rows.astype(np.int64) * n + held_out.columns,
        train.rows.astype(np.int64) * n + train.columns,
    )
    return Completion(
        train.shape,
        (
            np.concatenate([train.rows, held_out.rows[~known]]),
            np.concatenate([train.columns, held_out.columns[~known]]),
        ),
        np.concatenate([train.values, held_out.values[~known]]),
    )


def _n_threads() -> int:
    return min(usable_cores(), _MOST_THREADS)


def _check(problem, n_weights, smallest, patience, tol, max_rank, max_sweeps, start) -> None:
    if not isinstance(problem, Completion):
        raise InputError(
            "soft_impute completes a matrix from its entries and takes a Completion; got "
            f"{type(problem).__name__}. nuclear_norm takes other measurements."
        )
    largest = float(np.max(np.abs(problem.values)))
    if largest != 0 and not _SMALLEST < largest < _LARGEST:
        raise InputError(
            f"The largest value has magnitude {largest:.3g}, which cannot be squared in double "
            "precision; divide the values by it."
        )
    _check_count("n_weights", n_weights)
    _check_count("max_sweeps", max_sweeps)
    for name, count in (("patience", patience), ("max_rank", max_rank)):
        if count is not None:
            _check_count(name, count)
    for name, share in (("tol", tol), ("smallest", smallest)):
        if not isinstance(share, Real) or not 0 < float(share) < 1:
            raise InputError(f"{name} must be a number between 0 and 1; got {share!r}.")
    if start is not None and (not isinstance(start, ThinSVD) or start.shape != problem.shape):
        raise InputError(
            f"start must be a ThinSVD of the problem's shape, {problem.shape}; got {start!r}."
        )
    parts = () if start is None else (start.left, start.singular_values, start.right)
    if not all(np.isfinite(part).all() for part in parts):
        raise InputError("start must hold finite numbers.")


def checked_damping(damping: Any) -> Damping | None:
    """Two numbers, of rows and of columns, or None.

    Raises
    ------
    InputError
        If they are anything else.
    """
    if damping is None:
        return None
    try:
        rows, columns = (float(each) for each in damping)
    except (TypeError, ValueError):
        rows = columns = np.nan
    if not all(np.isfinite(each) and each > 0 for each in (rows, columns)):
        raise InputError(
            f"damping must be two positive finite numbers, of rows and of columns, or None; got "
            f"{damping!r}."
        )
    return rows, columns


def _check_count(name: str, count) -> None:
    if isinstance(count, bool) or not isinstance(count, Integral) or count < 1:
        raise InputError(f"{name} must be a whole number of 1 or more; got {count!r}.")
