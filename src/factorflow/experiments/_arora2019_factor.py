"""Arora, Cohen, Hu and Luo 2019: the factor by which depth changes the movement of a singular
value, measured on the way of descents."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure

from factorflow.datasets import low_rank
from factorflow.dynamics import GradientDescent, Stop, solve_many
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Balanced
from factorflow.plots import plot_factor
from factorflow.problems import Completion
from factorflow.report import Table
from factorflow.trajectories import AtTimes, Observable, Record, Snapshot, Solution

_SIZE, _RANK, _N_OBSERVED = 10, 3, 70
_SCALE = 0.1
_RATE = 0.02  # small enough for the update of the theorem to hold to a part in a thousand
_MOMENTS = np.unique(np.round(np.geomspace(1, 2000, 60) / _RATE))  # steps
_LEAST_SHARE = 0.1  # of the gradient's norm: below, a quotient of two vanishing numbers
# For each depth: seed, singular values and factors of a run; exponent and constant of a run.
_Movements = dict[int, list[tuple[int, np.ndarray, np.ndarray]]]
_Fits = dict[int, list[tuple[float, float]]]

_SOURCE = "Theorem of the blog post, drawn in its Figure 1"


@dataclass(frozen=True)
class FactorCase(AbstractCase):
    """A descent from a balanced start, and how its singular values move on the way."""

    kind: ClassVar[str] = "movement of singular values along a descent"
    revision: ClassVar[int] = 1

    depth: int
    seed: int

    @property
    def group(self):
        return self.depth

    @classmethod
    def run_many(cls, cases, finished, progress):
        problems = [_problem(case.seed) for case in cases]

        def keep(k: int, solution: Solution) -> None:
            finished(cases[k], _movement(problems[k], solution), solution.seconds)

        solve_many(
            problems,
            DeepLinear(cases[0].depth),
            GradientDescent(_RATE),
            init=Balanced(_SCALE),
            seeds=[case.seed for case in cases],
            stop=Stop(train_error=1e-8, n_gradients=int(_MOMENTS[-1]) + 3),
            record=Record((Observable("matrix", _matrix, ("row", "column")),), schedule=_pairs()),
            how="threads",
            progress=progress,
            finished=keep,
        )


def _matrix(snapshot: Snapshot):
    return snapshot.matrix


def _pairs() -> AtTimes:
    """Pairs of steps that follow each other: a descent answers with the first at or after."""
    steps = np.unique(np.concatenate([_MOMENTS, _MOMENTS + 1]))
    return AtTimes((steps - 0.5) * _RATE)


def _problem(seed: int) -> Completion:
    truth = low_rank((_SIZE, _SIZE), _RANK, seed=seed)
    return Completion.sample(truth / np.linalg.norm(truth, 2), _N_OBSERVED, seed=seed)


def _movement(problem: Completion, solution: Solution) -> dict[str, np.ndarray]:
    """Singular values and the factor on the movement of each, over all pairs of steps."""
    matrices = solution.trajectory["matrix"].values
    firsts = np.flatnonzero(np.diff(solution.trajectory["step"].values) == 1)
    known = np.nan_to_num(problem.to_array())
    values, factors = [], []
    for before, after in zip(matrices[firsts], matrices[firsts + 1], strict=True):
        gradient = np.where(problem.observed, before - known, 0) / problem.n_observed
        left, sigma, right = np.linalg.svd(before)
        projected = np.einsum("ir,ij,rj->r", left, gradient, right)
        moved = (sigma - np.linalg.svd(after, compute_uv=False)) / _RATE
        clear = np.abs(projected) > _LEAST_SHARE * np.linalg.norm(gradient, 2)
        values.append(sigma[clear])
        factors.append(moved[clear] / projected[clear])
    return {"values": np.concatenate(values), "factors": np.concatenate(factors)}


def _cases(size: Size) -> list[FactorCase]:
    depths = (1, 2, 3, 4, 5, 8) if size.full else (1, 2, 3, 4)
    return [FactorCase(depth, seed) for depth in depths for seed in range(size.seeds)]


def _judge(results: Results) -> Finding:
    runs: _Movements = {}
    for case, result in results.items():
        runs.setdefault(case.depth, []).append((case.seed, result["values"], result["factors"]))
    fits = {depth: [_power(x, y) for _, x, y in each] for depth, each in runs.items()}
    measured = [
        Measured.of(
            name(depth), [fit[which] for fit in fits[depth]], [run[0] for run in runs[depth]]
        )
        for depth in runs
        for which, name in enumerate((_exponent, _constant))
    ]
    return Finding(
        measured=tuple(measured),
        checks=(*_of_the_theorem(fits), *_of_the_text(runs, fits)),
        tables=(_table(runs),),
        figures=((_CAPTION, _figure(runs)),),
        notes=(
            f"Descents with learning rate {_RATE} on {_N_OBSERVED} entries of {_SIZE} x {_SIZE} "
            f"matrices of rank {_RANK} and spectral norm 1, from balanced starts of scale "
            f"{_SCALE}. The factor is the movement of a singular value in one step over the "
            "learning rate and the projection of the gradient on its component. Components on "
            "which the gradient has "
            f"less than {_LEAST_SHARE:g} of its norm are left out.",
        ),
    )


_CAPTION = (
    "The factor of the theorem (lines) and as measured along descents (dots): small singular "
    "values are slowed down, large ones sped up, the more the deeper the network."
)


def _exponent(depth: int) -> str:
    return f"exponent at depth {depth}"


def _constant(depth: int) -> str:
    return f"constant at depth {depth}"


def _power(values: np.ndarray, factors: np.ndarray) -> tuple[float, float]:
    """Exponent and constant of the power law; NaN if a factor is not positive."""
    if not np.all(factors > 0):
        return np.nan, np.nan
    slope, intercept = np.polyfit(np.log(values), np.log(factors), 1)
    return float(slope), float(np.exp(intercept))


def _of_the_theorem(fits: _Fits) -> list[Check]:
    checks = []
    for depth, pairs in fits.items():
        exponents, constants = np.transpose(pairs)
        away = np.max(np.abs(exponents - (2 - 2 / depth)))
        checks.append(Check(f"the exponent at depth {depth} is 2 - 2/{depth}", away, "<", 0.01))
        away = np.max(np.abs(constants / depth - 1))
        text = f"the constant at depth {depth} is {depth}, to a hundredth of it"
        checks.append(Check(text, away, "<", 0.01))
    return checks


def _of_the_text(runs: _Movements, fits: _Fits) -> list[Check]:
    steps = [
        np.min(np.transpose(fits[deep])[0]) - np.max(np.transpose(fits[shallow])[0])
        for shallow, deep in pairwise(sorted(fits))
    ]
    agreeing = [_agrees(depth, x, y) for depth in runs if depth > 1 for _, x, y in runs[depth]]
    return [
        Check("every layer more makes the exponent larger", np.min(steps), ">", 0),
        Check(
            "below the crossing with depth 1 every movement is slower, above it faster",
            float(np.mean(np.concatenate(agreeing))),
            ">=",
            1,
        ),
    ]


def _agrees(depth: int, values: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Whether each factor is on its side of 1, but for the values next to the crossing."""
    crossing = depth ** (-depth / (2 * (depth - 1)))
    clear = np.abs(values / crossing - 1) > 0.02
    return ((values > crossing) == (factors > 1))[clear]


