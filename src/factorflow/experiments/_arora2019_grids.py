"""The grid of the paper: depth, scale and number of measurements, for entries and Gaussian ones."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import xarray as xr

from factorflow.experiments._case import Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import (
    QUANTITIES,
    TRUTH,
    WORDS,
    compared_cases,
    ended,
    panels,
    published_checks,
)
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._recovery import (
    ENTRIES,
    GAUSSIAN,
    FlowCase,
    NuclearNormCase,
    RecoveryCase,
)
from factorflow.experiments._tabulate import of_kind, tabulate
from factorflow.plots import plot_against_scale

_MANY, _FEW = 5000, 2000
_DEPTHS = (2, 3, 4)
_SCALES = (1e-6, 1e-5, 1e-4, 1e-3)
# A gradient of Gaussian measurements takes some ten milliseconds, and this takes a third fewer of
# them. Errors where nothing is recovered move by less than instances differ; those at recovery tell
# how far the last step went past the stop.
_RTOL = {ENTRIES: 1e-3, GAUSSIAN: 1e-2}
_SHOWN = ("mean_squared_error", "nuclear_norm", "effective_rank")
_SOURCE = "Arora et al. 2019, published notebook: norms as printed, curves read off"

_Curves = Mapping[tuple[int, str], Mapping[int | str, tuple | float]]

# Where a pair of scales has a pair of values, what lies between was not read off.
_ENDS = (1e-6, 1e-3)
_COMPLETION: _Curves = {
    (_FEW, "mean_squared_error"): {"nuclear norm": 0.11, 2: (_ENDS, (2.5e-2, 0.11)), 3: 3e-5},
    (_FEW, "nuclear_norm"): {"nuclear norm": 210.15, 2: (_ENDS, (217, 215.5)), 3: 219.4},
    (_FEW, "effective_rank"): {"nuclear norm": 9.5, 2: (_ENDS, (6.6, 10)), 3: 4.95},
    (_MANY, "mean_squared_error"): {"nuclear norm": 8e-7, 2: (_ENDS, (5e-6, 9e-5)), 3: 4e-6},
    (_MANY, "nuclear_norm"): {"nuclear norm": 221.03},
}
_SENSING: _Curves = {
    (_FEW, "mean_squared_error"): {"nuclear norm": 7e-4, 2: (_ENDS, (4e-4, 4e-2)), 3: 9e-6},
    (_FEW, "nuclear_norm"): {"nuclear norm": 220.10, 2: (_ENDS, (221, 227)), 3: 220.4},
    (_FEW, "effective_rank"): {"nuclear norm": 5.5, 2: (_ENDS, (5.4, 9.7)), 3: 4.95},
    (_MANY, "nuclear_norm"): {"nuclear norm": 221.03},
}


def _cases(measurements: str, size: Size) -> list[RecoveryCase]:
    grid = {"depths": _DEPTHS, "scales": _SCALES, "rtol": _RTOL[measurements]}
    return [
        case
        for n in (_FEW, _MANY)
        for case in compared_cases(n, size.seeds, measurements=measurements, **grid)
    ]


def _judge(published: _Curves, beats_norm: bool, results: Results) -> Finding:
    measured, checks, figures = [], [], []
    for n in (_FEW, _MANY):
        flows, convex = _tables(results, n)
        measured += _measured(n, flows, convex)
        figures.append((_caption(n), _figure(published, n, flows, convex)))
        if n == _FEW:
            checks += [*_few_checks(flows, convex), *_norm_checks(flows, convex, beats_norm)]
            checks += _published_checks(published, flows, convex)
        else:
            checks += _many_checks(flows, convex)
    return Finding(
        measured=tuple(measured),
        checks=(*checks, *ended(results, essential=False)),
        figures=tuple(figures),
        notes=_notes(results),
    )


def _tables(results: Results, n: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Flows over depth, scale and instance, and the convex programme over instance."""
    flows = tabulate(
        of_kind(results, FlowCase, n_measurements=n),
        [*QUANTITIES, *TRUTH],
        depth=lambda case: case.depth,
        scale=lambda case: case.scale,
        instance=lambda case: case.instance,
    )
    convex = tabulate(
        of_kind(results, NuclearNormCase, n_measurements=n),
        [*QUANTITIES, *TRUTH],
        instance=lambda case: case.instance,
    )
    return flows, convex


