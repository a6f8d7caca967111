"""A tensor's gradient by its entries against the dense one: where the one overtakes the other."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import factorflow as ff
from benchmarks._case import Case, Result, Table
from benchmarks._clock import interleaved
from factorflow._blas import one_blas_thread
from factorflow.plots._style import COLORS, MANY_DASHES, calm

QUICK = {
    "CP(64), 8×8×8": (ff.CP(64), (8, 8, 8)),
    "CP(10), 100×100×100": (ff.CP(10), (100, 100, 100)),
    "CP(50), 300×200×3": (ff.CP(50), (300, 200, 3)),
}
FULL = QUICK | {
    "CP(512), 8×8×8×8": (ff.CP(512), (8, 8, 8, 8)),
    "CP(20), 30×30×30×30": (ff.CP(20), (30, 30, 30, 30)),
    "HierarchicalTucker(16), 30×30×30×30": (ff.HierarchicalTucker(16), (30, 30, 30, 30)),
}
SHARES = {False: (0.001, 0.05, 0.8), True: (0.001, 0.01, 0.05, 0.2, 0.8)}
REPEATS = {False: 7, True: 15}


def run(full: bool, tell: Callable[[str], None]) -> Result:
    shares, rows, ratios = SHARES[full], [], {}
    for name, (factorization, shape) in (FULL if full else QUICK).items():
        found = {share: entries_over_dense(factorization, shape, share, full) for share in shares}
        ratios[name] = list(found.values())
        chosen = changed_share(factorization, shape, shares)
        rows.append((name, *found.values(), equal_share(found), chosen))
        tell(f"{name}: done")
    headings = [f"at a share of {share:g}" for share in shares]
    return Result(
        tables=(
            Table(
                "Time by entries over time by the whole tensor, one gradient with its loss: "
                f"medians of {REPEATS[full]}.",
                ("factorization", *headings, "share where equal", "auto by entries up to"),
                rows,
            ),
        ),
        data={"shares": list(shares), "ratios": ratios},
        notes=(
            "Below 1 the route by entries is the faster. Where equal is interpolated in the "
            'logarithm, a dash if one route is faster throughout; `route="auto"` decides by an '
            "estimate of costs, and goes by entries up to the last column's share.",
        ),
    )


def entries_over_dense(factorization, shape, share: float, full: bool) -> float:
    problem = observed(shape, share)
    start = ff.Gaussian(0.5)(factorization, shape, 0)
    with jax.enable_x64(True), one_blas_thread():  # as in a run
        factors = tuple(map(jnp.asarray, start))
        losses = {route: problem.loss(factorization, route) for route in ("dense", "entries")}
        gradient = jax.jit(lambda loss, factors: loss.value_and_gradient(factors))
        runs = {route: lambda loss=loss: gradient(loss, factors) for route, loss in losses.items()}
        timings = interleaved(runs, REPEATS[full])
    return timings["entries"].over(timings["dense"])


def observed(shape, share: float) -> ff.Completion:
    size = int(np.prod(shape))
    chosen = np.random.default_rng(0).choice(size, max(int(share * size), 2), replace=False)
    return ff.Completion.from_tuples(np.unravel_index(chosen, shape), np.ones(len(chosen)), shape)


def equal_share(ratios: dict[float, float]) -> float | None:
    """Where the ratio passes 1, growing with the share; None if it does not."""
    shares, logs = np.log(list(ratios)), np.log(list(ratios.values()))
    if logs[0] > 0 or logs[-1] < 0:
        return None
    return float(np.exp(np.interp(0, logs, shares)))


def changed_share(factorization, shape, shares) -> float | None:
    """The largest share, by bisection of a fine grid, that ``auto`` visits by entries."""
    grid = np.geomspace(min(shares), max(shares), 25)
    low, high = -1, len(grid)  # by entries up to low, dense from high on
    while high - low > 1:
        middle = (low + high) // 2
        by_entries = observed(shape, grid[middle]).loss(factorization).route == "entries"
        low, high = (middle, high) if by_entries else (low, middle)
    return float(grid[low]) if low >= 0 else None


def figure(result: Result) -> Figure:
    """The ratio against the share observed, a line for each factorization."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    ax = calm(figure.subplots())
    for k, (name, ratios) in enumerate(result.data["ratios"].items()):
        style = {"color": COLORS[k % len(COLORS)], "linestyle": MANY_DASHES[k % len(MANY_DASHES)]}
        ax.loglog(result.data["shares"], ratios, marker="o", markersize=4, label=name, **style)
    ax.axhline(1, color="0.4", linewidth=1)
    ax.set_xlabel("share of the entries that is observed")
    ax.set_ylabel("time by entries over time by the whole")
    ax.legend(frameon=False, fontsize=8)
    return figure


CASE = Case(
    name="tensor_routes",
    title="Tensors: by entries or by the whole",
    question="From which share of observed entries on is a tensor's gradient faster by the whole?",
    run=run,
    figure=figure,
)
