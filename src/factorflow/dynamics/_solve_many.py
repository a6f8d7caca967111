"""Many runs of one shape at once."""

from collections.abc import Sequence
from math import prod
from typing import Literal

import numpy as np

from factorflow._errors import InputError
from factorflow.dynamics._abstract import AbstractDynamics
from factorflow.dynamics._checks import check_parts, stop_for
from factorflow.dynamics._gradient_flow import GradientFlow
from factorflow.dynamics._loop import Progress
from factorflow.dynamics._solve import raise_failure
from factorflow.dynamics._stop import Stop
from factorflow.dynamics._together import Finished, Run, Settings, in_batches, one_by_one, stackable
from factorflow.dynamics._watch import warn_of_violations
from factorflow.factorizations import AbstractFactorization
from factorflow.initializers import AbstractInitializer, Gaussian
from factorflow.trajectories import Monitor, Record, Solution, checked_monitors

How = Literal["auto", "batch", "threads", "loop"]

# Above this many multiplications a gradient is work enough for a core by itself, and runs that
# wait for the slowest of a batch cost more than a batch saves: on two cores at depth 3 a batch
# wins at 60x60, is about even at 80x80 and loses at 100x100 (benchmarks/batches.py).
_BATCH_BELOW = 700_000


def solve_many(
    problem,
    factorization: AbstractFactorization,
    dynamics: AbstractDynamics | None = None,
    *,
    init: AbstractInitializer | Sequence[AbstractInitializer] | None = None,
    seeds: Sequence[int] = (0,),
    stop: Stop | None = None,
    record: Record | None = None,
    monitors: Sequence[Monitor] = (),
    route: str = "auto",
    how: How = "auto",
    progress: Progress | None = None,
    finished: Finished | None = None,
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
    monitors
        Bounds to check in every run, as in :func:`solve`; all runs share them. One warning for
        each that is violated in any run.
    how
        ``"batch"`` advances many runs in lockstep in one vectorized program, which is fastest for
        small matrices; ``"threads"`` runs them side by side on all cores; ``"loop"`` one after
        another. ``"auto"`` chooses by the size of one gradient.
    progress
        Function of a dictionary with ``n_running``, the runs that have not ended: as in
        :func:`solve` for a batch, else after each run. The threads that run call it, one at a
        time.
    finished
        Function ``(k, solution)`` that is told of run `k` as it ends, or of all runs of a batch
        as the batch does; not of a run that was interrupted. The threads that run call it, one at
        a time.

    Returns
    -------
    list of Solution
        In the order given. ``seconds`` is the time of the whole batch divided by its runs where
        they ran in lockstep. Ctrl-C ends those that still run with the status INTERRUPTED; those
        that had not begun stand at their start.

    Raises
    ------
    InputError
        If the sequences differ in length, the problems in shape, or ``how`` is unknown.
    FlowError
        If a run failed and ``throw`` is True.
    """
    dynamics = GradientFlow() if dynamics is None else dynamics
    stop = stop_for(dynamics, stop)
    record = record or Record()
    runs = _aligned(problem, Gaussian() if init is None else init, seeds)
    for each, initializer, _ in runs:
        parts = {"dynamics": dynamics, "init": initializer, "stop": stop, "record": record}
        check_parts(each, factorization=factorization, **parts)
    _check_one_shape(runs)
    settings = Settings(
        factorization, dynamics, stop, record, route, checked_monitors(monitors),
        in_company=len(runs) > 1,
    )  # fmt: skip
    way = _chosen(how, runs, settings)
    if way == "batch":
        solutions = in_batches(runs, settings, progress, finished)
    else:
        solutions = one_by_one(runs, settings, progress, finished, threads=way == "threads")
    warn_of_violations(solutions)
    if throw:
        for solution in solutions:
            raise_failure(solution)
    return solutions


def _aligned(problem, init, seeds) -> list[Run]:
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


def _check_one_shape(runs: list[Run]) -> None:
    shapes = {tuple(problem.shape) for problem, _, _ in runs}
    if len(shapes) > 1:
        raise InputError(f"The problems must have one shape; got {sorted(shapes)}.")


def _chosen(how: How, runs: list[Run], settings: Settings) -> str:
    if how not in ("auto", "batch", "threads", "loop"):
        raise InputError(f'how must be "auto", "batch", "threads" or "loop"; got {how!r}.')
    if how != "auto":
        return how
    shape = runs[0][0].shape
    if len(shape) > 2:  # in lockstep the runs of tensors wait long for each other
        return "threads"
    layers = settings.factorization.layer_shapes(shape)
    work = sum(map(prod, layers)) * prod(shape) // min(shape)
    small = work <= _BATCH_BELOW and len(runs) > 1
    return "batch" if small and stackable(runs, settings) else "threads"
