"""Li, Luo and Lyu 2021: the limit of infinitesimal starts is greedy, on random completion."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow.convex import nuclear_norm
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured
from factorflow.experiments._psd_completion import (
    AGREE,
    distance,
    end_of_flow,
    flow_from,
    greedy,
    phases_by_flow,
    sampled,
)
from factorflow.plots import plot_methods, plot_pairs
from factorflow.report import Table

_SETTINGS = ((10, 2), (20, 2), (30, 3))
_FULL_SETTINGS = (*_SETTINGS, (20, 3), (40, 3))
_OVERSAMPLINGS = (1.5, 2.0, 3.0)
_FULL_OVERSAMPLINGS = (1.25, *_OVERSAMPLINGS)
_ORDINARY, _LARGER, _SMALL = 1e-3, 1e-100, 1e-300
_WANTED = 20  # instances that pass the assumptions
_ROOM = 3  # ranks above the true one that the greedy path may reach
_GAP = 0.02  # at 1e-300 the runner-up is a factor of 1e6 behind at this gap
_RECOVERED = 1e-3
_METHODS = ("nuclear norm", "flow 1e-3", "flow 1e-300", "greedy")
_PASSED = "assumptions hold"
_UNEXPLAINED = "no cause found"

_Runs = Mapping[Any, Mapping[str, Any]]


@dataclass(frozen=True)
class PSDCompletionCase(AbstractCase):
    """Completion of a random ``U U^T`` by its greedy path, flow of depth 2 and the nuclear norm."""

    kind: ClassVar[str] = "greedy path, flow and nuclear norm, positive semidefinite completion"
    revision: ClassVar[int] = 2
    size: int
    rank: int
    oversampling: float
    instance: int = 0

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            finished(case, _run(case, progress))


def _run(case: PSDCompletionCase, progress) -> dict[str, Any]:
    problem = sampled(case.size, case.rank, case.oversampling, case.instance)
    truth = problem.truth
    assert truth is not None
    solution = greedy(problem, case.rank + _ROOM)
    flows = {s: end_of_flow(problem, s, progress) for s in (_LARGER, _SMALL)}
    ordinary = flow_from(problem, _ORDINARY, progress=progress)
    convex = nuclear_norm(problem)
    ends = {
        "nuclear norm": convex.matrix,
        "flow 1e-3": ordinary.matrix,
        "flow 1e-300": flows[_SMALL].matrix,
        "greedy": solution.matrix,
    }
    phases = phases_by_flow(problem, solution)
    points = solution.path.points
    return {
        "methods": {name: _described(problem, matrix) for name, matrix in ends.items()},
        "truth_trace": float(np.trace(truth)),
        "distance": distance(flows[_SMALL].matrix, solution.matrix),
        "between_scales": distance(flows[_LARGER].matrix, flows[_SMALL].matrix),
        "flow_status": flows[_SMALL].status.name,
        "convex_status": convex.status.name,
        "status": solution.status.name,
        "ranks": [point.rank for point in points],
        "gaps": [point.relative_gap for point in points],
        "together": [point.n_together for point in points],
        "ends": [point.end.name for point in points],
        "duality_gap": points[-1].duality_gap,
        "last_phase_distance": distance(phases[-1].matrix, flows[_SMALL].matrix),
        "phase_ranks": [phase.rank for phase in phases],
        "phase_distances": [phase.distance for phase in phases],
        "phase_at_rest": [phase.at_rest for phase in phases],
        "n_gradients": solution.n_gradients,
        "flow_gradients": flows[_SMALL].n_gradients,
        "n_observed": problem.n_observed,
    }


def _described(problem, matrix: np.ndarray) -> dict[str, float]:
    values = np.linalg.svd(matrix, compute_uv=False)
    residual = problem.operator.forward(matrix) - problem.values
    return {
        "error": distance(matrix, problem.truth),
        "objective": float(np.mean(np.square(residual)) / 2),
        "rank": int(np.sum(values > 1e-4 * values[0])),
        "trace": float(np.trace(matrix)),
    }


def assumption_broken(result: Mapping[str, Any]) -> str | None:
    """Which assumption of the theory an instance does not pass, in words; None if it passes all.

    It is read off the greedy path and the flows of its single phases, not off the flow whose limit
    the claim is about.
    """
    escaped = [gap for gap, n in zip(result["gaps"], result["together"], strict=True) if n > 0]
    if "RAN_OFF" in result["ends"]:
        return "a phase ran off"
    if result["status"] != "CERTIFIED":
        return "certificate not met"
    if max(result["together"]) > 1 or min(escaped) < _GAP:
        return "near-tie"
    settled = zip(result["phase_distances"], result["phase_at_rest"], strict=True)
    for apart, at_rest in settled:
        if apart > AGREE:
            return "solver jumped" if at_rest else "a phase creeps"
    return None


def cause_of(result: Mapping[str, Any]) -> str:
    """Why greedy limit and limit of the flow may differ on an instance, or that they may not."""
    broken = assumption_broken(result)
    if broken is not None:
        return broken
    if result["distance"] <= AGREE:
        return _PASSED
    if result["flow_status"] != "TRAIN_ERROR":
        return "flow not at its end"
    return "scales differ" if result["between_scales"] > AGREE else _UNEXPLAINED


def _cases(size: Size) -> list[PSDCompletionCase]:
    settings = _FULL_SETTINGS if size.full else _SETTINGS
    oversamplings = _FULL_OVERSAMPLINGS if size.full else _OVERSAMPLINGS
    return [
        PSDCompletionCase(n, r, over, i)
        for n, r in settings
        for over in oversamplings
        for i in range(size.seeds)
    ]


def _judge(results: Results) -> Finding:
    passed = {c: r for c, r in results.items() if assumption_broken(r) is None}
    apart = {c: r for c, r in results.items() if r["distance"] > AGREE}
    unexplained = [c for c, r in apart.items() if cause_of(r) == _UNEXPLAINED]
    outside = [c for c, r in apart.items() if c in passed]
    gained = [_error(r, "greedy") <= _RECOVERED for r in passed.values()]
    convex = [_error(r, "nuclear norm") <= _RECOVERED for r in passed.values()]
    wanted = _WANTED if len(results) > _WANTED else 1
    return Finding(
        measured=tuple(_measured(results, passed)),
        checks=(
            Check("so many instances pass the assumptions", len(passed), ">=", wanted),
            Check("on these the greedy limit is that of the flow, relative distance",
                  _largest(passed, "distance"), "<=", AGREE),
            Check("so none of them is an exception", len(outside), "<=", 0),
            Check("on these the flows from 1e-100 and 1e-300 end together",
                  _largest(passed, "between_scales"), "<=", AGREE),
            Check("exceptions without a named cause", len(unexplained), "<=", 0),
            Check("every minimizer of the nuclear norm is certified",
                  float(np.mean([r["convex_status"] == "CERTIFIED" for r in results.values()])),
                  ">=", 1),
            Check("where the assumptions hold greedy recovers the truth more often than the "
                  "nuclear norm does", sum(gained), ">", sum(convex), essential=False),
        ),
        tables=(_method_table(results), _exception_table(results)),
        figures=(
            (_ERROR_CAPTION, _error_figure(results)),
            (_DISTANCE_CAPTION, _distance_figure(results)),
        ),
        notes=(_HOW, _told(results, passed, apart)),
    )  # fmt: skip


_HOW = (
    "The flow is that of depth 2, in eigenvectors and logarithms of eigenvalues, which keep the "
    "matrix positive semidefinite, from 1e-300 times the identity to a mean squared residual of "
    "1e-12. Its distance from its limit falls as a power of the scale, so that where the ends of "
    "1e-100 and 1e-300 are a distance d apart, the limit is about d cubed from the latter, if that "
    "is above the tolerance of the steps. An instance passes the "
    "assumptions if its greedy path is certified, no phase runs off, the top eigenvalue is simple "
    "with a relative gap of 0.02 or more at every point that is left, and gradient flow of each "
    "rank, started beside the critical point before, comes to rest where the local solver did. "
    "No published number: measured here."
)


def _error(result: Mapping[str, Any], method: str) -> float:
    return float(result["methods"][method]["error"])


def _largest(runs: _Runs, name: str) -> float:
    return max((float(result[name]) for result in runs.values()), default=np.nan)


def _measured(results: Results, passed: _Runs) -> Iterable[Measured]:
    yield Measured.exact("instances", len(results))
    yield Measured.exact("instances that pass the assumptions", len(passed))
    if passed:
        seeds = [case.instance for case in passed]
        for name, words in (
            ("distance", "relative distance of the greedy limit from the flow of 1e-300"),
            ("between_scales", "relative distance of the flows from 1e-100 and 1e-300"),
            ("n_gradients", "gradients of the greedy path"),
            ("flow_gradients", "gradients of the flow from 1e-300"),
        ):
            values = [result[name] for result in passed.values()]
            yield Measured.of(f"assumptions hold: {words}", values, seeds)
    for method in _METHODS:
        errors = [_error(result, method) for result in results.values()]
        seeds = [case.instance for case in results]
        yield Measured.of(f"all instances: error of {method}", errors, seeds)


def _method_table(results: Results) -> Table:
    rows = []
    for setting in dict.fromkeys((c.size, c.rank, c.oversampling) for c in results):
        here = [r for c, r in results.items() if (c.size, c.rank, c.oversampling) == setting]
        for method in _METHODS:
            each = [result["methods"][method] for result in here]
            traces = [m["trace"] / r["truth_trace"] for m, r in zip(each, here, strict=True)]
            rows.append((
                "{} x {}, rank {}, {:g}".format(setting[0], *setting),
                method,
                f"{sum(m['error'] <= _RECOVERED for m in each)} of {len(each)}",
                float(np.median([m["error"] for m in each])),
                f"{np.median([m['rank'] for m in each]):g}",
                float(np.median(traces)),
                float(np.median([m["objective"] for m in each])),
            ))  # fmt: skip
    return Table(
        "Recovered to a relative error of 1e-3, and medians: error, number of singular values "
        "above 1e-4 of the largest, trace over the true one, objective.",
        ("size, rank, oversampling", "method", "recovered", "error", "rank", "trace", "objective"),
        rows,
    )


def _exception_table(results: Results) -> Table:
    rows = []
    for case, result in results.items():
        cause = cause_of(result)
        if cause == _PASSED:
            continue
        phases = zip(result["phase_ranks"], result["phase_distances"], strict=True)
        rows.append((
            f"{case.size} x {case.size}, rank {case.rank}, {case.oversampling:g}, "
            f"instance {case.instance}",
            cause,
            float(result["distance"]),
            float(result["between_scales"]),
            ", ".join(map(str, result["ranks"])),
            ", ".join(f"{gap:.2f}" for gap in result["gaps"][:-1]),
            ", ".join(f"{rank}: {apart:.1e}" for rank, apart in phases),
            float(result["last_phase_distance"]),
        ))  # fmt: skip
    return Table(
        "Instances that do not pass the assumptions, each with the cause: relative distance of "
        "greedy limit and flow, of the flows from 1e-100 and 1e-300, and, phase by phase, of the "
        "end of the flow of that rank from the critical point; last, of the last phase by flow "
        "from the flow of infinitesimal start.",
        ("instance", "cause", "distance", "scales", "ranks", "gaps", "phases by flow", "last"),
        rows or [("none", "", 0.0, 0.0, "", "", "", 0.0)],
    )


def _told(results: Results, passed: _Runs, apart: _Runs) -> str:
    counts: dict[str, int] = {}
    for result in apart.values():
        cause = cause_of(result)
        counts[cause] = counts.get(cause, 0) + 1
    causes = ", ".join(f"{n} by {cause!r}" for cause, n in counts.items()) or "none"
    still = sum(c not in passed for c in results) - sum(c not in passed for c in apart)
    return (
        f"{len(passed)} of {len(results)} instances pass the assumptions. Exceptions, farther "
        f"apart than 1e-3: {len(apart)} ({causes}). On {still} more an assumption fails and the "
        "two agree nevertheless. 'A phase creeps' where gradient flow of one rank is not at rest "
        "after 30,000 gradients, 'solver jumped' where it rests at another point than the local "
        "solver of the greedy path, farther away than 1e-3."
    )


_ERROR_CAPTION = (
    "Relative error of the four methods, one line for each instance, by measurements per degree of "
    "freedom. What is below 1e-4 is the tolerance of the stops."
)
_DISTANCE_CAPTION = (
    "Relative distance of the greedy limit from the end of the flow of 1e-300, one point for each "
    "instance, by whether the assumptions hold and which does not. The line is 1e-3."
)


def _error_figure(results: Results) -> Figure:
    oversamplings = sorted({case.oversampling for case in results})
    figure, axes = panels(len(oversamplings), width=4.6)
    for over, ax in zip(oversamplings, axes, strict=True):
        here = [r for c, r in results.items() if c.oversampling == over]
        errors = xr.DataArray(
            [[_error(result, method) for method in _METHODS] for result in here],
            dims=("instance", "method"),
            coords={"method": list(_METHODS)},
            name="relative_error",
        )
        plot_pairs(errors, "relative_error", ax)
        ax.set_title(f"{over:g} measurements per degree of freedom", fontsize="medium")
    return figure


def _distance_figure(results: Results) -> Figure:
    causes = {_PASSED: []}
    for result in results.values():
        causes.setdefault(cause_of(result), []).append(result["distance"])
    table = np.full((len(causes), max(map(len, causes.values()))), np.nan)
    for row, values in zip(table, causes.values(), strict=True):
        row[: len(values)] = values
    names = [f"{cause}\n({len(values)})" for cause, values in causes.items()]
    distances = xr.DataArray(
        table,
        dims=("method", "instance"),
        coords={"method": names},
        name="relative_distance",
        attrs={"long_name": "Relative distance, greedy limit and flow"},
    )
    figure, (ax,) = panels(1, max(5.6, 1.7 * len(names)), 4.0)
    plot_methods(distances, "relative_distance", ax)
    ax.axhline(AGREE, color="#4d4d4d", linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    return figure


CLAIM = Claim(
    id="li2021.completion",
    title="Greedy limit, flow and nuclear norm",
    statement="On random positive semidefinite completion the limit of greedy low-rank learning is "
    "the limit of depth-2 gradient flow from infinitesimal starts, wherever the assumptions of the "
    "theory hold, and not the minimizer of the nuclear norm.",
    source="Li, Luo and Lyu 2021 (arXiv:2012.09839)",
    published=(),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=3,
    full_seeds=5,
)
