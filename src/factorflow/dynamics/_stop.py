"""When a run ends."""

from numbers import Real

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from factorflow._errors import InputError
from factorflow._placed import placed
from factorflow.dynamics._abstract import State
from factorflow.trajectories import Status


class Stop(eqx.Module):
    """A run ends as soon as any of these holds; None stands for never.

    Parameters
    ----------
    train_error
        Twice the loss, with squared losses the mean squared residual over the observed entries, at
        or below this. Give None for a loss of your own that can fall below zero.
    gradient_norm
        Stationarity: Euclidean norm of the gradient at or below this. The start near zero lies
        near a saddle, where the gradient is small as well: choose it below that.
    time
        Gradient-flow time; the last step of a flow ends on it.
    n_gradients
        Gradients evaluated; a limit rather than an answer, which the status says. It may be
        passed by the gradients of one step.

    Raises
    ------
    InputError
        If a value is not positive, or all are None.
    """

    train_error: float | None = 1e-6
    gradient_norm: float | None = None
    time: float | None = None
    n_gradients: int | None = 100_000

    def __check_init__(self):
        given = {name: value for name, value in vars(self).items() if value is not None}
        if not given:
            raise InputError("Stop needs at least one of its four values, or a run never ends.")
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, Real) or not float(value) > 0:
                raise InputError(f"Stop({name}=...) must be a positive number; got {value!r}.")

    def thresholds(self) -> "Thresholds":
        """The same as arrays, which compiled code takes without compiling anew."""
        return Thresholds(
            placed(-1.0 if self.train_error is None else self.train_error, float),
            placed(-1.0 if self.gradient_norm is None else self.gradient_norm, float),
            placed(np.inf if self.time is None else self.time, float),
            placed(np.iinfo(np.int64).max if self.n_gradients is None else self.n_gradients, int),
        )


class Thresholds(eqx.Module):
    """The stops as arrays."""

    train_error: Array
    gradient_norm: Array
    time: Array
    n_gradients: Array

    def judge(self, state: State) -> Array:
        """Code of the status of a state: the first stop that holds, if it still runs."""
        verdicts = [
            (2 * state.train_loss <= self.train_error, Status.TRAIN_ERROR),
            (state.gradient_norm <= self.gradient_norm, Status.STATIONARY),
            (state.time >= self.time, Status.TIME),
            (state.n_gradients >= self.n_gradients, Status.GRADIENT_LIMIT),
        ]
        code = jnp.asarray(Status.RUNNING.code)
        for holds, status in reversed(verdicts):
            code = jnp.where(holds, status.code, code)
        return jnp.where(state.status == Status.RUNNING.code, code, state.status)
