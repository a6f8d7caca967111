"""The loop of every run: advance, look, record, until it ends."""

from collections.abc import Callable, Sequence
from threading import Event
from time import perf_counter

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from factorflow.dynamics._abstract import State
from factorflow.dynamics._early_stopping import Best
from factorflow.dynamics._engine import Engine, Until
from factorflow.dynamics._recorder import Recorder
from factorflow.dynamics._watch import Watch, going_on
from factorflow.trajectories import MonitorReport, Status

Progress = Callable[[dict], None]

_STRETCH_SECONDS = 0.2  # how long the host may be away: progress and Ctrl-C wait for it
_NEVER = np.iinfo(np.int64).max


def run(
    engine: Engine,
    state: State,
    recorder: Recorder,
    best: Best | None = None,
    progress: Progress | None = None,
    halt: Event | None = None,
    earlier: Sequence[MonitorReport] = (),
) -> tuple[State, Watch | None]:
    """Advance until every run has ended, recording on the way; the final state, and the monitors'.

    An interrupt (Ctrl-C, or ``halt`` set by another thread) ends the running ones with the status
    INTERRUPTED, and sets ``halt``. ``earlier`` is what monitors saw before this start.
    """
    stretch, enough, watch = 64, False, None
    try:
        watch = engine.watch(state)
        if watch is not None:
            watch = going_on(watch, engine.monitors, earlier)
        _record(engine, state, recorder, progress)
        enough = best is not None and best.see(state)
        while not enough and _running(state).any():
            if halt is not None and halt.is_set():
                raise KeyboardInterrupt
            step, time = _due(recorder, state)
            began = perf_counter()
            until = Until.of(step, time, 1 if best else stretch)
            state, watch = engine.advance(state, watch, until)
            if best is not None:
                enough = best.see(state)
            if _reached(state, step, time):
                _record(engine, state, recorder, progress, time if np.isfinite(time) else None)
            elif best is None:
                stretch = _next_stretch(stretch, perf_counter() - began)
                _report(state, progress)
    except (KeyboardInterrupt, jax.errors.JaxRuntimeError) as error:
        if not is_interrupt(error):
            raise
        if halt is not None:
            halt.set()
        state = _ended(state, Status.INTERRUPTED)
    if enough:
        state = _ended(state, Status.HELD_OUT)
    _record_the_rest(engine, state, recorder, progress)
    if best is not None and best.state is not None:
        recorder.insert(engine.observe(best.state))
    return state, watch


def is_interrupt(error: BaseException) -> bool:
    """A Ctrl-C, also one that came while a host function was at work for XLA."""
    return isinstance(error, KeyboardInterrupt) or KeyboardInterrupt.__name__ in str(error)


def _record(engine, state, recorder, progress, time=None) -> None:
    record = engine.observe(state, time)
    recorder.add(record)
    _report(state, progress, {name: seen[0] for name, seen in record.items()})


def _record_the_rest(engine, state, recorder, progress) -> None:
    """The times that the last step passed, and the end."""
    end = float(np.asarray(state.time).max())
    while recorder.records and (time := _due(recorder, state)[1]) < end:
        _record(engine, state, recorder, progress, time)
    if not _is_recorded(state, recorder):
        recorder.add(engine.observe(state), last=True)


def _report(state: State, progress: Progress | None, observed: dict | None = None) -> None:
    if progress is not None:
        progress((observed or {}) | _outline(state))


def _is_recorded(state: State, recorder: Recorder) -> bool:
    """Whether the last record is of this state."""
    if not recorder.records:
        return False
    last = recorder.records[-1]
    same = (last["step"] == np.atleast_1d(state.step)) & (last["time"] == np.atleast_1d(state.time))
    return bool(same.all())


def _due(recorder: Recorder, state: State) -> tuple[int, float]:
    """Step and time of the next record, of which one is never reached."""
    steps, running = np.atleast_1d(state.step), _running(state)
    step = int(steps[running].min()) if running.any() else int(steps.max())
    time = float(recorder.records[-1]["time"].max())
    next_step, next_time = recorder.next_due(step, time)
    return _NEVER if next_step is None else next_step, np.inf if next_time is None else next_time


def _reached(state: State, step: int, time: float) -> bool:
    """Whether every run has come to the next record or ended before it."""
    there = (np.atleast_1d(state.step) >= step) | (np.atleast_1d(state.time) >= time)
    return bool(np.all(there | ~_running(state)))


def _running(state: State) -> np.ndarray:
    return np.atleast_1d(state.status) == Status.RUNNING.code


def _ended(state: State, status: Status) -> State:
    code = jnp.where(state.status == Status.RUNNING.code, status.code, state.status)
    return eqx.tree_at(lambda s: s.status, state, code)


def _next_stretch(stretch: int, seconds: float) -> int:
    factor = np.clip(_STRETCH_SECONDS / max(seconds, 1e-6), 0.25, 4.0)
    return max(1, int(stretch * factor))


def _outline(state: State) -> dict:
    """Numbers for the progress of a run, the furthest or the worst of a batch."""
    return {
        "step": int(np.atleast_1d(state.step).max()),
        "time": float(np.atleast_1d(state.time).max()),
        "n_gradients": int(np.atleast_1d(state.n_gradients).max()),
        "train_error": 2 * float(np.atleast_1d(state.train_loss).max()),
        "n_running": int(_running(state).sum()),
    }
