"""What the end-to-end flow costs: by depth, from tiny starts, and beside that of the layers."""

from collections.abc import Callable
from math import inf
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import factorflow as ff
from benchmarks._case import Bar, Case, Result, Table
from benchmarks._clock import Timing, interleaved, spread
from factorflow._blas import one_blas_thread
from factorflow._x64 import double_precision
from factorflow.dynamics._generator import Sides
from factorflow.plots._style import COLORS, calm

FORMS = {"matrix": ff.DeepLinear(1), "logarithms": ff.LogSVD()}
DEPTHS = {False: (2, 3, inf), True: (2, 3, 8, 100, inf)}
SIZE = 30
TINY = {False: ((3, 8),), True: tuple((n, size) for n in (2, 3, 4) for size in (8, 20))}
SCALES = (1e-4, 1e-100)
CALLS, MEASUREMENTS = 20, 15  # of a velocity
REPEATS = {False: 3, True: 9}


def run(full: bool, tell: Callable[[str], None]) -> Result:
    tell("velocities")
    velocities = [row for form in FORMS for row in _velocities(form, DEPTHS[full])]
    tell("tiny starts")
    tiny = [_tiny(depth, size, REPEATS[full]) for depth, size in TINY[full]]
    tell("beside the layers")
    beside = _beside_layers(REPEATS[full])
    return Result(
        tables=(
            Table(
                f"One velocity at {SIZE}×{SIZE}; medians of {MEASUREMENTS} measurements of {CALLS} "
                "calls.",
                _VELOCITY_COLUMNS,
                velocities,
            ),
            Table(
                "Runs of the logarithms from scale 1e-100 beside those from 1e-4, in the same "
                f"directions, to a train error of 1e-6; medians of {REPEATS[full]}.",
                _TINY_COLUMNS,
                tiny,
            ),
            Table(
                f"Runs at depth 3 and {SIZE}×{SIZE} from one start of scale 1e-3, by the defaults; "
                f"medians of {REPEATS[full]}.",
                _BESIDE_COLUMNS,
                beside,
            ),
        ),
        bars=(
            Bar(
                "gradients from 1e-100 over gradients from 1e-4, most",
                max(row[7] for row in tiny),
                2.0,
                at_least=False,
            ),
        ),
        data={"velocities": [[row[0], str(row[1]), row[4]] for row in velocities]},
        notes=_NOTES,
    )


