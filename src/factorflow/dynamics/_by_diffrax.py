"""Diffrax's solvers as steppers of a flow."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from factorflow._errors import InputError
from factorflow.dynamics._stepper import AbstractStepper, Attempt, Field, root_mean_square


class _Carried(eqx.Module):
    solver_state: Any
    n_evaluations: Array


class ByDiffrax(AbstractStepper):
    """An adaptive solver of Diffrax.

    Implicit ones solve their equations as accurately as they step, to the ``rtol`` and ``atol``
    given here, and do not tell how often they evaluate the field.

    Raises
    ------
    InputError
        If the solver has no error estimate.
    """

    solver: diffrax.AbstractAdaptiveSolver
    rtol: float = 1e-3
    atol: float | None = None

    def __check_init__(self):
        if not isinstance(self.solver, diffrax.AbstractAdaptiveSolver):
            raise InputError(
                "GradientFlow needs RKC(), ROCK4(), Rosenbrock() or an adaptive Diffrax solver, "
                f"such as diffrax.Tsit5(); got {self.solver!r}."
            )

    @property
    def error_order(self):  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.solver.error_order(diffrax.ODETerm(lambda t, y, args: y))

    @property
    def counts_evaluations(self):  # pyright: ignore[reportIncompatibleVariableOverride]
        return isinstance(self.solver, diffrax.AbstractERK)

    def init(self, field, t0, t1, y0, slope):
        state = self._solver.init(_term(field), t0, t1, y0, None)
        return _Carried(state, jnp.asarray(1 if self.counts_evaluations else 0))

    def step(self, field, t0, t1, y0, carried):
        y1, error, dense, state, _ = self._solver.step(
            _term(field), t0, t1, y0, None, carried.solver_state, False
        )
        mean_slope = jax.tree.map(lambda a, b: (b - a) / (t1 - t0), y0, y1)
        carried = _Carried(state, carried.n_evaluations + self._evaluations_of_a_step)
        return Attempt(y1, error, mean_slope, None, carried, dense)

    def moved(self, field, t0, t1, y0, slope, carried):
        begun = self.init(field, t0, t1, y0, slope)
        spent = carried.n_evaluations + begun.n_evaluations
        return _Carried(begun.solver_state, spent)

    def between(self, ends, t0, t1, time):
        return self.solver.interpolation_cls(t0=t0, t1=t1, **ends).evaluate(time)

    @property
    def _solver(self) -> diffrax.AbstractAdaptiveSolver:
        finder = getattr(self.solver, "root_finder", None)
        if finder is None or isinstance(finder.rtol, int | float):
            return self.solver
        atol = self.rtol if self.atol is None else self.atol
        ours = diffrax.VeryChord(rtol=self.rtol, atol=atol, norm=root_mean_square)
        return eqx.tree_at(lambda s: s.root_finder, self.solver, ours)

    @property
    def _evaluations_of_a_step(self) -> int:
        if not self.counts_evaluations:
            return 0
        tableau: Any = getattr(self.solver, "tableau", None)
        return tableau.num_stages - int(tableau.fsal)


def _term(field: Field) -> diffrax.ODETerm:
    return diffrax.ODETerm(lambda t, y, args: field(t, y)[0])
