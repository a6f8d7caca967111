"""From a start near zero to a train error: our flow, the published recipe, other integrators."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import factorflow as ff
from benchmarks._case import Bar, Case, Result, Table
from benchmarks._clock import Timing
from benchmarks._peers import missing
from benchmarks._whole_processes import COLD, KEPT, TORCH, seconds, table, whole_processes
from factorflow.plots._style import COLORS, calm

SIZE, RANK, SCALE = 100, 5, 1e-3
TRAIN_ERROR = 1e-6
MAIN = (2000, 3)  # entries and depth of the aims
OTHERS = {
    False: [(2000, 2), (5000, 3)],
    True: [(2000, 2), (2000, 4), (5000, 2), (5000, 3), (5000, 4)],
}
SEEDS = range(10)
FEWEST = 5  # observations without which a row or column of a rank-5 matrix cannot be recovered
FLOW, RECIPE = "factorflow, flow", "factorflow, recipe"
RECORDED = "factorflow, flow, recorded"
TSIT5, DOPRI8, KVAERNO5 = "Diffrax Tsit5", "Diffrax Dopri8", "Diffrax Kvaerno5"
DOP853, LSODA = "SciPy DOP853", "SciPy LSODA"
COMPILED = {FLOW, RECIPE, TSIT5, DOPRI8}  # the recorded flow finds most of it compiled
# Explicit methods run at their limit of stability here: at 1e-3 Tsit5 takes twice the gradients, as
# its steps are refused there, and at 1e-5 and below nobody takes fewer.
RTOL = {TSIT5: 1e-4, DOPRI8: 1e-4, DOP853: 1e-5, LSODA: 1e-5}
MOST_SECONDS = 30.0  # of an integrator that may not come to an end


@dataclass(frozen=True)
class Instance:
    """A matrix to complete and the factors that everybody starts from."""

    n_observed: int
    depth: int
    seed: int = 0

    @property
    def truth(self) -> np.ndarray:
        return ff.datasets.low_rank((SIZE, SIZE), RANK, seed=self.seed)

    @property
    def problem(self) -> ff.Completion:
        return ff.Completion.sample(self.truth, self.n_observed, seed=self.seed)

    @property
    def network(self) -> ff.DeepLinear:
        return ff.DeepLinear(self.depth)

    @property
    def factors(self) -> tuple[np.ndarray, ...]:
        start = ff.Gaussian(SCALE)(self.network, (SIZE, SIZE), self.seed)
        return tuple(np.asarray(factor, dtype=float) for factor in start)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What a contestant needs that knows nothing of factorflow."""
        problem = self.problem
        return {
            "places": problem.rows.astype(np.int64) * SIZE + problem.columns,
            "values": problem.values,
            "shape": np.array(problem.shape),
            **{f"factor_{j}": factor for j, factor in enumerate(self.factors, 1)},
        }


@dataclass(frozen=True)
class Contestant:
    """How to run it, and how to compile and load it without running it."""

    run: Callable[[], dict[str, Any]]
    warm_up: Callable[[], object]


# Contestants -------------------------------------------------------------------------------------


def _ours(instance: Instance, dynamics: Any, record: ff.Record | None = None) -> Contestant:
    problem = instance.problem
    record = ff.Record([]) if record is None else record

    def run(stop: ff.Stop) -> dict[str, Any]:
        solution = ff.solve(
            problem, instance.network, dynamics, init=ff.Gaussian(SCALE), seed=instance.seed,
            stop=stop, record=record, throw=False,
        )  # fmt: skip
        return {name: getattr(solution, name) for name in ("matrix", "train_error", "n_gradients")}

    limit = 1_000_000
    return Contestant(
        partial(run, ff.Stop(train_error=TRAIN_ERROR, n_gradients=limit)),
        partial(run, ff.Stop(train_error=TRAIN_ERROR, n_gradients=20)),
    )


def _our_recipe(instance: Instance) -> Contestant:
    # The published loss is twice ours, and so is its gradient: eps is half of 1e-4.
    return _ours(instance, ff.GradientDescent(1e-3, ff.group_rmsprop(1e-3, 0.99, 5e-5)))


def _torch(instance: Instance) -> Contestant:
    from benchmarks import _recipe_torch

    arrays = instance.arrays
    return Contestant(
        partial(_recipe_torch.descend, arrays, TRAIN_ERROR),
        partial(_recipe_torch.better_threads, arrays),
    )


