"""How many outer products a tensor takes, to within a tolerance."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf, isfinite, log, prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from factorflow._blas import one_blas_thread
from factorflow._errors import InputError
from factorflow._random import stream
from factorflow.theory._numbers import checked_positive, checked_whole
from factorflow.theory._singular_basis import rounding

_PACE = 50  # sweeps over which the pace of a fit is taken
_HOPE = 3.0  # how many times faster than that it may get
_STRIDE = 4  # ranks above the lower bound that are tried one by one


@dataclass(frozen=True)
class TensorRank:
    """An estimate of the least number of components with which a tensor is fitted.

    Attributes
    ----------
    rank
        The estimate; a fit with so many components was found, so that it is never too low by
        chance of the starts. None if none was found up to ``max_rank``.
    lower_bound
        No fit with fewer components exists, by the singular values of the unfoldings.
    errors
        Least mean squared error that was found, by the number of components that were tried.
    tolerance
        The mean squared error that counts as fitted; absolute, whichever was asked for.
    agreement
        Share of the starts at the estimated rank that came to a fit: how much it says that none
        of as many starts did at the rank below. 1 if the rank is certain, 0 if there is none.
    restarts
        Starts at each number of components.
    """

    rank: int | None
    lower_bound: int
    errors: dict[int, float]
    tolerance: float
    agreement: float
    restarts: int

    @property
    def certain(self) -> bool:
        """Whether the estimate is the lower bound, hence the rank within the tolerance."""
        return self.rank == self.lower_bound

    @property
    def confidence(self) -> str:
        """What the estimate rests on, in words."""
        if self.certain:
            return "certain"
        least = f"at least {self.lower_bound} by unfoldings"
        if self.rank is None:
            return f"none of {self.restarts} starts came to a fit at any rank tried; {least}"
        fits = round(self.agreement * self.restarts)
        return (
            f"{fits} of {self.restarts} starts fit rank {self.rank}, none of {self.restarts} rank "
            f"{self.rank - 1}; {least}"
        )


def estimate_tensor_rank(
    tensor: ArrayLike,
    tolerance: float = 1e-6,
    *,
    relative: bool = False,
    max_rank: int | None = None,
    restarts: int = 4,
    sweeps: int = 1000,
    seed: int = 0,
) -> TensorRank:
    """The least `r` for which `r` outer products are within a mean squared error of the tensor.

    A tensor of rank `r` has unfoldings of rank `r` at most, so that its mean squared error is no
    less than the tail of each unfolding's singular values beyond `r`: a lower bound on the rank,
    which is certain. From there the number of components goes up until alternating least squares
    finds a fit: one by one, and from 4 above the lower bound on by growing steps, the last of which
    is then bisected. The first start is from the singular vectors of the unfoldings, the others are
    Gaussian.

    Parameters
    ----------
    tensor
        ``(d_1, ..., d_N)`` of order 2 or more, without missing entries.
    tolerance
        Mean squared error over all entries that counts as fitted.
    relative
        Whether the tolerance is a share of the tensor's mean square. An absolute one asks less of
        a tensor of small entries: at Frobenius norm 1, 1e-6 is a relative error of 0.02 with 8x8x8
        entries and of 0.06 with 8x8x8x8.
    max_rank
        The most components to try; by default the product of all dimensions but the largest,
        which is enough for every tensor.
    restarts
        Starts at each number of components.
    sweeps
        The most sweeps of a start over all modes. It ends sooner once it fits, or where three
        times the pace of its last 50 sweeps would neither make it fit nor divide its squared error
        by e.
    seed
        Of the Gaussian starts. The same seed gives the same estimate.

    Returns
    -------
    TensorRank
        The estimate and what is certain of it. A tensor whose mean square is within the tolerance,
        such as zero, has rank 0.

    Raises
    ------
    InputError
        If an argument is unusable, or TensorLy is not installed.

    Notes
    -----
    What is estimated is rank within a tolerance, which for a small one is the border rank: the
    tensor ``e_1 e_1 e_2 + e_1 e_2 e_1 + e_2 e_1 e_1`` has rank 3, but two diverging components come
    as close to it as one likes, and 2 is the estimate unless the tolerance is beyond the sweeps'
    reach. Least squares by normal equations resolve relative errors of about 1e-7, squares of
    1e-14: a smaller relative tolerance is met by luck alone.

    With more components than needed the fit of an exact tensor is slow, and can fail where it
    succeeds with fewer; hence the search from below. Bisection alone would pass by the rank.

    Source of the recipe (alternating least squares of at most 1000 sweeps, mean squared error below
    1e-6, bisection over ranks): Razin and Cohen 2020 (arXiv:2005.06398), by its experiments' code.
    Lower bound, restarts and the search from below are ours.
    """
    given = _checked_tensor(tensor)
    if not isinstance(relative, bool):
        raise InputError(f"relative must be True or False; got {relative!r}.")
    size = float(np.linalg.norm(given))
    enough = given.size // max(given.shape)
    limit = enough if max_rank is None else min(enough, checked_whole("max_rank", max_rank, 1))
    restarts = checked_whole("restarts", restarts, 1)
    tolerance = checked_positive("tolerance", tolerance)
    tolerance *= size**2 / given.size if relative else 1.0
    least = _lower_bound(given, tolerance)
    if least == 0:
        return TensorRank(0, 0, {0: size**2 / given.size}, tolerance, 1.0, restarts)
    fits = _Fits(given, tolerance, enough, checked_whole("sweeps", sweeps, 1), restarts, seed)
    rank = _least_fitted(fits, least, limit)
    agreement = 0.0 if rank is None else 1.0 if rank == least else fits.share(rank)
    return TensorRank(
        rank, least, dict(sorted(fits.errors.items())), tolerance, agreement, restarts
    )


def _least_fitted(fits: "_Fits", least: int, limit: int) -> int | None:
    """The least rank from ``least`` to ``limit`` that fits."""
    failed, rank = least - 1, least
    while not (rank <= limit and fits.found(rank)):
        if rank >= limit:
            return None
        failed, rank = rank, min(rank + 1 + (rank - least) // _STRIDE, limit)
    while rank - failed > 1:
        middle = (failed + rank) // 2
        if fits.found(middle):
            rank = middle
        else:
            failed = middle
    return rank


class _Fits:
    """Fits of one tensor by alternating least squares, each start at most once."""

    def __init__(
        self,
        tensor: np.ndarray,
        tolerance: float,
        enough: int,
        sweeps: int,
        restarts: int,
        seed: int,
    ):
        self.size = float(np.linalg.norm(tensor))
        self.tensor = tensor / self.size
        self.target = tolerance / self.size**2 * tensor.size  # of the squared relative error
        self.enough, self.sweeps, self.restarts, self.seed = enough, sweeps, restarts, seed
        self.tolerance = tolerance
        self.attempts: dict[int, list[float]] = {}
        self._parafac = _alternating_least_squares()

    @property
    def errors(self) -> dict[int, float]:
        return {rank: min(errors) for rank, errors in self.attempts.items()}

    def found(self, rank: int) -> bool:
        """Whether a start comes to a fit."""
        return any(error <= self.tolerance for error in self._of(rank))

    def share(self, rank: int) -> float:
        """Share of all starts that do."""
        return float(np.mean([error <= self.tolerance for error in self._of(rank)]))

    def _of(self, rank: int) -> Iterator[float]:
        """Mean squared errors of the starts, run as they are asked for."""
        done = self.attempts.setdefault(rank, [])
        for number in range(self.restarts):
            if number == len(done):
                # A unit vector in each mode but the largest: so many products make any tensor.
                done.append(0.0 if rank >= self.enough else self._error(rank, number))
            yield done[number]

    def _error(self, rank: int, number: int) -> float:
        rng = stream(self.seed, "tensor rank", str(rank), str(number))
        start = [rng.normal(size=(size, rank)) for size in self.tensor.shape]
        if number == 0:
            for mode, factor in enumerate(start):
                vectors = _left_vectors(self.tensor, mode)[:, :rank]
                factor[:, : vectors.shape[1]] = vectors
        found = self._parafac(self.tensor, start, self.sweeps, self._watch())
        error = float(np.mean((self.tensor - found) ** 2)) * self.size**2
        return error if isfinite(error) else inf

    def _watch(self) -> Callable[[object, float], bool]:
        """Whether to end the fit, asked before and after each sweep."""
        squares: list[float] = []

        def over(_: object, error: float) -> bool:
            squares.append(float(error) * float(error))  # a power of a float may raise
            sweep = len(squares) - 1
            if squares[-1] <= self.target:
                return True
            if sweep % _PACE or sweep < 2 * _PACE:
                return False
            pace = log(squares[-1 - _PACE] / squares[-1]) / _PACE
            # A fit leaves a plateau ever faster: what counts is whether it is on its way at all.
            needed = min(1.0, log(squares[-1] / self.target))
            return needed > _HOPE * pace * (self.sweeps - sweep)

        return over


def _alternating_least_squares() -> Callable[..., np.ndarray]:
    try:
        from tensorly.backend import BackendManager
        from tensorly.cp_tensor import cp_to_tensor
        from tensorly.decomposition import parafac
    except ImportError:
        raise InputError(
            "estimate_tensor_rank needs TensorLy: pip install 'factorflow[tensors]'."
        ) from None

    def run(
        tensor: np.ndarray, start: list[np.ndarray], sweeps: int, watch: Callable
    ) -> np.ndarray:
        weights = np.ones(start[0].shape[1])
        settings: dict[str, Any] = {"init": (weights, start), "n_iter_max": sweeps}
        # An error that does not change at all ends a fit too; the rest is for ``watch``.
        settings |= {"tol": 1e-300, "linesearch": True, "callback": watch}
        with one_blas_thread(), BackendManager.backend_context("numpy", local_threadsafe=True):
            try:
                return np.asarray(cp_to_tensor(parafac(tensor, len(weights), **settings)))
            except np.linalg.LinAlgError:  # components that coincide: no fit from this start
                return np.full(tensor.shape, inf)

    return run


def _lower_bound(tensor: np.ndarray, tolerance: float) -> int:
    """The most singular values that an unfolding needs to be within the tolerance."""
    return max(_needed(unfolding, tolerance) for unfolding in _unfoldings(tensor))


def _needed(matrix: np.ndarray, tolerance: float) -> int:
    values = np.linalg.svd(matrix, compute_uv=False)
    values[values <= rounding(matrix.shape, values)] = 0  # of these nothing is certain
    tails = np.append(np.cumsum(values[::-1] ** 2)[::-1], 0) / matrix.size
    return int(np.argmax(tails <= tolerance))


def _unfoldings(tensor: np.ndarray) -> Iterator[np.ndarray]:
    """The tensor as a matrix in every way to part its modes in two."""
    order = tensor.ndim
    for chosen in range(1, 2 ** (order - 1)):
        rows = [mode for mode in range(order) if chosen >> mode & 1]
        columns = [mode for mode in range(order) if mode not in rows]
        height = prod(tensor.shape[mode] for mode in rows)
        yield tensor.transpose(rows + columns).reshape(height, -1)


def _left_vectors(tensor: np.ndarray, mode: int) -> np.ndarray:
    """Left singular vectors of the unfolding with one mode for its rows."""
    matrix = np.moveaxis(tensor, mode, 0).reshape(tensor.shape[mode], -1)
    return np.linalg.svd(matrix, full_matrices=False)[0]


def _checked_tensor(tensor: ArrayLike) -> np.ndarray:
    try:
        given = np.asarray(tensor)
    except ValueError:
        raise InputError("tensor must be an array; its parts have different lengths.") from None
    if given.dtype.kind == "O":
        raise InputError(
            f"tensor must be an array of numbers; got {type(tensor).__name__}; complete it first."
        )
    if given.dtype.kind not in "biuf":
        raise InputError(f"tensor must be of real numbers; got {given.dtype} entries.")
    given = given.astype(np.float64)
    if given.ndim < 2 or not given.size:
        raise InputError(
            f"tensor must have two dimensions or more and entries; got shape {given.shape}."
        )
    if not np.all(np.isfinite(given)):
        raise InputError("tensor has entries that are not finite; complete it first.")
    return given
