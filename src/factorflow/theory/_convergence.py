"""Certificates of convergence from a start with a deficiency margin."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import inf, isfinite, log

import numpy as np
from numpy.typing import ArrayLike

from factorflow._errors import InputError
from factorflow.factorizations import checked_real_depth, growth_power
from factorflow.theory._conserved import conserved_quantities, unbalancedness
from factorflow.theory._numbers import checked_positive, checked_whole
from factorflow.theory._singular_basis import checked_matrix

_ROUNDING = 1e-12  # of a limit that was computed twice


def deficiency_margin(matrix: ArrayLike, target: ArrayLike) -> float:
    """``c* = max(0, sigma_min(Phi) - ||W - Phi||_F)``, the distance kept from singular matrices.

    `W` has deficiency margin `c` with respect to `Phi` if every matrix whose least singular value
    is at most `c` has a larger loss ``l(W) = 1/2 ||W - Phi||_F^2``; that is so for all ``c < c*``.
    A run whose loss never rises keeps ``sigma_min(W) >= c``.

    Parameters
    ----------
    matrix, target
        `W` and `Phi`, ``(m, n)``.

    Returns
    -------
    float
        ``c*``; 0 where there is no margin.

    Raises
    ------
    InputError
        If the shapes differ.

    Notes
    -----
    Source: Arora, Cohen, Golowich and Hu 2019 (arXiv:1810.02281).
    """
    matrix, target = _checked_pair(matrix, target)
    least = np.linalg.svd(target, compute_uv=False)[-1]
    return max(0.0, float(least - np.linalg.norm(matrix - target)))


@dataclass(frozen=True)
class Assumption:
    """One assumption of a theorem: ``value <= limit``.

    Attributes
    ----------
    name
        ``"deficiency margin"``, ``"balancedness"`` or ``"learning rate"``.
    statement
        What is compared, in words.
    value, limit
        What it is and what it may be.
    """

    name: str
    statement: str
    value: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether it is met, but for rounding; the deficiency margin strictly."""
        if self.name == "deficiency margin":
            return self.value < self.limit
        return self.value <= self.limit * (1 + _ROUNDING)

    @property
    def excess(self) -> float:
        """``value / limit``: by what factor it fails, where it is above 1."""
        if self.limit > 0:
            return self.value / self.limit
        return 0.0 if self.holds else inf

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        against = f"{self.statement}: {self.value:.4g} against {self.limit:.4g}"
        if self.holds:
            return f"The {self.name} holds; {against}."
        return f"The {self.name} fails by a factor of {self.excess:.4g}; {against}."


@dataclass(frozen=True)
class ConvergenceCertificate:
    """What a theorem promises of a run, and whether its assumptions are met.

    With ``rate`` the loss above its infimum falls at least as ``exp(-rate x)``, `x` the number of
    steps of a descent or the time of a flow.

    Attributes
    ----------
    margin
        The deficiency margin `c`.
    depth
        `N`.
    excess_loss
        ``l(0) - l*`` at the start.
    rate
        Per step of a descent, per unit of time of a flow; 0 without a margin.
    assumptions
        All of the theorem's, met or not, each an :class:`Assumption`.
    holds
        Whether all are met; only then is the rest a promise.
    failures
        Those that are not.
    sentence
        The outcome in words.

    Examples
    --------
    >>> certificate = flow_certificate([[0.9]], [[1.0]], depth=3)
    >>> certificate
    <ConvergenceCertificate: Every assumption is met; the loss falls at least at the rate 0.869.>
    >>> round(certificate.until(1e-6), 2)  # time to a loss of 1e-6
    9.8
    """

    margin: float
    depth: float
    excess_loss: float
    rate: float
    assumptions: tuple[Assumption, ...]

    @property
    def holds(self) -> bool:
        """Whether every assumption is met; only then is the rest a promise."""
        return all(assumption.holds for assumption in self.assumptions)

    @property
    def failures(self) -> tuple[Assumption, ...]:
        """The assumptions that are not met."""
        return tuple(each for each in self.assumptions if not each.holds)

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        if self.holds:
            return f"Every assumption is met; the loss falls at least at the rate {self.rate:.4g}."
        return " ".join(assumption.sentence for assumption in self.failures)

    def __repr__(self) -> str:
        return f"<ConvergenceCertificate: {self.sentence}>"

    def until(self, excess: float) -> float:
        """Steps or time after which the loss is within ``excess`` of its infimum.

        ``ln((l(0) - l*) / excess) / rate``; infinite without a margin. Round it up for steps.

        Raises
        ------
        InputError
            If ``excess`` is not positive.
        """
        if not excess > 0:
            raise InputError(f"excess must be a positive loss; got {excess!r}.")
        if self.excess_loss <= excess:
            return 0.0
        return log(self.excess_loss / excess) / self.rate if self.rate > 0 else inf

    def excess_after(self, elapsed: float | np.ndarray) -> np.ndarray:
        """The bound on ``l - l*`` after so many steps or so much time."""
        return self.excess_loss * np.exp(-self.rate * np.asarray(elapsed, float))


