"""A linearly implicit method of second order for small, very stiff problems."""

from collections.abc import Callable
from math import sqrt
from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

_GAMMA = 1 / (2 + sqrt(2))
_E32 = 6 + sqrt(2)


class RosenbrockState(eqx.Module):
    """What the solver carries from step to step."""

    slope: Any  # F(t, y) at the start of the next step
    n_evaluations: Array


class Rosenbrock(diffrax.AbstractAdaptiveSolver[RosenbrockState]):
    """Rosenbrock's method of second order with an error estimate of third: ``ode23s``.

    One Jacobian `J` and one factorization of ``M = I - h g J`` for each step, with
    ``g = 1 / (2 + sqrt 2)`` and ``e = 6 + sqrt 2``,

        M k_1 = F_0,                              F_1 = F(y + h k_1 / 2),
        M (k_2 - k_1) = F_1 - k_1,                y_1 = y + h k_2,    F_2 = F(y_1),
        M k_3 = F_2 - e (k_2 - F_1) - 2 (k_1 - F_0),

    and the error ``h (k_1 - 2 k_2 + k_3) / 6``. No equation is solved by iteration, so that a step
    cannot fail for rounding in its stiff directions, where Newton's method does. Its length knows
    no stiffness; its price is a dense matrix of the size of the state, so take :class:`RKC` for all
    but small problems that run very long.

    Notes
    -----
    Usable in ``diffrax.diffeqsolve`` like any adaptive solver, for one ODE term that does not
    depend on time. A step costs two evaluations of the field and the Jacobian, which counts as
    one for each number of the state. Source: Shampine and Reichelt 1997, "The MATLAB ODE suite",
    SIAM J. Sci. Comput. 18, 1-22.
    """

    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., diffrax.AbstractLocalInterpolation]] = (
        diffrax.ThirdOrderHermitePolynomialInterpolation
    )

    def order(self, terms):
        return 2

    def error_order(self, terms):
        return 3

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)

    def init(self, terms, t0, t1, y0, args) -> RosenbrockState:
        return RosenbrockState(terms.vf(t0, y0, args), jnp.asarray(1))

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        h = jnp.asarray(t1 - t0)
        y, as_tree = ravel_pytree(y0)

        def field(flat: Array) -> Array:
            return ravel_pytree(terms.vf(t0, as_tree(flat), args))[0]

        f0 = ravel_pytree(solver_state.slope)[0]
        matrix = jnp.eye(y.size) - h * _GAMMA * jax.jacfwd(field)(y)
        factored = jax.scipy.linalg.lu_factor(matrix)

        def solved(right: Array) -> Array:
            return jax.scipy.linalg.lu_solve(factored, right)

        k1 = solved(f0)
        f1 = field(y + 0.5 * h * k1)
        k2 = solved(f1 - k1) + k1
        y1 = y + h * k2
        f2 = field(y1)
        k3 = solved(f2 - _E32 * (k2 - f1) - 2 * (k1 - f0))
        error = as_tree(h / 6 * (k1 - 2 * k2 + k3))
        spent = solver_state.n_evaluations + 2 + y.size
        dense = {"y0": y0, "y1": as_tree(y1), "k0": as_tree(h * f0), "k1": as_tree(h * f2)}
        state = RosenbrockState(as_tree(f2), spent)
        return as_tree(y1), error, dense, state, diffrax.RESULTS.successful
