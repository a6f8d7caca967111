"""Razin and Cohen 2020: with an entry that is not quite zero the growth ends where it must."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from factorflow.experiments._case import Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._two_by_two import DeterminantFlowCase, least_over, over_loss
from factorflow.plots import plot_blow_up
from factorflow.report import Table
from factorflow.theory import blow_up_sign, unobserved_entry_bound

_Z, _OTHER = -2.0, 0.5
_CORNERS = (0.0, 0.01, 0.05, 0.1, 0.5)
_DEPTHS = (2, 3)
_SCALE, _LOSS = 1e-6, 1e-8
_SIGN = blow_up_sign((_Z, _OTHER, 0.0))
_SOURCE = "Razin, Cohen 2020, theorem on robustness"

Bound = Callable[[np.ndarray], np.ndarray]
_Runs = dict[tuple[int, int, float], dict[int, Mapping[str, Any]]]


def _cases(size: Size) -> list[DeterminantFlowCase]:
    return [
        DeterminantFlowCase(depth, sign, _SCALE, _LOSS, i, _values(corner))
        for depth in _DEPTHS
        for sign in (_SIGN, -_SIGN)
        for corner in _CORNERS
        for i in range(size.seeds)
    ]


def _values(corner: float) -> tuple[float, float, float]:
    return _Z, _OTHER, corner


def _judge(results: Results) -> Finding:
    runs: _Runs = {}
    for case, result in results.items():
        runs.setdefault((case.depth, case.sign, case.values[2]), {})[case.instance] = result
    return Finding(
        measured=tuple(
            Measured.of(_name(*which), [run["entry"][-1] for run in found.values()], found)
            for which, each in runs.items()
            if (found := _solved(each))
        ),
        checks=tuple(_checks(runs)),
        tables=(_table(runs),),
        figures=((_CAPTION, _figure(runs)),),
        notes=(
            f"Observed: [[*, {_Z:g}], [{_OTHER:g}, epsilon]]; starts of scale {_SCALE:g}, to a "
            f"loss of {_LOSS:g}. The sign of z z' is that for which the bound holds; with "
            "epsilon above zero there are solutions of that sign too, with |w_11| above "
            "|z z'| / epsilon.",
            _told(runs),
        ),
    )


def _name(depth: int, sign: int, corner: float) -> str:
    which = "sign of z z'" if sign == _SIGN else "other sign"
    return f"depth {depth}, {which}, epsilon {corner:g}: |w_11| at the end"


def _checks(runs: _Runs) -> list[Check]:
    kept = [np.all(run["sign"] == sign) for (_, sign, _), e in runs.items() for run in e.values()]
    lost = [(run, which[2]) for which, e in runs.items() for run in e.values() if not _ended(run)]
    astray = [run["entry_sign"] * corner * _SIGN < 0 for run, corner in lost]
    above = [run["loss"][-1] / (corner**2 / 2) for run, corner in lost if corner]
    checks = [
        Check(
            "flows that do not come to their loss: all have |w_11| of the other sign",
            sum(astray),
            ">=",
            len(lost),
        ),
        Check(
            "and a loss that stays above half the square of epsilon",
            min(above, default=np.inf),
            ">",
            1,
        ),
        Check("the determinant keeps its sign at every record", float(np.mean(kept)), ">=", 1),
    ]
    for depth in _DEPTHS:
        last = [_last(_solved(runs[depth, _SIGN, corner])) for corner in _CORNERS]
        others = [run for corner in _CORNERS for run in runs[depth, -_SIGN, corner].values()]
        checks += [
            *(
                Check(f"depth {depth}, epsilon {corner:g}: |w_11| over its bound at every record",
                      min(least_over(run, _bound(corner)) for run in _grown(runs, depth, corner)),
                      ">=", 1)
                for corner in _CORNERS
            ),
            Check(f"depth {depth}: the larger epsilon, the smaller |w_11| at the end",
                  max(np.diff(last)), "<", 0),
            *(
                Check(f"depth {depth}, epsilon {corner:g}: |w_11| ends near |z z'| / epsilon",
                      value * corner / abs(_Z * _OTHER), "within", (0.9, 1.1), essential=False)
                for corner, value in zip(_CORNERS[1:], last[1:], strict=True)
            ),
            Check(f"depth {depth}, other sign: |w_11| stays far below the bound at epsilon 0",
                  max(run["entry"].max() for run in others), "<",
                  0.1 * float(unobserved_entry_bound(_LOSS, _values(0.0)))),
        ]  # fmt: skip
    return checks


def _grown(runs: _Runs, depth: int, corner: float) -> Iterable[Mapping[str, Any]]:
    return runs[depth, _SIGN, corner].values()


def _ended(run: Mapping[str, Any]) -> bool:
    return run["status"] == "TRAIN_ERROR"


def _solved(each: Mapping[int, Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    return {instance: run for instance, run in each.items() if _ended(run)}


def _last(each: Mapping[int, Mapping[str, Any]]) -> float:
    return float(np.median([run["entry"][-1] for run in each.values()])) if each else np.nan


def _bound(corner: float) -> Bound:
    return lambda loss: unobserved_entry_bound(loss, _values(corner))


def _table(runs: _Runs) -> Table:
    rows = []
    for depth in _DEPTHS:
        for corner in _CORNERS:
            each, other = (runs[depth, sign, corner] for sign in (_SIGN, -_SIGN))
            bound = float(unobserved_entry_bound(_LOSS, _values(corner)))
            found = _solved(each)
            share = f"{len(found)} of {len(each)}"
            rows.append((depth, f"{corner:g}", share, _last(found), bound, _last(other)))
    return Table(
        f"Flows that came to a loss of {_LOSS:g} from the sign of z z', the median of |w_11| at "
        "their end and its bound; and the median from the other sign.",
        ("depth", "epsilon", "solved", "at the end", "its bound", "other sign, at the end"),
        rows,
    )


def _told(runs: _Runs) -> str:
    lost = [
        f"depth {depth}, epsilon {corner:g}: {len(each) - len(_solved(each))} of {len(each)}"
        for (depth, sign, corner), each in runs.items()
        if sign == _SIGN and len(_solved(each)) < len(each)
    ]
    return (
        "From the sign of z z' the matrix is all but of rank 1, w_11 w_22 near z z', and w_22 has "
        "the sign of epsilon only if w_11 has one sign of the two. On the other branch w_22 goes "
        "to zero from the wrong side: the loss falls to half the square of epsilon and no "
        "further, and |w_11| grows without end, for any epsilon above zero. The start decides. "
        f"Flows on that branch: {'; '.join(lost) or 'none'}."
    )


_CAPTION = (
    "|w_11| against the loss for several epsilon, all starts. Left: the determinant has the sign "
    "of z z'; in gray the bounds for the least and the largest epsilon above zero. Right: the "
    "other sign."
)


def _figure(runs: _Runs) -> Figure:
    figure, axes = panels(2 * len(_DEPTHS), width=3.8)
    bounds = {
        f"bound, epsilon {corner:g}": _bound(corner) for corner in (_CORNERS[1], _CORNERS[-1])
    }
    places = [(sign, depth) for sign in (_SIGN, -_SIGN) for depth in _DEPTHS]
    for (sign, depth), ax in zip(places, axes, strict=True):
        shown = [
            (f"epsilon {corner:g}", run)
            for corner in _CORNERS
            for run in runs[depth, sign, corner].values()
        ]
        data = over_loss(shown, "entry", 1e-2)
        plot_blow_up(data, "entry", ax, bounds=bounds if sign == _SIGN else None)
        which = "sign of z z'" if sign == _SIGN else "other sign"
        ax.set_title(f"depth {depth}, {which}")
    return figure


CLAIM = Claim(
    id="razin2020.perturbed",
    title="Norms driven up by perturbed observations, 2x2",
    statement="Where [[*, z], [z', epsilon]] is observed and the determinant starts with the sign "
    "of z z', the unobserved entry grows to about |z z' / epsilon|: without end at epsilon 0, the "
    "less the larger epsilon, and never below its bound by the loss.",
    source="Razin and Cohen 2020 (arXiv:2005.06398), Theorem 2 and its experiments",
    published=tuple(
        Published(
            _name(depth, _SIGN, corner),
            "infinite in the limit" if corner == 0 else "decreases as epsilon grows",
            _SOURCE,
        )
        for depth in _DEPTHS
        for corner in _CORNERS
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=4,
    full_seeds=10,
)
