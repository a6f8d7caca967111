"""Gradient flow: continuous time, adaptive steps, by our solvers or any of Diffrax."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from factorflow._errors import InputError
from factorflow._placed import placed
from factorflow.dynamics._abstract import AbstractDynamics, State
from factorflow.dynamics._rkc import RKC
from factorflow.dynamics._stepper import (
    AbstractStepper,
    Field,
    StepSize,
    as_stepper,
    root_mean_square,
)
from factorflow.dynamics._tree import norm
from factorflow.trajectories import Status

if TYPE_CHECKING:
    import diffrax

_REJECTIONS_ALLOWED = 100


class _Inner(eqx.Module):
    next_time: Any
    atol: Array
    carried: Any  # by the solver
    rejections: Array  # in a row
    last_error: Array  # of the last step that was kept, in units of the tolerance
    last_start: Array
    ends: Any  # of the last step; None where nothing asks for it, as it takes memory


class GradientFlow(AbstractDynamics):
    """Gradient flow ``dW_j/dt = -dL/dW_j`` with adaptive steps.

    Parameters
    ----------
    solver
        :class:`RKC` (default), made for this flow; :class:`ROCK4`; :class:`Rosenbrock`; or any
        adaptive Diffrax solver.
    rtol, atol
        Tolerances of the error estimate of a step, entry by entry of the factors:
        ``atol + rtol |entry|``, judged in root mean square. ``atol=None`` (default) is ``rtol``
        times the root-mean-square entry of the starting factors, so that a start near zero is
        resolved however small it is.

    Notes
    -----
    Time is that of the loss as it stands, the *mean* over observations of half the squared
    residual. With RKC and ROCK4 every gradient is counted, also those of rejected steps, of the
    power iterations and of the choice of the first step. ``gradient_norm`` is exact with our
    solvers; with another it is the mean slope of the last step. Implicit solvers do not tell how
    often they evaluate the gradient: ``n_gradients`` is then None, no limit on it holds, and a stop
    by time is wise. An explicit solver such as Tsit5 jitters at its limit of stability once a
    rank is found, at a train error of about its tolerance: to go below, give it a smaller
    ``rtol``.

    RKC is of second order: at depth 3 it takes the fewest gradients down to a relative error of the
    end matrix of a few 1e-4 (``python -m benchmarks work_precision``). For more digits take
    :class:`ROCK4`, of fourth order and stabilized too; for a reference at the limit of rounding
    ``diffrax.Dopri8()`` with ``rtol=1e-9``.

    Raises
    ------
    InputError
        If the solver has no error estimate, or a tolerance is not positive.
    """

    solver: "AbstractStepper | diffrax.AbstractSolver" = RKC()
    rtol: float = 1e-3
    atol: float | None = None

    def __check_init__(self):
        as_stepper(self.solver)  # refuses what it cannot use
        if not self.rtol > 0 or (self.atol is not None and not self.atol > 0):
            raise InputError(
                f"rtol and atol must be positive; got rtol={self.rtol}, atol={self.atol}."
            )

    @property
    def counts_gradients(self) -> bool:
        return self._stepper.counts_evaluations

    def with_arrays(self):
        atol = None if self.atol is None else placed(self.atol, float)
        return eqx.tree_at(
            lambda flow: (flow.rtol, flow.atol), self, (placed(self.rtol, float), atol),
            is_leaf=lambda leaf: leaf is None,
        )  # fmt: skip

    def init(self, loss, factors, interpolates):
        stepper, field, start = self._stepper, _flow(loss), jnp.zeros(())
        atol = jnp.asarray(self._start_atol(factors) if self.atol is None else self.atol)
        slope, value = field(start, factors)
        length = self._step_size(atol).first(field, stepper.error_order, start, factors, slope)
        carried = stepper.init(field, start, length, factors, slope)
        zero = jnp.zeros((), int)
        inner = _Inner(
            next_time=length,
            atol=atol,
            carried=carried,
            rejections=zero,
            last_error=jnp.ones(()),
            last_start=start,
            ends=_empty_ends(stepper, field, factors, carried) if interpolates else None,
        )
        state = State(
            factors=factors,
            train_loss=value,
            gradient_norm=self._norm_of(loss, factors, slope),
            time=start,
            step=zero,
            # One for the value and the slope above, one for the choice of the first step.
            n_gradients=zero + 2 + carried.n_evaluations,
            status=zero + Status.RUNNING.code,
            inner=inner,
        )
        return _judged(state)

    def step(self, loss, state, end):
        stepper, inner = self._stepper, state.inner
        t1 = jnp.minimum(inner.next_time, end)
        length = t1 - state.time
        attempt = stepper.step(_flow(loss), state.time, t1, state.factors, inner.carried)
        keep, following, last_error = self._step_size(inner.atol).judge(
            stepper.error_order, length, state.factors, attempt, inner.last_error
        )
        next_time = jnp.where(keep, t1, state.time) + following
        value = attempt.beside
        if value is None:
            value = jax.lax.cond(keep, lambda: loss(attempt.y), lambda: state.train_loss)
        kept = State(
            factors=attempt.y,
            train_loss=value,
            gradient_norm=self._norm_of(loss, attempt.y, attempt.slope),
            time=t1,
            step=state.step + 1,
            n_gradients=state.n_gradients,
            status=state.status,
            inner=_Inner(
                next_time=next_time,
                atol=inner.atol,
                carried=attempt.carried,
                rejections=jnp.zeros_like(inner.rejections),
                last_error=last_error,
                last_start=state.time,
                ends=None if inner.ends is None else attempt.ends,
            ),
        )
        refused = eqx.tree_at(
            lambda s: (s.inner.next_time, s.inner.rejections, s.inner.carried),
            state,
            (next_time, inner.rejections + 1, stepper.refused(inner.carried, attempt.carried)),
        )
        # Either is copied; to choose entry by entry takes a quarter longer to compile.
        after = jax.lax.cond(keep, lambda: kept, lambda: refused)
        # Whatever came of the attempt, its gradients were spent.
        spent = attempt.carried.n_evaluations - inner.carried.n_evaluations
        return _judged(eqx.tree_at(lambda s: s.n_gradients, after, state.n_gradients + spent))

    def at(self, loss, state, time):
        time, start = jnp.minimum(time, state.time), state.inner.last_start

        def path(time):
            return self._stepper.between(state.inner.ends, start, state.time, time)

        factors, slope = jax.jvp(path, (time,), (jnp.ones(()),))
        between = (factors, loss(factors), self._norm_of(loss, factors, slope), time)
        inside = (start < time) & (time < state.time)
        ended = (state.factors, state.train_loss, state.gradient_norm, time)
        chosen = jax.tree.map(lambda a, b: jnp.where(inside, a, b), between, ended)
        return eqx.tree_at(
            lambda s: (s.factors, s.train_loss, s.gradient_norm, s.time), state, chosen
        )

    @property
    def _stepper(self) -> AbstractStepper:
        stepper: Any = as_stepper(self.solver)
        if stepper is self.solver:
            return stepper
        return replace(stepper, rtol=self.rtol, atol=self.atol)

    def _step_size(self, atol) -> StepSize:
        return StepSize(self.rtol, atol, root_mean_square)

    def _start_atol(self, factors) -> Array:
        return self.rtol * jnp.maximum(root_mean_square(factors), 1e-300)

    def _norm_of(self, loss, factors, slope) -> Array:
        """Norm of the gradient at factors that move with this slope, either way."""
        return norm(slope)


def _flow(loss) -> Field:
    """The slope, and the loss beside it."""

    def field(t, factors):
        value, gradient = loss.value_and_gradient(factors)
        return jax.tree.map(jnp.negative, gradient), value

    return field


def _empty_ends(stepper: AbstractStepper, field: Field, factors, carried):
    """Zeros of the structure that a step hands over for the path within it."""

    def ends():
        return stepper.step(field, jnp.zeros(()), jnp.ones(()), factors, carried).ends

    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(ends))


def _judged(state: State) -> State:
    stuck = (state.inner.rejections >= _REJECTIONS_ALLOWED) | (state.inner.next_time <= state.time)
    status = jnp.where(stuck, Status.STALLED.code, state.status)
    status = jnp.where(jnp.isfinite(state.train_loss), status, Status.DIVERGED.code)
    return eqx.tree_at(lambda s: s.status, state, status)
