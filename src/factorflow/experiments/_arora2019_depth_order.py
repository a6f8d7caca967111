"""The summary: depth 3 outperforms depth 2 outperforms nuclear-norm minimization."""

from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import wilcoxon

from factorflow.experiments._case import Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import (
    NUCLEAR_NORM,
    compared,
    compared_cases,
    ended,
    measured_of,
    panels,
)
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._recovery import RecoveryCase
from factorflow.plots import plot_pairs
from factorflow.report import Table

_N_OBSERVED = 2000
_SCALES = (1e-3, 1e-4, 1e-5)
_LEVEL = 0.01
_FEWEST = 7  # instances; with fewer the test cannot come below its level
_PAIRS = (("depth 2", NUCLEAR_NORM), ("depth 3", "depth 2"))
_SOURCE = "Arora et al. 2019, slides"


def _cases(size: Size) -> list[RecoveryCase]:
    return compared_cases(_N_OBSERVED, size.seeds, scales=_SCALES)


def _judge(results: Results) -> Finding:
    checks, measured, rows = [], [], []
    figure, axes = panels(len(_SCALES))
    for scale, ax in zip(_SCALES, axes, strict=True):
        table = compared(results, scale=scale)
        plot_pairs(table, "mean_squared_error", ax)
        ax.set_title(f"scale {scale:g}")
        measured += measured_of(table, f"scale {scale:g}: ")
        for better, worse in _PAIRS:
            won, p = _paired(table, better, worse)
            # The tables name no scale; the largest is the edge of the published grid.
            essential = scale < max(_SCALES)
            text = f"scale {scale:g}: {better} errs less than {worse}"
            checks.append(
                Check(f"{text} in nine of ten instances", float(won.mean()), ">=", 0.9, essential)
            )
            if len(won) >= _FEWEST:
                checks.append(Check(f"{text} by a paired test", p, "<", _LEVEL, essential))
            measured.append(Measured.of(text, won, table.instance.values))
            rows.append((text, int(won.sum()), len(won), p))
    return Finding(
        measured=tuple(measured),
        checks=(*checks, *ended(results)),
        tables=(
            Table(
                "Instances in which the order holds, and the one-sided signed-rank test of "
                "Wilcoxon on the logarithms of the errors.",
                ("Order", "Held", "Instances", "p"),
                rows,
            ),
        ),
        figures=(("Mean squared error over all entries; each line is one instance.", figure),),
        notes=(
            "Ground truths, observed entries and starts differ from instance to instance; the "
            f"methods share them within one. The paired test needs {_FEWEST} instances.",
        ),
    )


def _paired(table: xr.Dataset, better: str, worse: str) -> tuple[np.ndarray, float]:
    """For each instance whether the first errs less, and the p-value of the opposite."""
    errors = table.mean_squared_error
    first, second = errors.sel({"method": better}).values, errors.sel({"method": worse}).values
    found: Any = wilcoxon(np.log(first), np.log(second), alternative="less")
    return first < second, float(found.pvalue)


CLAIM = Claim(
    id="arora2019.depth-order",
    title="Depth 3 before depth 2 before nuclear norm",
    statement="Where observations are few, depth 3 outperforms depth 2, which outperforms "
    "nuclear-norm minimization.",
    source=_SOURCE,
    published=(
        Published("order", "Depth ≥ 3 outperforms depth 2 outperforms nuclear norm", _SOURCE),
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=10,
    full_seeds=40,
)
