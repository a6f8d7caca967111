"""Arora, Cohen and Hazan 2018: regression on gas sensors, where depth accelerates descent."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Event
from typing import Any, ClassVar, NamedTuple

import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

from factorflow._cores import usable_cores
from factorflow._errors import InputError
from factorflow.datasets import gas_sensor
from factorflow.dynamics import GradientDescent, Stop, solve
from factorflow.experiments._case import AbstractCase, Progress, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Gaussian
from factorflow.plots import plot_losses
from factorflow.problems import Regression
from factorflow.report import Table
from factorflow.trajectories import AtTimes, Record, train_loss

_SCALE = 1e-3
_BUDGET, _FULL_BUDGET = 100_000, 1_000_000
_N_RECORDS = 120
# As many as Arora, Cohen, Golowich and Hu 2019 name in their experiment on the same data.
_N_ROWS = 2565
_POWERS = (4, 2)


class Method(NamedTuple):
    """Depth, update rule, and learning rates for the fourth power and for the square.

    Descent is fastest just below where it diverges, so that its grids are the finer ones.
    """

    depth: int
    make: Callable[[float], optax.GradientTransformation]
    rates: Mapping[int, Sequence[float]]


def _grid(low: float, high: float, per_decade: int = 4) -> list[float]:
    """Powers of ten from 10^low to 10^high."""
    return [float(f"{10**x:.4g}") for x in np.arange(low, high + 1e-9, 1 / per_decade)]


METHODS = {
    "descent": Method(1, optax.sgd, {4: _grid(-2.75, -2.125, 8), 2: _grid(-2, -1.375, 8)}),
    "Adagrad": Method(1, optax.adagrad, {4: _grid(-2.5, -1.5), 2: _grid(-2.25, -1.25)}),
    "Adadelta": Method(
        1,
        lambda rate: optax.adadelta(rate, rho=0.95),
        {4: _grid(-2.5, -1.25), 2: _grid(-2.25, -1.25)},
    ),
    "Adam": Method(1, optax.adam, {4: _grid(-4, -2, 2), 2: _grid(-3, -1, 2)}),
    "depth 2": Method(2, optax.sgd, {4: _grid(-3.125, -2.5, 8), 2: _grid(-2.5, -1.5, 8)}),
    "depth 2, Adam": Method(2, optax.adam, {4: _grid(-4, -2, 2), 2: _grid(-4, -2, 2)}),
}


@dataclass(frozen=True)
class EthanolCase(AbstractCase):
    """Standardized regression by one method and learning rate.

    Parameters
    ----------
    samples
        Hash of the samples and the power.
    folder
        Where they lie.
    power
        Of the loss.
    method
        A name in ``METHODS``.
    learning_rate
        Of it.
    n_steps
        The budget.
    instance
        Seed of the start.
    """

    kind: ClassVar[str] = "gas sensor regression"
    revision: ClassVar[int] = 1

    samples: str
    folder: Path = field(compare=False)
    power: int
    method: str
    learning_rate: float
    n_steps: int = _BUDGET
    instance: int = 0

    @property
    def group(self):
        return self.power, self.method, self.n_steps

    @classmethod
    def run_many(cls, cases, finished, progress):
        def one(case: "EthanolCase", tell: Progress) -> None:
            method = METHODS[case.method]
            solution = solve(
                samples_of(case.folder, case.power),
                DeepLinear(method.depth),
                # Without a learning rate of its own its time counts steps.
                GradientDescent(None, method.make(case.learning_rate)),
                init=Gaussian(_SCALE),
                seed=case.instance,
                stop=Stop(train_error=None, n_gradients=case.n_steps + 1),
                record=Record([train_loss()], schedule=_moments(case.n_steps)),
                progress=tell,
                throw=False,
            )
            seen = solution.trajectory
            result = {
                "steps": np.asarray(seen["time"].values, float),
                "loss": np.asarray(seen["train_loss"].values, float),
                "status": solution.status.name,
            }
            finished(case, result, solution.seconds)

        _side_by_side(one, cases, progress)


def _moments(n_steps: int) -> AtTimes:
    return AtTimes(np.unique(np.round(np.geomspace(1, n_steps, _N_RECORDS))))


def _side_by_side(work: Callable, cases: Sequence[Any], progress: Progress | None) -> None:
    """Each case on a core; Ctrl-C reaches those that run through their progress."""
    halt = Event()

    def tell(seen: dict) -> None:
        if halt.is_set():
            raise KeyboardInterrupt
        if progress is not None:
            progress(seen)

    with ThreadPoolExecutor(usable_cores()) as pool:
        waiting = [pool.submit(work, case, tell) for case in cases]
        try:
            for each in waiting:
                each.result()
        except BaseException:
            halt.set()
            raise


@lru_cache(maxsize=4)
def samples_of(folder: Path, power: int) -> Regression:
    """The ethanol measurements of a folder, features and concentrations standardized."""
    found = gas_sensor(folder)
    return Regression(found.features, found.concentration, power).standardized()


def least_loss(problem: Regression) -> float:
    """The least loss of one output, by Newton's method with halved steps."""
    x, y, q = problem.inputs, problem.targets[:, 0], problem.power
    w = np.linalg.lstsq(x, y, rcond=None)[0]
    loss = np.inf
    for _ in range(200):
        r = x @ w - y
        before, loss = loss, np.mean(np.abs(r) ** q) / q
        if before - loss <= 1e-12 * loss:
            break
        curvature = (q - 1) * np.abs(r) ** (q - 2)
        slope = x.T @ (np.sign(r) * np.abs(r) ** (q - 1))
        step = np.linalg.lstsq((x.T * curvature) @ x, slope, rcond=1e-14)[0]
        sizes = 0.5 ** np.arange(30)
        losses = [np.mean(np.abs(r - size * (x @ step)) ** q) / q for size in sizes]
        w = w - sizes[int(np.argmin(losses))] * step
    return float(loss)


