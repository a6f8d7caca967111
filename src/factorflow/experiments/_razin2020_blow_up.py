"""Razin and Cohen 2020: the unobserved entry grows without bound as the loss falls."""

from collections.abc import Mapping
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
from factorflow.theory import (
    QuasiNorm,
    distance_bound,
    effective_rank_bound,
    norm_bound,
    unobserved_entry_bound,
)

_DEPTHS = (2, 3, 4, "inf")
# As published, and at infinite depth our own: the smaller it is, the later the entry comes to rest.
_SCALES = {2: 1e-6, 3: 1e-6, 4: 1e-4, "inf": 1e-2}
_LOSS = 1e-8
_PUBLISHED_LOSS = 1e-4
_EXACT = float(unobserved_entry_bound(_PUBLISHED_LOSS))
_ROUNDING = 1e-12
_AT_REST = 0.05
_NEAR = 1.1
_DRAWN = 1e-15  # less than that of an effective rank less 1 is rounding
_FIGURES = "Razin, Cohen 2020, figure of |w_11| against the loss, read off"

_Runs = dict[tuple[Any, int], dict[int, Mapping[str, Any]]]


def _cases(size: Size) -> list[DeterminantFlowCase]:
    return [
        DeterminantFlowCase(depth, sign, _SCALES[depth], _LOSS, i, watched=sign > 0)
        for depth in _DEPTHS
        for sign in (1, -1)
        for i in range(size.seeds)
    ]


def _judge(results: Results) -> Finding:
    runs: _Runs = {}
    for case, result in results.items():
        runs.setdefault((case.depth, case.sign), {})[case.instance] = result
    return Finding(
        measured=tuple(_measured(runs)),
        checks=tuple(_checks(runs)),
        tables=(_table(runs),),
        figures=((_ENTRY_CAPTION, _entry_figure(runs)), (_RANK_CAPTION, _rank_figure(runs))),
        notes=(
            "The published loss, which is used here, is three times that of the library's "
            "Completion. The flow is EndToEndFlow in singular vectors and logarithms of singular "
            "values, which cannot change the sign of the determinant; its smallest singular value "
            "falls far below what a matrix of floating-point numbers can hold beside the largest.",
            _told(runs),
        ),
    )


def _at_published(sign: int, depth: Any) -> str:
    return f"determinant {_word(sign)}, depth {depth}: |w_11| at a loss of 1e-4"


def _word(sign: int) -> str:
    return "positive" if sign > 0 else "negative"


def _measured(runs: _Runs) -> list[Measured]:
    found = []
    for (depth, sign), each in runs.items():
        here = f"determinant {_word(sign)}, depth {depth}"
        entries = [entry_at(run, _PUBLISHED_LOSS) for run in each.values()]
        last = [run["entry"][-1] for run in each.values()]
        found += [
            Measured.of(_at_published(sign, depth), entries, each),
            Measured.of(f"{here}: |w_11| at the end", last, each),
        ]
    return found


def _checks(runs: _Runs) -> list[Check]:
    every = [run for each in runs.values() for run in each.values()]
    ended = np.mean([run["status"] == "TRAIN_ERROR" for run in every])
    kept = [np.all(run["sign"] == sign) for (_, sign), e in runs.items() for run in e.values()]
    broken = sum(not holds for run in every for holds in run["monitors"].values())
    checks = [
        Check("every flow comes to a loss of 1e-8", float(ended), ">=", 1),
        Check("the determinant keeps its sign at every record", float(np.mean(kept)), ">=", 1),
        Check("no bound that was watched at every step is violated", broken, "<=", 0),
    ]
    for depth in _DEPTHS:
        grown, bounded = runs[depth, 1].values(), runs[depth, -1].values()
        at = [entry_at(run, _PUBLISHED_LOSS) for run in grown]
        checks += [
            Check(f"depth {depth}, positive: |w_11| over its exact bound, at every record",
                  min(least_over(run, unobserved_entry_bound) for run in grown), ">=", 1),
            Check(f"depth {depth}, positive: the distance from rank 1 is within its bound",
                  max(_excess(run, "distance", distance_bound) for run in grown),
                  "<=", _ROUNDING),
            Check(f"depth {depth}, positive: the effective rank is within its bound",
                  max(_excess(run, "effective_rank", effective_rank_bound) for run in grown),
                  "<=", _ROUNDING),
            Check(f"depth {depth}, negative: |w_11| stays below half the bound at the end",
                  max(run["entry"][-1] for run in bounded),
                  "<", 0.5 * float(unobserved_entry_bound(_LOSS))),
            Check(f"depth {depth}, negative: |w_11| rests over the last decade of the loss",
                  max(abs(growth_of(run, 1) - 1) for run in bounded), "<", _AT_REST),
        ]  # fmt: skip
        if depth != "inf":  # in that limit the entry stays well above
            checks.append(
                Check(f"depth {depth}, positive: at a loss of 1e-4 |w_11| is near the bound of "
                      "68.7", float(np.median(at)), "within", (_EXACT, _NEAR * _EXACT))
            )  # fmt: skip
    return checks


