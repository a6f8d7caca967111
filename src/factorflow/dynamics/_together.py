"""Runs side by side: in threads, or in lockstep as one vectorized program."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, prod
from threading import Event, Lock
from time import perf_counter
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from factorflow._blas import one_blas_thread
from factorflow._cores import usable_cores
from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.dynamics._abstract import AbstractDynamics
from factorflow.dynamics._checks import checked_factors
from factorflow.dynamics._engine import Engine
from factorflow.dynamics._loop import Progress, is_interrupt, run
from factorflow.dynamics._recorder import Recorder
from factorflow.dynamics._solve import make_engine, make_solution, run_one
from factorflow.dynamics._stop import Stop
from factorflow.factorizations import AbstractFactorization
from factorflow.initializers import AbstractInitializer
from factorflow.trajectories import Monitor, Record, Solution, Status

Run = tuple[Any, AbstractInitializer, int]  # problem, initializer, seed
Finished = Callable[[int, Solution], None]

_SMALLEST_BATCH = 16  # runs
# Of the factors of all runs of a larger batch: what a step reads and writes is ten times as much,
# and should stay in the cache of a core.
_BATCH_BYTES = 200_000


@dataclass(frozen=True)
class Settings:
    """What all runs share."""

    factorization: AbstractFactorization
    dynamics: AbstractDynamics
    stop: Stop
    record: Record
    route: str
    monitors: tuple[Monitor, ...] = ()
    in_company: bool = False  # of other runs, with which losses share the processor

    def engine(self, problem) -> Engine:
        parts = self.factorization, self.dynamics, self.stop, self.record, None, self.route
        engine = make_engine(problem, *parts, self.monitors)
        return replace(engine, loss=self.ready(engine.loss))

    def ready(self, loss):
        return loss.for_company() if self.in_company else loss


class _Tally:
    """Progress and ends of runs in several threads, told one at a time."""

    def __init__(self, sizes: Sequence[int], progress: Progress | None, finished: Finished | None):
        self._running = list(sizes)
        self._progress, self._finished = progress, finished
        self._lock = Lock()

    def end(self, first: int, solutions: Sequence[Solution]) -> None:
        """Pass on the runs that ended by themselves; the first of them has the number ``first``."""
        if self._finished is None:
            return
        with self._lock:
            for k, solution in enumerate(solutions, first):
                if solution.status is not Status.INTERRUPTED:
                    self._finished(k, solution)

    def tell(self, part: int, outline: dict) -> None:
        """Pass on what a part says, with the running runs of all parts."""
        with self._lock:
            self._running[part] = outline["n_running"]
            if self._progress is not None:
                self._progress(outline | {"n_running": sum(self._running)})


def one_by_one(
    runs: list[Run],
    settings: Settings,
    progress: Progress | None,
    finished: Finished | None = None,
    *,
    threads: bool,
) -> list[Solution]:
    """Each run by itself, one after another or in as many threads as there are cores."""
    tally = _Tally([1] * len(runs), progress, finished)

    def one(which: int, halt: Event) -> Solution:
        problem, init, seed = runs[which]
        engine = settings.engine(problem)
        solution = run_one(engine, problem, settings.record, init, seed, halt=halt)
        tally.end(which, [solution])
        tally.tell(which, {"n_running": 0})
        return solution

    halt, workers = Event(), usable_cores() if threads else 1
    if min(workers, len(runs)) > 1:
        _compile(settings, *runs[0], halt)
    return _side_by_side(one, range(len(runs)), workers, halt)


def _compile(
    settings: Settings, problem, init: AbstractInitializer, seed: int, halt: Event
) -> None:
    """Once for all threads, which would each do it for themselves; an interrupt sets ``halt``."""
    try:
        with double_precision(), one_blas_thread():
            starts = checked_factors(init, settings.factorization, problem.shape, seed)
            settings.engine(problem).compile(starts)
    except (KeyboardInterrupt, jax.errors.JaxRuntimeError) as error:
        if not is_interrupt(error):
            raise
        halt.set()


def in_batches(
    runs: list[Run],
    settings: Settings,
    progress: Progress | None,
    finished: Finished | None = None,
) -> list[Solution]:
    """Batches of about one size, of which every core takes one at a time."""
    n_batches = _number_of_batches(runs, settings)
    bounds = np.linspace(0, len(runs), n_batches + 1).astype(int)
    parts = [runs[a:b] for a, b in pairwise(bounds)]
    tally = _Tally(list(map(len, parts)), progress, finished)

    def one(which: int, halt: Event) -> list[Solution]:
        tell = None if progress is None else lambda outline: tally.tell(which, outline)
        solutions = _in_lockstep(parts[which], settings, tell, halt)
        tally.end(int(bounds[which]), solutions)
        return solutions

    workers = min(usable_cores(), n_batches)
    batches = _side_by_side(one, range(n_batches), workers, Event())
    return [solution for solutions in batches for solution in solutions]


def _number_of_batches(runs: list[Run], settings: Settings) -> int:
    """No core idle, short waits for the slowest run of a batch, and batches that fit in a cache."""
    layers = settings.factorization.layer_shapes(runs[0][0].shape)
    largest = max(_SMALLEST_BATCH, _BATCH_BYTES // (8 * sum(map(prod, layers))))
    rounds = ceil(len(runs) / (largest * usable_cores()))
    return max(1, min(rounds * usable_cores(), len(runs) // _SMALLEST_BATCH))


def _side_by_side(work: Callable, places: Sequence[int], workers: int, halt: Event) -> list:
    """``work(place, halt)`` for each place; an interrupt lets each come to its end early.

    An error of one ends the others, and nobody waits for what has not begun.
    """
    if workers == 1:
        return [work(place, halt) for place in places]
    with ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(work, place, halt) for place in places]
        try:
            ended = wait(waiting, return_when=FIRST_EXCEPTION).done
        except KeyboardInterrupt:
            halt.set()
            ended = wait(waiting).done
        for each in ended:
            if error := each.exception():
                halt.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise error
        return [each.result() for each in waiting]


def _in_lockstep(
    runs: list[Run], settings: Settings, progress: Progress | None, halt: Event
) -> list[Solution]:
    began = perf_counter()
    with double_precision(), one_blas_thread():
        engine = _batch_engine(runs, settings)
        starts = [
            checked_factors(init, settings.factorization, problem.shape, seed)
            for problem, init, seed in runs
        ]
        state = engine.init([np.stack(layer) for layer in zip(*starts, strict=True)])
        recorder = Recorder(settings.record.schedule, engine.observables)
        ended = run(engine, state, recorder, progress=progress, halt=halt)
        state, watch = jax.device_get(ended)
    each = (perf_counter() - began) / len(runs)
    return [
        make_solution(engine, problem, _pick(state, k), _pick(watch, k), recorder, k, seed, each)
        for k, (problem, _, seed) in enumerate(runs)
    ]


def _pick(tree, which: int):
    return jax.tree.map(lambda leaf: leaf[which], tree)


def stackable(runs: list[Run], settings: Settings) -> bool:
    """Whether the problems have losses and observables of one structure, good in lockstep.

    Compiled kernels are not, except for measurements that all runs share.
    """
    problems = list({id(problem): problem for problem, _, _ in runs}.values())
    first = problems[0].loss(settings.factorization, settings.route)
    if len(problems) > 1 and first.route == "fused":
        return False  # before every problem lays out its measurements for JAX
    parts = [_loss_and_observables(problem, settings, settings.route) for problem in problems]
    return parts[0][0].route != "entries" and len(set(map(_structure, parts))) == 1


def _batch_engine(runs: list[Run], settings: Settings) -> Engine:
    problems = [problem for problem, _, _ in runs]
    engine = settings.engine(problems[0])
    if all(problem is problems[0] for problem in problems):
        return replace(engine, batch=len(runs))
    parts = [_loss_and_observables(p, settings, engine.loss.route) for p in problems]
    if len(set(map(_structure, parts))) > 1:
        raise InputError(
            "These problems cannot be advanced in one batch, since their losses or what is "
            'recorded of them differ in structure; give how="threads".'
        )
    loss, observables = _stacked(parts)
    return replace(engine, batch=len(runs), loss=loss, observables=observables, loss_axis=0)


def _loss_and_observables(problem, settings: Settings, route: str):
    observables = settings.record.resolve(problem, settings.factorization)
    return settings.ready(problem.loss(settings.factorization, route)), observables


def _structure(tree) -> tuple:
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple(np.shape(leaf) if eqx.is_array_like(leaf) else leaf for leaf in leaves)


def _stacked(trees: Sequence):
    """One tree whose arrays have a leading axis over the given trees of one structure."""
    arrays, rest = zip(*(eqx.partition(tree, eqx.is_array_like) for tree in trees), strict=True)
    return eqx.combine(jax.tree.map(lambda *leaves: jnp.stack(leaves), *arrays), rest[0])