def _cases(size: Size) -> list[EthanolCase]:
    if size.data is None:
        raise InputError("Give the folder of the gas sensor files with --data.")
    n_steps = _FULL_BUDGET if size.full else _BUDGET
    return [
        EthanolCase(
            samples_of(size.data, power).content_hash, size.data, power, name, rate, n_steps, seed
        )
        for power in _POWERS
        for name, method in METHODS.items()
        for rate in method.rates[power]
        for seed in range(size.seeds)
    ]


class Best(NamedTuple):
    """A method at the learning rate of least final loss."""

    rate: float
    at_edge: bool
    steps: np.ndarray
    loss: np.ndarray

    def steps_to(self, level: float) -> float:
        """Steps until the loss is at or below a level, between records by powers; else infinite."""
        below = np.flatnonzero(self.loss <= level)
        if not below.size:
            return np.inf
        k = max(1, int(below[0]) - 1)
        steps, losses = np.log(self.steps[k : k + 2]), np.log(self.loss[k : k + 2])
        return float(np.exp(np.interp(-np.log(level), -losses, steps)))


def _judge(results: Results) -> Finding:
    case = next(iter(results))
    seeds = sorted({each.instance for each in results})
    best = {
        power: {name: [_best(results, power, name, seed) for seed in seeds] for name in METHODS}
        for power in _POWERS
    }
    measured, tables = [], []
    for power in _POWERS:
        problem = samples_of(case.folder, power)
        goal = [run.loss[-1] for run in best[power]["descent"]]
        for name, runs in best[power].items():
            measured.append(Measured.of(_final(power, name), [r.loss[-1] for r in runs], seeds))
            gains = [case.n_steps / r.steps_to(level) for r, level in zip(runs, goal, strict=True)]
            measured.append(Measured.of(_gain(power, name), gains, seeds))
        tables.append(_table(best[power], power, problem, measured))
    found = {each.name: each.median for each in measured}
    crossings = [_crossing(best[4], seed, name) for seed in seeds for name in _CROSSED]
    for i, name in enumerate(_CROSSED):
        measured.append(Measured.of(_crossed(name), crossings[i :: len(_CROSSED)], seeds))
    problem = samples_of(case.folder, 4)
    return Finding(
        measured=tuple(measured),
        checks=_checks(found, best, case.n_steps, problem),
        tables=tuple(tables),
        figures=((_CAPTION, _figure(best)),),
        notes=_notes(case.n_steps, problem),
    )


