"""The optimizer laboratory: which update rules turn with the hidden bases, and where each ends."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, NamedTuple

import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

from factorflow.datasets import low_rank
from factorflow.dynamics import GradientDescent, Stop, group_rmsprop, solve
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured
from factorflow.experiments._tabulate import tabulate
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Gaussian
from factorflow.plots import plot_methods
from factorflow.problems import Completion
from factorflow.report import Table
from factorflow.theory import gauge_deviation
from factorflow.trajectories import Record

_SIZE, _RANK, _N_OBSERVED, _SCALE = 20, 2, 160, 1e-3
_TRAIN_ERROR, _CAP = 1e-6, 60_000
_DEPTHS = (2, 3)
_SHORT, _LONG = 100, 1000  # steps over which two runs are compared
_SAME, _OTHER = 1e-10, 1e-2


class Rule(NamedTuple):
    """An update rule: whether it should turn with the bases, and how Optax makes it."""

    turns: bool
    make: Callable[[], optax.GradientTransformation]


def _falling(learning_rate: float) -> optax.Schedule:
    """Halved every two thousand steps: these rules do not come to rest by themselves."""
    return optax.exponential_decay(learning_rate, 2000, 0.5)


RULES = {
    "descent": Rule(True, lambda: optax.sgd(2.0)),
    "momentum": Rule(True, lambda: optax.sgd(0.2, momentum=0.9)),
    "one-scalar RMSprop": Rule(
        True, lambda: optax.chain(group_rmsprop(1.0), optax.scale_by_schedule(_falling(1e-2)))
    ),
    "Muon": Rule(True, lambda: optax.contrib.muon(_falling(1e-2))),
    "Adam": Rule(False, lambda: optax.adam(_falling(1e-2))),
    "RMSprop": Rule(False, lambda: optax.rmsprop(_falling(3e-3), decay=0.99)),
    "sign descent": Rule(False, lambda: optax.sign_sgd(_falling(3e-3))),
}
_made = cache(lambda name: RULES[name].make())  # one object for one rule: compiled code knows it


@dataclass(frozen=True)
class OptimizerCase(AbstractCase):
    """Completion of a 20 x 20 matrix of rank 2 by an update rule, and its gauge deviation.

    Parameters
    ----------
    rule
        A name in ``RULES``.
    instance
        Seed of the matrix, the observed entries, the start and the rotations.
    depth
        Of the network.
    """

    kind: ClassVar[str] = "optimizer laboratory"
    revision: ClassVar[int] = 1

    rule: str
    instance: int
    depth: int

    @property
    def group(self):
        return self.rule, self.depth

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            truth = low_rank((_SIZE, _SIZE), _RANK, seed=case.instance)
            problem = Completion.sample(truth, _N_OBSERVED, seed=case.instance)
            # Without a learning rate of its own its time counts steps.
            parts = problem, DeepLinear(case.depth), GradientDescent(None, _made(case.rule))
            start = {"init": Gaussian(_SCALE), "seed": case.instance}
            solution = solve(
                *parts,
                **start,
                stop=Stop(train_error=_TRAIN_ERROR, n_gradients=_CAP),
                record=Record([]),
                progress=progress,
                throw=False,
            )
            apart = {
                f"deviation after {steps} steps": gauge_deviation(
                    *parts, **start, steps=steps, rotation_seed=case.instance
                )
                for steps in (_SHORT, _LONG)
            }
            error = np.linalg.norm(solution.matrix - truth) / np.linalg.norm(truth)
            result = {
                "effective_rank": solution.effective_rank,
                "reconstruction_error": float(error),
                "train_error": solution.train_error,
                "n_steps": solution.n_steps,
                "status": solution.status.name,
            }
            finished(case, result | apart)


def _cases(size: Size) -> list[OptimizerCase]:
    return [
        OptimizerCase(rule, instance, depth)
        for depth in _DEPTHS
        for rule in RULES
        for instance in range(size.seeds)
    ]


_NAMES = {
    "deviation": f"deviation after {_SHORT} steps",
    "deviation_later": f"deviation after {_LONG} steps",
}


def _judge(results: Results) -> Finding:
    numbers = ["effective_rank", "reconstruction_error", "n_steps", *_NAMES.values()]
    found = tabulate(
        results,
        numbers,
        depth=lambda case: case.depth,
        method=lambda case: case.rule,
        instance=lambda case: case.instance,
    )
    ended = float(np.mean([result["status"] == "TRAIN_ERROR" for result in results.values()]))
    return Finding(
        measured=tuple(
            Measured.of(
                f"{rule}, depth {depth}: {_SHOWN.get(name, name)}", values, found["instance"].values
            )
            for depth in found["depth"].values
            for rule in RULES
            for name in ("effective_rank", "reconstruction_error", _NAMES["deviation"])
            for values in [found[name].sel({"depth": depth, "method": rule}).values]
        ),
        checks=(*_checks(found), Check("every run ends at its train error", ended, ">=", 1.0)),
        tables=tuple(_table(found.sel(depth=depth)) for depth in found["depth"].values),
        figures=tuple(
            (f"{_CAPTION} Depth {depth}.", _figure(found.sel(depth=depth)))
            for depth in found["depth"].values
        ),
        notes=(
            "The deviation is the largest relative difference between the products of a run and "
            "those of a run from the same layers in rotated hidden bases. Muon turns with the "
            "bases, but divides by singular values of the gradient however small they are, and so "
            "makes rounding large: its products agree at first and part later.",
            "A rule that turns with the bases need not prefer low rank: Muon moves all singular "
            "directions of a layer at one speed, and where it ends depends on how fast its "
            "learning rate falls.",
            f"{_SIZE} x {_SIZE} matrices of rank {_RANK}, {_N_OBSERVED} entries observed, a "
            f"Gaussian start of scale {_SCALE:g}, each run to a mean squared train error of "
            f"{_TRAIN_ERROR:g}. Learning rates were chosen once so that every rule gets there; "
            "those of the rules that do not come to rest by themselves fall by half every two "
            "thousand steps.",
        ),
    )


def _checks(found: xr.Dataset) -> list[Check]:
    deviation = found[_NAMES["deviation"]]
    checks = []
    for name, rule in RULES.items():
        own = deviation.sel({"method": name})
        if rule.turns:
            text = f"{name}: products do not depend on the hidden bases"
            checks.append(Check(text, float(own.max()), "<=", _SAME))
        else:
            text = f"{name}: products depend on the hidden bases"
            checks.append(Check(text, float(own.min()), ">", _OTHER))
    ranks = found["effective_rank"].median("instance")
    for depth in found["depth"].values:
        low, high = (float(ranks.sel({"depth": depth, "method": m})) for m in ("descent", "Adam"))
        text = f"depth {depth}: Adam ends with a larger effective rank than descent"
        checks.append(Check(text, high, ">", low, essential=False))
    return checks


def _table(found: xr.Dataset) -> Table:
    rows = []
    for name, rule in RULES.items():
        middle = found.sel({"method": name}).median("instance")
        numbers = [float(middle[each]) for each in (*_NAMES.values(), *_SHOWN, "n_steps")]
        rows.append((name, "yes" if rule.turns else "no", *numbers))
    return Table(
        f"Medians at depth {int(found['depth'])}, at the same train error.",
        ("rule", "turns with the bases", *_NAMES.values(), *_SHOWN.values(), "steps"),
        rows,
    )


_SHOWN = {"effective_rank": "effective rank", "reconstruction_error": "reconstruction error"}
_CAPTION = (
    "Left, how far the products part when the hidden bases of the start are rotated; then the "
    "effective rank and the reconstruction error at the same train error. Points are instances."
)


def _figure(found: xr.Dataset) -> Figure:
    quantities = [_NAMES["deviation"], *_SHOWN]
    figure, axes = panels(len(quantities), width=4.6, height=4.4)
    for name, ax in zip(quantities, axes, strict=True):
        plot_methods(found, name, ax)
        for name_below in ax.get_xticklabels():
            name_below.set(rotation=40, ha="right", rotation_mode="anchor")
    return figure


CLAIM = Claim(
    id="factorflow.optimizers",
    title="Update rules and the hidden bases",
    statement="Descent, with momentum or divided by one scalar, and Muon make the same products "
    "whatever the bases of the hidden layers; rules that treat entries one by one, such as Adam, "
    "do not.",
    source="derived here; one-scalar RMSprop as in the experiments of Arora, Cohen, Hu, Luo 2019",
    published=(),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=5,
    full_seeds=20,
)
