"""Newton's method, damped so that it follows gradient flow until it can leap."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from factorflow._errors import InputError
from factorflow.dynamics._abstract import AbstractDynamics, State
from factorflow.dynamics._newton import aligned, columns_of, each_width, newton_step
from factorflow.dynamics._tree import norm
from factorflow.factorizations import CP, AbstractFactorization, DeepLinear, Symmetric
from factorflow.trajectories import Status

_REJECTIONS_ALLOWED = 60
_ROUNDING = 1e-12  # share of the loss below which its decrease says nothing
_MOST_NUMBERS = 5000  # of components, whose equations are dense
_LONGER, _SHORTER = 5.0, 4.0


class _Inner(eqx.Module):
    damping: Array
    gradient: tuple[Array, ...]
    rejections: Array  # in a row


class DampedNewton(AbstractDynamics):
    """Linearly implicit Euler steps of gradient flow, as long as they may be.

        (H + I / h) step = -gradient

    `H` is the whole Hessian. The step length `h` grows where the quadratic model foretold the
    decrease of the loss, and falls where it did not or where ``H + I / h`` is not positive
    definite. Far from a minimum this follows the flow, near one it is Newton's method. After each
    step the factors of a product are balanced and aligned with its singular vectors, and the
    vectors of each component of :class:`CP` balanced.

    For factors of up to a few thousand numbers in all: `H` is dense, and factorized in each step.
    Columns that are zero stay so, and cost nothing.

    Parameters
    ----------
    accept
        Least share of the foretold decrease with which a step is taken.
    trust
        A step is followed by one five times as long if it brought that share of the foretold
        decrease, give or take as much as it falls short of 1. The nearer to 1, the closer the
        steps follow the flow.

    Notes
    -----
    ``time`` is the sum of the step lengths. An attempt counts as two gradients: one for the
    gradient, one for the curvature of a loss by entries. Other losses are differentiated once
    more by every number of the factors, which is not counted.

    Raises
    ------
    InputError
        If a share is not between 0 and 1; in use, if the factorization is none of
        ``DeepLinear(2)``, :class:`Symmetric` and :class:`CP`, or CP components are too many.
    """

    accept: float = 0.5
    trust: float = 0.8

    def __check_init__(self):
        if not (0 < self.accept < 1 and 0 < self.trust < 1):
            raise InputError(
                f"accept and trust must lie between 0 and 1; got {self.accept} and {self.trust}."
            )

    def check(self, factorization: AbstractFactorization) -> None:
        super().check(factorization)
        two = isinstance(factorization, DeepLinear) and factorization.depth == 2
        if not (two or isinstance(factorization, Symmetric | CP)):
            raise InputError(
                f"DampedNewton moves DeepLinear(2), Symmetric() or CP(); got {factorization!r}."
            )

    def init(self, loss, factors, interpolates):
        numbers = sum(factor.size for factor in factors)
        if isinstance(loss.factorization, CP) and numbers > _MOST_NUMBERS:
            raise InputError(
                f"DampedNewton solves dense equations in all numbers of the components, of which "
                f"there are {numbers} here and may be {_MOST_NUMBERS}; name fewer components, such "
                "as CP(8)."
            )
        value, gradient = loss.value_and_gradient(factors)
        zero = jnp.zeros((), int)
        damping = jnp.max(drifts(loss.factorization, factors, gradient))
        inner = _Inner(jnp.where(damping > 0, damping, 1.0), gradient, zero)
        start = State(
            factors, value, norm(gradient), jnp.zeros(()), zero, zero + 1,
            zero + Status.RUNNING.code, inner,
        )  # fmt: skip
        return _judged(start)

    def step(self, loss, state, end):
        inner, factorization = state.inner, loss.factorization
        length = jnp.minimum(1 / inner.damping, end - state.time)

        def attempt(factorization, factors):
            step, predicted = newton_step(loss.of(factorization), factors, 1 / length)
            moved = jax.tree.map(jnp.add, factors, step)
            # A decomposition of what is no number need not end.
            sound = jnp.isfinite(predicted) & jnp.isfinite(norm(moved))
            moved = jax.tree.map(lambda new, old: jnp.where(sound, new, old), moved, factors)
            return aligned(factorization, moved), jnp.where(sound, predicted, jnp.nan)

        candidate, predicted = each_width(factorization, state.factors, attempt)
        value, gradient = loss.value_and_gradient(candidate)
        size = norm(gradient)
        share = (state.train_loss - value) / predicted
        calm = (abs(predicted) <= _ROUNDING * abs(value)) & (size <= state.gradient_norm)
        keep = (predicted > 0) & ((share > self.accept) | calm)
        exact = keep & (calm | (abs(share - 1) <= 1 - self.trust))
        factor = jnp.where(exact, 1 / _LONGER, jnp.where(keep, 1.0, _SHORTER))
        kept = State(
            candidate, value, size, state.time + length, state.step + 1, state.n_gradients,
            state.status, _Inner(inner.damping, gradient, jnp.zeros_like(inner.rejections)),
        )  # fmt: skip
        refused = eqx.tree_at(lambda s: s.inner.rejections, state, inner.rejections + 1)
        after = jax.tree.map(lambda a, b: jnp.where(keep, a, b), kept, refused)
        after = eqx.tree_at(lambda s: s.inner.damping, after, inner.damping * factor)
        return _judged(eqx.tree_at(lambda s: s.n_gradients, after, state.n_gradients + 2))

    def at(self, loss, state, time):
        return state


def drifts(factorization, factors, gradient) -> Array:
    """Relative speed of each column along the flow, zero of those not in use."""
    columns = columns_of(factorization, factors)
    slopes = columns_of(factorization, gradient)
    sizes = jnp.sqrt(sum(jnp.sum(column**2, axis=0) for column in columns))
    speeds = jnp.sqrt(sum(jnp.sum(slope**2, axis=0) for slope in slopes))
    return jnp.where(sizes > 0, speeds / jnp.where(sizes > 0, sizes, 1.0), 0.0)


def _judged(state: State) -> State:
    finite = jnp.isfinite(state.train_loss) & jnp.isfinite(state.gradient_norm)
    status = jnp.where(finite, state.status, Status.DIVERGED.code)
    stuck = state.inner.rejections >= _REJECTIONS_ALLOWED
    status = jnp.where(stuck & finite, Status.STALLED.code, status)
    return eqx.tree_at(lambda s: s.status, state, status)