def _best(results: Results, power: int, name: str, seed: int) -> Best:
    runs = {
        case.learning_rate: result
        for case, result in results.items()
        if (case.power, case.method, case.instance) == (power, name, seed)
    }
    finals = {rate: _last(run) for rate, run in runs.items()}
    rate = min(finals, key=lambda each: finals[each])
    edge = rate in (min(finals), max(finals))
    return Best(rate, edge, np.asarray(runs[rate]["steps"]), np.asarray(runs[rate]["loss"]))


def _last(run: Mapping[str, Any]) -> float:
    value = float(run["loss"][-1])
    return value if run["status"] == "GRADIENT_LIMIT" and np.isfinite(value) else np.inf


def _final(power: int, name: str) -> str:
    return f"power {power}, {name}: loss at the end"


def _gain(power: int, name: str) -> str:
    return f"power {power}, {name}: steps of descent over its steps to the same loss"


_CROSSED = ("descent", "Adadelta")


def _crossed(name: str) -> str:
    return f"power 4: step from which depth 2 stays below {name}"


def _crossing(best: Mapping[str, Sequence[Best]], seed: int, name: str) -> float:
    """The first recorded step from which on depth 2 has the smaller loss; NaN if never."""
    one, other = best["depth 2"][seed], best[name][seed]
    above = np.flatnonzero(one.loss >= other.loss)
    if not above.size:
        return float(one.steps[0])
    return float(one.steps[above[-1] + 1]) if above[-1] + 1 < len(one.steps) else np.nan


def _checks(
    found: Mapping[str, float], best: Mapping[int, Any], n_steps: int, problem: Regression
) -> tuple[Check, ...]:
    final = {name: found[_final(4, name)] for name in METHODS}
    squared = {name: found[_final(2, name)] for name in METHODS}
    whole = n_steps >= _FULL_BUDGET
    edges = sum(run.at_edge for power in _POWERS for runs in best[power].values() for run in runs)
    checks = [
        Check("power 4: depth 2 ends below descent", final["depth 2"], "<", final["descent"]),
        Check("power 4: Adadelta ends below descent", final["Adadelta"], "<", final["descent"]),
        Check("power 4: Adagrad ends within a fifth of descent",
              final["Adagrad"] / final["descent"], "within", (0.8, 1.2)),
        Check("power 4: with Adam too depth 2 ends lower",
              final["depth 2, Adam"], "<", final["Adam"], essential=False),
        Check("power 2: depth 2 needs no fewer steps than descent, to a tenth",
              found[_gain(2, "depth 2")], "<=", 1.1),
        Check("power 2: depth gains less than for power 4",
              squared["descent"] / squared["depth 2"], "<", final["descent"] / final["depth 2"]),
        Check("no best learning rate is at the edge of its grid", float(edges), "<=", 0,
              essential=False),
        Check("all rows of ethanol are there", problem.n_samples, ">=", _N_ROWS,
              essential=False),
    ]  # fmt: skip
    published = {"descent": 6e-2, "Adagrad": 5.8e-2, "Adadelta": 2e-2, "depth 2": 8e-3}
    if whole:
        text = "power 4: depth 2 ends below Adadelta"
        checks.append(Check(text, final["depth 2"], "<", final["Adadelta"]))
        checks += [
            Check(f"power 4: the published loss of {name} is within a factor 2 of the measured",
                  value, "within", (final[name] / 2, 2 * final[name]), essential=False)
            for name, value in published.items()
        ]  # fmt: skip
    return tuple(checks)