def _measured(n: int, flows: xr.Dataset, convex: xr.Dataset) -> list[Measured]:
    seeds = convex.instance.values
    found = [
        Measured.of(f"{n:,}: nuclear norm, {WORDS[name]}", convex[name].values, seeds)
        for name in _SHOWN
    ]
    for depth in _DEPTHS:
        for scale in _SCALES:
            runs = flows.sel(depth=depth, scale=scale)
            found += [
                Measured.of(
                    f"{n:,}: depth {depth} at {scale:g}, {WORDS[name]}", runs[name].values, seeds
                )
                for name in _SHOWN
            ]
    return found


def _figure(published: _Curves, n: int, flows: xr.Dataset, convex: xr.Dataset):
    figure, axes = panels(len(_SHOWN))
    for name, ax in zip(_SHOWN, axes, strict=True):
        baseline = convex[name].rename("nuclear-norm minimization")
        plot_against_scale(flows, name, ax, baseline=baseline, published=published.get((n, name)))
        ax.set_title(f"{n:,} measurements")
    return figure


def _caption(n: int) -> str:
    return (
        f"{n:,} measurements: mean squared error, nuclear norm and effective rank against the "
        "scale of the start; median and quartiles over the instances, hollow marks as published."
    )


def _few_checks(flows: xr.Dataset, convex: xr.Dataset) -> list[Check]:
    middle = flows.median("instance")
    two, three, four = (middle.mean_squared_error.sel(depth=depth) for depth in _DEPTHS)
    true_rank = float(convex.true_effective_rank.median())
    excess = np.abs(middle.effective_rank.sel(depth=3) - true_rank)
    return [
        Check("2,000: depth 3 recovers at every scale", float(three.max()), "<", 1e-4),
        Check("2,000: depth 3 errs a tenth of depth 2 or less at every scale",
              float((three / two).max()), "<", 0.1),
        Check("2,000: depth 2 errs less the smaller the scale",
              float(np.diff(two.sortby("scale").values).min()), ">", 0.0),
        Check("2,000: depth 3 has the effective rank of the truth to 0.5 at every scale",
              float(excess.max()), "<", 0.5),
        Check("2,000: depth 2 from the smallest scale has a higher effective rank than depth 3",
              _least_scale(middle.effective_rank, 2), ">", _least_scale(middle.effective_rank, 3)),
        Check("2,000: depth 4 errs like depth 3 at every scale, within a factor 10",
              float(np.abs(np.log10(four / three)).max()), "<", 1.0, essential=False),
        Check("2,000: depth 4 recovers at every scale in every instance",
              float(flows.mean_squared_error.sel(depth=4).max()), "<", 1e-3, essential=False),
    ]  # fmt: skip


def _published_checks(curves: _Curves, flows: xr.Dataset, convex: xr.Dataset) -> list[Check]:
    """The published errors from few measurements beside those measured."""
    found = flows.mean_squared_error.median("instance")
    measured = {
        f"depth {n} at {s:g}": float(found.sel(depth=n, scale=s)) for n in _DEPTHS for s in _SCALES
    }
    measured["nuclear norm"] = float(convex.mean_squared_error.median())
    published = {
        place: number
        for method, value in curves[_FEW, "mean_squared_error"].items()
        for place, number in _points(method, value)
    }
    return published_checks("2,000: ", published, measured)


def _norm_checks(flows: xr.Dataset, convex: xr.Dataset, beats_norm: bool) -> list[Check]:
    """The flows beside the minimizer; ``beats_norm``: by a margin that was published."""
    middle, least = flows.median("instance"), convex.median("instance")
    return [
        Check("2,000: no flow has a smaller nuclear norm than the minimizer, to a thousandth",
              float(middle.nuclear_norm.min() / least.nuclear_norm), ">", 0.999),
        Check("2,000: depth 3 errs less than nuclear-norm minimization at every scale",
              float(middle.mean_squared_error.sel(depth=3).max()), "<",
              float(least.mean_squared_error)),
        Check("2,000: depth 2 from the smallest scale errs less than nuclear-norm minimization",
              _least_scale(middle.mean_squared_error, 2), "<", float(least.mean_squared_error),
              essential=beats_norm),
        Check("2,000: and has a lower effective rank",
              _least_scale(middle.effective_rank, 2), "<", float(least.effective_rank),
              essential=beats_norm),
    ]  # fmt: skip


