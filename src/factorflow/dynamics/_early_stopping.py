"""Stopping where the error on entries kept aside is least."""

import equinox as eqx
import numpy as np

from factorflow._errors import InputError
from factorflow.dynamics._abstract import State
from factorflow.problems import Completion

_FIT_HAS_BEGUN = 0.9  # share of the train error at the start


class EarlyStopping(eqx.Module):
    """Keep the point of the run with the least error on held-out entries.

    Rank grows with time, so one run is a whole path of regularization and its best point is a
    choice of rank. Every record of the run is judged; the run ends once its time is ``patience``
    times that of the best point.

    Parameters
    ----------
    held_out
        Entries that the run does not train on, of the same shape as the problem.
    patience
        Factor of time, above 1.

    Raises
    ------
    InputError
        If ``patience`` is not above 1.
    """

    held_out: Completion = eqx.field(static=True)
    patience: float = 3.0

    def __check_init__(self):
        if not self.patience > 1:
            raise InputError(f"patience is a factor of time above 1; got {self.patience!r}.")


class Best:
    """The best point so far of a run with early stopping."""

    def __init__(self, patience: float):
        self.patience = patience
        self.error = np.inf
        self.time = 0.0
        self.state: State | None = None
        self._start_error = np.nan
        self._begun: float | None = None

    def see(self, record: dict[str, np.ndarray], train_error: float, state: State) -> bool:
        """Take in a record; whether the run has gone on long enough without a better one."""
        error, time = record["held_out_error"].item(), record["time"].item()
        if self.state is None:
            self._start_error = train_error
        if self.state is None or error < self.error:
            self.error, self.time, self.state = error, time, state
        # On the plateau by the saddle at zero nothing improves yet, however long it lasts.
        if self._begun is None and train_error < _FIT_HAS_BEGUN * self._start_error:
            self._begun = time
        return self._begun is not None and time > self.patience * max(self.time, self._begun)


def same_shape(problem, early: EarlyStopping | None) -> None:
    """Refuse held-out entries of another shape."""
    if early is not None and early.held_out.shape != tuple(problem.shape):
        raise InputError(
            f"The held-out entries have shape {early.held_out.shape}, the problem {problem.shape}; "
            "problem.split(fraction, seed) gives both in one shape."
        )
