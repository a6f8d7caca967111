"""A matrix of least rank that fits all observed entries, its rank not given."""

from dataclasses import dataclass, field, replace
from operator import index
from time import perf_counter

import numpy as np

from factorflow._errors import InputError
from factorflow._random import stream
from factorflow.dynamics._damped_newton import DampedNewton
from factorflow.dynamics._determined import determined
from factorflow.dynamics._rank_search import RankAttempt, RankSearch
from factorflow.dynamics._solve import solve
from factorflow.dynamics._stop import Stop
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Spectral
from factorflow.problems import Completion
from factorflow.trajectories import Record, Solution, Status

_FITS = 1e-20  # train error over the mean square of the values; Newton's method is quadratic there
_POLISHED, _TO_POLISH = 1e-28, 12
_AT_ONCE, _MOST = 40, 240  # gradients
_PROGRESS = 0.5  # of the train error must be gone after so many at once


def least_rank(
    problem: Completion,
    width: int = 10,
    *,
    restarts: int = 5,
    phase_gradients: int = 20,
    spread: float = 0.5,
    seed: int = 0,
) -> Solution:
    """Find a matrix of least rank that fits all observed entries.

    For exact, noise-free observations, down to few of them; the rank is not given. A descent
    begins at the :class:`Spectral` start of a rank above those that are looked for: with more
    columns a product has fewer local minima. A phase of :class:`DampedNewton` runs for a few
    gradients only, long before it would come to rest among the many fits of that rank; then the
    smallest singular value is dropped, and the next phase runs, down to rank 1. From what each
    rank `r` came to, the least first, :class:`DampedNewton` goes on while the train error falls,
    until an exact fit. Only ranks at which

        r (m + n - r) < n_observed

    are looked at: there a rank has fewer degrees of freedom than there are entries, so that an
    exact fit is evidence, if no matrix of that rank nearby fits too. That is checked: to a fit of
    a lower rank, any row may be added where it was not observed. After a fit that is not the only
    one the descents go on for lower ranks, and it is returned if they find none. The first descent
    begins at two thirds of ``width``, which costs a third; the second at ``width``; those after it
    there too, at other spectral starts.

    Parameters
    ----------
    problem
        The observed entries. Noise leaves no rank that fits.
    width
        Rank at which a descent begins, at most ``min(m, n)``; best well above the rank of the
        answer, where entries are few by a half or more.
    restarts
        How many descents may follow the first.
    phase_gradients
        Gradients of each phase on the way down.
    spread
        Of the random weights of the starts after the second descent.
    seed
        Of these weights.

    Returns
    -------
    Solution
        Its status is TRAIN_ERROR where an exact fit was found (a train error of at most 1e-20 of
        the mean square of the values, mostly far less), else GRADIENT_LIMIT, and it is the attempt
        of least train error. ``path`` is a :class:`RankSearch`: the rank, and what was tried.
        ``n_gradients`` and ``seconds`` are of the whole search; other counts are of its last phase.

    Notes
    -----
    Heuristic: without a fit, a lower rank may exist all the same; with one, no lower rank was
    found to fit. Compiled once for each shape and width: columns not in use are zeros. A phase
    costs what :class:`DampedNewton` does, with matrices of ``n r`` rows. This is not
    :class:`GreedyLowRank`, which adds rank from zero, follows the limit of a flow, and needs more
    entries.

    Raises
    ------
    InputError
        If a parameter is none of these, the values are all zero, or there are too few entries for
        rank 1.
    """
    began = perf_counter()
    search = _Search(problem, _checked(problem, width), phase_gradients, restarts, spread)
    for descent in range(search.restarts + 1):
        draw = int(stream(seed, "least rank", str(descent)).integers(2**62))
        search.descend(descent, draw)
        if search.over:
            break
    return search.ended(seed, perf_counter() - began)


