"""Where the flow of commuting measurements ends, without running it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linprog

from factorflow._errors import FlowError, InputError
from factorflow.theory._commuting import (
    check_scale,
    checked_power,
    growth_of,
    relative_exposure,
)

_TOLERANCE = 1e-11
# Of the exposures. Where fewer than p eigenvalues stay away from zero, the rest of the multipliers
# rests on eigenvalues of the size of the scale, which the rounding of A w drowns.
_LOOSE = 1e-7
_ROUNDING = 1e-15
_CORRECTIONS = 12
_LONGEST = 32.0  # of a step, in log scale
_SHORTEST = 1e-3
_LOST = (
    "The limit of the flow could not be followed beyond scale exp({:g}) of the values; "
    "the measurement operators nearly depend on each other."
)


@dataclass(frozen=True, eq=False)
class CommutingLimit:
    """Where a flow under commuting measurements ends.

    Attributes
    ----------
    eigenvalues
        ``(n,)``, those of the end-to-end matrix in the common eigenbasis.
    relative_dual
        ``(p,)``, the multipliers ``N scale^(1-2/N) s``, whose size stays moderate at any scale.
    depth, scale
        Of the network and its start.
    """

    eigenvalues: np.ndarray
    relative_dual: np.ndarray
    depth: float
    scale: float

    @cached_property
    def dual(self) -> np.ndarray:
        """``s``, ``(p,)``: minus the integral of the loss gradient over all time."""
        return self.relative_dual * self.scale ** (2 / self.depth - 1) / self.depth


def commuting_flow(
    operators: np.ndarray, values: np.ndarray, depth: float, scale: float
) -> CommutingLimit:
    r"""The limit ``t -> infinity`` of gradient flow under commuting measurements.

    With :func:`commuting_eigenvalues`, ``w_k = w(S_k)`` and ``S = A^T s``, the flow is one of the
    `p` multipliers ``s`` alone, and it climbs a concave function,

        ds/dt = (1/p) (y - A w(A^T s)) = (1/p) grad D(s),    D(s) = <s, y> - (1/2) sum_k u_k(S_k)^2,

    where ``u_k = w_k^(1/N)``. So it ends where ``A w = y``, for every convex loss of the residuals
    alike; its end is the one that minimizes over ``A w = y`` a potential whose gradient is
    proportional to ``S(w)``:

        sum_k w_k (log(w_k / scale) - 1) / log(1 / scale)                      for N = 2,
        sum_k w_k - (N/2) scale^((N-2)/N) w_k^(2/N)                            for N > 2.

    Both go to the trace with the scale, the first as ``1 / log(1/scale)``, the second as
    ``scale^(1-2/N)``. The optimum is found by Newton's method
    in ``log w`` and the multipliers together, along the path of falling scales, which is nearly a
    straight line; a scale of 1e-100 costs milliseconds.

    Parameters
    ----------
    operators
        ``(p, n)``, row `i` the eigenvalues of ``A_i`` in the common eigenbasis.
    values
        ``(p,)``, the measured values.
    depth, scale
        As for :func:`commuting_eigenvalues`.

    Raises
    ------
    InputError
        If the shapes do not fit, or no matrix with all its eigenvalues positive has these values:
        then the flow approaches the edge of the cone and no finite ``s`` belongs to its end.
    FlowError
        If the path could not be followed, for operators that nearly depend on each other.

    Notes
    -----
    Where fewer than `p` eigenvalues stay away from zero as the scale falls, those that vanish are
    known to about 1e-15 of the largest and no further.
    """
    matrix, measured = checked_measurements(operators, values)
    power = checked_power(depth)
    check_scale(scale)
    size = np.abs(measured).max() / np.abs(matrix).max() or scale
    _check_interior(matrix, measured, size)
    path = _Path(matrix, measured / size, power)
    growth, multipliers, reached = path.follow(np.log(scale) - np.log(size))
    return CommutingLimit(size * np.exp(growth + reached), multipliers, float(depth), float(scale))


def checked_measurements(operators, values) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 arrays, ``(p, n)`` and ``(p,)``."""
    matrix = np.asarray(operators, dtype=np.float64)
    measured = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or not matrix.size or measured.shape != matrix.shape[:1]:
        raise InputError(
            "Commuting measurements are an array (p, n) of eigenvalues and p values; "
            f"got shapes {matrix.shape} and {measured.shape}."
        )
    if not (np.isfinite(matrix).all() and np.isfinite(measured).all() and matrix.any()):
        raise InputError("Eigenvalues and values must be finite, the eigenvalues not all zero.")
    return matrix, measured


