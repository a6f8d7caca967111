"""Runs of a dynamics on the values less their biases."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from factorflow._errors import FactorflowWarning
from factorflow._x64 import double_precision
from factorflow.dynamics import AbstractDynamics, EarlyStopping, Stop, solve
from factorflow.estimators._residuals import (
    are_rounding,
    biases_alone,
    error_on,
    less_effects,
    with_values,
)
from factorflow.estimators._table import Table
from factorflow.factorizations import AbstractFactorization, HierarchicalTucker
from factorflow.initializers import AbstractInitializer
from factorflow.problems import Completion
from factorflow.trajectories import Solution, Status

if TYPE_CHECKING:
    import xarray as xr

_POWERS = {
    "singular_values": 1,
    "nuclear_norm": 1,
    "held_out_error": 1,
    "train_error": 2,
    "train_loss": 2,
}


@dataclass(frozen=True)
class Settings:
    """What all runs of one fit share.

    ``table(problem, effects, solution, unit)`` makes the fit of a solution whose values are
    divided by a unit; the solution is None where the biases left nothing. The others are named
    as in the estimators.
    """

    factorization: AbstractFactorization
    dynamics: AbstractDynamics
    init: AbstractInitializer
    seed: int
    tol: float
    patience: float
    refit: bool
    max_gradients: int | None
    progress: Callable[[dict], None] | None
    table: Callable[[Completion, Any, Solution | None, float], Any]


@dataclass(frozen=True)
class Run:
    """The outcome of a run.

    Attributes
    ----------
    table
        The fit, in the units of the values.
    unit
        Root mean square of the values less their biases, by which the solution's values are
        divided.
    solution
        None where the biases left nothing to fit.
    validation_error
        Root-mean-square error on held-out entries; None without any.
    """

    table: Any
    unit: float
    solution: Solution | None = None
    validation_error: float | None = None

    @property
    def n_gradients(self) -> int | None:
        """Gradients evaluated; None where the solver does not tell."""
        return 0 if self.solution is None else self.solution.n_gradients

    @property
    def effective_rank(self) -> float:
        return 0.0 if self.solution is None else self.solution.effective_rank

    @property
    def interrupted(self) -> bool:
        return self.solution is not None and self.solution.status is Status.INTERRUPTED

    def path(self) -> "Callable[[], xr.Dataset]":
        """What makes the dataset of all that was recorded, in the units of the values.

        It keeps the records alone, not the run.
        """
        if self.solution is None:
            return _nothing_recorded
        powers = _POWERS | {"component_norms": _power_of_components(self.solution)}
        return partial(_in_units, self.solution.record_trajectory, self.unit, powers)


def _nothing_recorded() -> "xr.Dataset":
    import xarray as xr

    return xr.Dataset()


def _in_units(
    record: "Callable[[], xr.Dataset]", unit: float, powers: dict[str, float]
) -> "xr.Dataset":
    trajectory = record()
    scaled = {
        name: trajectory[name].copy(data=trajectory[name].values * unit**power)
        for name, power in powers.items()
        if name in trajectory
    }
    return trajectory.drop_vars("gradient_norm", errors="ignore").assign(scaled)


def validated_runs(
    settings: Settings,
    problem: Completion,
    effects_of: Callable[[Completion], Any],
    train: Completion,
    held_out: Completion | None,
    effects_beside: Callable[[Any], Any] | None = None,
) -> tuple[list[Run], Run]:
    """All runs of a fit, and the one that is the fit.

    With held-out entries the rest is fitted up to the least error on them, then everything up to
    the train error of that point; there the biases are those of ``effects_beside(fit)``, where it
    is given, in place of ``effects_of(problem)``.
    """
    target, runs = float(settings.tol), []
    if held_out is not None:
        early = EarlyStopping(held_out, settings.patience)
        first = run(settings, train, effects_of(train), target, early)
        runs.append(first)
        if first.interrupted or not settings.refit:
            return runs, first
        if first.solution is not None:
            target = max(target, first.solution.train_error)
    if effects_beside is None or not runs:
        effects = effects_of(problem)
    else:
        effects = effects_beside(runs[0].table)
        # Other biases leave another mean square: the train error is to be the same.
        left = float(np.mean(less_effects(problem, effects) ** 2))
        target = max(settings.tol, target * runs[0].unit ** 2 / max(left, np.finfo(float).tiny))
    runs.append(run(settings, problem, effects, target))
    # A validated fit is worth more than a second one that did not come to its end.
    return runs, runs[0] if runs[-1].interrupted else runs[-1]


def n_gradients_of(runs: list[Run]) -> int | None:
    """Gradients of all runs; None where a solver does not tell."""
    counts = [each.n_gradients for each in runs if each.n_gradients is not None]
    return sum(counts) if len(counts) == len(runs) else None


def run(
    settings: Settings,
    problem: Completion,
    effects: Any,
    train_error: float,
    early_stopping: EarlyStopping | None = None,
) -> Run:
    """Fit what effects leave of the values, to a train error relative to its mean square.

    Parameters
    ----------
    settings
        What all runs share.
    problem
        The values, biases included.
    effects
        The biases.
    train_error
        Where the run ends.
    early_stopping
        Entries of the same kind as the problem's, to end by; in the units of the values.
    """
    residuals = less_effects(problem, effects)
    if are_rounding(residuals, problem):
        return Run(settings.table(problem, effects, None, 0.0), unit=0.0)
    unit = float(np.sqrt(np.mean(residuals**2)))
    early = None
    if early_stopping is not None:
        early = _normalized(early_stopping, effects, unit)
    solution = solve(
        with_values(problem, residuals / unit),
        settings.factorization,
        settings.dynamics,
        init=settings.init,
        seed=settings.seed,
        stop=Stop(train_error=train_error, n_gradients=settings.max_gradients),
        early_stopping=early,
        progress=settings.progress,
    )
    _warn_of_end(solution, settings.max_gradients)
    table = settings.table(problem, effects, solution, unit)
    if early_stopping is None:
        return Run(table, unit, solution)
    held_out: Any = early_stopping.held_out
    return Run(table, unit, solution, error_on(held_out, table))


def matrix_table(
    problem: Completion, effects: Any, solution: Solution | None, unit: float
) -> Table:
    """The fit of a matrix, for :class:`Settings`."""
    if solution is None:
        return biases_alone(problem, effects)
    left, right = _halves(solution)
    return Table(effects, unit * left, right, solution.train_error * unit**2)


def _normalized(early: EarlyStopping, effects: Any, unit: float) -> EarlyStopping:
    held_out: Any = early.held_out
    values = less_effects(held_out, effects) / unit
    return EarlyStopping(with_values(held_out, values), early.patience)


def _halves(solution: Solution) -> tuple[np.ndarray, np.ndarray]:
    """``left`` and ``right`` of the fitted matrix."""
    factors: Any = solution.factors
    if len(factors) > 1:
        with double_precision():
            left, right = solution.factorization.halves(factors)
            return np.array(left), np.array(right)
    matrix, (m, n) = factors[0], solution.shape
    return (matrix, np.eye(n)) if n <= m else (np.eye(m), matrix)


def _power_of_components(solution: Solution) -> float:
    """The power of the unit in component norms: at the root of a tree, of `K` of `L` factors."""
    if not isinstance(solution.factorization, HierarchicalTucker):
        return 1.0
    _, children = solution.factorization.nodes(len(solution.shape))[-1]
    return (len(children) + 1) / len(solution.factors)


def _warn_of_end(solution: Solution, max_gradients: int | None) -> None:
    mends = {
        Status.GRADIENT_LIMIT: f" Raise max_gradients ({max_gradients}) to let it go on.",
        Status.INTERRUPTED: "",
    }
    if solution.status in mends:
        warnings.warn(
            f"{solution.status.sentence} It stands at a train error of {solution.train_error:.2g} "
            f"of the mean square.{mends[solution.status]}",
            FactorflowWarning,
            stacklevel=7,
        )
