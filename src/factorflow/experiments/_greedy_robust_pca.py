"""Robust principal components by greedy low-rank learning with a smooth loss."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow.datasets import low_rank
from factorflow.dynamics import (
    DampedNewton,
    GreedyLowRank,
    PhaseEnd,
    Stop,
    solve,
    solve_many,
)
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured
from factorflow.experiments._tabulate import tabulate
from factorflow.factorizations import DeepLinear
from factorflow.initializers import StartAt
from factorflow.plots import plot_recovery
from factorflow.problems import RobustCompletion
from factorflow.report import Table
from factorflow.trajectories import Record, Solution

_SIZE, _RANK, _COLUMNS = 40, 2, 3
_WRONG = {1.0: (0.1, 0.2, 0.3, 0.4), 0.5: (0.05, 0.1, 0.15, 0.2)}  # by the share observed
_OBSERVED = (0.3, 0.4, 0.5, 0.7, 1.0)
_THRESHOLD, _THRESHOLDS = 1e-2, (1.0, 1e-1, 1e-2)
_COMPARED = (0.5, 0.15)  # shares observed and wrong at which thresholds are compared
_LOWER = (1e-4, 1e-6)  # to which the threshold then goes
_RECOVERED = 1e-5  # ten times the last threshold
_AT_REST = 1e-8  # norm of the gradient, as a share of the threshold
_MOST_GRADIENTS = 2000
_NAME = "greedy limit"


@dataclass(frozen=True)
class RobustCase(AbstractCase):
    """Low rank beneath gross errors of size 10: the greedy path, and on from its chosen point.

    Parameters
    ----------
    observed
        Share of the cells that are observed.
    wrong
        Share of those that are grossly wrong.
    threshold
        Of the loss of the greedy path.
    instance
        Seed of the matrix, the cells and the errors.
    size, rank
        Of the matrix, whose root-mean-square entry is 1.
    columns
        The largest rank of the path.
    lower
        Thresholds to which the chosen point is then taken.
    """

    kind: ClassVar[str] = "robust completion by greedy low-rank learning"
    revision: ClassVar[int] = 1
    observed: float
    wrong: float
    threshold: float = _THRESHOLD
    instance: int = 0
    size: int = _SIZE
    rank: int = _RANK
    columns: int = _COLUMNS
    lower: tuple[float, ...] = _LOWER

    @property
    def problem(self) -> RobustCompletion:
        """The instance."""
        return RobustCompletion.sample(
            low_rank((self.size, self.size), self.rank, seed=self.instance),
            round(self.observed * self.size**2),
            corrupted=self.wrong,
            threshold=self.threshold,
            seed=self.instance,
        )

    @property
    def group(self):
        return self.observed, self.wrong, self.threshold, self.size, self.rank, self.columns

    @classmethod
    def run_many(cls, cases, finished, progress):
        problems = [case.problem for case in cases]

        def tell(k: int, solution: Solution) -> None:
            finished(cases[k], _result(cases[k], problems[k], solution), solution.seconds)

        solve_many(
            problems,
            DeepLinear(2, [cases[0].columns]),
            GreedyLowRank(),
            seeds=[case.instance for case in cases],
            stop=Stop(train_error=None, n_gradients=_MOST_GRADIENTS),
            record=Record([]),
            how="threads",
            progress=progress,
            finished=tell,
            throw=False,
        )


def _result(case: RobustCase, problem: RobustCompletion, solution: Solution) -> dict[str, Any]:
    path = solution.path
    errors = [_relative(matrix, problem.truth) for matrix in path.matrices]
    escapes = [each.escape for each in path.points]
    chosen = last_fall(escapes)
    ends, spent = _continued(case, problem, path.matrices[chosen], path.points[chosen].rank)
    later = [_relative(matrix, problem.truth) for matrix in ends]
    return {
        "error_of_each": errors,
        "escape_of_each": escapes,
        "ran_off": [each.end is PhaseEnd.RAN_OFF for each in path.points],
        "chosen_rank": path.points[chosen].rank,
        "relative_error": errors[chosen],
        "least_error": min(errors),
        "error_of_lower": later,
        "last_error": later[-1] if later else errors[chosen],
        "status": solution.status.name,
        "n_gradients": path.points[chosen].n_gradients,
        "n_gradients_of_lower": spent,
    }


def last_fall(escapes: Sequence[float]) -> int:
    """Index of the point into which the escape falls most, as a share of itself.

    As long as there is rank to be found the next direction pulls with the strength of many cells;
    after it only those that are wrong are left, each with a pull of its own.
    """
    known = np.maximum(escapes, 1e-300)
    return int(np.argmax(known[:-1] / known[1:])) + 1 if len(known) > 1 else 0


def _continued(
    case: RobustCase, problem: RobustCompletion, matrix: np.ndarray, rank: int
) -> tuple[list[np.ndarray], int]:
    """Ends of further runs from a point at its own rank, each of a lower threshold."""
    ends, spent = [], 0
    for threshold in case.lower if rank else ():
        solution = solve(
            replace(problem, threshold=threshold),
            DeepLinear(2, [rank]),
            DampedNewton(),
            init=StartAt(matrix),
            stop=Stop(train_error=None, gradient_norm=_AT_REST * threshold, n_gradients=1000),
            record=Record([]),
            throw=False,
        )
        matrix, spent = solution.matrix, spent + int(solution.n_gradients or 0)
        ends.append(matrix)
    return ends, spent


def _relative(matrix: np.ndarray, truth: Any) -> float:
    return float(np.linalg.norm(matrix - truth) / np.linalg.norm(truth))


def _settings() -> list[tuple[float, float, float]]:
    """Shares observed and wrong, and thresholds."""
    found = [(observed, w, _THRESHOLD) for observed, each in _WRONG.items() for w in each]
    found += [(observed, 0.1, _THRESHOLD) for observed in _OBSERVED]
    found += [(*_COMPARED, threshold) for threshold in _THRESHOLDS]
    return list(dict.fromkeys(found))


def _cases(size: Size) -> list[RobustCase]:
    return [RobustCase(*each, i) for each in _settings() for i in range(size.seeds)]


_Runs = dict[tuple[float, float, float], dict[int, dict[str, Any]]]


def _judge(results: Results) -> Finding:
    runs: _Runs = {}
    for case, result in results.items():
        at = case.observed, case.wrong, case.threshold
        runs.setdefault(at, {})[case.instance] = result
    return Finding(
        measured=tuple(_measured(runs)),
        checks=tuple(_checks(runs)),
        tables=(_table(runs),),
        figures=((_CAPTION, _figure(results)), (_THRESHOLD_CAPTION, _threshold_figure(runs))),
        notes=_notes(runs),
    )


def _words(at: tuple[float, float, float]) -> str:
    observed, wrong, threshold = at
    return f"{observed:.0%} observed, {wrong:.0%} wrong, threshold {threshold:g}"


def _recovered(runs: _Runs, *at: float) -> float:
    every = runs[at[0], at[1], at[2] if len(at) > 2 else _THRESHOLD].values()
    return float(np.mean([each["last_error"] < _RECOVERED for each in every]))


def _measured(runs: _Runs) -> list[Measured]:
    names = {
        "relative_error": "error of the chosen point",
        "last_error": f"error at the threshold {_LOWER[-1]:g}",
        "chosen_rank": "rank found",
        "n_gradients": "gradients up to the chosen point",
    }
    return [
        Measured.of(f"{_words(at)}: {words}", [each[name] for each in own.values()], own)
        for at, own in runs.items()
        for name, words in names.items()
    ]


def _checks(runs: _Runs) -> list[Check]:
    every = [each for own in runs.values() for each in own.values()]
    found = [each for each in every if each["last_error"] < _RECOVERED]
    right = [each["chosen_rank"] == _RANK for each in found]
    missed = [each["relative_error"] > 2 * each["least_error"] for each in every
              if each["least_error"] < 2 * _THRESHOLD]  # fmt: skip
    falls = [_at_lower(each) for each in found]
    return [
        Check("all cells observed, three tenths of them wrong: at least 9 of 10 recovered",
              _recovered(runs, 1.0, 0.3), ">=", 0.9),
        Check("half of them observed, a tenth wrong: at least 9 of 10 recovered",
              _recovered(runs, 0.5, 0.1), ">=", 0.9),
        Check("half of them observed, a fifth wrong: fewer than 9 of 10",
              _recovered(runs, 0.5, 0.2), "<", 0.9, essential=False),
        Check(f"half observed, 15 per cent wrong: a threshold of {_THRESHOLD:g} recovers more than "
              "1 does", _recovered(runs, *_COMPARED),
              ">", _recovered(runs, *_COMPARED, max(_THRESHOLDS)), essential=False),
        Check("where the truth is recovered the rank found is its own",
              float(np.mean(right)) if right else np.nan, ">=", 1.0),
        Check("where a point of the path comes near the truth it is the chosen one, in 95 of 100",
              float(np.mean(missed)) if missed else np.nan, "<=", 0.05),
        Check("the error then falls in proportion to the threshold, within a factor 2",
              float(np.median(falls)) if falls else np.nan, "within", (0.5, 2.0)),
    ]  # fmt: skip


def _at_lower(each: dict[str, Any]) -> float:
    """Fall of the error over the last step of the threshold, as a share of the threshold's."""
    before, after = each["error_of_lower"][-2:]
    return after / before * _LOWER[-2] / _LOWER[-1]


