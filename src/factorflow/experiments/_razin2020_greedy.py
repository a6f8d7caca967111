"""Figure 2 of Razin and Cohen 2020 by greedy components: how many, at two train errors."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from factorflow.experiments._case import Results
from factorflow.experiments._component_cases import ComponentsCase
from factorflow.experiments._judgement import Check
from factorflow.experiments._tabulate import of_kind
from factorflow.experiments._tensors import ZerosCase
from factorflow.report import Table

TRUTHS = (1, 3)  # true ranks
# At the train error at which published runs ended, and at that of the flow.
_COUNTS = ("n_components", "further_components")
_OF_FURTHER = {
    "relative_error": "further_error",
    "train_error": "further_train_error",
    "n_gradients": "further_n_gradients",
}


def as_tabulated(result: dict[str, Any]) -> dict[str, Any]:
    """The end at the flow's train error, by the names of other methods."""
    return result | {name: result[further] for name, further in _OF_FURTHER.items()}


def _cells(results: Results) -> Iterator[tuple[int, int, dict[ComponentsCase, dict]]]:
    """True rank, number of entries and runs."""
    runs = of_kind(results, ComponentsCase)
    for truth in TRUTHS:
        for count in dict.fromkeys(case.n_observed for case in runs):
            yield truth, count, of_kind(runs, ComponentsCase, rank=truth, n_observed=count)


def _values(runs: dict[ComponentsCase, dict], name: str) -> list:
    return [each[name] for each in runs.values()]


def _said(results: Results) -> tuple[str, str]:
    """The two train errors in words."""
    case = next(iter(of_kind(results, ComponentsCase)))
    published, further = (
        f"{each:g}".replace("e-0", "e-") for each in (case.train_error, case.further)
    )
    return published, further


def component_checks(results: Results, stated: int) -> list[Check]:
    """Their number against the true rank, from so many entries on."""
    checks = []
    for truth in TRUTHS:
        worst = [
            max(
                float(np.median(_values(runs, name)))
                for rank, count, runs in _cells(results)
                if rank == truth and count >= stated
            )
            for name in _COUNTS
        ]
        few = f"rank {truth}, from {stated} entries on: at most one greedy component above the true"
        published, further = _said(results)
        checks += [
            Check(f"{few} rank, at the published train error of {published}",
                  worst[0], "<=", truth + 1),
            Check(f"{few} rank, also at {further}",
                  worst[1], "<=", truth + 1, essential=False),
        ]  # fmt: skip
    return checks


def component_table(results: Results) -> Table:
    """Their numbers in every cell, instance by instance."""
    published, further = _said(results)
    return Table(
        "Greedy components: their number at two mean squared train errors, in each instance, and "
        "the norm of the largest; the tensor has norm 1.",
        ("true rank", "entries", f"at {published}", f"at {further}", "largest norm"),
        [
            (
                f"{truth}",
                f"{count}",
                *(", ".join(map(str, _values(runs, name))) for name in _COUNTS),
                ", ".join(f"{norm:.2g}" for norm in _values(runs, "further_largest_component")),
            )
            for truth, count, runs in _cells(results)
        ],
    )


def of_greedy(results: Results, stated: int) -> str:
    """How they were found, and where they are not the tensor."""
    runs = of_kind(results, ComponentsCase)
    published, further = _said(results)
    short = sum(each["further_status"] in _SHORT for each in runs.values())
    return (
        f"Greedy components: GreedyLowRank() on CP({next(iter(runs)).components}), from zero, the "
        "limit of an infinitesimal start as it is derived for the first component; to a mean "
        f"squared train error of {published} and on to {further}, where error and rank are "
        "taken. Their number bounds the rank, and the least that alternating least squares fits "
        "is below it where a component is smaller than its tolerance sees. "
        f"{short} of {len(runs)} runs ended at the largest number of components or of gradients. "
        f"Cells from {stated} entries on in which some end further from the tensor than zeros, "
        "with few components of large norm that agree with the entries that are seen: "
        f"{'; '.join(_astray(results, stated)) or 'none'}."
    )


_SHORT = ("RANK_LIMIT", "GRADIENT_LIMIT")


def _astray(results: Results, stated: int) -> list[str]:
    cells = []
    for truth, count, runs in _cells(results):
        zeros = {
            case.instance: each["relative_error"]
            for case, each in of_kind(results, ZerosCase, rank=truth, n_observed=count).items()
        }
        off = [case for case, each in runs.items() if each["further_error"] > zeros[case.instance]]
        if off and count >= stated:
            cells.append(f"rank {truth}, {count} entries: {len(off)} of {len(runs)} instances")
    return cells
