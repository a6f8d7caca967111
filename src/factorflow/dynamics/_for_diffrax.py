"""Our steppers as Diffrax's solvers."""

from collections.abc import Callable
from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax

from factorflow.dynamics._stepper import AbstractStepper, Field


class ForDiffrax(diffrax.AbstractAdaptiveSolver[Any]):
    """A stepper for ``diffrax.diffeqsolve``, for one ODE term."""

    stepper: AbstractStepper

    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., diffrax.AbstractLocalInterpolation]] = (
        diffrax.ThirdOrderHermitePolynomialInterpolation
    )

    def order(self, terms):
        return self.stepper.order

    def error_order(self, terms):
        return self.stepper.error_order

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)

    def init(self, terms, t0: Any, t1: Any, y0, args):
        field = _field(terms, args)
        carried = self.stepper.init(field, t0, t1, y0, field(t0, y0)[0])
        return _with_more(carried, 1)

    def step(self, terms, t0: Any, t1: Any, y0, args, solver_state, made_jump):
        field, carried = _field(terms, args), solver_state
        if made_jump is not False:  # then the carried slope belongs to another field

            def moved():
                slope = field(t0, y0)[0]
                return _with_more(self.stepper.moved(field, t0, t1, y0, slope, carried), 1)

            carried = jax.lax.cond(made_jump, moved, lambda: solver_state)
        attempt = self.stepper.step(field, t0, t1, y0, carried)
        y0, y1, slope0, slope1 = attempt.ends
        k0, k1 = (jax.tree.map(lambda f: (t1 - t0) * f, slope) for slope in (slope0, slope1))
        dense = {"y0": y0, "y1": y1, "k0": k0, "k1": k1}
        return attempt.y, attempt.error, dense, attempt.carried, diffrax.RESULTS.successful


def _field(terms, args) -> Field:
    return lambda t, y: (terms.vf(t, y, args), ())


def _with_more(carried, evaluations: int):
    return eqx.tree_at(
        lambda state: state.n_evaluations, carried, carried.n_evaluations + evaluations
    )
