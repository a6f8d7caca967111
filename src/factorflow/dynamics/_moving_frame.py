"""The end-to-end flow in singular vectors and logarithms of singular values."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from factorflow.dynamics._abstract import AbstractDynamics, State
from factorflow.dynamics._by_differences import by_differences
from factorflow.dynamics._generator import (
    Frame,
    Sides,
    at_rest,
    error_of_modes,
    generator,
    slope_of,
    squared_gradient_norm,
)
from factorflow.dynamics._plateau import Growth, Plateau
from factorflow.dynamics._rkc import RKC
from factorflow.dynamics._stabilized import StabilizedState
from factorflow.dynamics._stepper import AbstractStepper, Field, StepSize, as_stepper
from factorflow.dynamics._tree import unit
from factorflow.factorizations import DeepLinear, graded_svd
from factorflow.trajectories import Status

_REJECTIONS_ALLOWED = 100


class _Path(eqx.Module):
    """The last step, in the frame of its start: cubic between its ends."""

    start: Array  # time
    sides: tuple[Sides, Sides]  # at both ends
    slopes: tuple[Sides, Sides]  # times the span, at both ends
    growth: Growth


class _Inner(eqx.Module):
    gradient: Array
    next_step: Array  # length
    carried: Any  # by the solver
    rejections: Array  # in a row
    last_error: Array  # of the last step that the solver took and that was kept
    plateau: Plateau
    path: Any  # of the last step; None where nothing asks for it


class _Attempt(eqx.Module):
    """What a step of either kind came to, in the frame of its start."""

    sides: Sides
    growth: Growth
    duration: Array
    keep: Array
    next_step: Array
    last_error: Array
    carried: Any
    plateau: Plateau
    n_gradients: Array


class MovingFrameFlow(AbstractDynamics):
    """``dW/dt = A W + W B`` for ``W = P diag(exp(s + c)) Q^T``, by steps in `P`, `Q` and ``c``.

    A step begins at ``P = U``, ``Q = V``, ``c = 0``. `A` and `B` turn the columns of `P` and `Q`,
    and what they stretch them goes to ``c``. At its end the product is written anew with
    orthonormal columns (:func:`graded_svd`). Times within a step count from its start, so that
    nothing is lost beside a long time before.
    """

    depth: float
    solver: Any = RKC()
    rtol: float = 1e-3
    skip_plateaus: bool = True

    def init(self, loss, factors, interpolates):
        left, logs, right = _kept(loss, graded_svd(*factors))
        value, frame = self._frame(loss, left, logs, right)
        plateau = Plateau.init(self._matrix_gradient(loss), frame, self.depth, self.rtol)
        sides, field, start = at_rest(frame), self._field(loss, logs), jnp.zeros(())
        slope, _ = field(start, sides)
        stepper = self._stepper
        next_step = self._step_size.first(field, stepper.error_order, start, sides, slope)
        carried = stepper.init(field, start, next_step, sides, slope)
        zero = jnp.zeros((), int)
        state = State(
            factors=(left, logs, right),
            train_loss=value,
            gradient_norm=jnp.sqrt(squared_gradient_norm(frame, self.depth)),
            time=start,
            step=zero,
            # One for the value, two for the choice of the first step, two for the plateau.
            n_gradients=zero + 5 + carried.n_evaluations,
            status=zero + Status.RUNNING.code,
            inner=_Inner(
                gradient=frame.gradient,
                next_step=next_step,
                carried=carried,
                rejections=zero,
                last_error=jnp.ones(()),
                plateau=plateau,
                path=_no_path(frame) if interpolates else None,
            ),
        )
        return _judged(state)

    def step(self, loss, state, end):
        left, logs, right = state.factors
        frame = Frame(left, logs, right, state.inner.gradient)
        room = end - state.time
        if self.skip_plateaus:
            ready = state.inner.plateau.ready(frame, self.depth, self.rtol)
            attempt = jax.lax.cond(
                ready,
                lambda: self._over_plateau(loss, frame, state.inner, room),
                lambda: self._ordinary(loss, frame, state.inner, room),
            )
        else:
            attempt = self._ordinary(loss, frame, state.inner, room)
        logs = attempt.growth.logs_at_end(self.depth) + attempt.sides.change
        factors = _kept(loss, graded_svd(attempt.sides.left, logs, attempt.sides.right))
        value, frame1 = self._frame(loss, *factors)
        keep, plateau = attempt.plateau.judge(attempt.keep, frame, frame1, self.rtol)
        carried = self._in_new_frame(attempt, frame1, loss)
        kept = State(
            factors=factors,
            train_loss=value,
            gradient_norm=jnp.sqrt(squared_gradient_norm(frame1, self.depth)),
            time=jnp.where(attempt.duration >= room, end, state.time + attempt.duration),
            step=state.step + 1,
            n_gradients=state.n_gradients,
            status=state.status,
            inner=_Inner(
                gradient=frame1.gradient,
                next_step=attempt.next_step,
                carried=carried,
                rejections=jnp.zeros_like(state.inner.rejections),
                last_error=attempt.last_error,
                plateau=plateau,
                path=self._path(state, frame, frame1, attempt),
            ),
        )
        refused = eqx.tree_at(
            lambda s: (s.inner.next_step, s.inner.rejections, s.inner.plateau),
            state,
            (attempt.next_step, state.inner.rejections + 1, plateau),
        )
        after = jax.tree.map(lambda a, b: jnp.where(keep, a, b), kept, refused)
        spent = state.n_gradients + attempt.n_gradients + 1
        return _judged(eqx.tree_at(lambda s: s.n_gradients, after, spent))

    def at(self, loss, state, time):
        path, time = state.inner.path, jnp.minimum(time, state.time)
        # A long time before may have rounded the difference.
        since = jnp.clip(time - path.start, 0.0, path.growth.duration(self.depth))
        theta = jnp.minimum(path.growth.theta_at(since, self.depth), path.growth.span)
        sides = _hermite(path, theta / path.growth.span)
        logs = path.growth.logs_at(theta, self.depth) + sides.change
        factors = graded_svd(sides.left, logs, sides.right)
        value, frame = self._frame(loss, *factors)
        size = jnp.sqrt(squared_gradient_norm(frame, self.depth))
        inside = (path.start < time) & (time < state.time)
        ended = (state.factors, state.train_loss, state.gradient_norm, time)
        chosen = jax.tree.map(
            lambda a, b: jnp.where(inside, a, b), (factors, value, size, time), ended
        )
        return eqx.tree_at(
            lambda s: (s.factors, s.train_loss, s.gradient_norm, s.time), state, chosen
        )

    def _ordinary(self, loss, frame: Frame, inner: _Inner, room) -> _Attempt:
        """A step of the solver."""
        stepper, sides, start = self._stepper, at_rest(frame), jnp.zeros(())
        length = jnp.minimum(inner.next_step, room)
        field = self._field(loss, frame.logs)
        attempt = stepper.step(field, start, length, sides, inner.carried)
        keep, following, last_error = self._step_size.judge(
            stepper.error_order, length, sides, attempt, inner.last_error
        )
        return _Attempt(
            sides=attempt.y,
            growth=Growth.none(frame.logs, length),
            duration=length,
            keep=keep,
            next_step=following,
            last_error=last_error,
            carried=attempt.carried,
            plateau=inner.plateau.passed_by(),
            n_gradients=attempt.carried.n_evaluations - inner.carried.n_evaluations,
        )

    def _over_plateau(self, loss, frame: Frame, inner: _Inner, room) -> _Attempt:
        """A step of the escape with the gradient as it is."""
        # A leap has no path to look at on the way, and on a long one symmetry is lost.
        leaps = inner.path is None and not loss.factorization.symmetric
        step = inner.plateau.step(frame, self.depth, self.rtol, room, leaps=leaps)
        # With large modes no longer than before: they are as stiff as they were.
        longest = jnp.where(inner.plateau.is_small(frame).all(), jnp.inf, inner.next_step)
        following = jnp.minimum(step.next_ordinary_step, longest)
        return _Attempt(
            sides=step.sides,
            growth=step.growth,
            duration=step.duration,
            keep=step.keep,
            # What was refused says nothing of the steps that follow.
            next_step=jnp.where(step.keep, following, inner.next_step),
            last_error=inner.last_error,
            carried=inner.carried,
            plateau=step.plateau,
            n_gradients=jnp.zeros((), int),
        )

    def _field(self, loss, logs) -> Field:
        """Slope of the sides of a frame with these logarithms of singular values."""
        gradient = self._matrix_gradient(loss)

        def of_sides(sides):
            u, s, v = graded_svd(sides.left, logs + sides.change, sides.right)
            frame = Frame(u, s, v, gradient((u * jnp.exp(s)[None, :]) @ v.T))
            return slope_of(generator(frame, self.depth), frame, sides)

        return lambda t, sides: (by_differences(of_sides, sides), ())

    def _matrix_gradient(self, loss):
        matrix_loss = loss.of(DeepLinear(1))
        return lambda matrix: _half(loss, matrix_loss.gradient((matrix,))[0])

    def _frame(self, loss, left, logs, right) -> tuple[Array, Frame]:
        matrix = (left * jnp.exp(logs)[None, :]) @ right.T
        value, (gradient,) = loss.of(DeepLinear(1)).value_and_gradient((matrix,))
        return value, Frame(left, logs, right, _half(loss, gradient))

    @property
    def _stepper(self) -> AbstractStepper:
        return as_stepper(self.solver)

    @property
    def _step_size(self) -> StepSize:
        return StepSize(self.rtol, self.rtol, error_of_modes)

    def _in_new_frame(self, attempt: _Attempt, frame: Frame, loss):
        """What the solver carries, with its vectors as they are in the new frame."""
        sides, start, carried = at_rest(frame), jnp.zeros(()), attempt.carried
        slope = slope_of(generator(frame, self.depth), frame, sides)
        field = self._field(loss, frame.logs)
        carried = self._stepper.moved(field, start, attempt.next_step, sides, slope, carried)
        if not isinstance(carried, StabilizedState):
            return carried
        vector = _in_frame(carried.vector, attempt.sides, frame)
        return eqx.tree_at(lambda s: s.vector, carried, vector)

    def _path(self, state: State, frame: Frame, frame1: Frame, attempt: _Attempt):
        if state.inner.path is None:
            return None
        first, last = attempt.growth.slopes(frame, frame1, attempt.sides, self.depth)
        return _Path(
            start=state.time,
            sides=(at_rest(frame), attempt.sides),
            slopes=(first, last),
            growth=attempt.growth,
        )


def _half(loss, gradient: Array) -> Array:
    """The symmetric part of the gradient of a matrix that is to stay symmetric."""
    return 0.5 * (gradient + gradient.T) if loss.factorization.symmetric else gradient


def _kept(loss, factors: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """The same, less what rounding did to a matrix that is to stay symmetric."""
    if not loss.factorization.symmetric:
        return factors
    left, logs, right = factors
    both = left + right
    both = both / jnp.linalg.norm(both, axis=0)[None, :]
    return both, logs, both


def _no_path(frame: Frame) -> _Path:
    sides, one = at_rest(frame), jnp.ones(())
    still = jax.tree.map(jnp.zeros_like, sides)
    return _Path(jnp.zeros(()), (sides, sides), (still, still), Growth.none(frame.logs, one))


def _in_frame(vector: Sides, old: Sides, frame: Frame) -> Sides:
    """A direction of the old sides as one of the new, of unit length."""
    return unit(
        Sides(
            _solved(frame.left.T @ old.left, vector.left),
            _solved(frame.right.T @ old.right, vector.right),
            vector.change,
        )
    )


def _solved(mixing: Array, vector: Array) -> Array:
    """``vector mixing^(-1)``."""
    return jnp.linalg.solve(mixing.T, vector.T).T


def _hermite(path: _Path, x) -> Sides:
    """Sides at a share of the way."""

    def between(a, b, fa, fb):
        return (
            (1 + 2 * x) * (1 - x) ** 2 * a
            + x * (1 - x) ** 2 * fa
            + x**2 * (3 - 2 * x) * b
            - x**2 * (1 - x) * fb
        )

    return jax.tree.map(between, *path.sides, *path.slopes)


def _judged(state: State) -> State:
    inner = state.inner
    stuck = (inner.rejections >= _REJECTIONS_ALLOWED) | ~(inner.next_step > 0)
    status = jnp.where(stuck, Status.STALLED.code, state.status)
    status = jnp.where(jnp.isfinite(state.train_loss), status, Status.DIVERGED.code)
    return eqx.tree_at(lambda s: s.status, state, status)
