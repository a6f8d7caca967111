"""Arora, Cohen, Hu and Luo 2019: no Schatten quasi-norm is what depth minimizes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow.dynamics import GradientFlow, Stop, solve_many
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._tabulate import tabulate
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Identity
from factorflow.plots import plot_schatten
from factorflow.problems import DenseOperator, Sensing
from factorflow.report import Table
from factorflow.theory import (
    commuting_flow,
    least_trace,
    schatten_counterexample,
    schatten_power,
)
from factorflow.trajectories import Record, Solution

_SIZES = (4,)
_MORE_SIZES = (3, 8)
_DEPTHS = (2, 3, 4, 5)
_SCALES = (1e-2, 1e-3, 1e-4)
_CLOSED_SCALE = 1e-12
_EXPONENTS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_BELOW_1 = ", ".join(f"{p:g}" for p in _EXPONENTS[:-1])
_FALLS = f"the quasi-norms with p = {_BELOW_1} fall at every perturbation"
_EPSILONS = np.round(np.linspace(-0.6, 0.6, 25), 12)


@dataclass(frozen=True)
class SchattenCase(AbstractCase):
    """The end of a gradient flow on the layers, and that of the closed form.

    Parameters
    ----------
    depth, scale
        Of the network and of its start (of the product), a multiple of the identity.
    size
        Rows and columns of the matrix.
    """

    kind: ClassVar[str] = "counter-example to Schatten quasi-norms"
    revision: ClassVar[int] = 1

    depth: int
    scale: float
    size: int

    @property
    def group(self):
        return (self.depth, self.size)

    @classmethod
    def run_many(cls, cases, finished, progress):
        example = schatten_counterexample(cases[0].size)

        def keep(k: int, solution: Solution) -> None:
            finished(cases[k], _distances(cases[k], solution), solution.seconds)

        solve_many(
            Sensing(DenseOperator(example.operators), example.values),
            DeepLinear(cases[0].depth),
            GradientFlow(rtol=1e-5),
            init=[Identity(case.scale) for case in cases],
            seeds=[0] * len(cases),
            stop=Stop(train_error=1e-12),
            record=Record([]),
            route="dense",
            how="threads",
            progress=progress,
            finished=keep,
        )


def _distances(case: SchattenCase, solution: Solution) -> dict:
    """Relative Frobenius distances from the minimizer, of the flow and of the closed form."""
    example = schatten_counterexample(case.size)
    ends = {"flow": solution.matrix}
    for name, scale in (("closed", case.scale), ("closed_far", _CLOSED_SCALE)):
        limit = commuting_flow(example.eigenvalues, example.values, case.depth, scale)
        ends[name] = np.diag(limit.eigenvalues)
    norm = np.linalg.norm(example.minimizer)
    found = {
        name: float(np.linalg.norm(end - example.minimizer) / norm) for name, end in ends.items()
    }
    found["apart"] = float(np.linalg.norm(ends["flow"] - ends["closed"]) / norm)
    return found | {"status": solution.status.name}


def _cases(size: Size) -> list[SchattenCase]:
    return [
        SchattenCase(depth, scale, n)
        for n in (*_SIZES, *(_MORE_SIZES if size.full else ()))
        for depth in _DEPTHS
        for scale in _SCALES
    ]


def _judge(results: Results) -> Finding:
    found = tabulate(
        results,
        ["flow", "closed", "closed_far", "apart"],
        size=lambda case: case.size,
        depth=lambda case: case.depth,
        scale=lambda case: case.scale,
    )
    sizes = [int(n) for n in found["size"].values]
    powers = _powers(sizes[0])
    return Finding(
        measured=_measured(found, powers),
        checks=(*_of_the_flow(found), *_of_the_perturbation(sizes)),
        tables=(_table(found),),
        figures=((_CAPTION, _figure(powers)),),
        notes=(
            "The constraints are W_11 = W_22 and W_11 = W_kk + 1 for k >= 3. What is perturbed, "
            "the entries (1, 2) and (2, 1), no measurement sees; the trace stays, so that the end "
            "of the flow is one of several matrices of least nuclear norm. No seed is drawn.",
        ),
    )


_CAPTION = (
    "Sums of powers of the singular values along matrices that fit equally well. The flow of every "
    "depth ends in the middle, where the sums with p < 1 are largest and not least."
)


def _powers(n: int) -> xr.DataArray:
    example = schatten_counterexample(n)
    table = [
        [schatten_power(example.perturbed(epsilon), p) for epsilon in _EPSILONS] for p in _EXPONENTS
    ]
    return xr.DataArray(table, {"p": list(_EXPONENTS), "epsilon": _EPSILONS}, ("p", "epsilon"))


def _end_name(depth: int) -> str:
    return f"distance of the flow from diag(1, 1, 0, ..., 0), depth {depth}"


def _sum_name(epsilon: float) -> str:
    return f"sum of roots of singular values (p = 1/2) at epsilon {epsilon:g}"


def _measured(found: xr.Dataset, powers: xr.DataArray) -> tuple[Measured, ...]:
    smallest = found["flow"].isel(scale=-1).max("size")
    ends = [Measured.exact(_end_name(depth), float(smallest.sel(depth=depth))) for depth in _DEPTHS]
    sums = [
        Measured.exact(_sum_name(e), float(powers.sel(p=0.5, epsilon=e, method="nearest")))
        for e in (0.0, 0.1, 0.3)
    ]
    return (*ends, *sums)


def _of_the_flow(found: xr.Dataset) -> list[Check]:
    checks = []
    for depth in _DEPTHS:
        here = found.sel(depth=depth)
        falls = float(here["closed"].diff("scale").max())
        end = float(here["flow"].isel(scale=-1).max())
        far = float(here["closed_far"].max())
        apart = float(here["apart"].max())
        checks += [
            Check(
                f"the closed form of depth {depth} comes nearer as the scale falls", falls, "<", 0
            ),
            Check(f"depth {depth} ends at diag(1, 1, 0, ..., 0)", end, "<", 0.01),
            Check(f"the closed form of depth {depth} does so at scale 1e-12", far, "<", 1e-4),
            Check(f"flow and closed form of depth {depth} agree", apart, "<", 1e-3),
        ]
    return checks


def _of_the_perturbation(sizes: list[int]) -> list[Check]:
    unfit, negative, rise, trace, above = [], [], [], [], []
    for n in sizes:
        example = schatten_counterexample(n)
        least = least_trace(example.eigenvalues, example.values).sum()
        above.append(abs(np.trace(example.minimizer) - least))
        for epsilon in _EPSILONS[_EPSILONS != 0]:
            moved = example.perturbed(epsilon)
            measured = np.einsum("iab,ab->i", example.operators, moved)
            unfit.append(np.abs(measured - example.values).max())
            negative.append(np.linalg.eigvalsh(moved).min())
            trace.append(abs(np.trace(moved) - np.trace(example.minimizer)))
            rise += [
                schatten_power(moved, p) - schatten_power(example.minimizer, p)
                for p in _EXPONENTS
                if p < 1
            ]
    return [
        Check("the perturbed matrices fit", max(unfit), "<=", 1e-12),
        Check("the perturbed matrices are positive semidefinite", min(negative), ">=", -1e-12),
        Check("the perturbed matrices have the same trace", max(trace), "<=", 1e-12),
        Check("diag(1, 1, 0, ..., 0) has the least trace", max(above), "<=", 1e-6),
        Check(_FALLS, max(rise), "<", 0),
    ]


def _table(found: xr.Dataset) -> Table:
    rows = [
        (
            int(n),
            depth,
            f"{scale:g}",
            *(
                float(found[name].sel(size=n, depth=depth, scale=scale))
                for name in ("flow", "closed", "apart")
            ),
        )
        for n in found["size"].values
        for depth in _DEPTHS
        for scale in found["scale"].values
    ]
    return Table(
        "Relative distances from diag(1, 1, 0, ..., 0), and of the flow from the closed form.",
        ("size", "depth", "scale", "flow", "closed form", "apart"),
        rows,
    )


def _figure(powers: xr.DataArray) -> Figure:
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    plot_schatten(powers, figure.subplots())
    return figure


_SOURCE = "the example after the theorem on commuting measurements"

CLAIM = Claim(
    id="arora2019.schatten",
    title="A case against Schatten quasi-norms",
    statement=(
        "There are commuting measurements for which gradient flow of every depth, from a "
        "vanishing start, ends at a matrix that is no local minimum of any Schatten-p quasi-norm, "
        "p < 1, among the matrices that fit."
    ),
    source="Arora, Cohen, Hu, Luo 2019 (arXiv:1905.13655)",
    published=(
        *(Published(_end_name(depth), "0 in the limit", _SOURCE) for depth in _DEPTHS),
        Published(_sum_name(0.0), 2.0, _SOURCE),
        Published(_sum_name(0.1), "less than 2", _SOURCE),
        Published(_sum_name(0.3), "less than 2", _SOURCE),
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=1,
    full_seeds=1,
)