def _check_interior(matrix: np.ndarray, values: np.ndarray, size: float) -> None:
    """Refuse values that no w > 0 has: the largest t with A (v + t) = y, v >= 0."""
    n = matrix.shape[1]
    found = linprog(
        c=[0.0] * n + [-1.0],
        A_eq=np.column_stack([matrix, matrix.sum(axis=1)]),
        b_eq=values / size,
        bounds=[(0, None)] * n + [(0, 1)],
    )
    if found.status != 0 or not found.x[-1] > 1e-7:
        raise InputError(
            "No matrix with all eigenvalues positive has these values, so the closed form has no "
            "end: the values contradict each other, or fix some eigenvalue at zero."
        )


class _Path:
    """The ends ``(tau, rho)`` at all scales ``exp(a)``; ``tau = log w - a`` and ``rho`` solve

    ``R(tau) = A^T rho`` and ``A exp(tau + a) = y``.
    """

    def __init__(self, matrix: np.ndarray, values: np.ndarray, power: float):
        self.matrix, self.values, self.power = matrix, values, power
        self.norm = np.abs(values).max() or 1.0

    def follow(self, end: float) -> tuple[np.ndarray, np.ndarray, float]:
        """From scale 1 to scale ``exp(end)`` by tangent steps and Newton corrections."""
        start = self._corrected(*self._start(), 0.0)
        if start is None:
            raise FlowError(_LOST.format(0))
        (growth, dual), at, step = start, 0.0, 1.0
        while at != end:
            after = end if abs(end - at) <= step else at + np.sign(end) * step
            tried = self._corrected(*self._predicted(growth, dual, at, after), after)
            if tried is not None:
                (growth, dual), at, step = tried, after, min(2 * step, _LONGEST)
            elif step > _SHORTEST:
                step /= 4
            else:
                raise FlowError(_LOST.format(at))
        return growth, dual, at

    def _start(self) -> tuple[np.ndarray, np.ndarray]:
        """At scale 1, by damped Newton steps on the dual function."""
        dual = np.zeros(self.matrix.shape[0])
        height, gradient, curvature = self._dual_function(dual)
        for _ in range(200):
            step = np.linalg.lstsq(curvature, gradient, rcond=1e-15)[0]
            rise = gradient @ step
            if rise <= 1e-14 * (1 + abs(height)):
                break
            length, tried = 1.0, self._dual_function(dual + step)
            while tried[0] < height + 0.25 * length * rise and length > 1e-12:
                length /= 2
                tried = self._dual_function(dual + length * step)
            dual, (height, gradient, curvature) = dual + length * step, tried
        return growth_of(dual @ self.matrix, self.power), dual

    def _dual_function(self, dual: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Value, gradient and minus the Hessian at scale 1; minus infinity outside its domain."""
        relative = dual @ self.matrix
        if np.any(self.power * relative >= 1) or np.any(relative > 300):
            return -np.inf, dual, np.eye(dual.size)
        growth = growth_of(relative, self.power)
        convex = np.exp((1 - self.power) * growth).sum() / (1 - self.power)
        gradient = self.values - self.matrix @ np.exp(growth)
        weights = np.exp((1 + self.power) * growth)
        return dual @ self.values - convex, gradient, (self.matrix * weights) @ self.matrix.T

    def _predicted(self, growth, dual, at, after):
        """Along the tangent: log w and the multipliers move linearly with the log scale."""
        slope = np.exp(-self.power * growth)
        zeros = np.zeros_like(dual)
        moved, turned = self._solve(growth, at, slope, zeros)
        return growth + (after - at) * (moved - 1), dual + (after - at) * turned

    def _corrected(self, growth, dual, at):
        """Newton's method; None if it does not end soon."""
        for _ in range(_CORRECTIONS):
            if np.any(growth + at > 300) or np.any(-self.power * growth > 300):
                return None
            exposure = dual @ self.matrix - relative_exposure(growth, self.power)
            left = self.values - self.matrix @ np.exp(growth + at)
            small = max(_TOLERANCE, min(_LOOSE, _ROUNDING * np.exp(min(-at, 600))))
            small *= 1 + np.abs(dual @ self.matrix).max()
            if np.abs(exposure).max() <= small and np.abs(left).max() <= _TOLERANCE * self.norm:
                return growth, dual
            moved, turned = self._solve(growth, at, exposure, left)
            # An eigenvalue grows by no more than e^2 at once: beyond, the linear model is void.
            length = min(1.0, 2 / max(np.abs(moved).max(), 1e-300))
            growth, dual = growth + length * moved, dual + length * turned
        return None

    def _solve(self, growth, at, exposure, left):
        """One linear system for both, in which no eigenvalue is divided by: rows of vanishing
        and of finite eigenvalues keep one size however small the scale is."""
        p, n = self.matrix.shape
        system = np.zeros((n + p, n + p))
        system[:n, :n] = np.diag(np.exp(-self.power * growth))
        system[:n, n:] = -self.matrix.T
        system[n:, :n] = self.matrix * np.exp(growth + at)
        solved = np.linalg.lstsq(system, np.concatenate([exposure, left]), rcond=1e-15)[0]
        return solved[:n], solved[n:]