def _table(runs: _Runs) -> Table:
    rows = []
    for (observed, wrong, threshold), own in runs.items():
        each = list(own.values())
        ranks = [run["chosen_rank"] for run in each]
        rows.append((
            f"{observed:.0%}", f"{wrong:.0%}", f"{threshold:g}",
            _recovered(runs, observed, wrong, threshold),
            float(np.median([run["relative_error"] for run in each])),
            float(np.median([run["last_error"] for run in each])),
            ", ".join(f"{rank}: {ranks.count(rank)}" for rank in sorted(set(ranks))),
            sum(sum(run["ran_off"]) for run in each),
            f"{np.median([run['n_gradients'] for run in each]):.0f}",
        ))  # fmt: skip
    return Table(
        f"Share recovered to {_RECOVERED:g}, median errors at the chosen point and at the lowest "
        "threshold, how often each rank was found, phases that ran off, and gradients up to the "
        "chosen point.",
        ("observed", "wrong", "threshold", "recovered", "error", "at the lowest", "ranks found",
         "ran off", "gradients"),
        rows,
    )  # fmt: skip


def _notes(runs: _Runs) -> tuple[str, ...]:
    every = [each for own in runs.values() for each in own.values()]
    first = [run for run in every if any(run["ran_off"][: _RANK + 1])]
    kept = sum(run["last_error"] < _RECOVERED for run in first)
    cut = sum(run["status"] == "GRADIENT_LIMIT" for run in every)
    return (
        f"{_SIZE} x {_SIZE} matrices of rank {_RANK} with entries of root-mean-square 1, gross "
        f"errors of size 10, up to {_COLUMNS} columns. The point is chosen without knowing the "
        "rank or the truth: it is the one into which the escape, the largest singular value of the "
        "gradient, falls most. The objective itself is never zero, and a certificate at a small "
        "tolerance would be met only after wrong cells were fitted.",
        "From the chosen point the threshold is lowered at the same rank to "
        f"{' and '.join(f'{each:g}' for each in _LOWER)}; at each the error is in proportion to "
        "the threshold, so that a run that is near the truth comes to it.",
        f"In {len(first)} of {len(every)} runs a phase of rank 1 or {_RANK} ran off; {kept} of "
        f"them were recovered all the same. {cut} runs spent their {_MOST_GRADIENTS} gradients, "
        "which ends the path at the ranks it has by then.",
    )


