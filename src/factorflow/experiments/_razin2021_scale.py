"""Razin, Maman and Cohen 2021: the smaller the start, the smaller the error of completion."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow.experiments._case import Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._tabulate import of_kind, tabulate
from factorflow.experiments._tensors import (
    TENSORLY,
    AlternatingCase,
    TensorCase,
    TensorFlowCase,
)
from factorflow.plots import plot_recovery
from factorflow.report import Table

_TASK = {"n_observed": 2000, "rank": 5, "order": 4, "size": 10}
_SCALES = (0.05, 0.01, 0.005)
_PUBLISHED = {0.05: 8e-2, 0.01: 3e-2, 0.005: 7e-6}
_FEW, _MANY = 100, 1000  # components; the published number makes every tensor
_MOST = 5000  # gradients
_TRAIN_ERROR = 1e-15  # that of 1e-12 is an error of 1e-4
_COMPARED = 3  # instances by TensorLy, an odd number: one that fails is far off
_SOURCE = "Razin, Maman and Cohen 2021"


def _cases(size: Size) -> list[TensorCase]:
    cases: list[TensorCase] = []
    for components in (_FEW, _MANY) if size.full else (_FEW,):
        cases += [
            TensorFlowCase(
                **_TASK,
                instance=i,
                scale=scale,
                components=components,
                train_error=_TRAIN_ERROR,
                most=_MOST,
                ranked=False,
            )
            for i in range(size.seeds)
            for scale in _SCALES
        ]
    if TENSORLY:
        compared = size.seeds if size.full else min(_COMPARED, size.seeds)
        cases += [AlternatingCase(**_TASK, instance=i) for i in range(compared)]
    return cases


def _judge(results: Results) -> Finding:
    flows = of_kind(results, TensorFlowCase)
    found = tabulate(
        flows,
        ["relative_error", "train_error", "n_gradients"],
        method=lambda case: _method(case.components),
        scale=lambda case: case.scale,
        instance=lambda case: case.instance,
    )
    others = of_kind(results, AlternatingCase)
    return Finding(
        measured=tuple(_measured(found, others)),
        checks=tuple(_checks(found)),
        tables=(_table(found, flows, others),),
        figures=((_CAPTION, _figure(found)),),
        notes=(_HOW, _runaways(flows), *(() if others else (_WITHOUT,))),
    )


_HOW = (
    "10 x 10 x 10 x 10 tensors of rank 5 and Frobenius norm 1 from 2000 entries; flow to a mean "
    f"squared train error of {_TRAIN_ERROR:g}, or {_MOST} gradients. Scales are deviations of the "
    "entries of all factors. At the size that is quick the flow has 100 components; the published "
    "1000 start ten times as many, and end at larger errors from the largest scale. The published "
    "descent ends when its train error was below 1e-8 for 51 checks 25 steps apart. "
    "The published numbers are of one tensor. TensorLy is its alternating least squares with a "
    "mask, rank chosen from 1 to 8 on a tenth of the entries, from three starts at each."
)
_WITHOUT = "TensorLy is not installed (pip install 'factorflow[tensors]'), so it is not compared."


def _method(components: int) -> str:
    return f"flow, {components} components"


def _runaways(flows: dict) -> str:
    large = [case for case, each in flows.items() if each["largest_components"][0] > 2]
    which = "; ".join(
        f"instance {c.instance}, scale {c.scale:g}, {c.components} components" for c in large
    )
    return (
        f"{len(large)} of {len(flows)} flows end with a component of norm above 2, where the "
        f"tensor has norm 1, and large errors: {which or 'none'}."
    )


def _median(found: xr.Dataset, components: int, scale: float) -> float:
    place = {"method": _method(components), "scale": scale}
    return float(found.relative_error.sel(place).median())


def _checks(found: xr.Dataset) -> list[Check]:
    checks = []
    for components in (_FEW, _MANY):
        if _method(components) not in found.method.values:
            continue
        large, middle, small = (_median(found, components, scale) for scale in _SCALES)
        start = f"{components} components: "
        checks += [
            Check(f"{start}the error falls from scale 0.05 to 0.01", middle, "<", large),
            Check(f"{start}the error falls from scale 0.01 to 0.005", small, "<", middle,
                  essential=False),
            Check(f"{start}the error from 0.05 is at least ten times that from 0.005",
                  large / small, ">=", 10.0),
            Check(f"{start}the error from 0.005 is small", small, "<", 1e-3),
        ]  # fmt: skip
        if components == _MANY:
            checks += [
                Check(f"the published error from {scale:g} is within a factor 10 of that measured",
                      published, "within", (measured / 10, 10 * measured), essential=False)
                for (scale, published), measured in zip(
                    _PUBLISHED.items(), (large, middle, small), strict=True
                )
            ]  # fmt: skip
    return checks


def _measured(found: xr.Dataset, others: dict) -> list[Measured]:
    measured = [
        Measured.of(
            f"{method}, scale {scale:g}: relative error",
            found.relative_error.sel({"method": method, "scale": scale}).values,
            found.instance.values,
        )
        for method in found.method.values
        for scale in found.scale.values
    ]
    if others:
        errors = [each["relative_error"] for each in others.values()]
        seeds = [case.instance for case in others]
        measured.append(Measured.of("TensorLy: relative error", errors, seeds))
    return measured


def _table(found: xr.Dataset, flows: dict, others: dict) -> Table:
    rows = []
    for method in found.method.values:
        for scale in found.scale.values:
            own = found.sel({"method": method, "scale": scale})
            errors = np.sort(own.relative_error.values)
            rows.append((
                f"{method}, scale {scale:g}",
                float(np.median(errors)),
                ", ".join(f"{error:.1e}" for error in errors),
                float(own.train_error.median()),
                f"{float(own.n_gradients.median()):.0f}",
            ))  # fmt: skip
    if others:
        errors = np.sort([each["relative_error"] for each in others.values()])
        chosen = ", ".join(str(each["rank"]) for each in others.values())
        rows.append((
            f"TensorLy, rank chosen {chosen}",
            float(np.median(errors)),
            ", ".join(f"{error:.1e}" for error in errors),
            float(np.median([each["train_error"] for each in others.values()])),
            "",
        ))  # fmt: skip
    return Table(
        "Medians, and the relative errors of all instances.",
        ("method", "relative error", "all", "train error", "gradients"),
        rows,
    )


_CAPTION = (
    "Relative error against the scale of the start, medians with quartiles. Hollow: published, "
    "from 1000 components."
)


def _figure(found: xr.Dataset) -> Figure:
    figure, (ax,) = panels(1, width=6.4, height=4.2)
    plot_recovery(found, "relative_error", ax, x="scale")
    style: dict[str, Any] = {
        "marker": "o",
        "linestyle": "none",
        "markerfacecolor": "white",
        "color": "#4d4d4d",
    }
    ax.plot(list(_PUBLISHED), list(_PUBLISHED.values()), **style, label="published")
    ax.legend(frameon=False, fontsize="small", loc="lower right")
    return figure


CLAIM = Claim(
    id="razin2021.scale",
    title="Tensor completion against the scale of the start",
    statement="On a CP factorization of order 4 the error of completion falls by orders of "
    "magnitude as the scale of the start does.",
    source=_SOURCE + " (arXiv:2102.09972)",
    published=tuple(
        Published(f"flow, 1000 components, scale {scale:g}: relative error", error, _SOURCE)
        for scale, error in _PUBLISHED.items()
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=5,
    full_seeds=5,
)
