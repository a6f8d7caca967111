"""Arora, Cohen, Golowich and Hu 2019: balanced against independent starts over their scale."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow._random import stream
from factorflow.datasets import gas_sensor
from factorflow.dynamics import GradientDescent, Stop, solve_many
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._tabulate import of_kind
from factorflow.factorizations import DeepLinear
from factorflow.initializers import AbstractInitializer, Balanced, Gaussian, StartAt
from factorflow.plots import plot_recovery
from factorflow.problems import Completion, Regression
from factorflow.report import Table
from factorflow.trajectories import Record

_DEPTHS = (3, 8)
_SCALES = (1e-3, 1e-2, 1e-1, 1.0, 3.0, 10.0)
_RATES = (3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
_SIZE, _EXCESS = 20, 1e-5
_CAP, _FULL_CAP = 5_000, 50_000

INDEPENDENT, BALANCED, SAME = "independent", "balanced", "balanced, product of independent"
_DRAWN = ""


class _SameProduct(AbstractInitializer):
    """Balanced layers of the product that independent ones would have."""

    scale: float

    def __call__(self, factorization, shape, seed):
        layers = Gaussian(self.scale)(factorization, shape, seed)
        product = reduce(lambda done, layer: layer @ done, layers)
        return StartAt(product)(factorization, shape, seed)


METHODS = {INDEPENDENT: Gaussian, BALANCED: Balanced, SAME: _SameProduct}


@dataclass(frozen=True)
class StartCase(AbstractCase):
    """Steps of descent to within 1e-5 of the optimum of a whitened regression, for each rate.

    Parameters
    ----------
    method
        A name in ``METHODS``.
    depth
        Of the network, its hidden layers of width 1.
    scale
        Of the product at the start; the minimizer has norm 1 where it is drawn.
    instance
        Seed of the start, and of the minimizer where it is drawn.
    cap
        Steps after which a run has failed.
    samples
        Hash of the samples, where they are measured.
    folder
        Where those lie.
    """

    kind: ClassVar[str] = "scale of balanced and independent starts"
    revision: ClassVar[int] = 1

    method: str
    depth: int
    scale: float
    instance: int
    cap: int = _CAP
    samples: str = _DRAWN
    folder: Path | None = field(default=None, compare=False)

    @property
    def group(self):
        return self.depth, self.cap, self.samples

    @classmethod
    def run_many(cls, cases, finished, progress):
        steps = {case: np.full(len(_RATES), np.inf) for case in cases}
        targets = [_minimizer(case) for case in cases]
        cells = targets[0].size
        for i, rate in enumerate(_RATES):
            solutions = solve_many(
                [Completion.of(target) for target in targets],
                DeepLinear(cases[0].depth),
                # The problem takes the mean over the entries of half the squared distance.
                GradientDescent(rate * cells),
                init=[METHODS[case.method](case.scale) for case in cases],
                seeds=[case.instance for case in cases],
                stop=Stop(train_error=2 * _EXCESS / cells, n_gradients=cases[0].cap + 1),
                record=Record([]),
                how="batch" if len(cases) > 1 else "loop",
                progress=progress,
                throw=False,
            )
            for case, solution in zip(cases, solutions, strict=True):
                if solution.status.name == "TRAIN_ERROR":
                    steps[case][i] = solution.n_steps
        for case, found in steps.items():
            finished(case, {"steps": found})


def _minimizer(case: StartCase) -> np.ndarray:
    """``Phi``, ``(1, n)``, all that a whitened squared loss knows of its samples."""
    if case.folder is not None:
        return _measured(case.folder)[1]
    drawn = stream(case.instance, "balanced start", "minimizer").standard_normal((1, _SIZE))
    return drawn / np.linalg.norm(drawn)


@lru_cache(maxsize=1)
def _measured(folder: Path) -> tuple[str, np.ndarray]:
    """Hash of the whitened samples of a folder, and their minimizer."""
    found = gas_sensor(folder)
    problem = Regression(found.features, found.concentration).standardized().whitened()
    minimizer = problem.targets.T @ problem.inputs / problem.n_samples
    return problem.content_hash, minimizer


def _cases(size: Size) -> list[StartCase]:
    cap = _FULL_CAP if size.full else _CAP
    sources: list[tuple[str, Path | None]] = [(_DRAWN, None)]
    if size.data is not None:
        sources.append((_measured(size.data)[0], size.data))
    return [
        StartCase(method, depth, scale, seed, cap, *source)
        for source in sources
        for depth in _DEPTHS
        for method in METHODS
        for scale in _SCALES
        for seed in range(size.seeds)
    ]


class Best(NamedTuple):
    """The steps of each instance at the rate of the least median."""

    rate: float
    steps: np.ndarray

    @property
    def median(self) -> float:
        return float(np.median(self.steps))


def _judge(results: Results) -> Finding:
    measured_too = [case.samples for case in results if case.samples]
    sources = {"": _DRAWN} | ({"gas sensors, ": measured_too[0]} if measured_too else {})
    cap = next(iter(results)).cap
    measured, checks, tables, figures = [], [], [], []
    for prefix, samples in sources.items():
        for depth in _DEPTHS:
            runs = of_kind(results, StartCase, depth=depth, samples=samples)
            seeds = sorted({case.instance for case in runs})
            best = {(m, s): _best(runs, m, s) for m in METHODS for s in _SCALES}
            for method in METHODS:
                every = np.array([best[method, scale].steps for scale in _SCALES])
                name = _share_name(prefix, depth, method)
                shares = np.isfinite(every).mean(axis=0)
                measured.append(Measured.of(name, shares, seeds))
            checks += _checks(prefix, depth, best)
            tables.append(_table(prefix, depth, best))
        caption = f"{prefix}{_CAPTION} after {cap:,} steps stand there."
        figures.append((_sentence(caption), _figure(results, samples, cap)))
    return Finding(
        measured=tuple(measured),
        checks=tuple(checks),
        tables=tuple(tables),
        figures=tuple(figures),
        notes=_notes(results, cap),
    )


def _best(runs: Mapping[StartCase, dict], method: str, scale: float) -> Best:
    chosen = of_kind(runs, StartCase, method=method, scale=scale)
    steps = np.array([run["steps"] for run in chosen.values()], float)  # (instances, rates)
    # Of rates with one median, as where most runs fail, the one by which most get there.
    reached = np.isfinite(steps).sum(axis=0)
    which = min(range(len(_RATES)), key=lambda i: (np.median(steps[:, i]), -reached[i]))
    return Best(_RATES[which], steps[:, which])


def _share_name(prefix: str, depth: int, method: str) -> str:
    return f"{prefix}depth {depth}, {method}: share of scales from which descent gets there"


def _checks(prefix: str, depth: int, best: Mapping[tuple[str, float], Best]) -> list[Check]:
    checks = []
    for scale in _SCALES:
        text = f"{prefix}depth {depth}, scale {scale:g}: balanced needs no more steps, medians"
        sides = best[BALANCED, scale].median, best[INDEPENDENT, scale].median
        # From far above the optimum both first have to come down: no part of the statement.
        checks.append(Check(text, sides[0], "<=", sides[1], essential=scale <= 1))
    shares = {
        method: float(np.mean([np.isfinite(best[method, s].steps).mean() for s in _SCALES]))
        for method in METHODS
    }
    text = f"{prefix}depth {depth}: balanced starts get there at least as often over all scales"
    checks.append(Check(text, shares[BALANCED], ">=", shares[INDEPENDENT]))
    reached = {
        method: sum(np.isfinite(best[method, s].median) for s in _SCALES) for method in METHODS
    }
    text = f"{prefix}depth {depth}: balanced starts get there (medians) from as many scales"
    checks.append(Check(text, reached[BALANCED], ">=", reached[INDEPENDENT]))
    if depth == max(_DEPTHS):
        text = f"{prefix}depth {depth}: and from more"
        checks.append(Check(text, reached[BALANCED], ">", reached[INDEPENDENT]))
    return checks


def _table(prefix: str, depth: int, best: Mapping[tuple[str, float], Best]) -> Table:
    def cell(found: Best) -> str:
        done = int(np.isfinite(found.steps).sum())
        steps = f"{found.median:,.0f}" if np.isfinite(found.median) else "–"
        return f"{steps} at {found.rate:g} ({done} of {found.steps.size})"

    rows = [(f"{s:g}", *(cell(best[method, s]) for method in METHODS)) for s in _SCALES]
    caption = (
        f"{prefix}depth {depth}: median of the steps to within {_EXCESS:g} of the "
        "optimum at the best learning rate, and how many instances got there."
    )
    return Table(_sentence(caption), ("scale of the product", *METHODS), rows)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _figure(results: Results, samples: str, cap: int) -> Figure:
    figure, axes = panels(len(_DEPTHS), width=5, height=4.2)
    for depth, ax in zip(_DEPTHS, axes, strict=True):
        runs = of_kind(results, StartCase, depth=depth, samples=samples)
        steps = [[_best(runs, method, scale).steps for scale in _SCALES] for method in METHODS]
        found = xr.DataArray(
            np.minimum(steps, cap),
            dims=("method", "scale", "instance"),
            coords={"method": list(METHODS), "scale": list(_SCALES)},
            attrs={"long_name": "Steps"},
            name="steps",
        )
        found["scale"].attrs["long_name"] = "Scale of the product at the start"
        plot_recovery(found, "steps", ax, x="scale")
        ax.set(yscale="log", title=f"depth {depth}")
    return figure


def _notes(results: Results, cap: int) -> tuple[str, ...]:
    notes = [
        f"Whitened regressions with one output and {_SIZE} inputs, of which descent knows the "
        "minimizer alone; it is drawn, with norm 1. Hidden layers have width 1; the published "
        f"widths are not known. Each cell has the learning rate, of {len(_RATES)} from "
        f"{_RATES[0]:g} to {_RATES[-1]:g}, of least median; a run has failed after {cap:,} steps.",
        "Both starts have products of one root-mean-square size. But a product of many independent "
        "numbers mostly is far smaller than that, and now and then larger; the third start has the "
        "very product of the independent one, in balanced layers. Below the size "
        "of the optimum it is no faster than the independent one: what makes the balanced start "
        "fast there is that its product has the size that was asked for. Of all layers of one "
        "product, balanced ones even have the smallest gradient, by the inequality of the means; "
        "what they gain is that longer steps are stable, where the scale is large. From far above "
        "the optimum small products are an advantage, so that the order of the first two may be "
        "reversed.",
    ]
    if any(case.samples for case in results):
        notes.append(
            "Also for the ethanol measurements of the folder, standardized and whitened; instances "
            "then differ in their start alone."
        )
    return tuple(notes)


_CAPTION = (
    "steps of descent to within 1e-5 of the optimum against the scale of the start, each at its "
    "best learning rate: median and quartiles. Runs that are not there"
)
_SOURCE = "Arora, Cohen, Golowich, Hu 2019, experiments"

CLAIM = Claim(
    id="arora2019b.balanced-start",
    title="Balanced against independent starts",
    statement="On whitened regression, descent from a balanced start needs no more steps than from "
    "independent layers of the same scale, and gets there from a wider range of scales, the more "
    "so the deeper the network.",
    source="Arora, Cohen, Golowich, Hu 2019 (arXiv:1810.02281), experiments",
    published=tuple(
        Published(_share_name("", depth, BALANCED), "faster, from a wider range", _SOURCE)
        for depth in _DEPTHS
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=5,
    full_seeds=20,
)
