"""The result of a run."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np

from factorflow._placed import placed
from factorflow._x64 import double_precision
from factorflow.factorizations import AbstractFactorization
from factorflow.trajectories._monitor import MonitorReport
from factorflow.trajectories._snapshot import (
    check_matrix,
    singular_values_of,
    tensor_factorization,
)
from factorflow.trajectories._spectrum import effective_rank_of
from factorflow.trajectories._status import Status

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Solution:
    """Where a run ended, how, and what was recorded on its way.

    Attributes
    ----------
    factorization, dynamics, shape
        How the matrix or tensor is written, what moved it, and its shape.
    factors
        The factors, of a matrix first applied first, as NumPy arrays.
    status
        How the run ended; ``status.sentence`` says it in words.
    train_error
        Twice the loss: with squared losses the mean squared residual over the observed entries.
    time
        Gradient-flow time at the end; of a descent, steps times learning rate.
    n_steps
        Accepted steps.
    n_gradients
        Gradients evaluated, those of rejected steps and of power iterations included; None for
        solvers that do not tell (implicit ones).
    route
        How loss and gradient were computed: ``"dense"``, ``"entries"`` or ``"function"``.
    seed
        The seed of the start.
    seconds
        Wall-clock time of the run, compilation included; in a batch, its share of the batch. Of
        runs in threads what was compiled for all of them is in none.
    held_out_error
        With early stopping, the root-mean-square error on the held-out entries at this point.
    monitors
        What the monitors of the run saw, one :class:`MonitorReport` for each.
    path
        Of :class:`GreedyLowRank` its critical points, a :class:`GreedyPath`; of
        :func:`least_rank` what it tried, a :class:`RankSearch`.
    state
        The whole state, which ``solve(..., resume=solution)`` goes on from.
    """

    factorization: AbstractFactorization
    dynamics: Any
    shape: tuple[int, ...]
    factors: tuple[np.ndarray, ...]
    status: Status
    train_error: float
    time: float
    n_steps: int
    n_gradients: int | None
    route: str
    seed: int
    seconds: float
    state: Any
    record_trajectory: "Callable[[], xr.Dataset]"
    held_out_error: float | None = None
    path: Any = None
    monitors: tuple[MonitorReport, ...] = ()

    @property
    def successful(self) -> bool:
        """Whether the run met a stop that describes an answer; see :class:`Status`."""
        return self.status.successful

    @cached_property
    def trajectory(self) -> "xr.Dataset":
        """What was recorded, over the dimension ``record``; see :class:`Record`."""
        return self.record_trajectory()

    @cached_property
    def tensor(self) -> np.ndarray:
        """The end-to-end tensor, ``(d_1, ..., d_N)``, float64; of a matrix the matrix."""
        return self._compute(_tensor)

    @property
    def matrix(self) -> np.ndarray:
        """The end-to-end matrix, ``(m, n)``, float64."""
        check_matrix(self.factorization, self.shape)
        return self.tensor

    @cached_property
    def singular_values(self) -> np.ndarray:
        """Singular values of the end-to-end matrix, descending."""
        return self._compute(_singular_values)

    @cached_property
    def component_norms(self) -> tuple[np.ndarray, ...]:
        """Norms of the (local) components of a tensor, for each place where they are summed."""
        with double_precision():
            norms = tensor_factorization(self.factorization).component_norms(self.factors)
            return tuple(map(np.array, norms))

    @property
    def effective_rank(self) -> float:
        """Effective rank of the end-to-end matrix (Roy and Vetterli 2007); NaN if it is zero."""
        with double_precision():
            return float(effective_rank_of(self.singular_values))

    @property
    def nuclear_norm(self) -> float:
        """Sum of the singular values."""
        return float(self.singular_values.sum())

    def _compute(self, function) -> np.ndarray:
        with double_precision():
            return np.array(function(self.factorization, tuple(map(placed, self.factors))))

    def __repr__(self) -> str:
        path = "" if self.path is None else f" {self.path.sentence}"
        return (
            f"<Solution {'x'.join(map(str, self.shape))} {self.factorization}: "
            f"{self.status.sentence}{path} train_error={self.train_error:.3g}, "
            f"n_gradients={self.n_gradients}, time={self.time:.4g}>"
        )


# One program each instead of one for every operation.
@eqx.filter_jit
def _tensor(factorization, factors):
    return factorization.tensor(factors)


_singular_values = eqx.filter_jit(singular_values_of)
