"""Arora, Cohen and Hazan 2018: two samples with unlike labels, where depth accelerates descent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from scipy.ndimage import maximum_filter1d

from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._tabulate import tabulate
from factorflow.plots import plot_recovery
from factorflow.report import Table
from factorflow.theory import two_sample_steps

_RATIOS, _MORE_RATIOS = (3.0, 10.0, 30.0), (3.0, 5.0, 10.0, 20.0, 30.0, 50.0, 100.0)
_POWERS = (2, 4)
_DEPTHS = (1, 2, 3)
_DECADES = (-6, 1)  # of the learning rates
_MOST = 400_000
_SOURCE = "Arora, Cohen, Hazan 2018, slides, acceleration by depth"

BEST, BROAD = "best single rate", "best rate to within a fifth"


@dataclass(frozen=True)
class TwoSampleCase(AbstractCase):
    """The least steps over a grid of learning rates.

    Parameters
    ----------
    ratio
        ``y_1 / y_2``; the smaller label is 1.
    power
        Of the loss.
    depth
        Of the end-to-end rule; 1 is descent.
    per_decade
        Learning rates in a decade, from 1e-6 to 10; a multiple of 12.
    """

    kind: ClassVar[str] = "two samples by the end-to-end rule"
    revision: ClassVar[int] = 1

    ratio: float
    power: int
    depth: int
    per_decade: int = 12

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            low, high = _DECADES
            rates = np.logspace(low, high, (high - low) * case.per_decade + 1)
            steps = two_sample_steps((case.ratio, 1.0), case.power, case.depth, rates, most=_MOST)
            # Each rate with the worst of those up to a twelfth of a decade (a fifth) around it.
            beside = maximum_filter1d(steps, 1 + 2 * (case.per_decade // 12), mode="nearest")
            best, broad = int(np.argmin(steps)), int(np.argmin(beside))
            result = {
                BEST: float(steps[best]),
                f"rate, {BEST}": float(rates[best]),
                BROAD: float(beside[broad]),
                f"rate, {BROAD}": float(rates[broad]),
            }
            finished(case, result)


def _cases(size: Size) -> list[TwoSampleCase]:
    return [
        TwoSampleCase(ratio, power, depth, 24 if size.full else 12)
        for power in _POWERS
        for ratio in (_MORE_RATIOS if size.full else _RATIOS)
        for depth in _DEPTHS
    ]


def _judge(results: Results) -> Finding:
    found = tabulate(
        results,
        [BEST, BROAD, f"rate, {BEST}", f"rate, {BROAD}"],
        power=lambda case: case.power,
        method=lambda case: _name(case.depth),
        ratio=lambda case: case.ratio,
    ).sortby("ratio")
    gains = {way: found[way].sel({"method": _name(1)}) / found[way] for way in (BEST, BROAD)}
    return Finding(
        measured=tuple(
            Measured.exact(
                _gain(way, power, depth, ratio), float(gains[way].sel(_at(power, depth, ratio)))
            )
            for power in _POWERS
            for way in (BEST, BROAD)
            for depth in _DEPTHS[1:]
            for ratio in found["ratio"].values
        ),
        checks=_checks(gains),
        tables=tuple(_table(found, way) for way in (BEST, BROAD)),
        figures=((_CAPTION, _figure(found)),),
        notes=(
            "From a start of 0.01 in both weights to a loss of 1e-4; the smaller label is 1. "
            "The best single rate of a grid from 1e-6 to 10 is often one whose one long step "
            "happens to land near the second label: its count depends on the grid, and is no "
            "smooth function of the ratio. The other count is of rates whose neighbours within a "
            "fifth need no more steps.",
        ),
    )


def _at(power: int, depth: int, ratio: float) -> dict:
    return {"power": power, "method": _name(depth), "ratio": ratio}


def _name(depth: int) -> str:
    return "descent" if depth == 1 else f"depth {depth}"


def _gain(way: str, power: int, depth: int, ratio: float) -> str:
    return f"power {power}, ratio {ratio:g}, {way}: steps of descent over those of depth {depth}"


def _checks(gains: Mapping[str, xr.DataArray]) -> tuple[Check, ...]:
    deeper = {"method": [_name(depth) for depth in _DEPTHS[1:]]}
    two = {way: gain.sel({"power": 4, "method": _name(2)}) for way, gain in gains.items()}
    checks = [
        Check("power 4, ratio 3, best single rate: depth 2 is five times as fast as descent",
              float(two[BEST].sel(ratio=3.0)), ">=", 5),
        Check("power 4, ratio 30, best single rate: depth 2 is fifteen times as fast",
              float(two[BEST].sel(ratio=30.0)), ">=", 15),
    ]  # fmt: skip
    for way, gain in gains.items():
        growth = two[way].values[1:] / two[way].values[:-1]
        checks += [
            Check(f"power 4, {way}: depth 2 and 3 are faster than descent at every ratio",
                  float(gain.sel(power=4).sel(deeper).min()), ">", 1),
            Check(f"power 2, {way}: descent is faster than depth 2 and 3 at every ratio",
                  float(gain.sel(power=2).sel(deeper).max()), "<", 1),
            Check(f"power 4, {way}: the gain of depth 2 grows with the ratio",
                  float(growth.min()), ">", 1, essential=False),
        ]  # fmt: skip
    return tuple(checks)


def _table(found: xr.Dataset, way: str) -> Table:
    rows = []
    for power in _POWERS:
        for ratio in found["ratio"].values:
            runs = [found.sel(_at(power, depth, ratio)) for depth in _DEPTHS]
            cells = [f"{float(run[way]):,.0f} at {float(run[f'rate, {way}']):.2g}" for run in runs]
            rows.append((power, f"{ratio:g}", *cells))
    return Table(
        f"Steps and learning rate of each depth, {way}.",
        ("power", "ratio of the labels", *map(_name, _DEPTHS)),
        rows,
    )


_CAPTION = (
    "Steps until the loss is 1e-4 against the ratio of the two labels. The squared loss, where "
    "depth costs steps, and the fourth power, where it saves them: by the best rate that may be a "
    "fifth off, and by the best single rate of the grid."
)


def _figure(found: xr.Dataset) -> Figure:
    shown = ((2, BROAD), (4, BROAD), (4, BEST))
    figure, axes = panels(len(shown))
    for (power, way), ax in zip(shown, axes, strict=True):
        here = found[way].sel(power=power)
        here = here.where(np.isfinite(here)).expand_dims("instance")
        here.attrs["long_name"] = "Steps"
        here["ratio"].attrs["long_name"] = "Larger label over smaller"
        plot_recovery(here, way, ax, x="ratio")
        ax.set(xscale="log", yscale="log", title=f"power {power}, {way}")
        ratios = here["ratio"].values
        ax.set_xticks(ratios, [f"{ratio:g}" for ratio in ratios])
        ax.set_xticks([], minor=True)
    return figure


CLAIM = Claim(
    id="arora2018.toy",
    title="Acceleration by depth, two samples",
    statement="On two samples with unlike labels depth accelerates descent for the fourth power of "
    "the residual, the more so the more the labels differ, and slows it for the square.",
    source="Arora, Cohen, Hazan 2018 (arXiv:1802.06509)",
    published=(
        Published(_gain(BEST, 4, 2, 30.0), "arbitrarily faster in some settings", _SOURCE),
        Published(_gain(BROAD, 4, 2, 30.0), "arbitrarily faster in some settings", _SOURCE),
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=1,
    full_seeds=1,
)