def _least_scale(found: xr.DataArray, depth: int) -> float:
    return float(found.sel(depth=depth, scale=min(_SCALES)))


def _many_checks(flows: xr.Dataset, convex: xr.Dataset) -> list[Check]:
    norm = flows.nuclear_norm / flows.true_nuclear_norm
    rank = np.abs(flows.effective_rank - flows.true_effective_rank)
    return [
        Check("5,000: nuclear-norm minimization recovers in every instance",
              float(convex.mean_squared_error.max()), "<", 1e-4),
        Check("5,000: every depth recovers at every scale in every instance",
              float(flows.mean_squared_error.max()), "<", 1e-3),
        Check("5,000: with the nuclear norm of the truth to 1 per cent",
              float(np.abs(norm - 1).max()), "<", 0.01),
        Check("5,000: and its effective rank to 0.5", float(rank.max()), "<", 0.5),
    ]  # fmt: skip


def _notes(results: Results) -> tuple[str, ...]:
    lost = [
        case
        for case, result in of_kind(results, FlowCase).items()
        if result["relative_error"] > 1 or result["status"] != "TRAIN_ERROR"
    ]
    note = (
        "The scale is that of the product, the published axis shows ten times that (the Frobenius "
        "norm of the start). Flows end at a mean squared train error of 1e-6, as published; the "
        "convex programme is solved exactly, the published one to residuals of 1e-3."
    )
    if not lost:
        return (note,)
    listed = "; ".join(
        f"depth {case.depth}, scale {case.scale:g}, {case.n_measurements:,} measurements, instance "
        f"{case.instance}: relative error {results[case]['relative_error']:.2g}, nuclear norm "
        f"{results[case]['nuclear_norm']:.4g}, effective rank {results[case]['effective_rank']:.2f}"
        for case in lost
    )
    return (
        note,
        "Lost runs: near zero a deep flow finds one rank after the other, and where no matrix of "
        "the rank it has reached comes nearest to the entries, a singular value drifts towards "
        f"infinity before the next one appears. {listed}.",
    )


def _published(curves: _Curves) -> tuple[Published, ...]:
    """The curves point by point; a flat one at every scale."""
    found = []
    for (n, quantity), by_method in curves.items():
        for method, value in by_method.items():
            for place, number in _points(method, value):
                found.append(Published(f"{n:,}: {place}, {WORDS[quantity]}", number, _SOURCE))
    return tuple(found)


def _points(method: int | str, value: tuple | float) -> list[tuple[str, float]]:
    if not isinstance(value, tuple) and isinstance(method, str):
        return [(method, value)]
    scales, numbers = value if isinstance(value, tuple) else (_SCALES, [value] * len(_SCALES))
    return [(f"depth {method} at {scale:g}", x) for scale, x in zip(scales, numbers, strict=True)]


COMPLETION = Claim(
    id="arora2019.completion-grid",
    title="Completion: depth, scale, entries",
    statement="From few entries depth 3 and 4 recover the matrix whatever the scale, depth 2 comes "
    "nearer the smaller the scale, nuclear-norm minimization does not recover; from many entries "
    "all do.",
    source="Arora et al. 2019, experiments on completion",
    published=_published(_COMPLETION),
    cost="full",
    cases=partial(_cases, ENTRIES),
    judge=partial(_judge, _COMPLETION, True),
    seeds=1,
    full_seeds=3,
)

SENSING = Claim(
    id="arora2019.sensing-grid",
    title="Sensing: depth, scale, measurements",
    statement="From few Gaussian measurements depth 3 and 4 recover the matrix whatever the scale, "
    "and depth 2 comes nearer the smaller the scale, to about where nuclear-norm minimization is.",
    source="Arora et al. 2019, experiments on sensing",
    published=_published(_SENSING),
    cost="full",
    cases=partial(_cases, GAUSSIAN),
    judge=partial(_judge, _SENSING, False),
    seeds=1,
    full_seeds=3,
)
