"""Limited-memory quasi-Newton descent, by Optax."""

from functools import cache
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import optax

from factorflow._errors import InputError
from factorflow.dynamics._abstract import AbstractDynamics, State
from factorflow.dynamics._tree import norm
from factorflow.trajectories import Status


class _Inner(eqx.Module):
    gradient: Any
    memory: Any


class QuasiNewton(AbstractDynamics):
    """L-BFGS with a line search for the strong Wolfe conditions: a local solver for large factors.

    No path is followed: a step may go far. ``time`` counts steps.

    Parameters
    ----------
    memory
        Number of gradient differences kept.

    Notes
    -----
    ``optax.lbfgs``; every gradient of its line searches is counted. At the limit of rounding the
    search finds no decrease and the run ends as STALLED.

    Raises
    ------
    InputError
        If ``memory`` is below 1.
    """

    memory: int = eqx.field(static=True, default=20)

    def __check_init__(self):
        if not self.memory >= 1:
            raise InputError(f"memory must be 1 or more; got {self.memory!r}.")

    def init(self, loss, factors, interpolates):
        value, gradient = loss.value_and_gradient(factors)
        zero = jnp.zeros((), int)
        inner = _Inner(gradient, _transformation(self.memory).init(factors))
        return State(
            factors, value, norm(gradient), jnp.zeros(()), zero, zero + 1,
            zero + Status.RUNNING.code, inner,
        )  # fmt: skip

    def step(self, loss, state, end):
        updates, memory = _transformation(self.memory).update(
            state.inner.gradient,
            state.inner.memory,
            state.factors,
            value=state.train_loss,
            grad=state.inner.gradient,
            value_fn=loss,
        )
        factors: Any = optax.apply_updates(state.factors, updates)
        search: Any = memory[-1]
        step = state.step + 1
        failed = ~(search.value < state.train_loss)
        status = jnp.where(failed, Status.STALLED.code, state.status)
        status = jnp.where(jnp.isfinite(search.value), status, Status.DIVERGED.code)
        return State(
            factors, search.value, norm(search.grad), step * 1.0, step,
            state.n_gradients + search.info.num_linesearch_steps, status,
            _Inner(search.grad, memory),
        )  # fmt: skip

    def at(self, loss, state, time):
        return state


@cache
def _transformation(memory: int) -> Any:
    return optax.lbfgs(memory_size=memory)
