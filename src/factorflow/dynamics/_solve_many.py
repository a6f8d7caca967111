"""Many runs of one shape at once."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from time import perf_counter
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.dynamics._abstract import AbstractDynamics, State
from factorflow.dynamics._blas import one_blas_thread
from factorflow.dynamics._checks import check_parts, checked_factors
from factorflow.dynamics._engine import Engine
from factorflow.dynamics._gradient_flow import GradientFlow
from factorflow.dynamics._loop import Progress, run
from factorflow.dynamics._recorder import Recorder
from factorflow.dynamics._solve import (
    make_engine,
    make_solution,
    raise_failure,
    solve,
)
from factorflow.dynamics._stop import Stop
from factorflow.factorizations import AbstractFactorization
from factorflow.initializers import AbstractInitializer, Gaussian
from factorflow.trajectories import Record, Solution

How = Literal["auto", "batch", "threads", "loop"]

# Above this many multiplications a gradient is work enough for a core by itself, and runs that
# wait for the slowest of a batch cost more than a batch saves (measured on two cores).
_BATCH_BELOW = 200_000
_SMALLEST_BATCH = 16  # runs


def solve_many(
    problem,
    factorization: AbstractFactorization,
    dynamics: AbstractDynamics | None = None,
    *,
    init: AbstractInitializer | Sequence[AbstractInitializer] | None = None,
    seeds: Sequence[int] = (0,),
    stop: Stop | None = None,
    record: Record | None = None,
    route: str = "auto",
    how: How = "auto",
    progress: Progress | None = None,
    throw: bool = True,
) -> list[Solution]:
    """Run a batch of problems, starts and seeds of one shape.

    ``problem``, ``init`` and ``seeds`` are each one for all runs or a sequence with one for each;
    run `k` takes the `k`-th of each. Run `k` gives the same as :func:`solve` with its parts, to
    rounding.

    Parameters
    ----------
    problem, factorization, dynamics, init, stop, record, route, throw
        As in :func:`solve`.
    seeds
        Seeds of the starts.
    how
        ``"batch"`` advances all runs in lockstep in one vectorized program, which is fastest for
        small matrices; ``"threads"`` runs them side by side on all cores; ``"loop"`` one after
        another. ``"auto"`` chooses by the size of one gradient.
    progress
        As in :func:`solve` for a batch; else called after each run with ``n_running``.

    Returns
    -------
    list of Solution
        In the order given. ``seconds`` is the time of the whole batch divided by its runs where
        they ran in lockstep.

    Raises
    ------
    InputError
        If the sequences differ in length, the problems in shape, or ``how`` is unknown.
    FlowError
        If a run failed and ``throw`` is True.
    """
    dynamics = GradientFlow() if dynamics is None else dynamics
    stop, record = stop or Stop(), record or Record()
    runs = _aligned(problem, Gaussian() if init is None else init, seeds)
    for each, initializer, _ in runs:
        parts = {"dynamics": dynamics, "init": initializer, "stop": stop, "record": record}
        check_parts(each, factorization=factorization, **parts)
    _check_one_shape(runs)
    settings = (factorization, dynamics, stop, record, route)
    way = _chosen(how, runs, factorization, record, route)
    if way == "batch":
        solutions = _in_batches(runs, *settings, progress)
    else:
        workers = (os.cpu_count() or 1) if way == "threads" else 1
        solutions = _one_by_one(runs, *settings, progress, workers)
    if throw:
        for solution in solutions:
            raise_failure(solution)
    return solutions


_Run = tuple[Any, AbstractInitializer, int]


def _aligned(problem, init, seeds) -> list[_Run]:
    parts = {
        "problem": problem if isinstance(problem, list | tuple) else [problem],
        "init": init if isinstance(init, list | tuple) else [init],
        "seeds": [seeds] if isinstance(seeds, int | np.integer) else list(seeds),
    }
    empty = [name for name, given in parts.items() if not given]
    if empty:
        raise InputError(f"{empty[0]} is empty; give at least one.")
    n_runs = max(map(len, parts.values()))
    for name, given in parts.items():
        if len(given) not in (1, n_runs):
            raise InputError(
                f"{name} has {len(given)} values for {n_runs} runs; give one for all or {n_runs}."
            )
    full = [given * n_runs if len(given) == 1 else given for given in parts.values()]
    return list(zip(*full, strict=True))


def _check_one_shape(runs: list[_Run]) -> None:
    shapes = {tuple(problem.shape) for problem, _, _ in runs}
    if len(shapes) > 1:
        raise InputError(f"The problems must have one shape; got {sorted(shapes)}.")


def _chosen(how: How, runs: list[_Run], factorization, record: Record, route: str) -> str:
    if how not in ("auto", "batch", "threads", "loop"):
        raise InputError(f'how must be "auto", "batch", "threads" or "loop"; got {how!r}.')
    if how != "auto":
        return how
    m, n = runs[0][0].shape
    shapes = factorization.shapes((m, n))
    work = sum(rows * columns for rows, columns in shapes) * max(m, n)
    small = work <= _BATCH_BELOW and len(runs) > 1
    return "batch" if small and _stackable(runs, factorization, record, route) else "threads"


def _stackable(runs: list[_Run], factorization, record: Record, route: str) -> bool:
    """Whether the problems have losses and observables of one structure, on the dense route."""
    problems = {id(problem): problem for problem, _, _ in runs}.values()
    parts = [_loss_and_observables(p, factorization, record, route) for p in problems]
    return parts[0][0].route != "entries" and len(set(map(_structure, parts))) == 1


def _one_by_one(runs, factorization, dynamics, stop, record, route, progress, workers):
    left = len(runs)

    def one(parts: _Run) -> Solution:
        nonlocal left
        problem, init, seed = parts
        solution = solve(
            problem, factorization, dynamics, init=init, seed=seed, stop=stop, record=record,
            route=route, throw=False,
        )  # fmt: skip
        left -= 1
        if progress is not None:
            progress({"n_running": left})
        return solution

    # The first run compiles; the others find it compiled.
    first = one(runs[0])
    with ThreadPoolExecutor(workers) as pool:
        return [first, *pool.map(one, runs[1:])]


def _in_batches(runs, factorization, dynamics, stop, record, route, progress):
    """A batch for each core: shorter waits for the slowest run, and no core idle."""
    n_batches = max(1, min(os.cpu_count() or 1, len(runs) // _SMALLEST_BATCH))
    bounds = np.linspace(0, len(runs), n_batches + 1).astype(int)
    parts = [runs[a:b] for a, b in pairwise(bounds)]

    def one(part: list[_Run]) -> list[Solution]:
        return _in_lockstep(part, factorization, dynamics, stop, record, route, progress)

    with ThreadPoolExecutor(n_batches) as pool:
        return [solution for solutions in pool.map(one, parts) for solution in solutions]


def _in_lockstep(runs, factorization, dynamics, stop, record, route, progress):
    began = perf_counter()
    with double_precision(), one_blas_thread():
        engine = _batch_engine(runs, factorization, dynamics, stop, record, route)
        starts = [checked_factors(i, factorization, p.shape, seed) for p, i, seed in runs]
        state = engine.init([np.stack(layer) for layer in zip(*starts, strict=True)])
        recorder = Recorder(record.schedule, engine.observables)
        state = jax.device_get(run(engine, state, recorder, None, progress))
    each = (perf_counter() - began) / len(runs)
    return [
        make_solution(engine, problem, _pick(state, k), recorder, k, seed, each)
        for k, (problem, _, seed) in enumerate(runs)
    ]


def _pick(state: State, run: int) -> State:
    return jax.tree.map(lambda leaf: leaf[run], state)


def _batch_engine(runs, factorization, dynamics, stop, record, route) -> Engine:
    problems = [problem for problem, _, _ in runs]
    engine = make_engine(problems[0], factorization, dynamics, stop, record, None, route)
    if all(problem is problems[0] for problem in problems):
        return replace(engine, batch=len(runs))
    parts = [_loss_and_observables(p, factorization, record, engine.loss.route) for p in problems]
    if len(set(map(_structure, parts))) > 1:
        raise InputError(
            "These problems cannot be advanced in one batch, since their losses or what is "
            'recorded of them differ in structure; give how="threads".'
        )
    loss, observables = _stacked(parts)
    return replace(engine, batch=len(runs), loss=loss, observables=observables, loss_axis=0)


def _loss_and_observables(problem, factorization, record: Record, route: str):
    return problem.loss(factorization, route), record.resolve(problem)


def _structure(tree) -> tuple:
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple(np.shape(leaf) if eqx.is_array_like(leaf) else leaf for leaf in leaves)


def _stacked(trees: Sequence):
    """One tree whose arrays have a leading axis over the given trees of one structure."""
    arrays, rest = zip(*(eqx.partition(tree, eqx.is_array_like) for tree in trees), strict=True)
    return eqx.combine(jax.tree.map(lambda *leaves: jnp.stack(leaves), *arrays), rest[0])
