"""One run from a problem to its solution."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from threading import Event
from time import perf_counter
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from factorflow._blas import one_blas_thread
from factorflow._errors import FlowError
from factorflow._x64 import double_precision
from factorflow.dynamics._abstract import AbstractDynamics, State
from factorflow.dynamics._checks import check_parts, check_same_run, checked_factors, stop_for
from factorflow.dynamics._early_stopping import Best, EarlyStopping
from factorflow.dynamics._engine import Engine
from factorflow.dynamics._gradient_flow import GradientFlow
from factorflow.dynamics._loop import Progress, run
from factorflow.dynamics._recorder import Recorder
from factorflow.dynamics._stop import Stop
from factorflow.dynamics._watch import Watch, reports, warn_of_violations
from factorflow.factorizations import AbstractFactorization
from factorflow.initializers import AbstractInitializer, Gaussian
from factorflow.trajectories import (
    AtTimes,
    Monitor,
    MonitorReport,
    Observable,
    Record,
    Solution,
    Status,
    checked_monitors,
    held_out_error,
)

Starter = AbstractInitializer | Callable[[AbstractFactorization, tuple[int, ...], int], Any]


def solve(
    problem,
    factorization: AbstractFactorization,
    dynamics: AbstractDynamics | None = None,
    *,
    init: Starter | None = None,
    seed: int = 0,
    stop: Stop | None = None,
    record: Record | None = None,
    early_stopping: EarlyStopping | None = None,
    monitors: Sequence[Monitor] = (),
    route: str = "auto",
    resume: Solution | None = None,
    progress: Progress | None = None,
    throw: bool = True,
) -> Solution:
    """Run a dynamics on a problem from a start near zero.

    Parameters
    ----------
    problem
        A :class:`Completion`, :class:`Sensing` or :class:`Regression`, or anything with a
        ``shape`` and ``loss(factorization, route)``.
    factorization
        How the unknown is written, e.g. ``DeepLinear(3)``.
    dynamics
        How the factors move; by default ``GradientFlow()``.
    init
        Where they start; by default ``Gaussian(1e-3)``. A function
        ``(factorization, shape, seed) -> factors`` of your own will do.
    seed
        Seed of the start. The same seed gives the same run.
    stop
        When the run ends; by default ``Stop()``, at a mean squared train error of 1e-6 or after
        100,000 gradients; of :class:`GreedyLowRank` at its certificate.
    record
        What to record and when.
    early_stopping
        Keep the point with the least error on held-out entries: factors, matrix, time and train
        error of the solution are of that point, and ``resume`` goes on from it; the counts are of
        the whole run, and so is the trajectory, with ``held_out_error``.
    monitors
        Bounds to check at the start and after every accepted step, each a :class:`Monitor`;
        ``solution.monitors`` has what they saw. A violation does not end the run: it is told at
        the end by a :class:`FactorflowWarning`. With early stopping they see the whole run, past
        the point that is kept.
    route
        How loss and gradient are computed: ``"auto"`` by cost, or one of those that the problem
        has, such as ``"dense"``; the solution says which it was.
    resume
        A solution of the same problem and parts (the stop may differ) to go on from, exactly where
        it stopped. Give its monitors again to go on with their reports: one of the same name and
        description counts on, others begin there. Without ``monitors`` nothing is checked and the
        solution has no reports. After early stopping all begin anew, at the point that was kept.
    progress
        Function of a dictionary (``step``, ``time``, ``n_gradients``, ``train_error``,
        ``n_running``, and at a record the observables), called now and then.
    throw
        Whether a failed run (diverged or stalled) raises; without, its status says so.

    Returns
    -------
    Solution
        Final factors and matrix, trajectory, status and costs. Ctrl-C ends the run with the
        status INTERRUPTED; ``resume`` goes on from there.

    Raises
    ------
    InputError
        If the parts do not fit together.
    FlowError
        If the run failed and ``throw`` is True.
    """
    dynamics = GradientFlow() if dynamics is None else dynamics
    stop = stop_for(dynamics, stop)
    record = Record() if record is None else record
    init = Gaussian() if init is None else init
    parts = {"dynamics": dynamics, "init": init, "stop": stop, "record": record}
    parts |= {"early_stopping": early_stopping}
    check_parts(problem, factorization=factorization, **parts)
    engine = make_engine(
        problem, factorization, dynamics, stop, record, early_stopping, route,
        checked_monitors(monitors),
    )  # fmt: skip
    solution = run_one(engine, problem, record, init, seed, early_stopping, resume, progress)
    warn_of_violations([solution])
    if throw:
        raise_failure(solution)
    return solution


def run_one(
    engine: Engine,
    problem,
    record: Record,
    init: Starter,
    seed: int,
    early_stopping: EarlyStopping | None = None,
    resume: Solution | None = None,
    progress: Progress | None = None,
    halt: Event | None = None,
) -> Solution:
    """The run of :func:`solve`, its parts checked; ``halt`` interrupts it from another thread."""
    began = perf_counter()
    with double_precision(), one_blas_thread():
        state = _start(engine, init, problem, seed, resume)
        seed = seed if resume is None else resume.seed
        recorder = Recorder(record.schedule, engine.observables)
        best = None if early_stopping is None else Best(engine, early_stopping)
        earlier = _earlier_reports(resume)
        ended = run(engine, state, recorder, best, progress, halt, earlier)
        state, watch = jax.device_get(ended)
    seconds = perf_counter() - began
    solution = make_solution(engine, problem, state, watch, recorder, 0, seed, seconds)
    if best is not None and best.state is not None:
        solution = _best_of(solution, best)
    return solution


def make_engine(
    problem, factorization, dynamics, stop, record, early_stopping, route, monitors=()
) -> Engine:
    if early_stopping is not None:
        record = record.with_extra(held_out_error(early_stopping.held_out))
    observables: tuple[Observable, ...] = record.resolve(problem, factorization)
    interpolates = isinstance(record.schedule, AtTimes)
    with double_precision():
        loss, thresholds = problem.loss(factorization, route), stop.thresholds()
        engine = Engine(
            dynamics, factorization, loss, thresholds, observables, interpolates, monitors=monitors
        )
        return engine.with_arrays()


def make_solution(
    engine: Engine,
    problem,
    state: State,
    watch: Watch | None,
    recorder: Recorder,
    which: int,
    seed: int,
    seconds: float,
) -> Solution:
    """The solution of one run (of a batch: that of index ``which``), its state on the host."""
    counted = engine.dynamics.counts_gradients
    status = Status.of(int(state.status))
    return Solution(
        factorization=engine.factorization,
        dynamics=engine.dynamics,
        shape=tuple(problem.shape),
        factors=tuple(map(np.asarray, state.factors)),
        status=status,
        train_error=2 * float(state.train_loss),
        time=float(state.time),
        n_steps=int(state.step),
        n_gradients=int(state.n_gradients) if counted else None,
        route=engine.loss.route,
        seed=seed,
        seconds=seconds,
        state=state,
        record_trajectory=partial(recorder.trajectory, which, _attributes(engine, status, seed)),
        path=engine.dynamics.outcome(engine.factorization, state),
        monitors=reports(engine.monitors, watch),
    )


def _attributes(engine: Engine, status: Status, seed: int) -> dict[str, Any]:
    return {
        "status": status.name,
        "status_sentence": status.sentence,
        "factorization": str(engine.factorization),
        "dynamics": str(engine.dynamics),
        "route": engine.loss.route,
        "seed": seed,
    }


_REMEDIES = {
    Status.DIVERGED: "A smaller learning rate or tolerance may help",
    Status.STALLED: "Another tolerance or solver may help, or, from a start as small as this is, "
    "LogSVD() with EndToEndFlow(depth)",
}


def raise_failure(solution: Solution) -> None:
    if solution.status.failed:
        raise FlowError(
            f"{solution.status.sentence} It got to step {solution.n_steps}, time "
            f"{solution.time:.3g}, train error {solution.train_error:.3g}. "
            f"{_REMEDIES[solution.status]}; solve(..., throw=False) returns what there is."
        )


def _start(engine: Engine, init, problem, seed: int, resume: Solution | None) -> State:
    if resume is None:
        return engine.init(checked_factors(init, engine.factorization, problem.shape, seed))
    check_same_run(resume, engine, problem.shape)
    state = _with_status(resume.state, Status.RUNNING.code)
    return _with_status(state, engine.thresholds.judge(state))


def _earlier_reports(resume: Solution | None) -> tuple[MonitorReport, ...]:
    """What was seen up to the start; the monitors of early stopping saw points beyond it."""
    return () if resume is None or resume.held_out_error is not None else resume.monitors


def _with_status(state: State, code) -> State:
    return eqx.tree_at(lambda s: s.status, state, jnp.asarray(code, state.status.dtype))


def _best_of(solution: Solution, best: Best) -> Solution:
    state = jax.device_get(best.state)
    return replace(
        solution,
        factors=tuple(map(np.asarray, state.factors)),
        train_error=2 * float(state.train_loss),
        time=float(state.time),
        held_out_error=best.error,
        state=state,
    )
