"""Razin and Cohen 2020: the same in larger matrices."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from factorflow.experiments._case import Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._two_by_two import (
    DeterminantFlowCase,
    entry_at,
    growth_of,
    least_over,
    over_loss,
)
from factorflow.plots import plot_blow_up
from factorflow.report import Table
from factorflow.theory import larger_entry_bound

_SIZES = (3, 4, 5, 10)
_DEPTHS = (2, 3)
_SCALE = 1e-6
_LOSSES = {3: 1e-6, 4: 1e-6, 5: 1e-6, 10: 1e-4}  # the last as published, the others farther
_FAR, _AT_REST = 1e-5, 0.05
_SOURCE = "Razin, Cohen 2020, experiments with larger matrices"

Bound = Callable[[np.ndarray], np.ndarray]
_Runs = dict[tuple[int, int, int], dict[int, Mapping[str, Any]]]


def _cases(size: Size) -> list[DeterminantFlowCase]:
    return [
        DeterminantFlowCase(depth, sign, _SCALE, _LOSSES[d], i, size=d)
        for depth in _DEPTHS
        for sign in (1, -1)
        for d in _SIZES
        for i in range(size.seeds)
    ]


def _judge(results: Results) -> Finding:
    runs: _Runs = {}
    for case, result in results.items():
        runs.setdefault((case.depth, case.sign, case.size), {})[case.instance] = result
    return Finding(
        measured=tuple(
            Measured.of(_name(depth, sign, d), [run["entry"][-1] for run in each.values()], each)
            for (depth, sign, d), each in runs.items()
        ),
        checks=tuple(_checks(runs)),
        tables=(_table(runs),),
        figures=((_CAPTION, _figure(runs)),),
        notes=(
            "All entries but (1, 1) are observed: ones at (1, 2), (2, 1) and at (i, i) for i of 3 "
            "and more, else zeros. Every solution has the determinant -1. Starts of scale "
            f"{_SCALE:g}; to a loss, the sum of half the squared residuals, of 1e-6, or 1e-4 for "
            "10 x 10. That is too early to see the entry rest at depth 3, so for 10 x 10 only the "
            "positive determinant is judged.",
        ),
    )


def _name(depth: int, sign: int, d: int) -> str:
    word = "positive" if sign > 0 else "negative"
    return f"depth {depth}, {d} x {d}, determinant {word}: |w_11| at the end"


def _checks(runs: _Runs) -> list[Check]:
    every = [run for each in runs.values() for run in each.values()]
    kept = [np.all(run["sign"] == sign) for (_, sign, _), e in runs.items() for run in e.values()]
    ended = float(np.mean([run["status"] == "TRAIN_ERROR" for run in every]))
    checks = [
        Check("every flow comes to its loss", ended, ">=", 1),
        Check("the determinant keeps its sign at every record", float(np.mean(kept)), ">=", 1),
    ]
    for depth in _DEPTHS:
        for d in _SIZES:
            grown, other = (list(runs[depth, sign, d].values()) for sign in (1, -1))
            checks += [
                Check(f"depth {depth}, {d} x {d}, positive: |w_11| over its bound at every record",
                      min(least_over(run, _bound(d)) for run in grown), ">=", 1),
                Check(f"depth {depth}, {d} x {d}, positive: |w_11| at least doubles over the last "
                      "decade of the loss",
                      min(growth_of(run, 1) for run in grown), ">=", 2),
            ]  # fmt: skip
            if _LOSSES[d] > _FAR:
                continue
            checks.append(
                Check(f"depth {depth}, {d} x {d}, negative: |w_11| rests over the last decade of "
                      "the loss",
                      max(abs(growth_of(run, 1) - 1) for run in other), "<", _AT_REST)
            )  # fmt: skip
    return checks


def _bound(d: int) -> Bound:
    return lambda loss: larger_entry_bound(loss, d)


def _table(runs: _Runs) -> Table:
    rows = []
    for depth in _DEPTHS:
        for d in _SIZES:
            grown, other = (list(runs[depth, sign, d].values()) for sign in (1, -1))
            at = float(np.median([entry_at(run, 1e-2) for run in grown]))
            ends = [float(np.median([run["entry"][-1] for run in each])) for each in (grown, other)]
            bound = float(larger_entry_bound(_LOSSES[d], d))
            ranks = float(np.median([run["effective_rank"][-1] for run in grown]))
            rows.append((depth, d, at, ends[0], bound, ranks, ends[1]))
    return Table(
        "Medians of |w_11|, its bound and the effective rank at the end.",
        (
            "depth", "size", "positive, at 1e-2", "positive, at the end", "its bound",
            "effective rank", "negative, at the end",
        ),
        rows,
    )  # fmt: skip


_CAPTION = (
    "|w_11| against the loss in larger matrices, all starts, with the bounds for the smallest and "
    "the largest; the determinant has the sign that no solution has, and that of solutions."
)


def _figure(runs: _Runs) -> Figure:
    figure, axes = panels(2 * len(_DEPTHS), width=3.8)
    bounds = {f"bound, {d} x {d}": _bound(d) for d in (_SIZES[0], _SIZES[-1])}
    places = [(sign, depth) for sign in (1, -1) for depth in _DEPTHS]
    for (sign, depth), ax in zip(places, axes, strict=True):
        shown = [
            (f"{d} x {d}", run) for d in _SIZES for run in runs[depth, sign, d].values()
        ]  # fmt: skip
        data = over_loss(shown, "entry", 1e-2)
        plot_blow_up(data, "entry", ax, bounds=bounds if sign > 0 else None)
        word = "positive" if sign > 0 else "negative"
        ax.set_title(f"depth {depth}, {word}")
    return figure


CLAIM = Claim(
    id="razin2020.larger",
    title="Norms driven to infinity, larger matrices",
    statement="In larger matrices of which one entry is unobserved, gradient flow from a "
    "determinant of the sign that no solution has takes that entry to infinity as the loss goes to "
    "zero.",
    source="Razin and Cohen 2020 (arXiv:2005.06398), experiments with larger matrices",
    published=tuple(
        Published(_name(depth, 1, d), "grows as the loss falls", _SOURCE)
        for depth in _DEPTHS
        for d in _SIZES
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=2,
    full_seeds=10,
)