def _excess(run: Mapping[str, Any], quantity: str, bound: Any) -> float:
    return float(np.max(run[quantity] - bound(run["loss"])))


def _table(runs: _Runs) -> Table:
    rows = []
    for depth in _DEPTHS:
        each = list(runs[depth, 1].values())
        rows.append(
            (
                str(depth),
                f"{_SCALES[depth]:g}",
                f"{np.median([run['n_steps'] for run in each]):.0f}",
                f"{np.median([run['n_gradients'] for run in each]):,.0f}",
                f"{np.median([run['time'][-1] for run in each]):.2g}",
                min(least_over(run, unobserved_entry_bound) for run in each),
                float(np.median([run["entry"][-1] for run in each])),
            )
        )
    return Table(
        "Positive determinant: the flow to a loss of 1e-8, medians over the starts, and the least "
        "of |w_11| over its exact bound.",
        ("depth", "scale", "steps", "gradients", "time", "over the bound", "|w_11| at the end"),
        rows,
    )


def _told(runs: _Runs) -> str:
    rests = "; ".join(
        f"depth {depth}: {np.median([run['entry'][-1] for run in runs[depth, -1].values()]):.3g}"
        for depth in _DEPTHS
    )
    return (
        "With a negative determinant |w_11| comes to rest, but where depends on depth and on the "
        "scale of the start: the second singular value must first grow, and the deeper the network "
        "and the smaller the start, the longer |w_11| grows meanwhile. Medians of where it rests: "
        f"{rests}."
    )


_ENTRY_CAPTION = (
    "|w_11| against the loss from a positive and a negative determinant, all starts; in gray, for "
    "a positive one, the exact lower bound of |w_11| and the published one of the norm."
)
_RANK_CAPTION = (
    "Positive determinant, one start for each depth: the distance from rank 1, and the effective "
    "rank less 1, with the exact and the published upper bound."
)


def _published_norm(loss: np.ndarray) -> np.ndarray:
    return norm_bound(loss, QuasiNorm.schatten(2))


def _entry_figure(runs: _Runs) -> Figure:
    figure, axes = panels(len(_DEPTHS), width=4.4)
    bounds = {"exact bound": unobserved_entry_bound, "published, for norms": _published_norm}
    for depth, ax in zip(_DEPTHS, axes, strict=True):
        shown = [
            (f"{_word(sign)} determinant", run)
            for sign in (1, -1)
            for run in runs[depth, sign].values()
        ]
        plot_blow_up(over_loss(shown, "entry", 1e-2), "entry", ax, bounds=bounds)
        ax.set_title(f"depth {depth}")
    return figure


def _rank_figure(runs: _Runs) -> Figure:
    figure, axes = panels(2, width=5.0)
    bounds = {
        "distance": {
            "exact bound": distance_bound,
            "published": lambda loss: distance_bound(loss, published=True),
        },
        "rank_less_1": {
            "exact bound": lambda loss: effective_rank_bound(loss) - 1,
            "published": lambda loss: effective_rank_bound(loss, published=True) - 1,
        },
    }
    shown = [(f"depth {depth}", runs[depth, 1][0]) for depth in _DEPTHS]
    for (quantity, each), ax in zip(bounds.items(), axes, strict=True):
        plot_blow_up(over_loss(shown, quantity, _DRAWN), quantity, ax, bounds=each)
    return figure


CLAIM = Claim(
    id="razin2020.blow-up",
    title="Norms driven to infinity, 2x2",
    statement="Where [[*, 1], [1, 0]] is observed, gradient flow from a positive determinant takes "
    "the unobserved entry, and with it every norm, to infinity and the rank to 1 as the loss goes "
    "to zero.",
    source="Razin and Cohen 2020 (arXiv:2005.06398), Theorem 1 and its experiments",
    published=(
        Published(_at_published(1, 2), 7.1, _FIGURES + "; descent, see razin2020.descent-artefact"),
        Published(_at_published(1, 3), 70.0, _FIGURES),
        Published(_at_published(1, 4), "57 to 70", _FIGURES),
        Published(_at_published(1, "inf"), "at least 68.7", "the theorem, at whole depths"),
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=3,
    full_seeds=10,
)
