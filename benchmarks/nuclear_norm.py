"""Least nuclear norm: ours against CVXPY with SCS and with Clarabel, by one certificate."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import factorflow as ff
from benchmarks._case import Bar, Case, Result, Table
from benchmarks._clock import in_child, spread
from benchmarks._peers import missing
from factorflow.plots._style import COLORS, calm

ROUNDS = {False: 1, True: 3}
SHORT = 0.3  # seconds of a run that is repeated more often: noise hits it harder
SHORT_ROUNDS = {False: 3, True: 7}
TOLERANCES = (1e-3, 1e-5, 1e-6, 1e-9)  # of ours; its default where it is alone
DEFAULT = 1e-6
ACCURACIES = (1e-4, 1e-6)  # of SCS: absolute and relative
PEERS = {"SCS": ("cvxpy", "scs"), "Clarabel": ("cvxpy", "clarabel")}
TIME_LIMIT = {False: 30.0, True: 60.0}  # seconds of one run of a peer
# Largest sides in the quick and the full size. A step of Clarabel factors a dense system of
# n(2n + 1) unknowns: 3 GB at 100. SCS decomposes a 2n x 2n matrix in each of hundreds of steps.
REACH = {"SCS": {False: 100, True: 300}, "Clarabel": {False: 30, True: 50}}


AIM_FROM = {"SCS": 50, "Clarabel": 0}  # sides from which we must be the faster


@dataclass(frozen=True)
class Task:
    """Entries, or Gaussian measurements, of a square matrix of low rank."""

    kind: str
    size: int
    rank: int
    count: int

    @property
    def name(self) -> str:
        return f"{self.kind} {self.size}×{self.size}, {self.count:,}"

    def problem(self) -> Any:
        truth = ff.datasets.low_rank((self.size, self.size), self.rank, seed=0)
        if self.kind == "completion":
            return ff.Completion.sample(truth, self.count, seed=0)
        return ff.Sensing.gaussian(truth, self.count, seed=0)


QUICK = (
    Task("completion", 30, 2, 400),
    Task("completion", 50, 3, 1000),
    Task("completion", 100, 5, 2000),
    Task("sensing", 20, 2, 250),
)
FULL = (
    *QUICK[:3],
    Task("completion", 100, 5, 5000),
    Task("completion", 200, 5, 8000),
    Task("completion", 300, 5, 13_500),
    Task("completion", 500, 10, 40_000),
    Task("completion", 1000, 10, 100_000),
    QUICK[3],
    Task("sensing", 30, 2, 500),
    Task("sensing", 50, 2, 1200),
)


@dataclass(frozen=True)
class Found:
    """Seconds of the solver, the norm of the feasible matrix nearest to its own, and the gap."""

    seconds: float
    norm: float
    gap: float
    stopped: bool = False  # by the limit of time


Contestant = tuple[str, float | None]  # who, and the accuracy that was asked for


def run(full: bool, tell: Callable[[str], None]) -> Result:
    absent = {
        peer: next(iter(reasons.values()))
        for peer, modules in PEERS.items()
        if (reasons := missing(*modules))
    }
    tasks = FULL if full else QUICK
    found: dict[str, dict[Contestant, list[Found]]] = {}
    for task in tasks:
        here = _contestants(task, full, absent)
        found[task.name] = _in_turns(task, here, full)
        tell(f"{task.name}: " + ", ".join(map(_outline, found[task.name].items())))
    rows = [row for name, here in found.items() for row in _rows(name, here)]
    memory = _memory(tasks, full, absent)
    return Result(
        tables=(Table(_CAPTION, _COLUMNS, rows), Table("Memory.", _MEMORY_COLUMNS, memory)),
        bars=[_bar(peer, rows) for peer in PEERS],
        skipped=absent,
        notes=_notes(rows),
    )


def _contestants(task: Task, full: bool, absent: dict[str, str]) -> list[Contestant]:
    peers: list[Contestant] = []
    if "SCS" not in absent and task.size <= REACH["SCS"][full]:
        peers += [("SCS", accuracy) for accuracy in ACCURACIES]
    if "Clarabel" not in absent and task.size <= REACH["Clarabel"][full]:
        peers.append(("Clarabel", None))
    return [("factorflow", each) for each in (TOLERANCES if peers else (DEFAULT,))] + peers


def _in_turns(
    task: Task, contestants: list[Contestant], full: bool
) -> dict[Contestant, list[Found]]:
    problem, limit = task.problem(), TIME_LIMIT[full]
    ff.nuclear_norm(problem, tol=1e-2)  # loads the libraries
    found = {each: [solved(problem, *each, limit=limit)] for each in contestants}
    for k in range(1, SHORT_ROUNDS[full]):
        for each, runs in found.items():
            first = runs[0].seconds
            # A second long run would tell nothing that the first did not.
            if first < SHORT or (k < ROUNDS[full] and first < limit / ROUNDS[full]):
                runs.append(solved(problem, *each, limit=limit))
    return found


def solved(problem: Any, who: str, accuracy: float | None, limit: float) -> Found:
    """One run, certified afterwards, outside its seconds."""
    if who != "factorflow":
        return _by_cvxpy(problem, who, accuracy, limit)
    began = perf_counter()
    solution = ff.nuclear_norm(problem, tol=accuracy)
    seconds = perf_counter() - began
    return Found(seconds, *certified(problem, solution.matrix, solution.dual))


def _by_cvxpy(problem: Any, who: str, accuracy: float | None, limit: float) -> Found:
    import cvxpy

    X = cvxpy.Variable(problem.shape)
    if isinstance(problem, ff.Completion):
        fits = X[problem.rows, problem.columns] == problem.values
    else:
        fits = _stack(problem) @ cvxpy.vec(X, order="C") == problem.values
    program = cvxpy.Problem(cvxpy.Minimize(cvxpy.normNuc(X)), [fits])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "the solution may be inaccurate": we certify it ourselves
        if who == "SCS":
            settings = {"eps": accuracy, "max_iters": 10**6, "time_limit_secs": limit}
            program.solve(solver=cvxpy.SCS, **settings)
        else:
            program.solve(solver=cvxpy.CLARABEL, time_limit=limit)
    taken = program.solver_stats
    seconds = float(taken.solve_time) + float(taken.setup_time or 0.0)
    norm, gap = certified(problem, X.value, fits.dual_value)
    return Found(seconds, norm, gap, program.status != cvxpy.OPTIMAL)


def certified(problem: Any, matrix: np.ndarray, dual: np.ndarray) -> tuple[float, float]:
    """Nuclear norm of the nearest feasible matrix, and its relative duality gap.

    The multipliers ``nu`` of any solver, divided by ``||A*(nu)||_op``, bound the minimum from
    below by ``|<y, nu>|``. So every contestant is held to the same certificate.
    """
    if isinstance(problem, ff.Completion):
        feasible, adjoint = np.array(matrix), np.zeros(problem.shape)
        feasible[problem.indices], adjoint[problem.indices] = problem.values, dual
    else:
        stack = _stack(problem)
        residual = problem.values - stack @ matrix.ravel()
        feasible = matrix + np.linalg.lstsq(stack, residual)[0].reshape(problem.shape)
        adjoint = (dual @ stack).reshape(problem.shape)
    upper = float(np.linalg.norm(feasible, "nuc"))
    lower = abs(float(problem.values @ dual)) / float(np.linalg.norm(adjoint, 2))
    return upper, max(0.0, upper - lower) / upper


def _stack(problem: Any) -> np.ndarray:
    stack = problem.operator.stack
    return np.asarray(stack, float).reshape(len(stack), -1)


_CAPTION = (
    "Seconds of the solver and the certified gap of what it gave. The ratio is the peer's time "
    "over that of our loosest run with as small a gap. Medians are of as many runs as stand there."
)
_COLUMNS = (
    "task", "solver", "accuracy asked for", "median (s)", "spread (s)", "runs",
    "nuclear norm", "certified gap", "ratio",
)  # fmt: skip


def _rows(name: str, found: dict[Contestant, list[Found]]) -> list[tuple]:
    rows = []
    for (who, accuracy), runs in found.items():
        seconds = [each.seconds for each in runs]
        asked = "its own" if accuracy is None else f"{accuracy:g}"
        if runs[0].stopped:
            asked += ", stopped by the limit"
        ratio = None if who == "factorflow" else _ratio(runs, found)
        median = float(np.median(seconds))
        times = (median, spread(seconds), len(runs))
        rows.append((name, who, asked, *times, runs[0].norm, runs[0].gap, ratio))
    return rows


def _ratio(peer: list[Found], found: dict[Contestant, list[Found]]) -> float | None:
    ours = [runs for (who, _), runs in found.items() if who == "factorflow"]
    as_good = [runs for runs in ours if runs[0].gap <= peer[0].gap]
    if not as_good:
        return None
    loosest = max(as_good, key=lambda runs: runs[0].gap)
    times = [float(np.median([each.seconds for each in runs])) for runs in (peer, loosest)]
    return times[0] / times[1]


def _bar(peer: str, rows: list[tuple]) -> Bar:
    ratios = [
        row[-1]
        for row in rows
        if row[1] == peer and row[-1] is not None and _size(row) >= AIM_FROM[peer]
    ]
    where = f"from {AIM_FROM[peer]}×{AIM_FROM[peer]} on" if AIM_FROM[peer] else "everywhere"
    statement = f"seconds of {peer} over ours at the same certified gap, {where}, least"
    return Bar(statement, min(ratios) if ratios else None, 1.0)


def _size(row: tuple) -> int:
    return int(row[0].split()[1].split("×")[0])


_MEMORY_COLUMNS = ("task", "solver", "peak of the whole process (MiB)")


def _memory(tasks: tuple[Task, ...], full: bool, absent: dict[str, str]) -> list[tuple]:
    """The largest completion that a peer reached, by it and by ours; in full also our largest."""
    completions = [(k, task) for k, task in enumerate(tasks) if task.kind == "completion"]
    asked: dict[tuple[int, str], None] = {}
    for peer in PEERS.keys() - absent.keys():
        k = max(k for k, task in completions if task.size <= REACH[peer][full])
        asked |= {(k, "factorflow"): None, (k, peer): None}
    if full:
        asked[completions[-1][0], "factorflow"] = None
    limit = TIME_LIMIT[full]
    return [
        (tasks[k].name, who, in_child(__name__, "alone", k, who, full, limit).peak_mb)
        for k, who in sorted(asked)
    ]


def alone(which: int, who: str, full: bool, limit: float) -> float:
    """One run in this process, for its memory."""
    accuracy = {"factorflow": DEFAULT, "SCS": 1e-4, "Clarabel": None}[who]
    return solved((FULL if full else QUICK)[which].problem(), who, accuracy, limit).seconds


def _outline(item: tuple[Contestant, list[Found]]) -> str:
    (who, accuracy), runs = item
    asked = "" if accuracy is None else f" {accuracy:g}"
    return f"{who}{asked} {np.median([each.seconds for each in runs]):.2g} s"


def _notes(rows: list[tuple]) -> list[str]:
    lost: dict[str, dict[str, None]] = {}  # tasks, in their order
    for task, who, *_, ratio in rows:
        if ratio is not None and ratio < 1:
            lost.setdefault(who, {})[task] = None
    behind = [f"with {who} where it was the faster here ({'; '.join(lost[who])})" for who in lost]
    return [*_NOTES, ", and ".join([_ADVICE, *behind]) + "."]


_NOTES = (
    "All solvers are held to one certificate: what they gave is moved to the nearest matrix that "
    "fits the measurements, and their multipliers, scaled to be feasible, bound the minimum from "
    "below. The peers' seconds are those that their solver reports, its setup included (SCS counts "
    "that apart), without CVXPY's compilation; ours are all there are.",
    "Clarabel factors a dense system of n(2n + 1) unknowns at each step, 3 GB at 100×100, so it "
    f"runs up to {REACH['Clarabel'][True]}×{REACH['Clarabel'][True]}, in the quick size up to "
    f"{REACH['Clarabel'][False]}×{REACH['Clarabel'][False]}; SCS decomposes a 2n×2n matrix in "
    f"each of its steps and runs up to {REACH['SCS'][True]}×{REACH['SCS'][True]}, in the quick "
    f"size up to {REACH['SCS'][False]}×{REACH['SCS'][False]}. Beyond, the rows are ours alone.",
)
_ADVICE = (
    "Take CVXPY where the programme has more than a nuclear norm and measurements (other "
    "constraints, other norms, a matrix that must be positive semidefinite)"
)


def figure(result: Result) -> Figure:
    """Seconds to a gap of about 1e-6 against size, for the completions."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    ax = calm(figure.subplots())
    kinds = (("factorflow", "1e-06"), ("SCS", "1e-06"), ("Clarabel", "its own"))
    for color, (who, asked) in zip(COLORS, kinds, strict=False):
        points: dict[int, float] = {}
        for row in result.tables[0].rows:
            if row[1] == who and row[2] == asked and row[0].startswith("completion"):
                points.setdefault(_size(row), row[3])
        if points:
            label = f"{who}, {asked}" if asked != "its own" else who
            ax.plot(list(points), list(points.values()), "o-", color=color, label=label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    sizes = sorted({_size(row) for row in result.tables[0].rows})
    ax.set_xticks(sizes, list(map(str, sizes)))
    ax.minorticks_off()
    ax.set_xlabel("size of the matrix")
    ax.set_ylabel("seconds")
    ax.legend(frameon=False)
    return figure


CASE = Case(
    name="nuclear_norm",
    title="Nuclear norm: the classic programme",
    question="How long does the least nuclear norm take to the same certified gap?",
    run=run,
    figure=figure,
)
