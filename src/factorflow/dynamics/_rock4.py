"""The stabilized Runge-Kutta method of fourth order with orthogonal polynomials."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from factorflow._errors import InputError
from factorflow.dynamics._rock4_table import table
from factorflow.dynamics._stabilized import AbstractStabilized, Crossed, nothing_beside

_TOO_MANY = 1_000_000  # stages, where no stored method reaches so far
_FINISHING = 4


class ROCK4(AbstractStabilized):
    """Orthogonal-Runge-Kutta-Chebyshev method of fourth order: for more digits than :class:`RKC`.

    Explicit and stabilized as RKC is, so that its cost grows as the square root of the stiffness:
    `s` stages reach a stability interval of length about ``0.35 s^2`` (5.9 at ``s = 5``, the
    least). It takes the fewest gradients for a relative error of a flow's end below a few 1e-4;
    above, RKC's cheaper stages win.

    A step of size `h` is ``m = s - 4`` stages by the recurrence of polynomials `P` orthogonal on
    the stability interval and four more of a Runge-Kutta method that has them as its start,

        g_0 = y,    g_1 = y + mu_1 h F(g_0),
        g_j = mu_j h F(g_{j-1}) + nu_j g_{j-1} + kappa_j g_{j-2},        j = 2, ..., m,
        k_i = F(g_m + h sum_{l<i} a_il k_l),    y_1 = g_m + h sum_i b_i k_i,    i = 1, ..., 4,

    so that ``y_1 = w(h J) P(h J) y`` on a linear problem with the Jacobian `J`, where `w` has
    degree 4 and ``w P = exp + O(z^5)``. The error estimate is the difference from a method of
    third order that also uses ``k_5 = F(y_1)``, which is the first slope of the next step too and
    gives, with ``F_0``, cubic Hermite dense output. A step of `s` stages costs `s` evaluations of
    the vector field, and one for each power iteration if the spectral radius is estimated anew.

    Parameters
    ----------
    max_stages
        A step that would need more stages is refused, so that it is tried again smaller; there
        is no method of more than 287.
    power_iterations, first_power_iterations, patience, safety
        The running estimate of the spectral radius, as in :class:`RKC`.

    Raises
    ------
    InputError
        If a number is too small for the method, or ``max_stages`` too large.

    Notes
    -----
    ``ROCK4().for_diffrax()`` is a solver for ``diffrax.diffeqsolve``. Source: Abdulle 2002,
    "Fourth order Chebyshev methods with recurrence relation", SIAM J. Sci. Comput. 23, 2041-2054.
    We differ in the coefficients, which we computed ourselves (``|w P|`` is at most 0.89 past the
    first bend where the source has 0.95; the two that the order leaves free go where the error of
    fifth order is least), in the error estimate and in the spectral radius.
    """

    max_stages: int = 287
    power_iterations: int = 1
    first_power_iterations: int = 3
    patience: int = 16
    safety: float = 1.2

    order: ClassVar[int] = 4
    error_order: ClassVar[int] = 4
    least_stages: ClassVar[int] = 5

    def __check_init__(self):
        most = table().stages[-1]
        if self.max_stages > most:
            raise InputError(
                f"ROCK4 has no method of more than {most} stages; got max_stages={self.max_stages}."
            )

    def stages_for(self, z):
        each = table()
        stages = jnp.asarray(np.append(each.stages, _TOO_MANY), int)
        return stages[jnp.searchsorted(jnp.asarray(each.lengths, z.dtype), z)]

    def cross(self, field, t0, h, y0, slope, stages):
        each = table()
        method = jnp.searchsorted(jnp.asarray(each.stages, int), stages)
        start = jnp.asarray(each.offsets, int)[method]
        rows, times = jnp.asarray(each.recurrences, h.dtype), jnp.asarray(each.times, h.dtype)
        turns = jnp.asarray(each.turns, h.dtype)[method]
        weights = jnp.asarray(each.error_weights, h.dtype)[method]
        last = stages - _FINISHING

        def by_recurrence(carry):
            j, stage, before = carry
            found, _ = field(t0 + times[start + j - 1] * h, stage)
            mu, nu, kappa = rows[start + j]

            def next_stage(f, now, before):
                return mu * h * f + nu * now + kappa * before

            return j + 1, jax.tree.map(next_stage, found, stage, before), stage

        def finish(i, carry):
            (now, *others), error, *_ = carry
            found = field(t0 + times[start + last - 1 + i] * h, now)

            def added(weight, y, f):
                return y + weight * h * f

            # Each row takes the place of the one that it follows; the end of the step stays.
            rows = [
                jax.tree.map(lambda y, f, w=w: added(w, y, f), row, found[0])
                for w, row in zip(turns[i], (*others, others[-1]), strict=True)
            ]
            error = jax.tree.map(lambda e, f: added(weights[i], e, f), error, found[0])
            return tuple(rows), error, *found

        first = jax.tree.map(lambda y, f: y + rows[start, 0] * h * f, y0, slope)
        _, base, _ = jax.lax.while_loop(
            lambda carry: carry[0] < last, by_recurrence, (1, first, y0)
        )
        no_error = jax.tree.map(jnp.zeros_like, y0)
        beside = nothing_beside(field, t0, y0)
        (y1, *_), error, slope1, beside = jax.lax.fori_loop(
            0, _FINISHING + 1, finish, ((base,) * 4, no_error, slope, beside)
        )
        return Crossed(y1, error, slope1, beside)