def _table(runs: _Movements) -> Table:
    rows = []
    for depth, each in runs.items():
        values, factors = (np.concatenate([run[i] for run in each]) for i in (1, 2))
        law = depth * values ** (2 - 2 / depth)
        away = np.abs(factors / law - 1)
        rows.append((depth, values.size, values.min(), values.max(), np.median(away), away.max()))
    columns = ("depth", "movements", "smallest value", "largest value", "median", "largest")
    return Table(
        "Movements that were measured, and their relative distance to the factor of the theorem.",
        columns,
        rows,
    )


def _figure(runs: _Movements) -> Figure:
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    ax = plot_factor(list(runs), figure.subplots(), largest=1.0)
    for line, each in zip(ax.get_lines(), runs.values(), strict=True):
        for _, values, factors in each:
            dots = {"color": line.get_color(), "markersize": 2.5, "alpha": 0.35}
            ax.plot(values, factors, "o", **dots)
    return figure


CLAIM = Claim(
    id="arora2019.factor",
    title="The factor of depth",
    statement=(
        "Descent on a balanced network of depth N moves each singular value by N sigma^(2 - 2/N) "
        "times what descent on the matrix itself would: small ones are slowed down, large ones "
        "sped up, and the more the deeper the network."
    ),
    source="Arora et al. 2019, blog post, Figure 1",
    published=tuple(
        Published(name(depth), value, _SOURCE)
        for depth in (1, 2, 3, 4)
        for name, value in ((_exponent, 2 - 2 / depth), (_constant, float(depth)))
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=5,
    full_seeds=20,
)