@dataclass
class _Search:
    problem: Completion
    width: int
    phase_gradients: int
    restarts: int
    spread: float
    attempts: list[RankAttempt] = field(default_factory=list)
    best: Solution | None = None  # the fit of least rank, or else that of least train error
    fitted: int | None = None  # the rank of a fit
    determined: bool = False  # whether it is the only one nearby
    interrupted: bool = False
    n_gradients: int = 0

    def __post_init__(self):
        for name in ("phase_gradients", "restarts"):
            _whole(name, getattr(self, name), 0 if name == "restarts" else 1)
        Spectral(self.problem, spread=self.spread)  # says what is wrong with them
        self.factorization = DeepLinear(2, [self.width])
        self.square = float(np.mean(self.problem.values**2))
        self.largest = _largest_rank(self.problem, self.width)

    @property
    def over(self) -> bool:
        """Whether there is nothing more to look for."""
        return self.determined or self.fitted == 1 or self.interrupted

    def descend(self, descent: int, seed: int) -> None:
        """Look for a fit on one way down, of a lower rank than there is."""
        width = -(-2 * self.width // 3) if descent == 0 else self.width
        points = self._way_down(width, self.spread if descent > 1 else 0.0, seed)
        below = self.largest + 1 if self.fitted is None else self.fitted
        for rank in range(1, min(below, width + 1)):
            end = self._follow(points[rank])
            fits = end.train_error <= _FITS * self.square
            self.attempts.append(
                RankAttempt(descent, rank, end.train_error, int(end.n_gradients or 0), fits)
            )
            least = self.best is None or end.train_error < self.best.train_error
            if fits or (least and self.fitted is None):
                self.best = end
            self.interrupted = end.status is Status.INTERRUPTED
            if fits:
                self.fitted = rank
                first, second = end.factors
                self.determined = determined(self.problem, second[:, :rank], first[:rank].T)
            if fits or self.interrupted:
                return

    def _way_down(self, width: int, spread: float, seed: int) -> dict[int, Solution]:
        init = Spectral(self.problem, width, spread=spread)
        points = {}
        for rank in range(width, 0, -1):
            stop = Stop(train_error=_FITS * self.square, n_gradients=self.phase_gradients)
            points[rank] = here = self._run(stop, init=init, seed=seed)
            init = _Narrower(here.factors, rank - 1)
        return points

    def _follow(self, point: Solution) -> Solution:
        """On from a point while the train error falls, until it fits."""
        while True:
            before = point.train_error
            point = self._on(point, _FITS, _AT_ONCE)
            if point.train_error <= _FITS * self.square:
                return self._on(point, _POLISHED, _TO_POLISH)
            over = point.status is not Status.GRADIENT_LIMIT or (point.n_gradients or 0) >= _MOST
            if over or not point.train_error < _PROGRESS * before:
                return point

    def _on(self, point: Solution, target: float, n_gradients: int) -> Solution:
        limit = (point.n_gradients or 0) + n_gradients
        return self._run(Stop(train_error=target * self.square, n_gradients=limit), resume=point)

    def _run(self, stop: Stop, resume: Solution | None = None, **given) -> Solution:
        before = 0 if resume is None else resume.n_gradients or 0
        end = solve(
            self.problem, self.factorization, DampedNewton(), stop=stop, record=Record([]),
            route="dense", throw=False, resume=resume, **given,
        )  # fmt: skip
        self.n_gradients += (end.n_gradients or 0) - before
        return end

    def ended(self, seed: int, seconds: float) -> Solution:
        end = self.best
        assert end is not None  # there is a rank to try, and a descent
        status = Status.INTERRUPTED if self.interrupted else Status.GRADIENT_LIMIT
        status = status if self.fitted is None else Status.TRAIN_ERROR
        path = RankSearch(tuple(self.attempts), self.largest, self.determined)
        return replace(
            end, status=status, n_gradients=self.n_gradients, seed=seed, seconds=seconds, path=path
        )


class _Narrower:
    """Factors, aligned with their singular vectors, as a start of lower rank."""

    def __init__(self, factors, rank: int):
        self.factors, self.rank = factors, rank

    def __call__(self, factorization, shape, seed):
        first, second = (np.array(factor) for factor in self.factors)
        first[self.rank :], second[:, self.rank :] = 0, 0
        return first, second


def _checked(problem: Completion, width: int) -> int:
    if not isinstance(problem, Completion):
        raise InputError(
            f"least_rank needs a Completion; got {type(problem).__name__}. Completion.of(X) makes "
            "one of an array with NaN."
        )
    return min(_whole("width", width, 1), *problem.matrix_shape)


def _largest_rank(problem: Completion, width: int) -> int:
    m, n = problem.shape
    ranks = [r for r in range(1, width + 1) if r * (m + n - r) < problem.n_observed]
    if not ranks:
        raise InputError(
            f"{problem.n_observed} observed entries determine no matrix of shape {problem.shape}: "
            f"even rank 1 has {m + n - 1} degrees of freedom, and more entries than that are "
            "needed."
        )
    return ranks[-1]


def _whole(name: str, value, least: int) -> int:
    try:
        whole = index(value)
    except TypeError:
        whole = least - 1
    if whole < least or isinstance(value, bool):
        raise InputError(f"{name} must be a whole number of {least} or more; got {value!r}.")
    return whole
