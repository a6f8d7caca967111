"""A linearly implicit method of second order for small, very stiff problems."""

from math import sqrt
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from factorflow.dynamics._stepper import AbstractStepper, Attempt

_GAMMA = 1 / (2 + sqrt(2))
_E32 = 6 + sqrt(2)


class RosenbrockState(eqx.Module):
    """What the solver carries from step to step."""

    slope: Any  # F(t, y) at the start of the next step
    n_evaluations: Array


class Rosenbrock(AbstractStepper):
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
    For fields that do not depend on time; ``Rosenbrock().for_diffrax()`` is a solver for
    ``diffrax.diffeqsolve``. A step costs two evaluations of the field and the Jacobian, which
    counts as one for each number of the state. Source: Shampine and Reichelt 1997, "The MATLAB ODE
    suite", SIAM J. Sci. Comput. 18, 1-22.
    """

    order: ClassVar[int] = 2
    error_order: ClassVar[int] = 3

    def init(self, field, t0, t1, y0, slope) -> RosenbrockState:
        return RosenbrockState(slope, jnp.asarray(0))

    def step(self, field, t0, t1, y0, carried):
        h = jnp.asarray(t1 - t0)
        y, as_tree = ravel_pytree(y0)

        def slope_at(flat: Array) -> Array:
            return ravel_pytree(field(t0, as_tree(flat))[0])[0]

        f0 = ravel_pytree(carried.slope)[0]
        matrix = jnp.eye(y.size) - h * _GAMMA * jax.jacfwd(slope_at)(y)
        factored = jax.scipy.linalg.lu_factor(matrix)

        def solved(right: Array) -> Array:
            return jax.scipy.linalg.lu_solve(factored, right)

        k1 = solved(f0)
        f1 = slope_at(y + 0.5 * h * k1)
        k2 = solved(f1 - k1) + k1
        y1 = as_tree(y + h * k2)
        slope1, beside = field(t1, y1)
        f2 = ravel_pytree(slope1)[0]
        k3 = solved(f2 - _E32 * (k2 - f1) - 2 * (k1 - f0))
        return Attempt(
            y=y1,
            error=as_tree(h / 6 * (k1 - 2 * k2 + k3)),
            slope=slope1,
            beside=beside,
            carried=RosenbrockState(slope1, carried.n_evaluations + 2 + y.size),
            ends=(y0, y1, carried.slope, slope1),
        )