def _problem(size: int) -> ff.Completion:
    truth = ff.datasets.low_rank(shape=(size, size), rank=2, seed=0)
    return ff.Completion.sample(truth, n_observed=size * size * 3 // 5, seed=0)


_VELOCITY_COLUMNS = ("form", "depth", "median (µs)", "spread (µs)", "over depth 3")


def _velocities(form: str, depths: tuple[float, ...]) -> list[tuple]:
    network, problem = FORMS[form], _problem(SIZE)
    with double_precision(), one_blas_thread():  # as in a run
        factors = tuple(map(jnp.asarray, ff.Gaussian(0.1)(network, problem.shape, 0)))
        contestants = {}
        for depth in depths:
            velocity = jax.jit(_velocity(ff.EndToEndFlow(depth), problem.loss(network)))
            contestants[depth] = lambda velocity=velocity: velocity(factors)
        taken = interleaved(contestants, MEASUREMENTS, CALLS)
    rows = []
    for depth, timing in taken.items():
        shown = "∞" if depth == inf else int(depth)
        between = spread(1e6 * timing.seconds)
        rows.append((form, shown, 1e6 * timing.median, between, timing.over(taken[3])))
    return rows


def _velocity(dynamics: ff.EndToEndFlow, loss: Any) -> Callable:
    flow, loss = dynamics._form(loss)
    if not isinstance(loss.factorization, ff.LogSVD):
        return lambda factors: loss.gradient(factors)

    def of_factors(factors):
        left, logs, right = factors
        sides = Sides(left, right, jnp.zeros_like(logs))
        return flow._field(loss, logs)(0.0, sides)[0]

    return of_factors


_TINY_COLUMNS = (
    "depth", "size", "from 1e-4 (s)", "from 1e-100 (s)", "seconds, ratio",
    "gradients from 1e-4", "gradients from 1e-100", "gradients, ratio",
)  # fmt: skip


def _tiny(depth: int, size: int, repeats: int) -> tuple:
    problem = _problem(size)
    found: dict[float, Any] = {}

    def go(scale: float) -> Any:
        found[scale] = ff.solve(
            problem, ff.LogSVD(), ff.EndToEndFlow(depth, rtol=1e-4), init=ff.Balanced(scale),
            stop=ff.Stop(train_error=1e-6, n_gradients=None), record=ff.Record([]),
        )  # fmt: skip
        return found[scale].factors

    taken = interleaved({scale: lambda scale=scale: go(scale) for scale in SCALES}, repeats)
    small, tiny = (taken[scale] for scale in SCALES)
    counts = [found[scale].n_gradients for scale in SCALES]
    times = (small.median, tiny.median, tiny.over(small))
    return (depth, size, *times, *counts, counts[1] / counts[0])


_BESIDE_COLUMNS = (
    "flow", "first run (s)", "median (s)", "over the layers", "gradients",
    "distance of the end from that of the layers",
)  # fmt: skip


def _beside_layers(repeats: int) -> list[tuple]:
    problem = _problem(SIZE)
    ways = {
        "layers": (ff.DeepLinear(3), ff.GradientFlow()),
        **{f"end to end, {form}": (FORMS[form], ff.EndToEndFlow(3)) for form in FORMS},
    }
    found: dict[str, Any] = {}

    def go(name: str) -> Any:
        network, dynamics = ways[name]
        found[name] = ff.solve(
            problem, network, dynamics, init=ff.Balanced(1e-3), record=ff.Record([])
        )
        return found[name].factors

    taken: dict[str, Timing] = interleaved(
        {name: lambda name=name: go(name) for name in ways}, repeats
    )
    layers = found["layers"].matrix
    rows = []
    for name, timing in taken.items():
        apart = float(np.linalg.norm(found[name].matrix - layers) / np.linalg.norm(layers))
        times = (timing.first, timing.median, timing.over(taken["layers"]))
        rows.append((name, *times, found[name].n_gradients, apart))
    return rows


_NOTES = (
    "The velocity of the matrix takes a decomposition into singular values for every gradient; "
    "that of the logarithms keeps the decomposition and works with it, so that depth is a number "
    "in a formula.",
    "Take the layers (`DeepLinear`) where the depth is a whole number and the start is not tiny: "
    "they need no decomposition. Take `LogSVD` with `EndToEndFlow` for real or infinite depths and "
    "for starts so small that layers would wait for ever; `EndToEndFlow` on the matrix is the "
    "plainest form, for checks.",
)


def figure(result: Result) -> Figure:
    """Cost of a velocity over that of depth 3, for each form."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    ax = calm(figure.subplots())
    rows = result.data["velocities"]
    depths = list(dict.fromkeys(row[1] for row in rows))
    for color, form in zip(COLORS, FORMS, strict=False):
        ratios = [row[2] for row in rows if row[0] == form]
        ax.plot(range(len(depths)), ratios, "o-", color=color, label=form)
    names = ["∞" if depth == "inf" else depth for depth in depths]
    ax.set_xticks(range(len(depths)), names)
    ax.set_ylim(0, None)
    ax.set_xlabel("depth")
    ax.set_ylabel("velocity's time over that of depth 3")
    ax.legend(frameon=False)
    return figure


CASE = Case(
    name="end_to_end",
    title="End-to-end flow: any depth, any start",
    question="What does the flow of the product itself cost, by depth and from tiny starts?",
    run=run,
    figure=figure,
)
