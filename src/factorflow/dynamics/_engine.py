"""The compiled parts of a run, for one run or for a batch of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from factorflow.dynamics._abstract import AbstractDynamics, State
from factorflow.dynamics._stop import Thresholds
from factorflow.factorizations import AbstractFactorization
from factorflow.problems import AbstractLoss
from factorflow.trajectories import Observable, Snapshot, Status


class Until(eqx.Module):
    """Where a stretch of a run ends, so that the host can look at it."""

    step: Array
    time: Array
    attempts: Array


@dataclass(frozen=True)
class Engine:
    """A run's compiled functions bound to what they work on.

    ``interpolates`` says whether states are looked at between steps.
    ``batch`` is None for one run; otherwise every state has a leading axis, and ``loss_axis`` says
    whether the losses have it too (0) or all runs share one (None).
    """

    dynamics: AbstractDynamics
    factorization: AbstractFactorization
    loss: AbstractLoss
    thresholds: Thresholds
    observables: tuple[Observable, ...]
    interpolates: bool
    batch: int | None = None
    loss_axis: int | None = None

    def init(self, factors: Sequence[np.ndarray]) -> State:
        placed = tuple(jnp.asarray(factor) for factor in factors)
        if self.batch is None:
            return _init(self.dynamics, self.thresholds, self.interpolates, self.loss, placed)
        arguments = (self.dynamics, self.thresholds, self.interpolates, self.loss, placed)
        return _init_batch(*arguments, self.loss_axis)

    def advance(self, state: State, until: Until) -> State:
        if self.batch is None:
            return _advance(self.dynamics, self.thresholds, until, self.loss, state)
        arguments = (self.dynamics, self.thresholds, until, self.loss, state)
        return _advance_batch(*arguments, self.loss_axis)

    def observe(self, state: State, time: float | None = None) -> dict[str, np.ndarray]:
        """What the observables give, each with a leading axis of runs."""
        moment = None if time is None else jnp.asarray(time, float)
        arguments = (self.dynamics, self.factorization, self.observables, moment, self.loss, state)
        if self.batch is None:
            return {name: np.asarray(seen)[None] for name, seen in _observe(*arguments).items()}
        seen = _observe_batch(*arguments, self.loss_axis)
        return {name: np.asarray(values) for name, values in seen.items()}

    def with_arrays(self) -> "Engine":
        """The same with every array on the device, so that no call moves it there again."""
        arrays, rest = eqx.partition(self.observables, eqx.is_array_like)
        return replace(self, observables=eqx.combine(jax.tree.map(jnp.asarray, arrays), rest))


def _init_one(dynamics, thresholds, interpolates, loss, factors) -> State:
    state = jax.tree.map(_settled, dynamics.init(loss, factors, interpolates))
    return eqx.tree_at(lambda s: s.status, state, thresholds.judge(state))


def _settled(leaf) -> Array:
    """An array of a fixed type, as every later state has: else the loop compiles twice."""
    array = jnp.asarray(leaf)
    return jnp.asarray(array, array.dtype)


def _advance_one(dynamics, thresholds, until, loss, state) -> State:
    def more(carry):
        attempts, state = carry
        running = state.status == Status.RUNNING.code
        here = (state.step < until.step) & (state.time < until.time)
        return running & here & (attempts < until.attempts)

    def attempt(carry):
        attempts, state = carry
        state = dynamics.step(loss, state, thresholds.time)
        judged = eqx.tree_at(lambda s: s.status, state, thresholds.judge(state))
        return attempts + 1, judged

    return jax.lax.while_loop(more, attempt, (jnp.zeros((), int), state))[1]


def _observe_one(dynamics, factorization, observables, time, loss, state) -> dict[str, Array]:
    if time is not None:
        state = dynamics.at(loss, state, time)
    here = {"time": state.time, "step": state.step, "n_gradients": state.n_gradients}
    snapshot = Snapshot(
        factorization,
        state.factors,
        train_loss=state.train_loss,
        gradient_norm=state.gradient_norm,
        **here,
    )
    return here | {observable.name: observable.function(snapshot) for observable in observables}


_init = eqx.filter_jit(_init_one)
_advance = eqx.filter_jit(_advance_one)
_observe = eqx.filter_jit(_observe_one)


@eqx.filter_jit
def _init_batch(dynamics, thresholds, interpolates, loss, factors, loss_axis):
    def one(loss, factors):
        return _init_one(dynamics, thresholds, interpolates, loss, factors)

    return eqx.filter_vmap(one, in_axes=(_axis(loss_axis), 0))(loss, factors)


@eqx.filter_jit
def _advance_batch(dynamics, thresholds, until, loss, state, loss_axis):
    def one(loss, state):
        return _advance_one(dynamics, thresholds, until, loss, state)

    return eqx.filter_vmap(one, in_axes=(_axis(loss_axis), 0))(loss, state)


@eqx.filter_jit
def _observe_batch(dynamics, factorization, observables, time, loss, state, loss_axis):
    def one(observables, loss, state):
        return _observe_one(dynamics, factorization, observables, time, loss, state)

    axis = _axis(loss_axis)
    return eqx.filter_vmap(one, in_axes=(axis, axis, 0))(observables, loss, state)


def _axis(loss_axis):
    return None if loss_axis is None else eqx.if_array(loss_axis)