def descent_certificate(
    start: Sequence[ArrayLike] | ArrayLike,
    target: ArrayLike,
    learning_rate: float | None = None,
    depth: int | None = None,
) -> ConvergenceCertificate:
    """The promise for gradient descent on ``l(W) = 1/2 ||W - Phi||_F^2``.

    From a start with deficiency margin `c` whose unbalancedness is at most
    ``c^2 / (256 N^3 ||Phi||_F^(2(N-1)/N))``, with a learning rate of at most
    ``c^((4N-2)/N) / (6144 N^3 ||Phi||_F^((6N-4)/N))``, the loss is at most ``epsilon`` from step
    ``ln(l(0) / epsilon) / (eta c^(2(N-1)/N))`` on.

    Parameters
    ----------
    start
        The factors ``W_1, ..., W_N``, first applied first; or, with ``depth``, the end-to-end
        matrix of a balanced start.
    target
        `Phi`, ``(m, n)``.
    learning_rate
        `eta`, for this loss; by default the largest that is certified, the ``limit`` of the
        last assumption. A fully observed :class:`Completion` of ``m n`` entries takes the
        mean, ``l / (m n)``: its learning rate is ``m n eta``.
    depth
        `N`, a whole number, of a start given as a matrix.

    Raises
    ------
    InputError
        If the shapes do not fit, the learning rate is not positive and finite, or the depth is
        missing, none, or given beside factors.

    Notes
    -----
    Source: Arora, Cohen, Golowich and Hu 2019 (arXiv:1810.02281), for whitened data.
    The margin taken is the largest, :func:`deficiency_margin`. The constants are far from tight:
    for scalars the loss gets there four to seven times sooner, and beyond scalars the counts soon
    pass what a computer can do.
    """
    factors = _start_factors(start, depth)
    matrix = _product(factors)
    _, target = _checked_pair(matrix, target)
    N = len(factors) if depth is None else checked_whole("depth", depth, 1)
    norm = float(np.linalg.norm(target))
    c = deficiency_margin(matrix, target)
    if norm == 0:
        raise InputError("The target is zero, which is singular: no start has a margin.")
    least_balance = c**2 / (256 * N**3 * norm ** (2 * (N - 1) / N))
    largest = float(c ** ((4 * N - 2) / N) / (6144 * N**3 * norm ** ((6 * N - 4) / N)))
    eta = largest if learning_rate is None else checked_positive("learning_rate", learning_rate)
    return ConvergenceCertificate(
        margin=c,
        depth=N,
        excess_loss=0.5 * float(np.sum((matrix - target) ** 2)),
        rate=eta * c ** (2 * (N - 1) / N),
        assumptions=(
            _margin_assumption(matrix, target),
            _balance_assumption(factors, least_balance),
            Assumption("learning rate", "its size", eta, largest),
        ),
    )


