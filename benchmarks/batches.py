"""Many seeds: at once, one after another, and as a loop of the published recipe in PyTorch."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

import factorflow as ff
from benchmarks._case import Bar, Case, Result, Table
from benchmarks._clock import interleaved
from benchmarks._peers import missing
from factorflow.plots._style import COLORS, calm

TASKS = {4: (2, 12), 20: (2, 200), 100: (5, 2000)}  # size: rank, entries
COUNTS = {
    False: {4: (1, 64), 20: (1, 64), 100: (1, 8)},
    True: {size: (1, 4, 16, 64, 256, 1024) for size in TASKS},
}
IN_A_LOOP = {4: 16, 20: 16, 100: 4}  # at most so many single runs are timed; their rate stays
WAYS = {False: ((20, 32),), True: ((20, 64), (40, 64), (60, 32), (100, 32))}
TRAIN_ERROR, SCALE, DEPTH = 1e-6, 1e-3, 3
LONG = 60.0  # seconds of a first call that is not repeated
STEPS = 300  # of the recipe that are timed
TO_THE_END = {False: (4,), True: (4, 20, 100)}  # sizes at which the recipe is run to the error
CAP = 200_000  # steps of the recipe, after which it has not arrived


def run(full: bool, tell: Callable[[str], None]) -> Result:
    skipped = missing("torch")
    peers = {size: None if skipped else _recipe(size, size in TO_THE_END[full]) for size in TASKS}
    rows = [
        _row(size, count, peers[size], tell)
        for size, counts in COUNTS[full].items()
        for count in counts
    ]
    steps = [_step_row(size, found) for size, found in peers.items() if found is not None]
    ways = [_ways(size, runs, tell) for size, runs in WAYS[full]]
    worst = min(row[5] for row in rows if row[1] > 1)
    return Result(
        tables=(
            Table(
                f"Runs at depth {DEPTH} to a train error of {TRAIN_ERROR:g}, warm; a loop of more "
                "runs than stand in its column is taken at the rate of those.",
                _COLUMNS, rows,
            ),
            Table(
                f"The recipe in PyTorch: seconds of a step from {STEPS} of them, and one run to "
                f"the train error (at most {CAP:,} steps).",
                ("size", "a step (ms)", "steps to the error", "a run (s)", "threads"), steps,
            ),
            Table(
                "The two ways of `solve_many`.",
                ("size", "runs", "lockstep (runs/s)", "threads (runs/s)", "auto takes"), ways,
            ),
        ),
        bars=(
            Bar("least gain of solve_many over a loop of solve, more than one run", worst, 1.0),
        ),
        skipped=skipped,
        notes=(
            "Small matrices go in lockstep, as one vectorized program for each core, larger ones "
            'side by side in threads; `how="auto"` chooses by the size of one gradient. In '
            "lockstep all wait for the slowest run, so that runs of very different length "
            'are better off with `how="threads"`.',
            "PyTorch's column is a loop of single runs to the same error from the same starts: the "
            "steps differ (stabilized flow here, descent there), so the last column is the work "
            "saved times the speed of a step. Where it is empty, the run to the end is part of "
            "the full size only.",
        ),
    )  # fmt: skip


_COLUMNS = (
    "size", "runs", "solve_many (runs/s)", "loop of solve (runs/s)", "runs in the loop",
    "solve_many over loop", "PyTorch (runs/s)", "solve_many over PyTorch", "first call (s)",
)  # fmt: skip


def problem_of(size: int) -> ff.Completion:
    rank, n_observed = TASKS.get(size, (3, size * size * 2 // 5))
    truth = ff.datasets.low_rank(shape=(size, size), rank=rank, seed=0)
    return ff.Completion.sample(truth, n_observed=n_observed, seed=0)


def _settings() -> dict:
    stop = ff.Stop(train_error=TRAIN_ERROR)
    return {"init": ff.Gaussian(SCALE), "stop": stop, "throw": False}


def _row(size: int, count: int, peer: dict | None, tell) -> tuple:
    problem, network = problem_of(size), ff.DeepLinear(DEPTH)
    in_loop = min(count, IN_A_LOOP[size])

    def many():
        found = ff.solve_many(problem, network, seeds=range(count), **_settings())
        return [solution.factors for solution in found]

    def loop():
        singles = (ff.solve(problem, network, seed=k, **_settings()) for k in range(in_loop))
        return [solution.factors for solution in singles]

    repeats = 3 if count * size < 5000 else 1
    timings = interleaved({"many": many, "loop": loop}, repeats, enough=LONG)
    ours, single = count / timings["many"].median, in_loop / timings["loop"].median
    theirs = None if peer is None or peer["seconds"] is None else 1 / peer["seconds"]
    tell(f"{count} of {size}x{size}: {ours:.3g} runs/s, {ours / single:.2f} times a loop")
    return (
        size, count, ours, single, in_loop, ours / single, theirs,
        None if theirs is None else ours / theirs, timings["many"].first,
    )  # fmt: skip


def _recipe(size: int, to_the_end: bool) -> dict:
    """Seconds of a step and, if asked for, a run to the error."""
    from benchmarks._recipe_torch import better_threads, descend

    start = _instance(size)
    threads = better_threads(start)
    timing = interleaved({"steps": lambda: descend(start, 0.0, STEPS) and None}, 3)["steps"]
    found = {"step": timing.median / STEPS, "seconds": None, "steps": None, "threads": threads}
    if to_the_end:
        steps = descend(start, TRAIN_ERROR, CAP)["n_gradients"]
        found |= {"seconds": steps * found["step"], "steps": steps}
    return found


def _instance(size: int) -> dict:
    """The task and the start of seed 0, as the recipe takes them."""
    problem = problem_of(size)
    factors = ff.Gaussian(SCALE)(ff.DeepLinear(DEPTH), problem.shape, 0)
    places = np.ravel_multi_index(problem.indices, problem.shape)
    named = {f"factor_{j}": np.asarray(factor) for j, factor in enumerate(factors, 1)}
    return {"places": places, "values": problem.values, **named}


def _step_row(size: int, found: dict) -> tuple:
    return size, 1e3 * found["step"], found["steps"], found["seconds"], found["threads"]


def _ways(size: int, runs: int, tell) -> tuple:
    problem, network = problem_of(size), ff.DeepLinear(DEPTH)

    def by(how: str):
        found = ff.solve_many(problem, network, seeds=range(runs), how=how, **_settings())
        return [solution.factors for solution in found]

    timings = interleaved({"batch": lambda: by("batch"), "threads": lambda: by("threads")}, 1)
    rates = [runs / timings[how].median for how in ("batch", "threads")]
    tell(f"{runs} of {size}x{size}: lockstep {rates[0]:.3g}, threads {rates[1]:.3g} runs/s")
    return size, runs, *rates, _chosen(problem, network, runs)


def _chosen(problem, network, runs: int) -> str:
    """What ``how="auto"`` takes: of a lockstep all runs have the same seconds."""
    short = ff.Stop(n_gradients=20)
    found = ff.solve_many(problem, network, seeds=range(runs), stop=short, throw=False)
    return "threads" if len({each.seconds for each in found[: runs // 2]}) > 1 else "lockstep"


def figure(result: Result) -> Figure:
    """Runs per second against runs, a colour for each size."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    ax = calm(figure.subplots())
    rows = result.tables[0].rows
    for color, size in zip(COLORS, sorted({row[0] for row in rows}), strict=False):
        here = [row for row in rows if row[0] == size]
        counts = [row[1] for row in here]
        ax.plot(counts, [row[2] for row in here], "o-", color=color, label=f"{size}×{size}")
        ax.plot(counts, [row[3] for row in here], "--", color=color)
        if here[0][6] is not None:
            ax.plot(counts, [row[6] for row in here], ":", color=color)
    ax.plot([], [], "k--", label="loop of solve")
    ax.plot([], [], "k:", label="PyTorch")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ticks = sorted({row[1] for row in rows})
    ax.set_xticks(ticks, list(map(str, ticks)))
    ax.set_xlabel("runs")
    ax.set_ylabel("runs per second")
    ax.legend(frameon=False, fontsize=8)
    return figure


CASE = Case(
    name="batches",
    title="Batches: many seeds at once",
    question="What does a batch of runs gain over single runs, ours and PyTorch's?",
    run=run,
    figure=figure,
)
