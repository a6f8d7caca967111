"""Many seeds: at once and one after another, by ours and by the published recipe in PyTorch."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from matplotlib.figure import Figure

import factorflow as ff
from benchmarks._case import Bar, Case, Result, Table
from benchmarks._clock import interleaved
from benchmarks._peers import missing
from factorflow.plots._style import COLORS, calm

TASKS = {4: (2, 12), 20: (2, 200), 100: (5, 2000)}  # size: rank, entries
COUNTS = {
    False: {4: (1, 64), 20: (1, 64), 100: (1, 4)},
    True: {size: (1, 4, 16, 64, 256, 1024) for size in TASKS},
}
IN_A_LOOP = {4: 16, 20: 16, 100: 4}  # at most so many single runs are timed; their rate stays
WAYS = {False: ((20, 16),), True: ((20, 64), (40, 64), (60, 32), (80, 32), (100, 32))}
TRAIN_ERROR, SCALE, DEPTH = 1e-6, 1e-3, 3
LONG = 60.0  # seconds of a first call that is not repeated
# Of the recipe that are timed: at least, at most, and the seconds that they may take.
FEWEST_STEPS, MOST_STEPS, STEPS_SECONDS = 3, 300, 0.3
REPEATS = 3  # of those steps
TO_THE_END = {False: (4,), True: (4, 20, 100)}  # sizes at which the recipe is run to the error
CAP = 200_000  # steps of the recipe, after which it has not arrived


@dataclass(frozen=True)
class Recipe:
    """What PyTorch takes at one size: a single run, and steps of many runs at once.

    Parameters
    ----------
    steps, seconds
        Of a single run to the error; None if it was not run.
    step
        Seconds of one step of so many runs.
    threads
        The better number of them, for so many runs.
    """

    size: int
    steps: int | None
    seconds: float | None
    step: dict[int, float]
    threads: dict[int, int]

    def one_by_one(self) -> float | None:
        """Runs per second."""
        return None if self.seconds is None else 1 / self.seconds

    def at_once(self, count: int) -> float | None:
        """Runs per second, if each took as many steps as the single one."""
        if self.steps is None or count == 1:
            return None
        return count / (self.steps * self.step[count])


def run(full: bool, tell: Callable[[str], None]) -> Result:
    skipped, recipes = missing("torch"), {}
    if not skipped:
        for size, counts in COUNTS[full].items():
            recipes[size] = _recipe(size, counts, size in TO_THE_END[full])
            tell(f"{size}x{size}: the recipe in PyTorch done")
    rows = [
        _row(size, count, recipes.get(size), tell)
        for size, counts in COUNTS[full].items()
        for count in counts
    ]
    steps = [row for recipe in recipes.values() for row in _step_rows(recipe)]
    ways = [_ways(size, runs, tell) for size, runs in WAYS[full]]
    worst = min(row[5] for row in rows if row[1] > 1)
    return Result(
        tables=(
            Table(
                f"Runs at depth {DEPTH} to a train error of {TRAIN_ERROR:g}, warm; a loop of more "
                "runs than stand in its column is taken at the rate of those. Ours are medians of "
                f"as many measurements as stand under “times”; a first call of over {LONG:.0f} s "
                "stands for itself, compilation included.",
                _COLUMNS, rows,
            ),
            Table(
                f"The recipe in PyTorch: a step of all runs, the median of {REPEATS} measurements "
                f"of up to {MOST_STEPS} steps, and one run of seed 0 to the train error, taken "
                f"once (at most {CAP:,} steps).",
                ("size", "runs at once", "a step of all (ms)", "threads", "steps to the error",
                 "a run (s)"), steps,
            ),
            Table(
                "The two ways of `solve_many`, each warm and once.",
                ("size", "runs", "lockstep (runs/s)", "threads (runs/s)", "auto takes"), ways,
            ),
        ),
        bars=(
            Bar("least gain of solve_many over a loop of solve, more than one run", worst, 1.0),
        ),
        skipped=skipped,
        notes=(
            "Small matrices go in lockstep, as one vectorized program of as many runs as stay in "
            "the cache of a core, larger ones "
            'side by side in threads; `how="auto"` chooses by the size of one gradient. In '
            "lockstep all wait for the slowest run, so that runs of very different length "
            'are better off with `how="threads"`.',
            "PyTorch starts where ours starts and goes to the same error. One by one it is the "
            "rate of the run of seed 0. At once it has a leading axis for the runs, batched "
            "products and one scalar of RMSprop for each run; its rate is that of its steps, as "
            "if every run took as many as seed 0: the slowest takes more, and all wait for it. "
            "The steps differ from ours (stabilized flow here, descent there), so the gain is "
            "the work saved times the speed of a step. PyTorch is timed before ours, not in turns. "
            "Where its columns are empty, it was not run to the end (the full size does that), did "
            "not arrive, or there is one run, which is none at once.",
        ),
    )  # fmt: skip


_COLUMNS = (
    "size", "runs", "solve_many (runs/s)", "loop of solve (runs/s)", "runs in the loop",
    "solve_many over loop", "PyTorch, one by one (runs/s)", "PyTorch, at once (runs/s)",
    "solve_many over the faster of PyTorch's", "times", "first call (s)",
)  # fmt: skip


def problem_of(size: int) -> ff.Completion:
    rank, n_observed = TASKS.get(size, (3, size * size * 2 // 5))
    truth = ff.datasets.low_rank(shape=(size, size), rank=rank, seed=0)
    return ff.Completion.sample(truth, n_observed=n_observed, seed=0)


def _settings() -> dict:
    stop = ff.Stop(train_error=TRAIN_ERROR)
    return {"init": ff.Gaussian(SCALE), "stop": stop, "throw": False}


def _row(size: int, count: int, recipe: Recipe | None, tell) -> tuple:
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
    theirs = (None, None) if recipe is None else (recipe.one_by_one(), recipe.at_once(count))
    fastest = max((rate for rate in theirs if rate is not None), default=None)
    tell(f"{count} of {size}x{size}: {ours:.3g} runs/s, {ours / single:.2f} times a loop")
    return (
        size, count, ours, single, in_loop, ours / single, *theirs,
        None if fastest is None else ours / fastest, len(timings["many"].seconds),
        timings["many"].first,
    )  # fmt: skip


def _recipe(size: int, counts: Iterable[int], to_the_end: bool) -> Recipe:
    from benchmarks._recipe_torch import descend, descend_together

    steps = seconds = None
    step, threads = {}, {}
    for count in sorted({1, *counts}, reverse=True):  # one run last: its threads stay for the end
        descent, start = (descend, _instance(size)) if count == 1 else (
            descend_together, _instance(size, count)
        )  # fmt: skip
        step[count], threads[count] = _seconds_of_a_step(descent, start)
    if to_the_end:
        began = perf_counter()
        found = descend(start, TRAIN_ERROR, CAP)
        if found["train_error"] <= TRAIN_ERROR:
            steps, seconds = found["n_gradients"], perf_counter() - began
    return Recipe(size, steps, seconds, step, threads)


def _seconds_of_a_step(descent: Callable, start: dict) -> tuple[float, int]:
    """With the better number of threads, and that number."""
    from benchmarks._recipe_torch import better_threads

    descent(start, 0.0, 1)
    began = perf_counter()
    descent(start, 0.0, FEWEST_STEPS)
    guess = (perf_counter() - began) / FEWEST_STEPS
    steps = int(np.clip(STEPS_SECONDS / guess, FEWEST_STEPS, MOST_STEPS))
    threads = better_threads(start, descent, steps)
    timing = interleaved({"steps": lambda: descent(start, 0.0, steps) and None}, REPEATS)["steps"]
    return timing.median / steps, threads


def _instance(size: int, count: int | None = None) -> dict:
    """The task and the start of seed 0, as the recipe takes them, or of so many seeds together."""
    problem, network = problem_of(size), ff.DeepLinear(DEPTH)
    starts = [ff.Gaussian(SCALE)(network, problem.shape, seed) for seed in range(count or 1)]
    layers = [np.stack(layer) for layer in zip(*starts, strict=True)]
    named = {
        f"factor_{j}": layer[0] if count is None else layer for j, layer in enumerate(layers, 1)
    }
    places = np.ravel_multi_index(problem.indices, problem.shape)
    return {"places": places, "values": problem.values, **named}


def _step_rows(recipe: Recipe) -> list[tuple]:
    return [
        (recipe.size, count, 1e3 * recipe.step[count], recipe.threads[count],
         *((recipe.steps, recipe.seconds) if count == 1 else (None, None)))
        for count in sorted(recipe.step)
    ]  # fmt: skip


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
    """What ``how="auto"`` takes: in lockstep the runs of a batch have the same seconds."""
    short = ff.Stop(n_gradients=20)
    found = ff.solve_many(problem, network, seeds=range(runs), stop=short, throw=False)
    return "threads" if len({each.seconds for each in found}) == runs else "lockstep"


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
        for column, style in ((6, ":"), (7, "x-.")):
            known = [row for row in here if row[column] is not None]
            ax.plot([row[1] for row in known], [row[column] for row in known], style, color=color)
    ax.plot([], [], "k--", label="loop of solve")
    ax.plot([], [], "k:", label="PyTorch, one by one")
    ax.plot([], [], "kx-.", label="PyTorch, at once")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ticks = sorted({row[1] for row in rows})
    ax.set_xticks(ticks, list(map(str, ticks)))
    ax.set_xlabel("runs")
    ax.set_ylabel("runs per second")
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


CASE = Case(
    name="batches",
    title="Batches: many seeds at once",
    question="What does a batch of runs gain over single runs, and over PyTorch's?",
    run=run,
    figure=figure,
)