def flow_certificate(
    start: Sequence[ArrayLike] | ArrayLike,
    target: ArrayLike,
    depth: float | None = None,
    balance_tolerance: float = 1e-10,
) -> ConvergenceCertificate:
    """The promise for gradient flow on ``l(W) = 1/2 ||W - Phi||_F^2``.

    From a balanced start with deficiency margin `c` the loss is at most ``epsilon`` from time
    ``ln(l(0) / epsilon) c^(-2(N-1)/N)`` on.

    Parameters
    ----------
    start
        The factors ``W_1, ..., W_N``; or, with ``depth``, the end-to-end matrix of a balanced
        start.
    target
        `Phi`, ``(m, n)``.
    depth
        `N`, any real number of 1 or more. Infinity is for square matrices and has time rescaled
        by depth.
    balance_tolerance
        Unbalancedness that passes for none, as a share of the largest squared norm of a factor.

    Raises
    ------
    InputError
        If the shapes do not fit, or the depth is missing, none, or given beside factors.

    Notes
    -----
    Source: Arora, Cohen, Golowich and Hu 2019 (arXiv:1810.02281), the theorem for gradient flow;
    see :func:`flow_certificate_of` for what is derived.
    """
    factors = _start_factors(start, depth)
    matrix = _product(factors)
    depth = len(factors) if depth is None else depth
    matrix, target = _checked_pair(matrix, target)
    room = balance_tolerance * max(np.linalg.norm(factor) ** 2 for factor in factors)
    return flow_certificate_of(
        margin=deficiency_margin(matrix, target),
        excess_loss=0.5 * float(np.sum((matrix - target) ** 2)),
        depth=depth,
        shape=matrix.shape,
        assumptions=(
            _margin_assumption(matrix, target),
            _balance_assumption(factors, float(room)),
        ),
    )


def flow_certificate_of(
    margin: float,
    excess_loss: float,
    depth: float,
    strong_convexity: float = 1.0,
    shape: tuple[int, ...] = (1, 1),
    assumptions: tuple[Assumption, ...] | None = None,
) -> ConvergenceCertificate:
    """The promise for gradient flow on any strongly convex loss.

    Balanced, with every matrix of least singular value ``c`` or less above the loss of the start,
    the loss is within ``epsilon`` of its infimum from time
    ``ln((l(0) - l*) / epsilon) c^(-2(N-1)/N) / alpha`` on.

    Parameters
    ----------
    margin
        `c`, 0 or more.
    excess_loss
        ``l(0) - l*``.
    depth
        `N`, a real number of 1 or more, or infinity.
    strong_convexity
        ``alpha``; 1 for half the squared distance from a target.
    shape
        ``(m, n)``; only at infinite depth does it matter.
    assumptions
        What is to be reported beside it; by default that the margin is positive.

    Raises
    ------
    InputError
        If a number is out of its range, or the depth is infinite and the matrix not square.

    Notes
    -----
    Source: Arora, Cohen, Golowich and Hu 2019 (arXiv:1810.02281), for whole depths. Derived here:
    as ``d(l - l*)/dt = -<G, P G>``, the preconditioner's least eigenvalue is at least
    ``sigma_min(W)^(2-2/N)`` at every real depth, and ``||G||^2 >= 2 alpha (l - l*)``, the rate
    is even twice that; for square matrices it is `2N` times, which in rescaled time has the limit
    ``2 alpha c^2``. The certificate gives half, at infinite depth as well.
    """
    depth = checked_real_depth(depth)
    if not (margin >= 0 and excess_loss >= 0 and strong_convexity > 0):
        raise InputError(
            "margin and excess_loss must be 0 or more and strong_convexity positive; got "
            f"{margin!r}, {excess_loss!r} and {strong_convexity!r}."
        )
    if not isfinite(depth) and shape[0] != shape[1]:
        raise InputError(
            "At infinite depth the certificate is for square matrices: rescaled by depth, the "
            f"null directions of one of shape {tuple(shape)} stand still."
        )
    if assumptions is None:
        text = "zero, which must be below it"
        assumptions = (Assumption("deficiency margin", text, 0.0, float(margin)),)
    rate = strong_convexity * margin ** growth_power(depth, 2) if margin > 0 else 0.0
    return ConvergenceCertificate(
        float(margin), depth, float(excess_loss), float(rate), assumptions
    )