def _diffrax(instance: Instance, name: str) -> Contestant:
    import diffrax

    from benchmarks._other_flows import Task, by_diffrax

    solver = getattr(diffrax, name.split()[-1])()
    task = Task(instance.problem, instance.factors, TRAIN_ERROR)
    return Contestant(
        lambda: vars(by_diffrax(task, solver, RTOL[name])),
        lambda: by_diffrax(replace(task, train_error=1e9), solver, RTOL[name]),
    )


def _scipy(instance: Instance, name: str) -> Contestant:
    import scipy.integrate

    from benchmarks._other_flows import Task, better_alone, by_scipy

    method = getattr(scipy.integrate, name.split()[-1])
    task = Task(instance.problem, instance.factors, TRAIN_ERROR)
    limits = {"most_seconds": MOST_SECONDS, "no_jacobian": name == LSODA}
    limits["alone"] = better_alone(task)
    return Contestant(
        lambda: vars(by_scipy(task, method, RTOL[name], **limits)),
        lambda: by_scipy(task, method, RTOL[name], most_gradients=20),
    )


def _contestants(instance: Instance, full: bool) -> Iterator[tuple[str, Contestant]]:
    """Those of the main setting, and of all settings in the full size."""
    main = (instance.n_observed, instance.depth) == MAIN
    if main:
        yield RECORDED, _ours(instance, ff.GradientFlow(), ff.Record())
    if full:
        yield RECIPE, _our_recipe(instance)
    if (full or main) and not missing("torch"):
        yield TORCH, _torch(instance)
    yield TSIT5, _diffrax(instance, TSIT5)
    if full:
        yield DOPRI8, _diffrax(instance, DOPRI8)
        yield DOP853, _scipy(instance, DOP853)
    if main:
        yield LSODA, _scipy(instance, LSODA)


# Warm runs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    timing: Timing
    found: dict[str, Any]


def _race(instance: Instance, full: bool, tell) -> dict[str, Measured]:
    """Each contestant's run, with one of ours before and after it."""
    ours = _ours(instance, ff.GradientFlow())
    first, found = _timed(ours.run)
    taken, measured = [], {FLOW: None}
    for name, contestant in _contestants(instance, full):
        compiling, _ = _timed(contestant.warm_up)
        taken.append(_timed(ours.run)[0])
        seconds, result = _timed(contestant.run)
        taken.append(_timed(ours.run)[0])
        measured[name] = Measured(Timing(compiling, np.array([seconds])), result)
        tell(f"{_setting(instance)}: {name} {seconds:.1f} s, {_gradients(result)} gradients")
    measured[FLOW] = Measured(Timing(first, np.array(taken)), found)
    return measured


def _timed(run: Callable[[], Any]) -> tuple[float, Any]:
    began = perf_counter()
    result = run()
    return perf_counter() - began, result


def _row(
    instance: Instance, name: str, measured: Measured, reference: np.ndarray | None, anew: bool
) -> tuple:
    """``anew`` says whether this run's program was compiled here."""
    found = measured.found
    ended = found.get("why_early") is None
    return (
        instance.n_observed,
        instance.depth,
        name,
        _gradients(found),
        measured.timing.median,
        len(measured.timing.seconds),
        measured.timing.first if anew else None,
        found["train_error"],
        _relative(found["matrix"], instance.truth) if ended else None,
        None if reference is None or not ended else _relative(found["matrix"], reference),
        "yes" if ended else f"no: {found['why_early']}",
    )


def _gradients(found: dict[str, Any]) -> Any:
    number = found["n_gradients"]
    return f"≥ {number:,}" if found.get("at_least") else number


_COLUMNS = (
    "entries", "depth", "contestant", "gradients", "seconds, warm", "runs",
    "first call, compiling (s)", "train error", "reconstruction error", "from the tight flow",
    "arrived",
)  # fmt: skip


# Several seeds -----------------------------------------------------------------------------------


def _one_seed(seed: int, reference: dict[str, Any] | None) -> dict[str, Any]:
    instance = Instance(*MAIN, seed)
    problem, truth = instance.problem, instance.truth
    deep, shallow = (
        _ours(replace(instance, depth=depth), ff.GradientFlow()).run() for depth in (3, 2)
    )
    fewest = min(
        np.bincount(places, minlength=SIZE).min() for places in (problem.rows, problem.columns)
    )
    found = {
        "recoverable": bool(fewest >= FEWEST),
        "n_gradients": deep["n_gradients"],
        "depth_3": _relative(deep["matrix"], truth),
        "depth_2": _relative(shallow["matrix"], truth),
        "effective_rank_3": _effective_rank(deep["matrix"]),
        "effective_rank_2": _effective_rank(shallow["matrix"]),
    }
    if reference is not None:
        found["reference"] = reference["n_gradients"]
        found["apart"] = _relative(deep["matrix"], reference["matrix"])
    return found


