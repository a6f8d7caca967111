"""Stopping where the error on entries kept aside is least."""

from dataclasses import replace

import equinox as eqx
import numpy as np

from factorflow._errors import InputError
from factorflow.dynamics._abstract import State
from factorflow.dynamics._engine import Engine
from factorflow.problems import Completion, Sensing
from factorflow.trajectories import held_out_error

_FIT_HAS_BEGUN = 0.9  # share of the train error at the start


class EarlyStopping(eqx.Module):
    """Keep the point of the run with the least error on held-out entries or measurements.

    Rank grows with time, so one run is a whole path of regularization and its best point is a
    choice of rank. Every step of the run is judged; the run ends once its time is ``patience``
    times that of the best point. A record by steps has that point, whatever its stride.

    Parameters
    ----------
    held_out
        Entries or measurements that the run does not train on, of the same shape as the problem;
        ``problem.split`` gives them.
    patience
        Factor of time, above 1.

    Raises
    ------
    InputError
        If ``held_out`` is neither Completion nor Sensing, or ``patience`` is not above 1.
    """

    held_out: Completion | Sensing = eqx.field(static=True)
    patience: float = 3.0

    def __check_init__(self):
        if not isinstance(self.held_out, Completion | Sensing):
            given = type(self.held_out).__name__
            raise InputError(f"held_out must be a Completion or a Sensing; got {given}.")
        if not self.patience > 1:
            raise InputError(f"patience is a factor of time above 1; got {self.patience!r}.")


class Best:
    """The best point so far of a run with early stopping.

    ``engine`` observes nothing but the error on the held-out entries, so that every step can be
    judged at little cost.
    """

    def __init__(self, engine: Engine, early: EarlyStopping):
        self.engine = replace(engine, observables=(held_out_error(early.held_out),)).with_arrays()
        self.patience = early.patience
        self.error = np.inf
        self.state: State | None = None
        self._time = 0.0
        self._start_error = np.nan
        self._begun: float | None = None

    def see(self, state: State) -> bool:
        """Take in a state; whether the run has gone on long enough without a better one."""
        error = self.engine.observe(state)["held_out_error"].item()
        time, train_error = float(state.time), 2 * float(state.train_loss)
        if self.state is None:
            self._start_error = train_error
        if self.state is None or error < self.error:
            self.error, self._time, self.state = error, time, state
        # On the plateau by the saddle at zero nothing improves yet, however long it lasts.
        if self._begun is None and train_error < _FIT_HAS_BEGUN * self._start_error:
            self._begun = time
        return self._begun is not None and time > self.patience * max(self._time, self._begun)
