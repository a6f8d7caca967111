"""The compiled parts of a run, for one run or for a batch of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from factorflow._compiled import compiled, compiled_hastily
from factorflow._placed import placed
from factorflow.dynamics._abstract import AbstractDynamics, State
from factorflow.dynamics._stop import Thresholds
from factorflow.dynamics._watch import Watch
from factorflow.factorizations import AbstractFactorization
from factorflow.problems import AbstractLoss
from factorflow.trajectories import Monitor, Observable, Snapshot, Status


class Until(eqx.Module):
    """Where a stretch of a run ends, so that the host can look at it."""

    step: ArrayLike
    time: ArrayLike
    attempts: ArrayLike

    @classmethod
    def of(cls, step: int, time: float, attempts: int) -> "Until":
        # Of NumPy: a call takes them over faster than JAX places them.
        return cls(np.array(step), np.array(time), np.array(attempts))


@dataclass(frozen=True)
class Engine:
    """A run's compiled functions bound to what they work on.

    ``interpolates`` says whether states are looked at between steps.
    ``batch`` is None for one run; otherwise every state has a leading axis, and ``loss_axis`` says
    whether the losses have it too (0) or all runs share one (None). The monitors are shared by all
    runs; what they have seen is a value beside the state, None where there are none.
    """

    dynamics: AbstractDynamics
    factorization: AbstractFactorization
    loss: AbstractLoss
    thresholds: Thresholds
    observables: tuple[Observable, ...]
    interpolates: bool
    batch: int | None = None
    loss_axis: int | None = None
    monitors: tuple[Monitor, ...] = ()

    def init(self, factors: Sequence[np.ndarray]) -> State:
        starts = tuple(map(placed, factors))
        if self.batch is None:
            return _init(self.dynamics, self.thresholds, self.interpolates, self.loss, starts)
        arguments = (self.dynamics, self.thresholds, self.interpolates, self.loss, starts)
        return _init_batch(*arguments, self.loss_axis)

    def watch(self, state: State) -> Watch | None:
        """What the monitors see at the start."""
        if not self.monitors:
            return None
        look = _watch if self.batch is None else _watch_batch
        return look(self.factorization, self.monitors, state)

    def advance(
        self, state: State, watch: Watch | None, until: Until
    ) -> tuple[State, Watch | None]:
        arguments = (self.dynamics, self.thresholds, until, self._watching, self.loss, state, watch)
        if self.batch is None:
            return _advance(*arguments)
        return _advance_batch(*arguments, self.loss_axis)

    def observe(self, state: State, time: float | None = None) -> dict[str, np.ndarray]:
        """What the observables give, each with a leading axis of runs."""
        moment = None if time is None else jnp.asarray(time, float)
        arguments = (self.dynamics, self.factorization, self.observables, moment, self.loss, state)
        if self.batch is None:
            return {name: np.asarray(seen)[None] for name, seen in _observe(*arguments).items()}
        seen = _observe_batch(*arguments, self.loss_axis)
        return {name: np.asarray(values) for name, values in seen.items()}

    def compile(self, factors: Sequence[np.ndarray]) -> None:
        """Compile what a run from such factors calls, by one that tries no step."""
        state = self.init(factors)
        self.advance(state, self.watch(state), Until.of(0, 0.0, 0))
        self.observe(state)
        if self.interpolates:
            self.observe(state, 0.0)

    def with_arrays(self) -> "Engine":
        """The same with every array on the device, so that no call moves it there again."""
        observables, monitors = map(_placed, (self.observables, self.monitors))
        dynamics = self.dynamics.with_arrays()
        return replace(self, dynamics=dynamics, observables=observables, monitors=monitors)

    @property
    def _watching(self) -> tuple | None:
        return (self.factorization, self.monitors) if self.monitors else None


def _placed(tree):
    arrays, rest = eqx.partition(tree, eqx.is_array_like)
    return eqx.combine(jax.tree.map(placed, arrays), rest)


def _init_one(dynamics, thresholds, interpolates, loss, factors) -> State:
    state = jax.tree.map(_settled, dynamics.init(loss, factors, interpolates))
    return eqx.tree_at(lambda s: s.status, state, thresholds.judge(state))


def _settled(leaf) -> Array:
    """An array of a fixed type, as every later state has: else the loop compiles twice."""
    array = jnp.asarray(leaf)
    return jnp.asarray(array, array.dtype)


def _watch_one(factorization, monitors, state) -> Watch:
    return Watch.begin(len(monitors)).look(monitors, _snapshot(factorization, state))


def _advance_one(dynamics, thresholds, until, watching, loss, state, watch):
    def more(carry):
        attempts, state, _ = carry
        running = state.status == Status.RUNNING.code
        here = (state.step < until.step) & (state.time < until.time)
        return running & here & (attempts < until.attempts)

    def attempt(carry):
        attempts, state, watch = carry
        after = jax.tree.map(_settled, dynamics.step(loss, state, thresholds.time))
        judged = eqx.tree_at(lambda s: s.status, after, thresholds.judge(after))
        return attempts + 1, judged, _watched(watching, watch, state, judged)

    return jax.lax.while_loop(more, attempt, (jnp.zeros((), int), state, watch))[1:]


def _watched(watching, watch, before, after):
    """What the monitors have seen after an attempt; a rejected one shows them nothing."""
    if watching is None:
        return watch
    factorization, monitors = watching

    def look():
        return watch.look(monitors, _snapshot(factorization, after))

    return jax.lax.cond(after.step != before.step, look, lambda: watch)


def _observe_one(dynamics, factorization, observables, time, loss, state) -> dict[str, Array]:
    if time is not None:
        state = dynamics.at(loss, state, time)
    here = {"time": state.time, "step": state.step, "n_gradients": state.n_gradients}
    snapshot = _snapshot(factorization, state)
    return here | {observable.name: observable.function(snapshot) for observable in observables}


def _snapshot(factorization, state) -> Snapshot:
    return Snapshot(
        factorization,
        state.factors,
        time=state.time,
        step=state.step,
        n_gradients=state.n_gradients,
        train_loss=state.train_loss,
        gradient_norm=state.gradient_norm,
    )


_init = compiled_hastily(_init_one)
_watch = compiled(_watch_one)
_advance = compiled(_advance_one)
_observe = compiled(_observe_one)


@compiled_hastily
def _init_batch(dynamics, thresholds, interpolates, loss, factors, loss_axis):
    def one(loss, factors):
        return _init_one(dynamics, thresholds, interpolates, loss, factors)

    return eqx.filter_vmap(one, in_axes=(_axis(loss_axis), 0))(loss, factors)


@compiled
def _watch_batch(factorization, monitors, state):
    return eqx.filter_vmap(lambda each: _watch_one(factorization, monitors, each))(state)


@compiled
def _advance_batch(dynamics, thresholds, until, watching, loss, state, watch, loss_axis):
    def one(loss, state, watch):
        return _advance_one(dynamics, thresholds, until, watching, loss, state, watch)

    return eqx.filter_vmap(one, in_axes=(_axis(loss_axis), 0, 0))(loss, state, watch)


@compiled
def _observe_batch(dynamics, factorization, observables, time, loss, state, loss_axis):
    def one(observables, loss, state):
        return _observe_one(dynamics, factorization, observables, time, loss, state)

    axis = _axis(loss_axis)
    return eqx.filter_vmap(one, in_axes=(axis, axis, 0))(observables, loss, state)


def _axis(loss_axis):
    return None if loss_axis is None else eqx.if_array(loss_axis)