_CAPTION = (
    f"Share of instances recovered to a relative error of {_RECOVERED:g}, with Wilson's interval "
    "of 95 per cent, against the share of wrong cells, and against the share of observed cells of "
    "which a tenth is wrong."
)
_THRESHOLD_CAPTION = (
    "Half of the cells observed, 15 per cent wrong: the error of the chosen point against the "
    "threshold of the path and, from its smallest on, as the threshold is lowered at that rank."
)


def _figure(results: Results) -> Figure:
    own = {c: _shown(r) for c, r in results.items() if c.threshold == _THRESHOLD}
    by_wrong = tabulate(
        {c: r for c, r in own.items() if c.wrong in _WRONG.get(c.observed, ())},
        ["recovered"],
        method=lambda c: f"{c.observed:.0%} observed",
        wrong=lambda c: c.wrong,
        instance=lambda c: c.instance,
    ).sortby("wrong")
    by_wrong["wrong"].attrs["long_name"] = "Share of observed cells that are wrong"
    by_observed = tabulate(
        {c: r for c, r in own.items() if c.wrong == 0.1},
        ["recovered"],
        method=lambda c: "10% wrong",
        observed=lambda c: c.observed,
        instance=lambda c: c.instance,
    ).sortby("observed")
    by_observed["observed"].attrs["long_name"] = "Share of cells observed"
    figure, (left, right) = panels(2, width=4.8)
    plot_recovery(by_wrong, "recovered", left, x="wrong")
    plot_recovery(by_observed, "recovered", right, x="observed")
    return figure


def _shown(result: dict[str, Any]) -> dict[str, float]:
    return {"recovered": float(result["last_error"] < _RECOVERED)}


def _threshold_figure(runs: _Runs) -> Figure:
    own = {threshold: runs[*_COMPARED, threshold] for threshold in _THRESHOLDS}
    seeds = sorted(own[_THRESHOLD])
    thresholds = [*_THRESHOLDS, *_LOWER]
    values = np.full((2, len(thresholds), len(seeds)), np.nan)
    for t, threshold in enumerate(_THRESHOLDS):
        values[0, t] = [own[threshold][i]["relative_error"] for i in seeds]
    for s, i in enumerate(seeds):
        later = own[_THRESHOLD][i]["error_of_lower"]
        values[1, len(_THRESHOLDS) - 1, s] = own[_THRESHOLD][i]["relative_error"]
        values[1, len(_THRESHOLDS) : len(_THRESHOLDS) + len(later), s] = later
    table = xr.DataArray(
        values,
        dims=("method", "threshold", "instance"),
        coords={
            "method": ["greedy path", "threshold lowered"],
            "threshold": thresholds,
            "instance": seeds,
        },
        name="relative_error",
    )
    figure, (ax,) = panels(1, 5.6, 4.0)
    plot_recovery(table, "relative_error", ax, x="threshold")
    ax.set_xscale("log")
    return figure


CLAIM = Claim(
    id="greedy.robust-pca",
    title="Robust principal components by the greedy limit",
    statement="With a smooth robust loss the greedy limit finds rank and matrix of at least nine "
    "of ten matrices of rank 2, 40 x 40, with all cells observed and three tenths of them grossly "
    "wrong, and with half of them observed and a tenth wrong.",
    source="This project; the limit is that of Li, Luo and Lyu 2021 (arXiv:2012.09839), robust "
    "principal components are after Candès, Li, Ma and Wright 2011",
    published=(),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=20,
    full_seeds=60,
)