def _table(
    best: Mapping[str, Sequence[Best]], power: int, problem: Regression, measured: list[Measured]
) -> Table:
    found = {each.name: each.median for each in measured}
    rows = [
        (name, f"{runs[0].rate:.3g}", found[_final(power, name)], found[_gain(power, name)])
        for name, runs in best.items()
    ]
    zero = float(np.mean(np.abs(problem.targets) ** power) / power)
    least = least_loss(problem)
    return Table(
        f"Power {power}, from a loss of {zero:.4g} at zero; the least is {least:.4g}. Last "
        "column: 0 where the loss of descent was never reached.",
        ("method", "best learning rate", "loss at the end", "steps of descent over its own"),
        rows,
    )


def _notes(n_steps: int, problem: Regression) -> tuple[str, ...]:
    notes = [
        f"{problem.n_samples:,} measurements of ethanol, features and concentrations of mean 0 and "
        f"variance 1, {n_steps:,} steps of full-batch descent from a Gaussian start of scale "
        f"{_SCALE:g}; depth 2 has one hidden unit. Each method has the learning rate of least "
        "final loss. The loss is 1/p times the mean p-th power; the scale of the published one "
        "is not known.",
        "The plot that the published numbers are read off shows the fourth power only. That depth "
        "does not help with the square is checked here, beside no published number.",
    ]
    if n_steps < _FULL_BUDGET:
        notes.append(
            "The published run has 1,000,000 steps, and its depth 2 passes Adadelta after about "
            "530,000; at this size that order is not asked for. --full runs all of it."
        )
    if problem.n_samples < _N_ROWS:
        notes.append(
            f"The whole data set has {_N_ROWS:,} measurements of ethanol, as Arora, Cohen, "
            "Golowich and Hu 2019 (arXiv:1810.02281) count them; these files hold fewer, so that "
            "the published numbers need not be these."
        )
    return tuple(notes)


_CAPTION = (
    "Loss against steps, each method at its best learning rate: left the fourth power, where depth "
    "accelerates, right the square."
)


def _figure(best: Mapping[int, Mapping[str, Sequence[Best]]]) -> Figure:
    figure, axes = panels(len(_POWERS), width=5.4, height=4.2)
    for power, ax in zip(_POWERS, axes, strict=True):
        plot_losses(_curves(best[power]), ax)
        ax.set_title(f"power {power}")
    return figure


def _curves(best: Mapping[str, Sequence[Best]]) -> xr.DataArray:
    """Losses of the first seed over ``method`` and ``step``."""
    runs = [each[0] for each in best.values()]
    return xr.DataArray(
        np.stack([run.loss for run in runs]),
        dims=("method", "step"),
        coords={"method": list(best), "step": runs[0].steps},
        name="loss",
    )


_PLOT = "plot of 1,000,000 iterations in the authors' blog post, read off"

CLAIM = Claim(
    id="arora2018.ethanol",
    title="Acceleration by depth, gas sensors",
    statement="On a regression of ethanol concentrations by the fourth power of the residual, "
    "descent on a network of depth 2 and width 1 overtakes descent, Adagrad and Adadelta; with "
    "squared residuals, which the published plot does not show, depth does not help.",
    source="Arora, Cohen, Hazan 2018 (arXiv:1802.06509), experiments",
    published=(
        Published(_final(4, "descent"), 6e-2, _PLOT),
        Published(_final(4, "Adagrad"), 5.8e-2, _PLOT),
        Published(_final(4, "Adadelta"), 2e-2, _PLOT),
        Published(_final(4, "depth 2"), 8e-3, _PLOT),
        Published(_crossed("descent"), 1.5e5, _PLOT),
        Published(_crossed("Adadelta"), 5.3e5, _PLOT),
    ),
    cost="full",
    cases=_cases,
    judge=_judge,
    seeds=1,
    full_seeds=1,
    needs="a folder with the gas sensor files of UCI data set 270 (batch1.dat ...)",
)
