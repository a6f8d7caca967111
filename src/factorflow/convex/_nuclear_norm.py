"""Nuclear-norm minimization with a certificate."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from time import perf_counter

import numpy as np

from factorflow._blas import one_blas_thread
from factorflow._errors import FactorflowWarning, InputError
from factorflow.convex._certainty import Certainty
from factorflow.convex._feasible import FeasibleSet
from factorflow.convex._splitting import Iterate, Splitting
from factorflow.convex._thin_svd import ThinSVD
from factorflow.problems import AbstractOperator

_SMALL = 500  # rows or columns up to which a second thread of BLAS gains a tenth at most
_FIRST_CHECK = 10
_CHECK_GROWTH = 1.1

Progress = Callable[[dict], None]


@dataclass(frozen=True, eq=False, repr=False)
class NuclearNormSolution:
    """A minimizer of the nuclear norm, and the proof of how near to the minimum it is.

    Attributes
    ----------
    matrix
        The solution, ``(m, n)``; it fits the measurements to rounding (or within the noise).
    low_rank
        Its low-rank part by its singular values and vectors; what is left of the matrix is of the
        size of the gap.
    nuclear_norm
        Of ``matrix``: an upper bound on the minimum.
    dual
        Multipliers ``nu`` of the measurements, ``(p,)``, with ``||A*(nu)||_op <= 1``.
    dual_value
        ``<y, nu> - noise sqrt(p) ||nu||_2``: a lower bound on the minimum.
    gap
        ``(nuclear_norm - dual_value) / nuclear_norm``: the minimum is at most this share below.
    residual
        Root mean square of ``A(matrix) - y``.
    status, n_iterations, seconds
        How it ended and what it took.
    penalty
        The last threshold of the singular values; a warm start goes on from it.
    """

    matrix: np.ndarray
    low_rank: ThinSVD
    nuclear_norm: float
    dual: np.ndarray
    dual_value: float
    residual: float
    status: Certainty
    n_iterations: int
    seconds: float
    penalty: float

    @property
    def gap(self) -> float:
        """The relative duality gap; 0 for the zero matrix."""
        if self.nuclear_norm == 0:
            return 0.0
        return max(0.0, self.nuclear_norm - self.dual_value) / self.nuclear_norm

    @property
    def rank(self) -> int:
        """Rank of the low-rank part."""
        return self.low_rank.rank

    def __repr__(self) -> str:
        m, n = self.matrix.shape
        return (
            f"<NuclearNormSolution {m}x{n}: {self.status.sentence} gap={self.gap:.2g}, "
            f"nuclear_norm={self.nuclear_norm:.6g}, rank={self.rank}, "
            f"n_iterations={self.n_iterations}>"
        )

    @cached_property
    def singular_values(self) -> np.ndarray:
        """All singular values of the matrix, descending."""
        return np.linalg.svd(self.matrix, compute_uv=False)


def nuclear_norm(
    problem,
    tol: float = 1e-6,
    noise: float = 0.0,
    *,
    start: NuclearNormSolution | None = None,
    max_iterations: int = 10_000,
    progress: Progress | None = None,
) -> NuclearNormSolution:
    """Minimize the nuclear norm subject to fitting the measurements, with a certificate.

        min ||X||_*    subject to    sqrt(mean((A(X) - y)^2)) <= noise

    by Douglas-Rachford splitting of the norm and the constraint, with threshold ``g``:

        Z = shrink(V, g),    X = project(2 Z - V),    V <- V + 1.5 (X - Z)

    (1.5 is the relaxation). The steps are extrapolated by Anderson acceleration, and in the
    beginning ``g`` is set to the ratio of how far primal and dual move, ``||dZ|| / ||dW||`` with
    ``W = (V - Z) / g``. ``X`` is feasible at every iteration, and the multipliers of the
    projection, scaled so that ``||A*(nu)||_op <= 1``, are feasible for the dual

        max <y, nu> - noise sqrt(p) ||nu||_2    subject to    ||A*(nu)||_op <= 1,

    so that the gap between the two values bounds the distance from the minimum. Where few
    singular values pass the threshold, only these are computed.

    Parameters
    ----------
    problem
        A :class:`Completion`, a :class:`Sensing`, or anything with ``operator`` and ``values``.
    tol
        Relative duality gap to reach.
    noise
        Bound on the root mean square of the residual, in the units of the values (not on its
        2-norm); 0 asks for an exact fit.
    start
        A solution of a similar problem with the same measurements to go on from.
    max_iterations
        Limit on the iterations.
    progress
        Function of a dictionary (``step``, ``gap``, ``nuclear_norm``, ``rank``), called whenever
        the gap was computed.

    Returns
    -------
    NuclearNormSolution
        Its status tells whether the gap was reached. Ctrl-C ends the iteration, and the point it
        had come to is returned with its gap.

    Raises
    ------
    InputError
        If a parameter cannot be used, or no matrix fits the measurements within the noise.

    Notes
    -----
    Memory is about 30 dense matrices. Sources: Candès and Recht 2009 for the programme, Lions and
    Mercier 1979 for the splitting, Walker and Ni 2011 for the acceleration. The experiments of
    Arora, Cohen, Hu and Luo 2019 allow each residual 1e-3, here they are zero by default.
    """
    _check(problem, tol, noise, max_iterations, start)
    began = perf_counter()
    unit = float(np.max(np.abs(problem.values)))  # squares of the values must be finite
    if np.sqrt(np.mean((problem.values / (unit or 1.0)) ** 2)) * unit <= noise:
        return _zero(problem, noise)
    values, radius = problem.values / unit, noise / unit * np.sqrt(len(problem.values))
    feasible = FeasibleSet(problem.operator, values, radius)
    with one_blas_thread(when=min(problem.shape) <= _SMALL):
        splitting = Splitting(feasible, _first_point(start, unit))
        iterate, bounds, status = _iterate(splitting, tol, max_iterations, progress)
    residual = problem.operator.forward(iterate.feasible) - values
    return NuclearNormSolution(
        matrix=unit * iterate.feasible,
        low_rank=iterate.low_rank.scaled(unit),
        nuclear_norm=unit * bounds.upper,
        dual=bounds.dual,
        dual_value=unit * bounds.lower,
        residual=unit * float(np.sqrt(np.mean(residual**2))),
        status=status,
        n_iterations=iterate.step,
        seconds=perf_counter() - began,
        penalty=unit * iterate.threshold,
    )


def _first_point(start: NuclearNormSolution | None, unit: float):
    """A solution to go on from as ``(matrix, dual, threshold)`` for values in units of ``unit``."""
    return None if start is None else (start.matrix / unit, start.dual, start.penalty / unit)


@dataclass(frozen=True)
class _Bounds:
    """Two numbers that the minimum lies between, and the multipliers that prove the lower one."""

    upper: float
    lower: float
    dual: np.ndarray

    @classmethod
    def of(cls, splitting: Splitting, iterate: Iterate) -> "_Bounds":
        feasible = splitting.feasible
        upper = float(np.linalg.svd(iterate.feasible, compute_uv=False).sum())
        size = np.linalg.norm(feasible.operator.adjoint(iterate.dual), 2)
        dual = iterate.dual / max(1.0, float(size))
        return cls(upper, feasible.dual_value(dual), dual)

    @property
    def gap(self) -> float:
        return (self.upper - self.lower) / self.upper


def _iterate(
    splitting: Splitting, tol: float, max_iterations: int, progress: Progress | None
) -> tuple[Iterate, _Bounds, Certainty]:
    status, check, iterate = Certainty.ITERATION_LIMIT, _FIRST_CHECK, splitting.iterate()
    try:
        while iterate.step < max_iterations:
            if iterate.step >= check:
                bounds = _Bounds.of(splitting, iterate)
                check = int(_CHECK_GROWTH * iterate.step) + 5
                if progress is not None:
                    progress(_told(iterate, bounds))
                if bounds.gap <= tol:
                    return iterate, bounds, Certainty.CERTIFIED
            iterate = splitting.next_after(iterate)
    except KeyboardInterrupt:
        status = Certainty.INTERRUPTED
    bounds = _Bounds.of(splitting, iterate)
    return iterate, bounds, Certainty.CERTIFIED if bounds.gap <= tol else status


def _told(iterate: Iterate, bounds: _Bounds) -> dict:
    return {
        "step": iterate.step,
        "gap": bounds.gap,
        "nuclear_norm": bounds.upper,
        "rank": iterate.low_rank.rank,
    }


def _zero(problem, noise: float) -> NuclearNormSolution:
    """The zero matrix fits, so it is the minimizer."""
    values = problem.values
    if values.any():
        size = float(np.sqrt(np.mean(values**2)))
        warnings.warn(
            f"Within noise={noise:.3g} zero fits as well, since the root mean square of the values "
            f"is {size:.3g}: the solution is the zero matrix. noise is a root mean square too.",
            FactorflowWarning,
            stacklevel=3,
        )
    return NuclearNormSolution(
        matrix=np.zeros(problem.shape),
        low_rank=ThinSVD.zero(problem.shape),
        nuclear_norm=0.0,
        dual=np.zeros(len(values)),
        dual_value=0.0,
        residual=float(np.sqrt(np.mean(values**2))),
        status=Certainty.CERTIFIED,
        n_iterations=0,
        seconds=0.0,
        penalty=1.0,
    )


def _check(problem, tol, noise, max_iterations, start) -> None:
    if not isinstance(getattr(problem, "operator", None), AbstractOperator):
        raise InputError(
            "problem must be a Completion or a Sensing, or have an operator and values; got "
            f"{type(problem).__name__}. Completion.of(...) makes one of an array or a table."
        )
    if not _is_number(tol) or not 0 < tol < 1:
        raise InputError(f"tol must be a relative gap between 0 and 1; got {tol!r}.")
    if not _is_number(noise) or not 0 <= noise < np.inf:
        raise InputError(f"noise must be a finite number of 0 or more; got {noise!r}.")
    if not isinstance(max_iterations, Integral) or max_iterations < 1:
        raise InputError(
            f"max_iterations must be a whole number of 1 or more; got {max_iterations!r}."
        )
    if start is None:
        return
    if not isinstance(start, NuclearNormSolution):
        raise InputError(
            f"start must be a solution of nuclear_norm, or None; got {type(start).__name__}."
        )
    if start.matrix.shape != problem.shape or start.dual.shape != problem.values.shape:
        raise InputError(
            f"start must be a solution with the same measurements; it has {len(start.dual)} of "
            f"them and the shape {start.matrix.shape}, the problem {len(problem.values)} and "
            f"{problem.shape}."
        )


def _is_number(value) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
