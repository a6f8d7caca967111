"""The stabilized Runge-Kutta-Chebyshev method of second order."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from factorflow.dynamics._stabilized import AbstractStabilized, Crossed, nothing_beside

_DAMPING = 2 / 13


class RKC(AbstractStabilized):
    """Runge-Kutta-Chebyshev method of second order with a running spectral-radius estimate.

    An explicit method for problems whose Jacobian has a nearly real spectrum, as every gradient
    flow has: stiff once a rank is found, yet smooth. The `s` stages of a step reach a stability
    interval of length about ``0.65 s^2``, so a step of size `h` at spectral radius ``rho`` takes
    the smallest `s` with ``0.65 (s^2 - 1) >= h rho``: its cost grows as the square root of the
    stiffness, where an ordinary explicit method pays in proportion.

    With ``w0 = 1 + eps / s^2`` (``eps = 2/13``), ``w1 = T_s'(w0) / T_s''(w0)``,
    ``b_j = T_j''(w0) / T_j'(w0)^2``, ``b_0 = b_1 = b_2`` and ``a_j = 1 - b_j T_j(w0)``,

        Y_0 = y,    Y_1 = y + b_1 w1 h F_0,
        Y_j = (1 - mu_j - nu_j) Y_0 + mu_j Y_{j-1} + nu_j Y_{j-2}
              + mut_j h F_{j-1} + gat_j h F_0,
        mu_j = 2 b_j w0 / b_{j-1},    nu_j = -b_j / b_{j-2},
        mut_j = 2 b_j w1 / b_{j-1},   gat_j = -a_{j-1} mut_j,

    and the error estimate ``0.8 (Y_0 - Y_s) + 0.4 h (F_0 + F_s)``. ``F_s`` is also the first
    slope of the next step and, with ``F_0``, gives the cubic Hermite dense output. A step of `s`
    stages costs `s` evaluations of the vector field, and one for each power iteration if the
    spectral radius is estimated anew.

    Parameters
    ----------
    max_stages
        A step that would need more stages is refused, so that it is tried again smaller.
    power_iterations
        Power iterations of a new estimate; the eigenvector is carried from one to the next.
    first_power_iterations
        Power iterations before the first step.
    patience
        Most steps for which an estimate of the spectral radius is kept. It is taken anew at the
        next step after one that changed it by more than a fifth, and after twice as many steps
        as before, up to this number, where it did not; 1 for every step. A step that was refused is
        tried again with a new estimate (not by Diffrax, which gives us no word of it).
    safety
        Factor on the estimated spectral radius, which a power iteration meets from below.

    Raises
    ------
    InputError
        If a number is too small for the method.

    Notes
    -----
    ``RKC().for_diffrax()`` is a solver for ``diffrax.diffeqsolve``. Source: Sommeijer, Shampine
    and Verwer 1998, "RKC: an explicit solver for parabolic PDEs", J. Comput. Appl. Math. 88,
    315-326. We differ in the spectral radius: a warm-started power iteration (finite differences
    of the field) as often as it changes, instead of after 25 steps.
    """

    max_stages: int = 500
    power_iterations: int = 1
    first_power_iterations: int = 3
    patience: int = 16
    safety: float = 1.2

    order: ClassVar[int] = 2
    error_order: ClassVar[int] = 3
    least_stages: ClassVar[int] = 2

    def stages_for(self, z):
        bounded = jnp.nan_to_num(jnp.minimum(z, 1e12), nan=1e12)
        return jnp.maximum(2, jnp.ceil(jnp.sqrt(1 + bounded / 0.65))).astype(int)

    def cross(self, field, t0, h, y0, slope, stages):
        y1, slope1, beside = _chebyshev_step(field, t0, h, y0, slope, stages)

        def estimate(a, b, fa, fb):
            return 0.8 * (a - b) + 0.4 * h * (fa + fb)

        error = jax.tree.map(estimate, y0, y1, slope, slope1)
        return Crossed(y1, error, slope1, beside)


class _Polynomials(NamedTuple):
    """What the coefficients of the next stage are made of, at ``w0``, the newest first."""

    values: tuple[Array, Array]  # T_{j-1}, T_{j-2}
    first: tuple[Array, Array]  # their first derivatives
    second: tuple[Array, Array]  # their second derivatives
    b: tuple[Array, Array]


class _Coefficients(NamedTuple):
    """Of a stage by its distance from the last one: ``mu + nu - 1``, ``-nu``, ``mut``, ``gat``."""

    back: Array
    on: Array
    slope: Array
    first_slope: Array


def _chebyshev_step(field, t0, h, y0, slope, stages):
    """The last stage, and the slope and what comes beside it there.

    A stage is kept with its distance ``V_j = Y_j - Y_{j-1}`` from the one before,

        V_j = (mu_j + nu_j - 1) (Y_{j-1} - Y_0) - nu_j V_{j-1} + mut_j h F_{j-1} + gat_j h F_0,

    so that both are written where they stood: two stages by turns would be copied.
    """
    w0, w1 = _shift_and_scale(stages.astype(h.dtype))
    one, zero = jnp.ones_like(w0), jnp.zeros_like(w0)
    b = 1 / (4 * w0**2)
    # T_{-1} = T_1, and so of the derivatives.
    polynomials = _Polynomials((one, w0), (zero, one), (zero, zero), (b, b))

    def next_stage(carry):
        j, polynomials, (time, y), before, f, _ = carry
        polynomials, by = _next_coefficients(j, w0, w1, polynomials)

        def distance(y, v, f, start, f0):
            return by.back * (y - start) + by.on * v + h * (by.slope * f + by.first_slope * f0)

        # Time is one more number, whose slope is 1.
        now, start, slopes = (time, y), (t0, y0), (one, f)
        v = jax.tree.map(distance, now, before, slopes, start, (one, slope))
        time, y = jax.tree.map(jnp.add, now, v)
        return j + 1, polynomials, (time, y), v, *field(time, y)

    still = (zero, jax.tree.map(jnp.zeros_like, y0))
    carry = (1, polynomials, (t0, y0), still, slope, nothing_beside(field, t0, y0))
    _, _, (_, y1), _, slope1, beside = jax.lax.while_loop(
        lambda carry: carry[0] <= stages, next_stage, carry
    )
    return y1, slope1, beside


def _next_coefficients(j, w0, w1, polynomials: _Polynomials):
    (t_1, t_2), (d_1, d_2), (e_1, e_2), (b_1, b_2) = polynomials
    t = 2 * w0 * t_1 - t_2
    d = 2 * t_1 + 2 * w0 * d_1 - d_2
    e = 4 * d_1 + 2 * w0 * e_1 - e_2
    b = jnp.where(j < 2, b_1, e / d**2)
    mu, nu = 2 * b * w0 / b_1, -b / b_2
    mut = jnp.where(j < 2, 1, 2) * b * w1 / b_1
    coefficients = _Coefficients(mu + nu - 1, -nu, mut, -(1 - b_1 * t_1) * mut)
    return _Polynomials((t, t_1), (d, d_1), (e, e_1), (b, b_1)), coefficients


def _shift_and_scale(s):
    """``w0 = 1 + eps/s^2`` and ``w1 = T_s'(w0) / T_s''(w0)``, by ``T_s(cosh x) = cosh(s x)``."""
    delta = _DAMPING / s**2
    w0 = 1 + delta
    sinh = jnp.sqrt(delta * (2 + delta))
    x = jnp.log1p(delta + sinh)
    t, d = jnp.cosh(s * x), s * jnp.sinh(s * x) / sinh
    return w0, d * sinh**2 / (s**2 * t - w0 * d)
