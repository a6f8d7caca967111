"""Where depth wins and where it does not: number of entries and scale of the start."""

import numpy as np
import xarray as xr

from factorflow.experiments._case import Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import NUCLEAR_NORM, ended, panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._recovery import FlowCase, NuclearNormCase, RecoveryCase
from factorflow.experiments._tabulate import tabulate
from factorflow.plots import plot_map, plot_recovery

_SIZE, _RANK = 100, 5
_FREEDOM = _RANK * (2 * _SIZE - _RANK)
_RATIOS = (1.1, 1.3, 1.6, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
_DEPTHS = (2, 3, 4)
_SCALES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_FIXED_SCALE, _FIXED_RATIO = 1e-3, 2.0
_RECOVERED = 0.02  # relative error; the train error at the stop alone is 1e-3
_METHODS = (NUCLEAR_NORM, *(f"depth {depth}" for depth in _DEPTHS))
_SOURCE = "Arora et al. 2019, text"


def _count(ratio: float) -> int:
    return round(ratio * _FREEDOM)


def _ratio(case: RecoveryCase) -> float:
    return round(case.n_measurements / _FREEDOM, 2)


def _cases(size: Size) -> list[RecoveryCase]:
    cases: list[RecoveryCase] = []
    for i in range(size.seeds):
        for ratio in _RATIOS:
            cases.append(NuclearNormCase(_count(ratio), i))
            cases += [FlowCase(_count(ratio), i, depth=n, scale=_FIXED_SCALE) for n in _DEPTHS]
        cases += [
            FlowCase(_count(_FIXED_RATIO), i, depth=n, scale=scale)
            for scale in _SCALES
            for n in _DEPTHS
        ]
    return cases


def _judge(results: Results) -> Finding:
    by_ratio, by_scale = _over_ratio(results), _over_scale(results)
    return Finding(
        measured=tuple(_measured(by_ratio, "oversampling") + _measured(by_scale, "scale")),
        checks=(*_checks(by_ratio, by_scale), *ended(results, essential=False)),
        figures=(
            (_caption("the oversampling ratio"), _lines(by_ratio, "oversampling")),
            (_caption("the scale of the start"), _lines(by_scale, "scale")),
            ("Median relative error.", _maps(by_ratio, by_scale)),
        ),
        notes=_notes(by_ratio, by_scale),
    )


def _over_ratio(results: Results) -> xr.Dataset:
    chosen = {
        case: result
        for case, result in results.items()
        if getattr(case, "scale", _FIXED_SCALE) == _FIXED_SCALE
    }
    return _tabulated(chosen, oversampling=_ratio).sortby("oversampling")


def _over_scale(results: Results) -> xr.Dataset:
    """Flows by their scale; nuclear-norm minimization, which has none, at each of them."""
    chosen = {
        case: result
        for case, result in results.items()
        if case.n_measurements == _count(_FIXED_RATIO)
    }
    convex = {c: r for c, r in chosen.items() if isinstance(c, NuclearNormCase)}
    flows = {c: r for c, r in chosen.items() if isinstance(c, FlowCase)}
    once = _tabulated(convex, scale=lambda case: 0.0).isel(scale=0, drop=True)
    everywhere = once.expand_dims(scale=list(_SCALES)).transpose("method", "scale", "instance")
    table = _tabulated(flows, scale=lambda case: case.scale).sortby("scale")
    return xr.concat([everywhere.sortby("instance"), table.sortby("instance")], "method")


def _tabulated(results, **axis) -> xr.Dataset:
    table = tabulate(
        results,
        ["relative_error", "nuclear_norm", "true_nuclear_norm"],
        method=lambda case: case.method,
        **axis,
        instance=lambda case: case.instance,
    )
    error = table.relative_error
    return table.assign(recovered=(error < _RECOVERED).where(error.notnull()))


def _measured(table: xr.Dataset, axis: str) -> list[Measured]:
    seeds = table.instance.values
    return [
        Measured.of(
            f"{axis} {at:g}: {method}, {words}",
            table[name].sel({"method": method, axis: at}).values,
            seeds,
        )
        for at in table[axis].values
        for method in table.method.values
        for name, words in (("recovered", "recovered"), ("relative_error", "relative error"))
    ]


def _lines(table: xr.Dataset, axis: str):
    figure, (left, right) = panels(2, width=4.8)
    plot_recovery(table, "recovered", left, x=axis)
    plot_recovery(table, "relative_error", right, x=axis)
    return figure


def _maps(by_ratio: xr.Dataset, by_scale: xr.Dataset):
    figure, axes = panels(2, width=7.4)
    for ax, table in zip(axes, (by_ratio, by_scale), strict=True):
        plot_map(table.relative_error.median("instance"), ax)
    return figure


def _caption(what: str) -> str:
    return (
        f"Share of instances recovered to a relative error of {_RECOVERED:g}, with Wilson's "
        f"interval of 95 per cent, and relative error, against {what}."
    )


def _share(table: xr.Dataset, method: str, **at: float) -> float:
    return float(table.recovered.sel({"method": method, **at}).mean("instance"))


def _checks(by_ratio: xr.Dataset, by_scale: xr.Dataset) -> list[Check]:
    first = {method: _first_recovered(by_ratio, method) for method in _METHODS}
    few = by_ratio.relative_error.sel(oversampling=min(_RATIOS)).median("instance")
    return [
        Check("depth 3 recovers from fewer entries than nuclear-norm minimization",
              first["depth 3"], "<", first[NUCLEAR_NORM]),
        Check("depth 4 recovers from fewer entries than nuclear-norm minimization",
              first["depth 4"], "<", first[NUCLEAR_NORM]),
        Check("at six times the degrees of freedom every method recovers nine of ten instances",
              min(_share(by_ratio, method, oversampling=6.0) for method in _METHODS), ">=", 0.9),
        Check("at 1.1 times the degrees of freedom no method recovers",
              float(few.min()), ">", _RECOVERED),
        Check("at twice the degrees of freedom depth 3 recovers half of the instances or more "
              "from 1e-3", _share(by_scale, "depth 3", scale=1e-3), ">=", 0.5),
        Check("and a start of scale 0.1 is too large for depth 2",
              _share(by_scale, "depth 2", scale=0.1), "<=", 0.1),
    ]  # fmt: skip


def _first_recovered(table: xr.Dataset, method: str) -> float:
    """The smallest ratio from which on half of the instances or more are recovered."""
    shares = table.recovered.sel({"method": method}).mean("instance")
    enough = (shares >= 0.5).values
    last_failure = np.flatnonzero(~enough)
    first = 0 if not len(last_failure) else last_failure[-1] + 1
    return float(table.oversampling.values[first]) if first < len(enough) else np.inf


def _notes(by_ratio: xr.Dataset, by_scale: xr.Dataset) -> tuple[str, ...]:
    parts = [f"{method} {_first_recovered(by_ratio, method):g}" for method in _METHODS]
    few = by_ratio.relative_error.median("instance").isel(oversampling=0)
    best = str(few.method.values[np.argmin(few.values)])
    lost = by_scale.relative_error.sel(scale=min(_SCALES)) > 1
    counts = ", ".join(f"{m} {int(lost.sel({'method': m}).sum())}" for m in _METHODS)
    return (
        f"{_SIZE} x {_SIZE} matrices of rank {_RANK} have {_FREEDOM} degrees of freedom. Half of "
        f"the instances are recovered from an oversampling of: {', '.join(parts)} (scale "
        f"{_FIXED_SCALE:g}).",
        f"At {min(_RATIOS):g} times the degrees of freedom the median relative error is smallest "
        f"for {best}: "
        + ", ".join(f"{m} {float(few.sel({'method': m})):.2g}" for m in _METHODS)
        + ".",
        f"Runs with a relative error above 1 from the scale {min(_SCALES):g} at twice the degrees "
        f"of freedom: {counts} of {by_scale.sizes['instance']}. Too small a start can be worse "
        "than a larger one at depth: the flow then prefers a lower rank with a growing norm.",
    )


CLAIM = Claim(
    id="arora2019.regime-map",
    title="Where depth wins",
    statement="Deep flows recover low-rank matrices from fewer entries than nuclear-norm "
    "minimization, down to a limit, and for starts near zero.",
    source=_SOURCE,
    published=(Published("regime", "few observed entries, small initialization", _SOURCE),),
    cost="full",
    cases=_cases,
    judge=_judge,
    seeds=10,
    full_seeds=20,
)
