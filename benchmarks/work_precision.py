"""What precision costs: error of the end matrix against gradients, for every flow solver."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from time import perf_counter
from typing import Any

import diffrax
import numpy as np
import scipy.integrate
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

import factorflow as ff
from benchmarks._case import Bar, Case, Result, Table
from benchmarks._other_flows import Flowed, Task, better_alone, by_diffrax, by_scipy
from factorflow.plots._style import COLORS, calm

DEPTH = 3
SCALES = (1e-2, 1e-3, 1e-4)
JUDGED = (1e-2, 1e-3, 1e-4, 1e-5)
PRECISIONS = (*JUDGED, 1e-6)
# Size, rank, entries; as many entries for each degree of freedom as in `trajectory`.
SETTINGS = {False: (60, 4, 950), True: (100, 5, 2000)}
SMALL = (16, 2, 125)  # where a solver with a dense Jacobian can run at all
RKC, ROCK4, ROSENBROCK = "RKC", "ROCK4", "Rosenbrock"
OURS = (RKC, ROCK4, ROSENBROCK)
TIGHT = 1e-11
STABILIZED = {
    RKC: (ff.RKC(), (3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)),
    ROCK4: (ff.ROCK4(), (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6)),
}
# Of one order of a family one is enough: RK23 is Bosh3 and RK45 Dopri5, of other step sizes.
EXPLICIT = {
    False: {"Diffrax Tsit5": diffrax.Tsit5},
    True: {
        "Diffrax Heun": diffrax.Heun,
        "Diffrax Tsit5": diffrax.Tsit5,
        "Diffrax Dopri8": diffrax.Dopri8,
    },
}
SCIPY = {
    False: {"SciPy RK23": scipy.integrate.RK23},
    True: {
        "SciPy RK23": scipy.integrate.RK23,
        "SciPy RK45": scipy.integrate.RK45,
        "SciPy DOP853": scipy.integrate.DOP853,
    },
}
# Looser ones end with errors of several percent and take hardly fewer gradients.
TOLERANCES = {False: (1e-2, 1e-4, 1e-5), True: (1e-2, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6)}
MOST_STEPS = 20_000  # an explicit method whose tolerance is too loose here never arrives
IMPLICIT = {
    "SciPy LSODA": (scipy.integrate.LSODA, (1e-2, 1e-4, 1e-5, 1e-6)),
    "SciPy BDF": (scipy.integrate.BDF, (1e-2, 1e-4)),
}
KVAERNO5 = "Diffrax Kvaerno5"
_LEFT_OUT = {f"{ROSENBROCK}, {', '.join(IMPLICIT)} and {KVAERNO5}": "quick size: see the full size"}


@dataclass(frozen=True)
class Point:
    """One run of one solver."""

    solver: str
    rtol: float
    n_gradients: int
    error: float
    seconds: float
    at_least: bool = False


# Runs --------------------------------------------------------------------------------------------


def _task(setting: tuple[int, int, int], scale: float) -> tuple[Task, np.ndarray]:
    """A flow to the time at which ours has a train error of 1e-6, and where a tight one is then."""
    size, rank, n_observed = setting
    problem = ff.Completion.sample(
        ff.datasets.low_rank((size, size), rank, seed=0), n_observed, seed=0
    )
    start = ff.Gaussian(scale)(ff.DeepLinear(DEPTH), (size, size), 0)
    task = Task(problem, tuple(np.asarray(factor, dtype=float) for factor in start))
    roughly = ff.solve(
        problem, ff.DeepLinear(DEPTH), ff.GradientFlow(rtol=1e-4), init=ff.Gaussian(scale),
        record=ff.Record([]),
    )  # fmt: skip
    task = replace(task, train_error=None, time=roughly.time)
    return task, by_diffrax(task, diffrax.Dopri8(), TIGHT).matrix


def _by_ours(task: Task, solver: Any, rtol: float) -> Flowed:
    solution = ff.solve(
        task.problem, ff.DeepLinear(DEPTH), ff.GradientFlow(solver, rtol=rtol),
        init=lambda *_: task.factors, record=ff.Record([]), throw=False,
        stop=ff.Stop(train_error=None, time=task.time, n_gradients=None),
    )  # fmt: skip
    return Flowed(solution.matrix, solution.train_error, solution.n_gradients)


def _stabilized_runs(task: Task) -> Iterator[tuple[str, float, Callable]]:
    for name, (solver, tolerances) in STABILIZED.items():
        for rtol in tolerances:
            yield name, rtol, partial(_by_ours, task, solver, rtol)


def _runs(full: bool, task: Task) -> Iterator[tuple[str, float, Callable]]:
    """Solvers that need no matrix of the size of the state squared."""
    yield from _stabilized_runs(task)
    for name, solver in EXPLICIT[full].items():
        for rtol in TOLERANCES[full]:
            yield name, rtol, partial(by_diffrax, task, solver(), rtol, max_steps=MOST_STEPS)
    alone = better_alone(task)
    for name, method in SCIPY[full].items():
        for rtol in TOLERANCES[full]:
            yield name, rtol, partial(by_scipy, task, method, rtol, alone=alone)


def _small_runs(task: Task) -> Iterator[tuple[str, float, Callable]]:
    """Those that do, and ours beside them."""
    yield from _stabilized_runs(task)
    for rtol in (1e-1, 1e-2, 1e-3, 1e-4):
        yield ROSENBROCK, rtol, partial(_by_ours, task, ff.Rosenbrock(), rtol)
    for name, (method, tolerances) in IMPLICIT.items():
        for rtol in tolerances:
            yield name, rtol, partial(by_scipy, task, method, rtol)
    for rtol in (1e-2, 1e-4):
        yield KVAERNO5, rtol, partial(by_diffrax, task, diffrax.Kvaerno5(), rtol)


def _points(runs, wanted: np.ndarray, tell, where: str) -> list[Point]:
    points = []
    for name, rtol, run in runs:
        began = perf_counter()
        flowed = run()
        seconds = perf_counter() - began
        error = float(np.linalg.norm(flowed.matrix - wanted) / np.linalg.norm(wanted))
        if flowed.why_early is not None or not np.isfinite(error):
            tell(f"{where}: {name} at {rtol:g} did not arrive: {flowed.why_early}")
            error = np.inf
        points.append(Point(name, rtol, flowed.n_gradients, error, seconds, flowed.at_least))
    return points


# Gradients at a precision ------------------------------------------------------------------------


def gradients_at(points: list[Point], precision: float) -> float | None:
    """Gradients of a solver at the loosest tolerance from which on its errors keep the precision.

    Between that point and the next looser one, which does not keep it, along the line in the
    logarithms of both numbers. So a lucky run at a loose tolerance counts for nobody. A solver that
    is precise enough at its loosest tolerance takes that point.
    """
    points = sorted(points, key=lambda point: point.rtol)
    kept = list(takewhile(lambda point: point.error <= precision, points))
    if not kept:
        return None
    if len(kept) == len(points):
        return float(kept[-1].n_gradients)
    near, far = kept[-1], points[len(kept)]
    if not np.isfinite(far.error):
        return float(near.n_gradients)
    share = np.log(precision / near.error) / np.log(far.error / near.error)
    return float(near.n_gradients * (far.n_gradients / near.n_gradients) ** share)


def _by_solver(points: list[Point]) -> dict[str, list[Point]]:
    return {
        name: [point for point in points if point.solver == name]
        for name in dict.fromkeys(point.solver for point in points)
    }


def _level_rows(where: str, scale: float, points: list[Point]) -> list[tuple]:
    rows = []
    for name, mine in _by_solver(points).items():
        found = [gradients_at(mine, precision) for precision in PRECISIONS]
        sign = "≥ " if mine[0].at_least else ""
        rows.append((where, scale, name, *(_said(number, sign) for number in found)))
    return rows


def _said(number: float | None, sign: str) -> Any:
    return number if number is None else (f"{sign}{number:,.0f}" if sign else round(number))


def _margin(points: list[Point], precision: float) -> float | None:
    """Gradients of the best peer over those of the better of RKC and ROCK4."""
    found = {
        name: number
        for name, mine in _by_solver(points).items()
        if (number := gradients_at(mine, precision)) is not None
    }
    ours = [number for name, number in found.items() if name in STABILIZED]
    peers = [number for name, number in found.items() if name not in OURS]
    return min(peers) / min(ours) if ours and peers else None


# The case ----------------------------------------------------------------------------------------


def run(full: bool, tell: Callable[[str], None]) -> Result:
    levels, drawn, margins = [], [], {precision: [] for precision in PRECISIONS}
    settings: dict[tuple[int, int, int], Callable] = {SETTINGS[full]: partial(_runs, full)}
    if full:
        settings[SMALL] = _small_runs
    for setting, runs in settings.items():
        where = f"{setting[0]}×{setting[0]}"
        for scale in SCALES:
            task, wanted = _task(setting, scale)
            points = _points(runs(task), wanted, tell, where)
            levels += _level_rows(where, scale, points)
            arrived = [point for point in points if np.isfinite(point.error)]
            drawn += [[where, scale, *vars(point).values()] for point in arrived]
            for precision in PRECISIONS:
                margins[precision].append(_margin(points, precision))
            tell(f"{where} from scale {scale:g}: {_told(margins)}")
    return Result(
        tables=(
            Table(
                "Gradients for an end matrix at a relative distance of the tight flow's.",
                ("size", "scale", "solver", *(f"to {precision:g}" for precision in PRECISIONS)),
                levels,
            ),
        ),
        bars=tuple(_bar(precision, margins[precision]) for precision in JUDGED),
        data={"points": drawn},
        skipped={} if full else _LEFT_OUT,
        notes=(*_NOTES, _best_others(levels)),
    )


def _told(margins: dict) -> str:
    last = {precision: found[-1] for precision, found in margins.items()}
    return ", ".join(
        f"{precision:g}: {'–' if margin is None else f'{margin:.1f}'}"
        for precision, margin in last.items()
    )


def _bar(precision: float, margins: list[float | None]) -> Bar:
    known = [margin for margin in margins if margin is not None]
    missed = len(known) < len(margins)
    return Bar(
        f"gradients of the best peer over those of RKC or ROCK4 at {precision:g}, least of all "
        "starts",
        None if missed else min(known),
        5.0 if precision == 1e-3 else 1.0,
    )


def _best_others(levels: list[tuple]) -> str:
    """Who is the best beside ours at 1e-3, by size and start."""
    best: dict[tuple, tuple[int, str]] = {}
    for where, scale, name, *spent in levels:
        number = spent[PRECISIONS.index(1e-3)]
        if name not in OURS and isinstance(number, int):
            best[where, scale] = min(best.get((where, scale), (number, name)), (number, name))
    told = (f"{name} at {where} from {scale:g}" for (where, scale), (_, name) in best.items())
    return f"The best of the others for a distance of 1e-3: {'; '.join(told)}."


_NOTES = (
    "The flow of a depth-3 network from three scales, up to the time at which its train error is "
    f"1e-6; the distance is that of the end matrix from a Dopri8 flow at a tolerance of {TIGHT:g}. "
    "Each solver runs at several relative tolerances, each with the absolute tolerance that "
    "GradientFlow takes from it; a precision counts from the loosest tolerance on at and below "
    "which all runs keep it, and gradients are interpolated from there to the next looser run, "
    "logarithms against logarithms; a run that does not arrive keeps none. A dash: not kept at the "
    "tightest tolerance that was tried. Rejected steps "
    "count, Jacobians by differences count by column, and a Jacobian by automatic differentiation "
    "counts as many gradients as it has columns. One instance of each size.",
    "Ordinary explicit solvers run at their limit of stability, so that down to about 1e-5 their "
    "cost hardly depends on the precision. That of RKC and ROCK4 does. RKC is of second order and "
    "pays two to three times as much for each digit: take it down to a distance of a few 1e-4, and "
    "below `GradientFlow(ROCK4())`, of fourth order, with smaller tolerances for more digits. The "
    "smaller the start, the less stiff the flow and the smaller our lead. For references at the "
    "limit of rounding take `GradientFlow(diffrax.Dopri8(), rtol=1e-9)`.",
    "Solvers with a dense Jacobian can run on small problems alone and are compared on one. "
    "Rosenbrock, ours as well, is for flows that go on long after their ranks are found. LSODA "
    "takes few gradients until it asks for its Jacobian.",
)


def figure(result: Result) -> Figure:
    """A panel for each size and start, a line for each solver."""
    points = result.data["points"]
    panels = list(dict.fromkeys((point[0], point[1]) for point in points))
    figure = Figure(figsize=(3.4 * len(panels), 3.8), layout="constrained")
    names = list(dict.fromkeys(point[2] for point in points))
    for ax, (where, scale) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True
    ):
        for k, name in enumerate(names):
            mine = [p for p in points if (p[0], p[1], p[2]) == (where, scale, name)]
            if mine:
                ax.plot(
                    [p[4] for p in mine], [p[5] for p in mine],
                    marker="osv^D"[k // len(COLORS)], ms=3.5, lw=2.2 if name == RKC else 1.0,
                    ls="-" if name in OURS else "--", color=COLORS[k % len(COLORS)], label=name,
                )  # fmt: skip
        calm(ax)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_title(f"{where} from scale {scale:g}")
        ax.set_xlabel("gradients")
        ax.legend(frameon=False, fontsize=6)
    figure.axes[0].set_ylabel("relative distance of the end matrix")
    return figure


CASE = Case(
    name="work_precision",
    title="Precision of the flow against its cost",
    question="How many gradients does a flow take for an end matrix of a given precision, by each "
    "solver?",
    run=run,
    figure=figure,
)
