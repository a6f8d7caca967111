"""What every dynamics is: init, step and interpolate, pure functions of a pytree state."""

import abc
from typing import TYPE_CHECKING, Any

import equinox as eqx
from jax import Array

from factorflow._errors import InputError
from factorflow.factorizations import AbstractFactorization, LogSVD
from factorflow.problems import AbstractLoss

if TYPE_CHECKING:
    from factorflow.dynamics._stop import Stop

Factors = tuple[Array, ...]


class State(eqx.Module):
    """Where a run is; every field is an array or a pytree of arrays, so that states batch."""

    factors: Factors
    train_loss: Array
    gradient_norm: Array
    time: Array
    step: Array  # accepted steps
    n_gradients: Array
    status: Array  # code of a Status
    inner: Any  # what the dynamics carries for itself


class AbstractDynamics(eqx.Module):
    """How the factors move. Subclasses are final and hold settings only.

    ``init`` and ``step`` are traced, compiled and vectorized by the loop in ``solve``; a step may
    leave ``status`` at running or set it to a failure, and the loop judges the stops.
    """

    @property
    def counts_gradients(self) -> bool:
        """Whether ``State.n_gradients`` is the true count."""
        return True

    @property
    def default_stop(self) -> "Stop":
        """When a run ends for which nothing is said."""
        from factorflow.dynamics._stop import Stop  # judges states, which are made here

        return Stop()

    def with_arrays(self) -> "AbstractDynamics":
        """The same, with arrays for the numbers that one compiled program may take as they come."""
        return self

    def outcome(self, factorization: AbstractFactorization, state: State) -> Any:
        """What a run has to tell beside its end, from its state on the host; None for nothing."""
        return None

    def check(self, factorization: AbstractFactorization) -> None:
        """Refuse a factorization whose factors this dynamics cannot move.

        Raises
        ------
        InputError
            Saying what would move it.
        """
        if isinstance(factorization, LogSVD):
            raise InputError(
                f"{type(self).__name__} adds to the entries of factors, which takes the vectors of "
                "LogSVD off orthogonality; give EndToEndFlow(depth), or write DeepLinear(depth)."
            )

    @abc.abstractmethod
    def init(self, loss: AbstractLoss, factors: Factors, interpolates: bool) -> State:
        """The state at the start; ``interpolates`` says whether :meth:`at` will be called."""

    @abc.abstractmethod
    def step(self, loss: AbstractLoss, state: State, end: Array) -> State:
        """The state after one more attempt, which does not pass the time ``end``."""

    @abc.abstractmethod
    def at(self, loss: AbstractLoss, state: State, time: Array) -> State:
        """The state as it was at a time within its last accepted step."""
