"""Nuclear-norm minimization beside depth 2 and depth 3 on the same instances."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factorflow.experiments._case import Results
from factorflow.experiments._judgement import Check, Measured
from factorflow.experiments._recovery import ENTRIES, FlowCase, NuclearNormCase, RecoveryCase
from factorflow.experiments._tabulate import of_kind, tabulate

NUCLEAR_NORM = "nuclear norm"
QUANTITIES = ("mean_squared_error", "relative_error", "nuclear_norm", "effective_rank")
TRUTH = ("true_nuclear_norm", "true_effective_rank")
WORDS = {
    "mean_squared_error": "mean squared error",
    "relative_error": "relative error",
    "nuclear_norm": "nuclear norm of the solution",
    "effective_rank": "effective rank",
}


def compared_cases(
    n_measurements: int,
    n_instances: int,
    *,
    depths: Sequence[int] = (2, 3),
    scales: Sequence[float] = (1e-4,),
    measurements: str = ENTRIES,
    rtol: float = 1e-3,
) -> list[RecoveryCase]:
    """Each instance by nuclear-norm minimization and by flow of each depth and scale."""
    cases: list[RecoveryCase] = []
    for i in range(n_instances):
        common = {"n_measurements": n_measurements, "instance": i, "measurements": measurements}
        cases.append(NuclearNormCase(**common))
        cases += [FlowCase(**common, depth=n, scale=s, rtol=rtol) for n in depths for s in scales]
    return cases


def compared(results: Results, **fields) -> xr.Dataset:
    """The results of cases with the given fields over ``method`` and ``instance``."""
    chosen = {
        case: result
        for case, result in results.items()
        if all(getattr(case, name, value) == value for name, value in fields.items())
    }
    return tabulate(
        chosen,
        [*QUANTITIES, *TRUTH],
        method=lambda case: case.method,
        instance=lambda case: case.instance,
    )


def measured_of(table: xr.Dataset, prefix: str = "") -> list[Measured]:
    """Every quantity of every method over the instances, named ``prefix method, quantity``."""
    seeds = table.instance.values
    return [
        Measured.of(
            f"{prefix}{method}, {WORDS[name]}", table[name].sel({"method": method}).values, seeds
        )
        for method in table.method.values
        for name in QUANTITIES
    ]


def median(table: xr.Dataset, quantity: str, method: str) -> float:
    """Median of a quantity of a method over the instances."""
    return float(table[quantity].sel({"method": method}).median())


def truth_of(table: xr.Dataset, quantity: str) -> float:
    """Median over the instances of a quantity of the true matrices."""
    return float(table[f"true_{quantity}"].isel(method=0).median())


def ended(results: Results, essential: bool = True) -> list[Check]:
    """That every flow came to its train error and every convex programme to its certificate."""
    flows = [each["status"] == "TRAIN_ERROR" for each in of_kind(results, FlowCase).values()]
    convex = [each["status"] == "CERTIFIED" for each in of_kind(results, NuclearNormCase).values()]
    return [
        Check("every flow ends at its train error", float(np.mean(flows)), ">=", 1.0, essential),
        Check("every minimizer is certified", float(np.mean(convex)), ">=", 1.0),
    ]


def published_checks(
    prefix: str, published: Mapping[str, float], measured: Mapping[str, float]
) -> list[Check]:
    """That published errors are those measured, within a factor 5: ground truths differ."""
    return [
        Check(
            f"{prefix}the published error of {name} is within a factor 5 of the measured median",
            error,
            "within",
            (measured[name] / 5, 5 * measured[name]),
            essential=False,
        )
        for name, error in published.items()
    ]


def panels(n: int, width: float = 4.2, height: float = 3.8) -> tuple[Figure, Iterable[Axes]]:
    """A figure, not pyplot's, with panels side by side."""
    figure = Figure(figsize=(width * n, height), layout="constrained")
    return figure, np.atleast_1d(figure.subplots(1, n))
