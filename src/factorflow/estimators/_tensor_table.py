"""What an estimator of tensors has fitted: biases and a sum of components."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import numpy as np

from factorflow._x64 import double_precision
from factorflow.estimators._axis_effects import AxisEffects
from factorflow.factorizations import AbstractTensorFactorization
from factorflow.problems import Completion
from factorflow.trajectories import Solution

_NUMBERS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class TensorTable:
    """Effects of the axes, and the tensor that factors stand for.

    Attributes
    ----------
    effects
        Mean and effects of the axes.
    factorization, factors
        How the rest is written; the factors are a tuple of NumPy arrays.
    train_error
        Mean squared error on the observed entries.
    """

    effects: AxisEffects
    factorization: AbstractTensorFactorization
    factors: Any
    train_error: float

    @classmethod
    def of(
        cls,
        factorization: AbstractTensorFactorization,
        problem: Completion,
        effects: AxisEffects,
        solution: Solution | None,
        unit: float,
    ) -> "TensorTable":
        """The fit of a solution whose values are divided by a unit; of none where biases do."""
        if solution is None:
            factors = tuple(np.zeros(shape) for shape in factorization.shapes(problem.shape))
            return cls(effects, factorization, factors, 0.0)
        # Every term has one number of every factor.
        share = unit ** (1 / len(solution.factors))
        factors = tuple(share * np.asarray(factor) for factor in solution.factors)
        return cls(effects, factorization, factors, solution.train_error * unit**2)

    def tensor(self) -> np.ndarray:
        """All values, ``(d_1, ..., d_N)``."""
        tensor = self._compute(self.factorization.tensor)
        tensor += self.effects.tensor()
        return tensor

    def at(self, *indices: np.ndarray) -> np.ndarray:
        """Values of the cells with such indices, arrays of one shape, one for each axis."""
        flat = [each.ravel() for each in indices]
        found = np.empty(flat[0].size)
        width = max(factor.shape[1] for factor in self.factors)
        step = max(1, _NUMBERS_AT_ONCE // max(1, width))
        for start in range(0, found.size, step):
            part = slice(start, start + step)
            leaves = zip(self.factors, flat, strict=False)
            features: Any = [leaf[each[part]] for leaf, each in leaves]
            left, right = self.factorization.combine(self.factors, features, np.multiply)  # pyright: ignore
            found[part] = np.einsum("kw,kw->k", left, right)
        return self.effects.at(*indices) + found.reshape(indices[0].shape)

    def without(self, slices: list[np.ndarray]) -> "TensorTable":
        """The same with nothing but effects at some indices, a vector of them for each axis."""
        factors = [factor.copy() for factor in self.factors]
        for leaf, empty in zip(factors, slices, strict=False):
            leaf[empty] = 0
        return replace(self, factors=tuple(factors))

    def component_norms(self) -> tuple[np.ndarray, ...]:
        """Norms of the (local) components, for each place where they are summed."""
        return self._compute(self.factorization.component_norms)

    def _compute(self, function: Callable[[Any], Any]) -> Any:
        """A function of the factors, compiled as a whole, with NumPy arrays for its result."""
        with double_precision():
            return jax.tree.map(np.array, eqx.filter_jit(function)(self.factors))
