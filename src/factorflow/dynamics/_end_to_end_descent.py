"""The discrete end-to-end update rule."""

from math import inf, isfinite
from numbers import Real

import equinox as eqx
import jax.numpy as jnp

from factorflow._errors import InputError
from factorflow.dynamics._abstract import AbstractDynamics, State
from factorflow.dynamics._preconditioned import layer_gradient_norm, preconditioned
from factorflow.factorizations import DeepLinear, checked_real_depth
from factorflow.trajectories import Status


class EndToEndDescent(AbstractDynamics):
    """Descent on the matrix itself that moves as the product of a balanced network would.

        W <- (1 - eta lambda N) W - eta sum_j [W W^T]^((N-j)/N) G [W^T W]^((j-1)/N)

    Parameters
    ----------
    depth
        `N`, a real number of 1 or more, or ``math.inf`` (step sizes then are rescaled by depth).
    learning_rate
        ``eta``; ``time`` is the step times the learning rate.
    weight_decay
        ``lambda``, the coefficient of half the squared norm of every layer.

    Notes
    -----
    One step of descent on balanced layers moves their product by this to first order in ``eta``.
    The factorization is ``DeepLinear(1)``. ``gradient_norm`` is that of the gradient by the layers.
    Source: Arora, Cohen and Hazan 2018 (arXiv:1802.06509), Theorem 1.

    Raises
    ------
    InputError
        If a number is out of its range, or the factorization is another one.
    """

    depth: float = eqx.field(converter=checked_real_depth)
    learning_rate: float
    weight_decay: float = 0.0

    def __check_init__(self):
        if not isinstance(self.learning_rate, Real) or not 0 < self.learning_rate < inf:
            raise InputError(
                f"learning_rate must be a positive finite number; got {self.learning_rate!r}."
            )
        if not isinstance(self.weight_decay, Real) or not self.weight_decay >= 0:
            raise InputError(f"weight_decay must be 0 or more; got {self.weight_decay!r}.")
        if self.weight_decay and not isfinite(self.depth):
            raise InputError("weight_decay has no limit at infinite depth; leave it out there.")

    def check(self, factorization):
        if not isinstance(factorization, DeepLinear) or factorization.depth > 1:
            raise InputError(
                "EndToEndDescent moves the end-to-end matrix itself: write DeepLinear(1) and keep "
                f"the depth in EndToEndDescent; got {factorization}."
            )

    def init(self, loss, factors, interpolates):
        zero = jnp.zeros((), int)
        return self._state(loss, factors, jnp.zeros(()), zero, zero + 1, zero + Status.RUNNING.code)

    def step(self, loss, state, end):
        (matrix,), rate = state.factors, self.learning_rate
        shrunk = matrix
        if self.weight_decay:
            shrunk = (1 - rate * self.weight_decay * self.depth) * matrix
        step = state.step + 1
        return self._state(
            loss, (shrunk - rate * state.inner,), step * rate, step, state.n_gradients + 1,
            state.status,
        )  # fmt: skip

    def at(self, loss, state, time):
        return state

    def _state(self, loss, factors, time, step, n_gradients, status) -> State:
        value, (gradient,) = loss.value_and_gradient(factors)
        moved = preconditioned(factors[0], gradient, self.depth)
        size = layer_gradient_norm(factors[0], moved, self.depth)
        finite = jnp.isfinite(value) & jnp.isfinite(size)
        status = jnp.where(finite, status, Status.DIVERGED.code)
        return State(factors, value, size, time, step, n_gradients, status, moved)
