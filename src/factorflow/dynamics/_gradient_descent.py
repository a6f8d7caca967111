"""Gradient descent by any Optax transformation."""

from functools import cache
from math import inf
from numbers import Real
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import optax

from factorflow._errors import InputError
from factorflow.dynamics._abstract import AbstractDynamics, State
from factorflow.dynamics._tree import norm
from factorflow.trajectories import Status


class GradientDescent(AbstractDynamics):
    """Full-batch gradient descent.

    Parameters
    ----------
    learning_rate
        Step size. With no transformation the update is ``W_j <- W_j - learning_rate dL/dW_j``.
        ``time`` is the step times the learning rate.
    transformation
        An Optax transformation that makes updates from gradients, learning rate included, such as
        ``optax.adam(1e-3)`` or :func:`group_rmsprop`; give its learning rate as well if ``time``
        is to have meaning, else time counts steps.

    Notes
    -----
    One gradient a step, and one at the start, so that the loss and the norm of the gradient that
    are recorded belong to the factors beside them. A time on the way is answered by the first
    step at or after it.

    Raises
    ------
    InputError
        If neither argument is given, or the learning rate is not positive.
    """

    learning_rate: float
    transformation: optax.GradientTransformation | None = eqx.field(static=True)

    def __init__(
        self,
        learning_rate: float | None = None,
        transformation: optax.GradientTransformation | None = None,
    ):
        if learning_rate is None and transformation is None:
            raise InputError("GradientDescent needs a learning_rate or an Optax transformation.")
        if isinstance(learning_rate, optax.GradientTransformation):
            raise InputError(
                "Give an Optax transformation by name: GradientDescent(transformation=...)."
            )
        number = learning_rate is None or isinstance(learning_rate, Real)
        if not number or (learning_rate is not None and not 0 < learning_rate < inf):
            raise InputError(f"learning_rate must be a positive number; got {learning_rate!r}.")
        self.learning_rate = 1.0 if learning_rate is None else float(learning_rate)
        self.transformation = transformation

    @property
    def _transformation(self) -> optax.GradientTransformation:
        return self.transformation or _plain(self.learning_rate)

    def init(self, loss, factors, interpolates):
        value, gradient = loss.value_and_gradient(factors)
        memory = self._transformation.init(factors)
        zero = jnp.zeros((), int)
        start = State(
            factors, value, norm(gradient), jnp.zeros(()), zero, zero + 1,
            zero + Status.RUNNING.code, (gradient, memory),
        )  # fmt: skip
        return _judged(start)

    def step(self, loss, state, end):
        gradient, memory = state.inner
        updates, memory = self._transformation.update(gradient, memory, state.factors)
        factors: Any = optax.apply_updates(state.factors, updates)
        value, gradient = loss.value_and_gradient(factors)
        step = state.step + 1
        after = State(
            factors, value, norm(gradient), step * self.learning_rate, step,
            state.n_gradients + 1, state.status, (gradient, memory),
        )  # fmt: skip
        return _judged(after)

    def at(self, loss, state, time):
        return state


@cache
def _plain(learning_rate: float) -> optax.GradientTransformation:
    """One object for one learning rate: compiled code knows it again."""
    return optax.sgd(learning_rate)


def _judged(state: State) -> State:
    finite = jnp.isfinite(state.train_loss) & jnp.isfinite(state.gradient_norm)
    status = jnp.where(finite, state.status, Status.DIVERGED.code)
    return eqx.tree_at(lambda s: s.status, state, status)
