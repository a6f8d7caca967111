"""Circuits that classify digits: the rank of what they learn, of written digits and of controls."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow._random import stream
from factorflow.circuits import representation
from factorflow.datasets import digits
from factorflow.dynamics import GradientFlow, Stop, solve
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured
from factorflow.experiments._tabulate import of_kind, tabulate
from factorflow.factorizations import CP, AbstractTensorFactorization, HierarchicalTucker
from factorflow.initializers import Gaussian
from factorflow.plots import plot_methods, plot_recovery
from factorflow.problems import MultilinearRegression
from factorflow.report import Table
from factorflow.theory import matricization_spectra
from factorflow.trajectories import Observable, Record, effective_rank_of, train_error

SHALLOW, DEEP = "shallow circuit", "deep circuit"
WRITTEN, LABELS, IMAGES = "written digits", "random labels", "random images"
_CIRCUITS = (SHALLOW, DEEP)
_CONTROLS = {WRITTEN: None, LABELS: "labels", IMAGES: "images"}
_LARGER, _SCALE, _SMALLER = 1e-3, 1e-4, 1e-5
_FEW, _MANY = 4, 16  # places: the order of the tensor
_COMPONENTS, _WIDTH = 64, 16
_N_TRAIN = 160
_TRAIN_ERROR, _LIMIT = 0.1, 100_000
_LEVELS = np.geomspace(0.9, _TRAIN_ERROR, 9)

Cell = tuple[str, int, float]


@dataclass(frozen=True)
class DigitsCase(AbstractCase):
    """A circuit trained to tell two digits apart, by gradient flow from near zero.

    Parameters
    ----------
    circuit
        ``SHALLOW``, a CP factorization with 64 components, or ``DEEP``, a hierarchical Tucker
        factorization with 16 local components at every node.
    data
        ``WRITTEN``, or a control: ``LABELS`` or ``IMAGES``.
    places
        Into how many places an image is cut, 4 or 16; a deep circuit pools windows of 2 of four
        and of 4 of sixteen.
    scale
        Of the Gaussian start.
    instance
        Seed of the pair of digits, the control, the images in training and the start.
    """

    kind: ClassVar[str] = "a circuit trained to tell digits apart"
    revision: ClassVar[int] = 1

    circuit: str
    data: str
    places: int
    scale: float
    instance: int

    @property
    def group(self):
        return self.circuit, self.places

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            train, held_out = _problems(case)
            factorization = _factorization(case)
            n_factors = len(factorization.shapes(train.shape))
            solution = solve(
                train,
                factorization,
                GradientFlow(),
                init=Gaussian(case.scale),
                seed=case.instance,
                stop=Stop(train_error=_TRAIN_ERROR, n_gradients=_LIMIT),
                record=Record([train_error(), *(_factor(n) for n in range(n_factors))]),
                progress=progress,
            )
            factors = solution.factors
            result = {
                "digits": _pair(case.instance),
                "train_error": solution.train_error,
                "accuracy": held_out.accuracy(factorization, factors),
                "n_gradients": solution.n_gradients,
                "status": solution.status.name,
                "path": _path(factorization, solution.trajectory),
                **_ranks(factorization, factors),
            }
            finished(case, result, solution.seconds)


class _Factor(eqx.Module):
    n: int = eqx.field(static=True)

    def __call__(self, snapshot):
        return snapshot.factors[self.n]


def _factor(n: int) -> Observable:
    return Observable(f"factor_{n}", _Factor(n), (f"row_{n}", f"column_{n}"))


def _pair(instance: int) -> list[int]:
    return stream(instance, "circuits", "digits").choice(10, 2, replace=False).tolist()


def _problems(case: DigitsCase) -> tuple[MultilinearRegression, MultilinearRegression]:
    positive, negative = _pair(case.instance)
    grid = int(np.sqrt(case.places))
    data = digits(positive, negative, grid=grid, control=_CONTROLS[case.data], seed=case.instance)
    vectors = representation(data.pixels).swapaxes(0, 1)
    problem = MultilinearRegression(tuple(vectors), data.labels)
    # As many in training whatever the pair: nothing is compiled anew.
    return problem.split(1 - _N_TRAIN / problem.n_samples, seed=case.instance)


def _factorization(case: DigitsCase) -> AbstractTensorFactorization:
    if case.circuit == SHALLOW:
        return CP(_COMPONENTS)
    return HierarchicalTucker(_WIDTH, 2 if case.places == _FEW else 4)


def _ranks(factorization: AbstractTensorFactorization, factors: Sequence[Any]) -> dict[str, float]:
    """Effective ranks of the matricizations: the mean over the cuts and the largest."""
    spectra = matricization_spectra(factorization, factors).values()
    ranks = [float(effective_rank_of(values)) for values in spectra]
    return {"rank": float(np.mean(ranks)), "largest_rank": max(ranks)}


def _path(factorization: AbstractTensorFactorization, seen: xr.Dataset) -> np.ndarray:
    """Rank when the train error first is at or below each level; NaN where it never was."""
    errors = seen["train_error"].values
    path = np.full(len(_LEVELS), np.nan)
    for k, level in enumerate(_LEVELS):
        reached = np.flatnonzero(errors <= level)
        if reached.size:
            there = seen.isel(record=reached[0])
            names = sorted((name for name in there if str(name).startswith("factor_")), key=_number)
            path[k] = _ranks(factorization, [there[name].values for name in names])["rank"]
    return path


def _number(name: Any) -> int:
    return int(name.removeprefix("factor_"))


def _cells(full: bool) -> list[Cell]:
    """Circuit, places and scale of the start; the first two are in every size."""
    few = [(circuit, _FEW, _SCALE) for circuit in _CIRCUITS]
    if not full:
        return few
    more = [(circuit, _FEW, scale) for scale in (_LARGER, _SMALLER) for circuit in _CIRCUITS]
    return [*few, *more, (DEEP, _MANY, _SCALE)]


def _cases(size: Size) -> list[DigitsCase]:
    return [
        DigitsCase(circuit, data, places, scale, seed)
        for circuit, places, scale in _cells(size.full)
        for data in _CONTROLS
        for seed in range(size.seeds)
    ]


_WORDS = {
    "rank": "effective rank, mean over the cuts",
    "largest_rank": "effective rank, largest over the cuts",
    "accuracy": "share of held-out images told right",
    "n_gradients": "gradients",
}
_QUANTITIES = (*_WORDS, "train_error")


def _judge(results: Results) -> Finding:
    measured, checks, rows = [], [], []
    cells = list(dict.fromkeys((c.circuit, c.places, c.scale) for c in results))
    tables = {cell: _table(results, cell) for cell in cells}
    for (circuit, places, scale), table in tables.items():
        here = f"{circuit}, {places} places, start {scale:g}"
        for data in _CONTROLS:
            one = table.sel(data=data)
            measured += [
                Measured.of(f"{here}: {data}, {words}", one[name].values, one.instance.values)
                for name, words in _WORDS.items()
            ]
            medians = [float(one[name].median()) for name in _QUANTITIES]
            rows.append((f"{here}, {data}", *medians))
        if scale < _LARGER:
            essential = (circuit, places, scale) in _cells(full=False)
            checks += _checks(here, table, essential)
    checks += _scale_checks(tables)
    return Finding(
        measured=tuple(measured),
        checks=tuple(checks),
        tables=(
            Table("Medians over pairs of digits.", ("circuit and data", *_WORDS.values(),
                  "train error"), rows),
        ),
        figures=((_CAPTION, _figure(results)),),
        notes=(*_NOTES, _limited_told(results), _pairs_told(results)),
    )  # fmt: skip


def _table(results: Results, cell: Cell) -> xr.Dataset:
    circuit, places, scale = cell
    runs = of_kind(results, DigitsCase, circuit=circuit, places=places, scale=scale)
    table = tabulate(runs, _QUANTITIES, data=lambda c: c.data, instance=lambda c: c.instance)
    paths = [
        [runs[DigitsCase(circuit, data, places, scale, int(seed))]["path"] for seed in each]
        for data, each in ((data, table.instance.values) for data in table.data.values)
    ]
    return table.assign(path=(("data", "instance", "level"), np.array(paths)))


def _checks(here: str, table: xr.Dataset, essential: bool) -> Iterable[Check]:
    reached = float((table["train_error"] <= _TRAIN_ERROR).mean())
    yield Check(f"{here}: every run reaches the train error", reached, ">=", 1, essential)
    medians = table.median("instance")
    for control in (LABELS, IMAGES):
        for name, words in list(_WORDS.items())[:2]:
            of_digits, of_control = (float(medians[name].sel(data=d)) for d in (WRITTEN, control))
            text = f"{here}: {words}, of {WRITTEN} below that of {control}"
            yield Check(text, of_digits, "<", of_control, essential and name == "rank")
        text = (
            f"{here}: share of pairs whose mean over the cuts is below that with {control}, at the "
            "least train error that both came to"
        )
        yield Check(text, _share_below(table, control), ">=", 0.9, essential=False)
    told = medians["accuracy"]
    yield Check(f"{here}: held-out images of {WRITTEN} told right", float(told.sel(data=WRITTEN)),
                ">=", 0.9, essential)  # fmt: skip
    for control in (LABELS, IMAGES):
        text = f"{here}: held-out images of {control} told right as by chance"
        yield Check(text, float(told.sel(data=control)), "within", (0.35, 0.65), essential)


def _share_below(table: xr.Dataset, control: str) -> float:
    """Share of pairs of digits whose rank is the lower at the last level that both reached."""
    of_digits, of_control = (table["path"].sel(data=data) for data in (WRITTEN, control))
    last = (of_digits + of_control).notnull().cumsum("level").argmax("level")
    return float((of_digits.isel(level=last) < of_control.isel(level=last)).mean())


def _scale_checks(tables: dict[Cell, xr.Dataset]) -> Iterable[Check]:
    """That it is the small start: how often the rank of a control is that of written digits."""
    for circuit in _CIRCUITS:
        ends = [tables.get((circuit, _FEW, scale)) for scale in (_SMALLER, _LARGER)]
        if any(table is None for table in ends):
            continue
        for control in (LABELS, IMAGES):
            ratios = [_ratio(table, control) for table in ends if table is not None]
            text = (
                f"{circuit}: effective rank of {control}, relative to that of {WRITTEN}, from the "
                f"start {_SMALLER:g} above that from {_LARGER:g}"
            )
            yield Check(text, ratios[0], ">", ratios[1], essential=False)


def _ratio(table: xr.Dataset, control: str) -> float:
    medians = table["rank"].median("instance")
    return float(medians.sel(data=control) / medians.sel(data=WRITTEN))


def _figure(results: Results) -> Figure:
    cells = _cells(full=False)
    figure, axes = panels(2 * len(cells), width=3.7, height=3.8)
    axes = list(axes)
    for k, (circuit, places, scale) in enumerate(cells):
        runs = of_kind(results, DigitsCase, circuit=circuit, places=places, scale=scale)
        seeds = sorted({case.instance for case in runs})
        paths = [
            [runs[DigitsCase(circuit, data, places, scale, seed)]["path"] for seed in seeds]
            for data in _CONTROLS
        ]
        along = xr.DataArray(
            np.array(paths),
            dims=("method", "instance", "level"),
            coords={"method": list(_CONTROLS), "level": _LEVELS},
            name="effective_rank",
            attrs={"long_name": "Effective rank, mean over the cuts"},
        )
        along["level"].attrs["long_name"] = "Train error"
        ax = plot_recovery(along, "effective_rank", axes[2 * k], x="level")
        ax.set(xscale="log", title=f"{circuit}, in training")
        ax.set_xticks([0.9, 0.5, 0.2, 0.1], ["0.9", "0.5", "0.2", "0.1"])
        ax.set_xticks([], minor=True)
        ax.invert_xaxis()
        ends = _table(results, (circuit, places, scale))["rank"].rename(data="method")
        ends.attrs["long_name"] = "Effective rank, mean over the cuts"
        plot_methods(ends, "effective_rank", axes[2 * k + 1])
        axes[2 * k + 1].set_xticklabels([name.replace(" ", "\n") for name in _CONTROLS])
        axes[2 * k + 1].set_title(f"{circuit}, at the end")
    return figure


def _limited_told(results: Results) -> str:
    """Which runs have not come to the train error: their ranks are those of an earlier stage."""
    cells = Counter(
        f"{case.circuit}, {case.places} places, start {case.scale:g}, {case.data}"
        for case, run in results.items()
        if run["train_error"] > _TRAIN_ERROR
    )
    told = "; ".join(f"{cell} ({count})" for cell, count in cells.items())
    return (
        f"Runs that end at {_LIMIT} gradients, above the train error, and with the rank that they "
        f"have there: {told or 'none'}."
    )


def _pairs_told(results: Results) -> str:
    pairs = {case.instance: run["digits"] for case, run in results.items()}
    told = "; ".join("{:g} and {:g}".format(*pairs[seed]) for seed in sorted(pairs))
    return f"Pairs of digits, drawn: {told}."


_CAPTION = (
    "Effective rank of the function that a circuit realizes, the mean over the cuts of its "
    "matricizations: in training, medians and quartiles over pairs of digits when the train error "
    "first is so low, and at the end, a point for each pair and a bar at the median."
)
_NOTES = (
    "A setting of our own, measured and not quoted: the publication fits tensors of given CP rank "
    "to MNIST and Fashion-MNIST, here circuits of free rank are trained on the 8 x 8 digits of "
    f"scikit-learn, {_N_TRAIN} images of two digits labelled +1 and -1, the others held out, to "
    f"the same train error, {_TRAIN_ERROR:g}. Random labels are those of the images handed out "
    "anew; random images are put together pixel by pixel, each pixel keeping its brightnesses.",
    f"An image of {_FEW} places enters as vectors of 1 and the 16 pixels of each quarter; the "
    "effective rank depends on that choice of vectors, the rank does not. The cuts are those of "
    "the first modes by the last ones for the shallow circuit, and those of the tree for the deep "
    "one; no tensor is formed.",
    f"At full size also from the start {_SMALLER:g}, with {_MANY} places, and, to compare with, "
    f"from the start {_LARGER:g}, which is not near zero enough for the claim.",
)

CLAIM = Claim(
    id="factorflow.circuits-digits",
    title="Rank of what circuits learn",
    statement="Trained from near zero to the same train error, convolutional arithmetic circuits "
    "realize functions of lower rank for written digits than for random labels or random images.",
    source="the question is that of Razin, Maman and Cohen 2021 (arXiv:2102.09972), section on "
    "natural data; the setting is ours",
    published=(),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=3,
    full_seeds=10,
)
