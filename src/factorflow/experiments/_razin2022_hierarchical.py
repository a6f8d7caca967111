"""Hierarchical against CP factorization, on tensors of low hierarchical and of low CP rank."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow._random import stream
from factorflow._x64 import double_precision
from factorflow.datasets import low_rank_tensor
from factorflow.dynamics import GradientFlow, Stop, solve_many
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured
from factorflow.experiments._tabulate import tabulate
from factorflow.factorizations import CP, HierarchicalTucker
from factorflow.initializers import Gaussian
from factorflow.plots import plot_recovery
from factorflow.problems import Completion
from factorflow.report import Table
from factorflow.trajectories import Record, Solution, effective_rank_of

_HIERARCHICAL, _CP = "hierarchical", "CP"
_PAIRS = ((_HIERARCHICAL, _CP), (_CP, _HIERARCHICAL))
_FACTORIZATIONS = {_HIERARCHICAL: HierarchicalTucker(8), _CP: CP(64)}
_SHAPE, _RANK = (6, 6, 6, 6), 2
_N_OBSERVED = (100, 200, 300, 400, 700)
_SCALE, _TRAIN_ERROR, _LIMIT = 1e-3, 1e-10, 20_000
_NEAR = 0.05  # relative error of a tensor that counts as recovered


@dataclass(frozen=True)
class HierarchicalCase(AbstractCase):
    """Completion of a 6 x 6 x 6 x 6 tensor of norm 1 by flow from a start of scale 1e-3.

    Parameters
    ----------
    truth
        What has rank 2: ``"hierarchical"`` or ``"CP"``.
    method
        How the unknown is written: ``"hierarchical"``, all widths 8, or ``"CP"``, 64 components.
    n_observed
        Number of entries.
    instance
        Seed of the tensor, the entries and the start.
    """

    kind: ClassVar[str] = "tensor completion, hierarchical and CP"
    revision: ClassVar[int] = 1

    truth: str
    method: str
    n_observed: int
    instance: int

    @property
    def problem(self) -> Completion:
        """The instance."""
        return Completion.sample(
            _truth(self.truth, self.instance), self.n_observed, seed=self.instance
        )

    @property
    def group(self):
        return self.method

    @classmethod
    def run_many(cls, cases, finished, progress):
        def tell(k: int, solution: Solution) -> None:
            finished(cases[k], _described(cases[k], solution), solution.seconds)

        solve_many(
            [case.problem for case in cases],
            _FACTORIZATIONS[cases[0].method],
            GradientFlow(),
            init=Gaussian(_SCALE),
            seeds=[case.instance for case in cases],
            stop=Stop(train_error=_TRAIN_ERROR, n_gradients=_LIMIT),
            record=Record([]),
            how="threads",  # in lockstep a run's last digits depend on those beside it
            progress=progress,
            finished=tell,
            throw=False,
        )


def _truth(kind: str, instance: int) -> np.ndarray:
    if kind == _CP:
        return low_rank_tensor(_SHAPE, _RANK, seed=instance)
    factorization = HierarchicalTucker(_RANK)
    rng = stream(instance, "hierarchical tensor")
    shapes = factorization.shapes(_SHAPE)
    with double_precision():
        factors = [jnp.asarray(rng.standard_normal(shape)) for shape in shapes]
        tensor = np.asarray(factorization.tensor(factors))
    return tensor / np.linalg.norm(tensor)


def _described(case: HierarchicalCase, solution: Solution) -> dict[str, Any]:
    tensor = np.asarray(solution.tensor)
    half = tensor.reshape(_SHAPE[0] * _SHAPE[1], -1)
    return {
        "relative_error": float(np.linalg.norm(tensor - case.problem.truth)),
        "effective_rank": float(effective_rank_of(np.linalg.svd(half, compute_uv=False))),
        "train_error": solution.train_error,
        "status": solution.status.name,
        "n_gradients": solution.n_gradients,
    }


def _cases(size: Size) -> list[HierarchicalCase]:
    return [
        HierarchicalCase(truth, method, n_observed, seed)
        for truth in _FACTORIZATIONS
        for method in _FACTORIZATIONS
        for n_observed in _N_OBSERVED
        for seed in range(size.seeds)
    ]


def _judge(results: Results) -> Finding:
    table = tabulate(
        results,
        ["relative_error", "effective_rank", "n_gradients"],
        truth=lambda case: case.truth,
        method=lambda case: case.method,
        n_observed=lambda case: case.n_observed,
        instance=lambda case: case.instance,
    )
    errors = table["relative_error"]
    fewest = {
        (truth, method): _fewest(errors.sel({"truth": truth, "method": method}))
        for truth in _FACTORIZATIONS
        for method in _FACTORIZATIONS
    }
    checks = [
        Check(
            f"low {truth} rank: entries from which on the median error is below {_NEAR:g}, fewer "
            f"for {truth} than for {other}", fewest[truth, truth], "<", fewest[truth, other],
            essential=truth == _HIERARCHICAL,
        )
        for truth, other in _PAIRS
    ]  # fmt: skip
    for truth, other in _PAIRS:
        checks += _compared(errors, truth, other)
    return Finding(
        measured=tuple(_measured(table)),
        checks=tuple(checks),
        tables=(_table(table, results),),
        figures=((_CAPTION, _figure(errors)),),
        notes=(_NOTE,),
    )


def _compared(errors: xr.DataArray, better: str, worse: str) -> list[Check]:
    """That for truths of a kind the factorization of that kind has the lesser median error."""
    medians = errors.sel({"truth": better}).median("instance")
    checks = []
    for n in _N_OBSERVED[1:]:
        one, other = (float(medians.sel({"method": m, "n_observed": n})) for m in (better, worse))
        text = f"low {better} rank, {n} entries: median error of {better} less than of {worse}"
        checks.append(Check(text, one, "<", other, essential=False))
    return checks


def _fewest(errors: xr.DataArray) -> float:
    """The least number of entries from which on the median error is small."""
    small = (errors.median("instance") <= _NEAR).values
    from_here = np.flip(np.logical_and.accumulate(np.flip(small)))
    return float(_N_OBSERVED[int(np.argmax(from_here))]) if from_here.any() else float("inf")


def _measured(table: xr.Dataset):
    errors = table["relative_error"]
    for truth in _FACTORIZATIONS:
        for method in _FACTORIZATIONS:
            for n in _N_OBSERVED:
                name = f"low {truth} rank, {n} entries: error of {method}"
                chosen = errors.sel({"truth": truth, "method": method, "n_observed": n})
                yield Measured.of(name, chosen.values, errors["instance"].values)


def _table(table: xr.Dataset, results: Results) -> Table:
    middle = table.median("instance")
    rows = []
    for truth in _FACTORIZATIONS:
        for n in _N_OBSERVED:
            for method in _FACTORIZATIONS:
                here = middle.sel({"truth": truth, "method": method, "n_observed": n})
                runs = [
                    run
                    for case, run in results.items()
                    if (case.truth, case.method, case.n_observed) == (truth, method, n)
                ]
                near = sum(run["relative_error"] <= _NEAR for run in runs)
                ended = sum(run["status"] == "TRAIN_ERROR" for run in runs)
                rows.append((
                    truth, n, method, float(here["relative_error"]),
                    float(here["effective_rank"]), float(here["n_gradients"]),
                    f"{near} of {len(runs)}", f"{ended} of {len(runs)}",
                ))  # fmt: skip
    return Table(_TABLE, _COLUMNS, rows)


def _figure(errors: xr.DataArray) -> Figure:
    figure, axes = panels(2, width=5.2, height=4.2)
    for truth, ax in zip(_FACTORIZATIONS, axes, strict=True):
        found = errors.sel({"truth": truth}).drop_vars("truth")
        plot_recovery(found.to_dataset(), "relative_error", ax, x="n_observed")
        ax.set_title(f"truth of {truth} rank {_RANK}", fontsize="medium")
    return figure


_TABLE = (
    "Medians: relative error, effective rank of the tensor laid out as a matrix of modes 1, 2 by "
    "modes 3, 4 (of the truths at most 2), gradients; runs with an error of at most "
    f"{_NEAR:g}, and those that came to their train error."
)
_COLUMNS = (
    "truth", "entries", "factorization", "error", "effective rank", "gradients", "near",
    "ended",
)  # fmt: skip
_CAPTION = (
    "Relative error against the number of observed entries of 1296, median and quartiles: tensors "
    "of low hierarchical rank and of low CP rank, completed by either factorization."
)
_NOTE = (
    "6 x 6 x 6 x 6 tensors of norm 1: a hierarchical factorization of width 2 with Gaussian "
    "factors, or two Gaussian components. Of low CP rank is of low hierarchical rank too, with "
    "nodes that are diagonal, while the first kind has a CP rank of up to 8. Both are completed by "
    f"flow from a Gaussian start of the same size of the product, scale {_SCALE:g}, to a train "
    f"error of {_TRAIN_ERROR:g} or {_LIMIT:,} gradients; hierarchical factorizations of width 8 "
    "have 328 numbers, CP ones of 64 components 1,536. A relative error of 4e-4 is what the train "
    "error leaves. Errors have two heaps, of tensors found and of runs that come to rest "
    "elsewhere, more of them hierarchical, so that a median says on which side half of the runs "
    "lie. The reverse, CP on tensors of low CP rank, is checked beside the statement and not "
    "essential to it. The comparison is ours: no published number."
)

CLAIM = Claim(
    id="razin2022.hierarchical",
    title="Hierarchical against CP factorization",
    statement="From a small start a hierarchical factorization completes tensors of low "
    "hierarchical rank from fewer entries than a CP factorization does.",
    source="After Razin, Maman and Cohen 2022 (arXiv:2201.11729)",
    published=(),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=20,
    full_seeds=50,
)
