"""Gradient flow: continuous time, adaptive steps, by any Diffrax solver."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from factorflow._errors import InputError
from factorflow.dynamics._abstract import AbstractDynamics, State
from factorflow.dynamics._rkc import RKC, RKCState
from factorflow.dynamics._rosenbrock import Rosenbrock, RosenbrockState
from factorflow.dynamics._tree import norm
from factorflow.trajectories import Status

_REJECTIONS_ALLOWED = 100


class _Inner(eqx.Module):
    next_time: Any
    atol: Array
    solver_state: Any
    controller_state: Any
    rejections: Array  # in a row
    last_start: Array
    dense: Any  # of the last step; None where nothing asks for it, as it takes memory


class GradientFlow(AbstractDynamics):
    """Gradient flow ``dW_j/dt = -dL/dW_j`` with adaptive steps.

    Parameters
    ----------
    solver
        Any adaptive Diffrax solver; by default :class:`RKC`, made for this flow.
    rtol, atol
        Tolerances of the error estimate of a step, entry by entry of the factors:
        ``atol + rtol |entry|``, judged in root mean square. ``atol=None`` (default) is ``rtol``
        times the root-mean-square entry of the starting factors, so that a start near zero is
        resolved however small it is.

    Notes
    -----
    Time is that of the loss as it stands, the *mean* over observations of half the squared
    residual. With RKC every gradient is counted, also those of rejected steps, of the power
    iterations and of the choice of the first step. ``gradient_norm`` is exact with RKC; with
    another solver it is the mean slope of the last step. Implicit solvers do not tell how often
    they evaluate the gradient: ``n_gradients`` is then None, no limit on it holds, and a stop by
    time is wise. An explicit solver such as Tsit5 jitters at its limit of stability once a rank is
    found, at a train error of about its tolerance: to go below, give it a smaller ``rtol``.

    RKC is of second order: at depth 3 it takes the fewest gradients down to a relative error of the
    end matrix of about 1e-5 (``python -m benchmarks work_precision``). For more digits take
    ``diffrax.Tsit5()`` with ``rtol=1e-6``, or for a reference ``diffrax.Dopri8()`` with
    ``rtol=1e-9``; take them earlier where the flow is not stiff.

    Raises
    ------
    InputError
        If the solver has no error estimate, or a tolerance is not positive.
    """

    solver: diffrax.AbstractSolver = RKC()
    rtol: float = 1e-3
    atol: float | None = None

    def __check_init__(self):
        if not isinstance(self.solver, diffrax.AbstractAdaptiveSolver):
            raise InputError(
                f"GradientFlow needs an adaptive Diffrax solver, such as RKC() or "
                f"diffrax.Tsit5(); got {self.solver!r}."
            )
        if not self.rtol > 0 or (self.atol is not None and not self.atol > 0):
            raise InputError(
                f"rtol and atol must be positive; got rtol={self.rtol}, atol={self.atol}."
            )

    @property
    def counts_gradients(self) -> bool:
        return isinstance(self.solver, RKC | Rosenbrock | diffrax.AbstractERK)

    def init(self, loss, factors, interpolates):
        terms = _flow(loss)
        start, order = jnp.zeros(()), self._error_order(terms)
        atol = jnp.asarray(self._start_atol(factors) if self.atol is None else self.atol)
        next_time, controller_state = self._controller(atol).init(
            terms, start, jnp.inf, factors, None, None, self.solver.func, order
        )
        solver_state = self._solver.init(terms, start, next_time, factors, None)
        value, gradient = loss.value_and_gradient(factors)
        zero = jnp.zeros((), int)
        inner = _Inner(
            next_time=next_time,
            atol=atol,
            solver_state=solver_state,
            controller_state=controller_state,
            rejections=zero,
            last_start=start,
            dense=self._empty_dense(terms, factors, solver_state) if interpolates else None,
        )
        state = State(
            factors=factors,
            train_loss=value,
            gradient_norm=self._norm_of(loss, factors, gradient),
            time=start,
            step=zero,
            # One for the value above, two for the choice of the first step.
            n_gradients=zero + 3 + self._spent_at_start(solver_state),
            status=zero + Status.RUNNING.code,
            inner=inner,
        )
        return _judged(state)

    def step(self, loss, state, end):
        terms, inner = _flow(loss), state.inner
        t1 = jnp.minimum(inner.next_time, end)
        candidate, error, dense, solver_state, _ = self._solver.step(
            terms, state.time, t1, state.factors, None, inner.solver_state, False
        )
        keep, _, next_time, _, controller_state, _ = self._controller(inner.atol).adapt_step_size(
            state.time,
            t1,
            state.factors,
            candidate,
            None,
            _nan_to_inf(error),
            self._error_order(terms),
            inner.controller_state,
        )
        kept = State(
            factors=candidate,
            train_loss=jax.lax.cond(keep, lambda: loss(candidate), lambda: state.train_loss),
            gradient_norm=self._end_norm(loss, state, candidate, t1, solver_state),
            time=t1,
            step=state.step + 1,
            n_gradients=state.n_gradients,
            status=state.status,
            inner=_Inner(
                next_time=next_time,
                atol=inner.atol,
                solver_state=solver_state,
                controller_state=controller_state,
                rejections=jnp.zeros_like(inner.rejections),
                last_start=state.time,
                dense=None if inner.dense is None else dense,
            ),
        )
        refused = eqx.tree_at(
            lambda s: (s.inner.next_time, s.inner.controller_state, s.inner.rejections),
            state,
            (next_time, controller_state, inner.rejections + 1),
        )
        after = jax.tree.map(lambda a, b: jnp.where(keep, a, b), kept, refused)
        # Whatever came of the attempt, its gradients were spent.
        spent = state.n_gradients + self._spent_by_attempt(inner.solver_state, solver_state)
        return _judged(eqx.tree_at(lambda s: s.n_gradients, after, spent))

    def at(self, loss, state, time):
        time = jnp.minimum(time, state.time)
        start = state.inner.last_start
        path = self.solver.interpolation_cls(t0=start, t1=state.time, **state.inner.dense)
        factors, slope = jax.jvp(path.evaluate, (time,), (jnp.ones(()),))
        between = (factors, loss(factors), self._norm_of(loss, factors, slope), time)
        inside = (start < time) & (time < state.time)
        ended = (state.factors, state.train_loss, state.gradient_norm, time)
        chosen = jax.tree.map(lambda a, b: jnp.where(inside, a, b), between, ended)
        return eqx.tree_at(
            lambda s: (s.factors, s.train_loss, s.gradient_norm, s.time), state, chosen
        )

    @property
    def _solver(self) -> diffrax.AbstractSolver:
        """The solver; an implicit one solves its equations as accurately as it steps."""
        finder = getattr(self.solver, "root_finder", None)
        if finder is None or isinstance(finder.rtol, int | float):
            return self.solver
        atol = self.rtol if self.atol is None else self.atol
        judge: Any = self._controller(atol).norm
        ours = diffrax.VeryChord(rtol=self.rtol, atol=atol, norm=judge)
        return eqx.tree_at(lambda s: s.root_finder, self.solver, ours)

    def _error_order(self, terms) -> Any:
        return self.solver.error_order(terms)

    def _controller(self, atol) -> diffrax.PIDController:
        return diffrax.PIDController(rtol=self.rtol, atol=atol)

    def _start_atol(self, factors) -> Array:
        size = sum(leaf.size for leaf in factors)
        return self.rtol * jnp.maximum(norm(factors) / jnp.sqrt(size), 1e-300)

    def _empty_dense(self, terms, factors, solver_state):
        """Zeros of the structure that a step hands over for its dense output."""
        moments = jnp.zeros(()), jnp.ones(())
        dense = jax.eval_shape(
            lambda: self._solver.step(terms, *moments, factors, None, solver_state, False)[2]
        )
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), dense)

    def _spent_at_start(self, solver_state):
        if isinstance(solver_state, RKCState | RosenbrockState):
            return solver_state.n_evaluations
        return 1 if isinstance(self.solver, diffrax.AbstractERK) else 0

    def _spent_by_attempt(self, before, after):
        if isinstance(before, RKCState | RosenbrockState):
            return after.n_evaluations - before.n_evaluations
        if isinstance(self.solver, diffrax.AbstractERK):
            tableau: Any = self.solver.tableau
            return tableau.num_stages - int(tableau.fsal)
        return 0

    def _end_norm(self, loss, state, candidate, t1, solver_state) -> Array:
        if isinstance(solver_state, RKCState | RosenbrockState):
            return self._norm_of(loss, candidate, solver_state.slope)
        moved = jax.tree.map(jnp.subtract, candidate, state.factors)
        return self._norm_of(loss, candidate, moved) / (t1 - state.time)

    def _norm_of(self, loss, factors, slope) -> Array:
        """Norm of the gradient at factors that move with this slope, either way."""
        return norm(slope)


def _flow(loss) -> diffrax.ODETerm:
    return diffrax.ODETerm(lambda t, y, args: jax.tree.map(jnp.negative, loss.gradient(y)))


def _judged(state: State) -> State:
    stuck = (state.inner.rejections >= _REJECTIONS_ALLOWED) | (state.inner.next_time <= state.time)
    status = jnp.where(stuck, Status.STALLED.code, state.status)
    status = jnp.where(jnp.isfinite(state.train_loss), status, Status.DIVERGED.code)
    return eqx.tree_at(lambda s: s.status, state, status)


def _nan_to_inf(tree):
    return jax.tree.map(lambda leaf: jnp.where(jnp.isnan(leaf), jnp.inf, leaf), tree)