def _tight(instance: Instance) -> dict[str, Any]:
    import diffrax

    return _ours(instance, ff.GradientFlow(diffrax.Dopri8(), rtol=1e-9, atol=1e-12)).run()


def _seeds_row(rows: list[dict[str, Any]]) -> tuple:
    kept = [row for row in rows if row["recoverable"]]
    compared = [row for row in kept if "apart" in row]

    def median(name: str) -> float:
        return float(np.median([row[name] for row in kept]))

    return (
        len(kept), int(median("n_gradients")), max(row["n_gradients"] for row in kept),
        len(compared), int(np.median([row["reference"] for row in compared])),
        max(row["apart"] for row in compared),
        median("depth_3"), median("depth_2"),
        median("effective_rank_3"), median("effective_rank_2"),
    )  # fmt: skip


_SEED_COLUMNS = (
    "instances", "gradients, median", "at most", "compared with a tight flow",
    "its gradients, median", "farthest apart", "reconstruction error, depth 3", "depth 2",
    "effective rank, depth 3", "depth 2 ",
)  # fmt: skip


def _relative(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def _effective_rank(matrix: np.ndarray) -> float:
    from factorflow.trajectories import effective_rank_of

    return float(effective_rank_of(np.linalg.svd(matrix, compute_uv=False)))


def _setting(instance: Instance) -> str:
    return f"{instance.n_observed} entries, depth {instance.depth}"


# The case ----------------------------------------------------------------------------------------


def run(full: bool, tell: Callable[[str], None]) -> Result:
    main = Instance(*MAIN)
    reference = _tight(main)
    rows, ours, theirs = [], None, None
    compiled: set[tuple[str, int]] = set()  # runs from other entries find it compiled
    for n_observed, depth in [MAIN, *OTHERS[full]]:
        instance = Instance(n_observed, depth)
        race = _race(instance, full, tell)
        close_to = reference["matrix"] if instance == main else None
        for name, found in race.items():
            anew = name in COMPILED and (name, depth) not in compiled
            compiled.add((name, depth))
            rows.append(_row(instance, name, found, close_to, anew))
        if instance == main:
            ours, theirs = race[FLOW], race.get(TORCH)
    processes = whole_processes(main.arrays, main.seed, _threads(main), 3 if full else 1, tell)
    references = {main.seed: reference}
    if full:
        references |= {seed: _tight(Instance(*MAIN, seed)) for seed in SEEDS[1:]}
    seeds = [_one_seed(k, references.get(k)) for k in (SEEDS if full else SEEDS[:5])]
    tell(f"{len(seeds)} seeds done")
    return Result(
        tables=(
            Table("Warm runs to a mean squared train error of 1e-6.", _COLUMNS, rows),
            table(processes, "2,000 entries, depth 3"),
            Table(
                f"{len(seeds)} seeds, 2,000 entries, our flow.", _SEED_COLUMNS, [_seeds_row(seeds)]
            ),
        ),
        bars=_bars(ours, theirs, processes),
        skipped=missing("torch") | _LEFT_OUT[full],
        notes=_notes(rows),
    )


def _threads(instance: Instance) -> int | None:
    if missing("torch"):
        return None
    from benchmarks import _recipe_torch

    return _recipe_torch.better_threads(instance.arrays)


def _bars(ours: Measured, theirs: Measured | None, processes: dict[str, list]) -> tuple[Bar, ...]:
    warm = whole = kept = error = None
    if theirs is not None:
        warm = theirs.timing.over(ours.timing)
        whole = seconds(processes[TORCH]) / seconds(processes[COLD])
        kept = seconds(processes[TORCH]) / seconds(processes[KEPT])
        error = ours.found["train_error"] / theirs.found["train_error"]
    what = "depth 3, 2,000 entries: times faster than the recipe in PyTorch"
    return (
        Bar(f"{what}, warm", warm, 30.0),
        Bar("its train error over that of the recipe", error, 1.0, at_least=False),
        Bar(f"{what}, whole process, nothing compiled before", whole, 5.0),
        Bar(f"{what}, whole process, compiled by an earlier one", kept, 5.0),
    )


_NO_KVAERNO5 = (
    "its root finder, as it comes, takes a dense Jacobian at each step, here of 30,000 columns, a "
    "gradient each, and 7 GB; work_precision has it on a small problem"
)
_LEFT_OUT = {
    False: {
        KVAERNO5: _NO_KVAERNO5,
        f"{RECIPE}, {DOPRI8}, {DOP853}, and more settings": "quick size: see the full size",
    },
    True: {KVAERNO5: _NO_KVAERNO5},
}


def _notes(rows: list[tuple]) -> tuple[str, ...]:
    """With the gain where the flow is hardly stiff, from the rows."""
    here = {row[2]: row[3] for row in rows if tuple(row[:2]) == (5000, 3)}
    easy = (
        "Where the entries determine the matrix well (5,000, depth 3) the flow is hardly stiff, "
        f"and Tsit5 takes {here[TSIT5] / here[FLOW]:.1f} times as many gradients as ours."
    )
    return (*_NOTES, easy, _ADVICE)


_NOTES = (
    "100×100 of rank 5, full layers, the same Gaussian start of scale 1e-3 for everybody. A first "
    "call compiles: our flow runs to its end in it, our recipe takes 20 gradients and Diffrax one "
    "step; where no seconds stand, nothing was left to compile, or only the record. A warm run "
    "comes after it, PyTorch's with the better "
    "number of threads. Our flow runs before and after each of the others, and its seconds are the "
    "median; each of the others is run once. Nobody records anything on the way, but for the row "
    "that says so: singular values, loss and more at every fourth step. The recipe is RMSprop with "
    "one scalar for all layers, step 1e-3, in float32 in PyTorch, in float64 here.",
    "The other integrators solve the same differential equation, Diffrax's by our gradient, "
    f"SciPy's by NumPy's products, at the relative tolerances "
    f"{', '.join(f'{name} {rtol:g}' for name, rtol in RTOL.items())} and the absolute tolerance "
    "that goes with ours: explicit methods run at their limit of stability here, where a tolerance "
    "below that costs them nothing, so that they end nearer to the tight flow (Dopri8 at 1e-9) "
    "than ours at its default 1e-3; work_precision has the whole curve. LSODA turns implicit where "
    "the flow is stiff, and is stopped where it asks for its first dense Jacobian, 30,000 "
    "gradients and 7 GB.",
)
_ADVICE = (
    "Take the recipe where the published discretization itself is the subject, or where a network "
    "has parts that are no product of matrices: PyTorch trains those, factorflow does not."
)


def figure(result: Result) -> Figure:
    """Seconds of the warm runs in the main setting, and what our flow takes in all of them."""
    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _draw_race(calm(left), [row for row in result.tables[0].rows if tuple(row[:2]) == MAIN])
    _draw_settings(calm(right), result.tables[0].rows)
    return figure


def _draw_race(ax, rows) -> None:
    rows = sorted(rows, key=lambda row: -row[4])
    for place, row in enumerate(rows):
        arrived = row[-1] == "yes"
        color = COLORS[0] if row[2] == FLOW else COLORS[5]
        ax.barh(place, row[4], color=color if arrived else "none", edgecolor=color,
                hatch=None if arrived else "///")  # fmt: skip
    ax.set_yticks(range(len(rows)), [row[2] for row in rows])
    ax.set_xscale("log")
    ax.set_xlabel("seconds, warm (hatched: did not arrive)")
    ax.set_title(f"{MAIN[0]:,} entries, depth {MAIN[1]}")


def _draw_settings(ax, rows) -> None:
    for k, n_observed in enumerate((2000, 5000)):
        for name, marker in ((FLOW, "o"), (TSIT5, "s"), (TORCH, "^")):
            mine = sorted((r[1], r[3]) for r in rows if r[0] == n_observed and r[2] == name)
            if mine:
                label = f"{name}, {n_observed:,}"
                ax.plot(*zip(*mine, strict=True), marker=marker, ls=("-", "--")[k],
                        color=COLORS[(FLOW, TSIT5, TORCH).index(name)], label=label)  # fmt: skip
    ax.set_yscale("log")
    ax.set_xticks((2, 3, 4))
    ax.set_xlabel("depth")
    ax.set_ylabel("gradients to the train error")
    ax.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))


CASE = Case(
    name="trajectory",
    title="Trajectory to a train error",
    question="How long does it take from a start near zero to a train error of 1e-6: by our flow, "
    "by the published descent, by integrators that people have?",
    run=run,
    figure=figure,
)