@dataclass(frozen=True, eq=False)
class StuckStart:
    """A balanced start without a deficiency margin that never gets to the optimum.

    Attributes
    ----------
    factors
        Identities.
    target
        ``diag(-1, 1, ..., 1)``.
    infimum
        1/2: the least loss of singular matrices, which the run tends to from above.
    """

    factors: tuple[np.ndarray, ...]
    target: np.ndarray
    infimum: float = 0.5


def stuck_start(depth: int, size: int = 2) -> StuckStart:
    """Why a margin is needed: identity layers and ``Phi = diag(-1, 1, ..., 1)``.

    All layers stay equal and diagonal, and only their first entry ``a`` moves:
    ``a <- a - eta a^(N-1) (a^N + 1)``. It falls to zero and never crosses it, in flow, and in
    descent with a learning rate below 1/2, so that ``l > 1/2`` for ever although ``l* = 0``.

    Parameters
    ----------
    depth
        `N`, 2 or more: at depth 1 descent gets to the target.
    size
        `d` of the ``d`` by ``d`` matrices.

    Raises
    ------
    InputError
        If the depth is no whole number of 2 or more, or the size none of 1 or more.

    Notes
    -----
    Source: Arora, Cohen, Golowich and Hu 2019 (arXiv:1810.02281), where such starts show that the
    margin is necessary; this instance and its recursion are derived.
    """
    depth, size = checked_whole("depth", depth, 2), checked_whole("size", size, 1)
    target = np.eye(size)
    target[0, 0] = -1
    return StuckStart(tuple(np.eye(size) for _ in range(depth)), target)


def _margin_assumption(matrix: np.ndarray, target: np.ndarray) -> Assumption:
    return Assumption(
        "deficiency margin",
        "||W - Phi||_F against sigma_min(Phi)",
        float(np.linalg.norm(matrix - target)),
        float(np.linalg.svd(target, compute_uv=False)[-1]),
    )


def _balance_assumption(factors: Sequence[np.ndarray], limit: float) -> Assumption:
    text = "max_j ||W_{j+1}^T W_{j+1} - W_j W_j^T||_F"
    return Assumption("balancedness", text, float(unbalancedness(factors)), limit)


def _start_factors(start, depth: float | None) -> list[np.ndarray]:
    """The given factors; a matrix, which must have a depth beside it, is the only one."""
    n_dimensions = _dimensions(start)
    if n_dimensions == 0:
        raise InputError(f"start must be a matrix or a sequence of factors; got {start!r}.")
    if n_dimensions == 2:
        if depth is None:
            raise InputError("A start given as a matrix needs a depth.")
        return [checked_matrix(start)]
    if depth is not None:
        raise InputError("depth goes with a matrix; factors have a depth of their own.")
    return [checked_matrix(factor) for factor in start]


def _dimensions(start) -> int:
    """Of the array that it makes; 3 for factors of unlike shapes, which make none."""
    try:
        return np.ndim(start)
    except ValueError:
        return 3


def _product(factors: Sequence[np.ndarray]) -> np.ndarray:
    if not factors:
        raise InputError("factors must be a sequence of one matrix or more, first applied first.")
    conserved_quantities(factors)  # refuses those that do not chain
    return reduce(lambda done, factor: factor @ done, factors)


def _checked_pair(matrix, target) -> tuple[np.ndarray, np.ndarray]:
    matrix, target = checked_matrix(matrix), checked_matrix(target)
    if matrix.shape != target.shape:
        raise InputError(
            f"The matrix and its target must be of one shape; got {matrix.shape} and "
            f"{target.shape}."
        )
    return matrix, target
