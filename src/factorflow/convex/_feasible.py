"""Matrices that fit the measurements, exactly or within a bound, and the dual of fitting them."""

from functools import cached_property

import numpy as np

from factorflow._errors import InputError
from factorflow.problems import AbstractOperator

_CONSISTENT = 1e-8
_NEWTON_STEPS = 100
_ROUNDING = 1e-12


class FeasibleSet:
    """``{X : ||A(X) - y||_2 <= radius}`` for linear measurements ``A``, and the projection onto it.

    Parameters
    ----------
    operator, values
        ``A`` and ``y``.
    radius
        Bound on the 2-norm of the residual; 0 asks for an exact fit.

    Raises
    ------
    InputError
        If an exact fit is asked for and measurements that depend on each other contradict.
    """

    def __init__(self, operator: AbstractOperator, values: np.ndarray, radius: float):
        self.operator, self.values, self.radius = operator, values, radius
        self.least_norm = self.operator.adjoint(self.operator.solve_gram(self.values))
        """The exact fit of smallest Frobenius norm, ``(m, n)``."""
        if radius == 0 and self._misfit() > _CONSISTENT:
            raise InputError(
                "The measurements contradict or nearly depend on one another, so that no matrix "
                "is found that fits them exactly; allow for an error with noise=..., the root "
                "mean square of the residual."
            )

    def _misfit(self) -> float:
        """Largest residual of the least-norm fit, with all measurements brought to norm 1."""
        sizes = np.where(self.operator.norms > 0, self.operator.norms, 1.0)
        residual = self.operator.forward(self.least_norm) - self.values
        return float(np.max(np.abs(residual / sizes)) / np.max(np.abs(self.values / sizes)))

    def project(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nearest feasible matrix and the multipliers `q` with ``projection - M = A*(q)``."""
        residual = self.values - self.operator.forward(matrix)
        multipliers = self._multipliers(residual)
        return matrix + self.operator.adjoint(multipliers), multipliers

    def dual_value(self, dual: np.ndarray) -> float:
        """``<y, nu> - radius ||nu||``: a lower bound on ``||X||_*`` if ``||A*(nu)|| <= 1``."""
        return float(self.values @ dual - self.radius * np.linalg.norm(dual))

    def _multipliers(self, residual: np.ndarray) -> np.ndarray:
        if self.radius == 0:
            return self.operator.solve_gram(residual)
        if np.linalg.norm(residual) <= self.radius:
            return np.zeros_like(residual)
        spectrum, vectors = self._gram_spectrum
        along = residual if vectors is None else vectors.T @ residual
        factor = _secular_root(along, spectrum, self.radius)
        found = along * (factor / (1 + factor * spectrum))
        return found if vectors is None else vectors @ found

    @cached_property
    def _gram_spectrum(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Eigenvalues and vectors of ``A A*``; no vectors where it is diagonal."""
        gram = self.operator.gram()
        if gram.ndim == 1:
            return gram, None
        values, vectors = np.linalg.eigh(gram)
        rounding = len(gram) * np.finfo(float).eps * values[-1]
        return np.where(values > rounding, values, 0.0), vectors


def _secular_root(along: np.ndarray, spectrum: np.ndarray, radius: float) -> float:
    """The ``c > 0`` at which ``||along / (1 + c spectrum)|| = radius``.

    Newton's method on ``1 / norm``, which is concave in `c`, so that it comes from the left and
    never overshoots.
    """
    if np.linalg.norm(along[spectrum == 0]) > radius:
        raise InputError(
            "No matrix fits the measurements within the noise that was given; raise noise=..."
        )
    factor = 0.0
    for _ in range(_NEWTON_STEPS):
        damped = along / (1 + factor * spectrum)
        norm = np.linalg.norm(damped)
        if norm <= radius * (1 + _ROUNDING):
            return float(factor)
        slope = np.sum(damped**2 * spectrum / (1 + factor * spectrum))
        factor += norm**2 * (norm / radius - 1) / slope
    raise InputError(
        "The measurements nearly depend on one another, so that no matrix is found that fits them "
        "within the noise that was given; raise noise=..."
    )
