"""Effects of the axes of a tensor: what a mean and one number for each index say."""

from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np

from factorflow.estimators._effects import DAMPING_GRID, damped_means, rmse
from factorflow.problems import Completion

AxisBiases = Literal["none", "global", "axes"]
AXIS_BIASES = ("none", "global", "axes")

_SWEEPS = 15


@dataclass(frozen=True)
class AxisEffects:
    """``mean + axes[0][i_1] + ... + axes[N - 1][i_N]``, with the damping of the fit.

    Infinite damping stands for no effects of the axes.
    """

    mean: float
    axes: tuple[np.ndarray, ...]
    damping: float

    def at(self, *indices: np.ndarray) -> np.ndarray:
        """Values of the cells ``(indices[0][k], ..., indices[N - 1][k])``."""
        parts = [axis[i] for axis, i in zip(self.axes, indices, strict=True)]
        return self.mean + reduce(np.add, parts)

    def tensor(self) -> np.ndarray:
        """All values, ``(d_1, ..., d_N)``."""
        return self.mean + reduce(np.add, np.ix_(*self.axes))


def fit_axis_effects(problem: Completion, biases: AxisBiases, damping: float = 0.0) -> AxisEffects:
    """Fit effects of all axes by alternating damped means.

    The effect of index `i` of an axis is the sum of what mean and other effects leave of its
    observed values, divided by their number plus the damping; an index without observations has
    effect 0. ``biases="global"`` is the mean alone, ``"none"`` is zero.
    """
    axes = [np.zeros(size) for size in problem.shape]
    mean = 0.0 if biases == "none" else float(problem.values.mean())
    if biases != "axes":
        return AxisEffects(mean, tuple(axes), np.inf)
    left_over = problem.values - mean
    for _ in range(_SWEEPS):
        for k, indices in reversed(list(enumerate(problem.indices))):
            own = left_over + axes[k][indices]
            axes[k] = damped_means(indices, own, problem.shape[k], damping)
            left_over = own - axes[k][indices]
    return AxisEffects(mean, tuple(axes), damping)


def tune_axis_damping(train: Completion, held_out: Completion) -> float:
    """The damping, one for all axes, with the least squared error on held-out entries."""

    def error(damping: float) -> float:
        effects = fit_axis_effects(train, "axes", damping)
        return rmse(effects.at(*held_out.indices), held_out.values)

    return min(DAMPING_GRID, key=error)
