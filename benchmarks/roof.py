"""Our gradient against the bare matrix products that it needs."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import factorflow as ff
from benchmarks._case import Bar, Case, Result, Table
from benchmarks._clock import Timing, interleaved, spread
from factorflow._blas import one_blas_thread
from factorflow._compiled import compiled
from factorflow._cores import usable_cores
from factorflow.plots._style import COLORS, calm
from factorflow.problems._products import product, worth_blas

SHARE = 0.75  # of the roof that is wanted, from the size below upwards
FROM = 100
QUICK = [(size, 3) for size in (20, 100, 500)] + [(100, n) for n in (2, 8)]
FULL = [(size, depth) for size in (20, 50, 100, 200, 500, 1000) for depth in (2, 3, 4, 8)]
BATCHES = {False: ((100, 16),), True: ((20, 16), (50, 16), (100, 16), (200, 16))}
RUNS = {False: (100,), True: (50, 100, 200)}
RATE = 1e-9  # of the descent that the gradients are part of: next to nothing moves
# Seconds; threads find their cores within the first tenth.
A_MEASUREMENT = 0.15
REPEATS = 5
PAUSE = 0.05  # seconds, until threads of NumPy's BLAS have fallen asleep
GUESS = 4e10  # floating-point operations a second, to choose how many calls make a measurement


def run(full: bool, tell: Callable[[str], None]) -> Result:
    single = [_single(size, depth, tell) for size, depth in (FULL if full else QUICK)]
    batch = [_batch(size, runs, tell) for size, runs in BATCHES[full]]
    whole = [_whole(size, tell) for size in RUNS[full]]
    return Result(
        tables=(
            Table(f"One gradient at a time: {_LEAST}", ("size", "depth", *_COLUMNS), single),
            Table(
                f"Batches of gradients at depth 3: {_LEAST}", ("size", "runs", *_COLUMNS), batch
            ),
            Table(
                "Whole runs at depth 3 from a fifth of the entries to a train error of 1e-6: "
                f"medians of {REPEATS}.",
                _WHOLE, whole,
            ),
        ),
        bars=(
            Bar(f"share of the roof from {FROM}×{FROM} on, single, least", _least(single), SHARE),
            Bar(f"share of the roof from {FROM}×{FROM} on, batch, least", _least(batch), SHARE),
        ),
        notes=(
            "A gradient at depth N is 3 (N − 1) products: N − 1 for the matrix and 2 (N − 1) on "
            "the way back, as each layer's gradient and what is passed on below it take one "
            "each. The roof is the fastest of those products alone: in JAX call by call, in JAX "
            "in a compiled loop (of a batch: also in a thread for each core), in NumPy with the "
            "threads that its BLAS takes, in NumPy with one of them (of a batch: in a thread for "
            "each core). The gradient is the loss's `value_and_gradient` within a loop of descent "
            "that is compiled as a run is, updates included, and of a batch shared out to a thread "
            "for each core as `solve_many` does.",
            "Where a gradient of ours takes BLAS, its rows are shared out among XLA's threads, "
            "which can be faster than both, so that a gradient can come in above the roof. The "
            "same calls alone are “products, ours”: what their share lacks of 1 are the pass over "
            "the entries (row by row, while the product is in the cache), the updates and the "
            "machine's noise.",
            "The share of a run is the roof's time for as many gradients as the run took, over the "
            "run's seconds: the rest are the updates of the solver's stages, the records "
            "(singular values mostly) and the host. Below 100×100 it is the fixed cost of XLA's "
            "operations that counts: run many at once (see batches).",
        ),
    )  # fmt: skip


_LEAST = f"the least of {REPEATS} measurements, as noise only adds, and the spread of ours."
_COLUMNS = (
    "products, JAX (µs)", "products, NumPy (µs)", "products, ours (µs)", "gradient, least (µs)",
    "gradient, spread (µs)", "roof (GFlop/s)", "share of products, ours", "share of the roof",
)  # fmt: skip
_WHOLE = (
    "size", "route", "gradients", "recorded (s)", "unrecorded (s)", "cost of the record",
    "share that is bare products",
)  # fmt: skip


def _single(size: int, depth: int, tell) -> tuple:
    factors = orthogonal_factors(size, depth)
    found = _against_products(size, factors, one_gradient(size, depth), 1)
    tell(f"{size}x{size}, depth {depth}: share {found[-1]:.2f}")
    return size, depth, *found


def _batch(size: int, runs: int, tell) -> tuple:
    factors = tuple(
        np.stack(layer) for layer in zip(*[orthogonal_factors(size, 3, k) for k in range(runs)],
                                         strict=True)
    )  # fmt: skip
    found = _against_products(size, factors, jax.vmap(one_gradient(size, 3, company=True)), runs)
    tell(f"{runs} of {size}x{size}: share {found[-1]:.2f}")
    return size, runs, *found


def _against_products(size: int, factors, gradient, runs: int) -> tuple:
    """Of one run, or of a batch that is shared out to a thread for each core, as in a run."""
    flops = runs * 3 * (len(factors) - 1) * 2 * size**3
    calls = max(1, min(2000, round(A_MEASUREMENT * GUESS / flops)))
    with jax.enable_x64(True):
        placed, rate = _placed(factors), jnp.asarray(RATE)
        parts = [factors] if runs == 1 else _shared_out(factors, usable_cores())
        placed_parts = list(map(_placed, parts))
    bare_call = jax.jit(products)
    bare_loop = jax.jit(_products_in_a_loop(products, calls))
    ours = _our_products(factors, runs)
    descent = compiled(_descent(gradient, calls))

    def again(one, factors):
        with jax.enable_x64(True):
            for _ in range(calls):
                result = one(factors)
            jax.block_until_ready(result)

    def once(loop, *arguments):
        with jax.enable_x64(True):
            jax.block_until_ready(loop(*arguments))

    with ThreadPoolExecutor(len(parts)) as pool:

        def side_by_side(work, parts):
            with one_blas_thread():  # as in a run
                list(pool.map(work, parts))

        contestants = {
            "JAX": lambda: again(bare_call, placed),
            "JAX loop": lambda: once(bare_loop, placed),
            "JAX threads": lambda: side_by_side(lambda part: once(bare_loop, part), placed_parts),
            "NumPy": lambda: again(products, factors),
            "NumPy threads": lambda: side_by_side(lambda part: again(products, part), parts),
            "gradient": lambda: side_by_side(lambda part: once(descent, part, rate), placed_parts),
        }
        if ours is not None:
            our_loop = compiled(_products_in_a_loop(ours, calls))
            contestants["ours"] = lambda: side_by_side(
                lambda part: once(our_loop, part), placed_parts
            )
        timings = interleaved(contestants, REPEATS, pause=PAUSE)
    return _row(timings, calls, flops)


def _placed(factors) -> tuple:
    return tuple(map(jnp.asarray, factors))


def _shared_out(factors, n_parts: int) -> list[tuple]:
    return list(zip(*(np.array_split(stack, n_parts) for stack in factors), strict=True))


def _row(timings: dict[str, Timing], calls: int, flops: float) -> tuple:
    """Microseconds for one gradient of each, and shares of bare products: the least of all turns.

    The roof is what the machine can do, and noise only adds to it.
    """

    def least(*names: str) -> float:
        return 1e6 * min(timings[name].least for name in names) / calls

    by_jax, by_numpy = least("JAX", "JAX loop", "JAX threads"), least("NumPy", "NumPy threads")
    roof, gradient = min(by_jax, by_numpy), least("gradient")
    ours = least("ours") if "ours" in timings else None
    between = spread(1e6 * timings["gradient"].seconds / calls)
    return (
        by_jax, by_numpy, ours, gradient, between, flops / roof / 1e3,
        None if ours is None else ours / gradient, roof / gradient,
    )  # fmt: skip


def products(factors: Sequence[Any]) -> tuple:
    """The ``3 (N - 1)`` products of a gradient, and nothing else; of stacks as well."""
    matrices = [factors[0]]
    for factor in factors[1:]:
        matrices.append(factor @ matrices[-1])
    back, found = matrices[-1], []
    for factor, below in zip(factors[:0:-1], matrices[-2::-1], strict=True):
        found.append(back @ below.swapaxes(-1, -2))
        back = factor.swapaxes(-1, -2) @ back
    return (back, *reversed(found))


def _our_products(factors: Sequence[np.ndarray], runs: int):
    """The same products by the calls of BLAS that a gradient takes; None where it takes none."""
    company = "alone" if runs == 1 else "in company"
    of_one = factors if runs == 1 else [stack[0] for stack in factors]
    if not worth_blas(ff.DeepLinear(len(factors)), of_one, company):
        return None
    multiply = product(company)

    def chain(*factors):
        return reduce(lambda below, factor: multiply(factor, below), factors)

    def ours(factors):
        matrix, back = jax.vjp(chain, *factors)
        return back(matrix)

    return ours if runs == 1 else jax.vmap(ours)


def _products_in_a_loop(bare, calls: int):
    """Of orthogonal factors the first result is the first factor: the loop goes round."""

    def loop(factors):
        def again(_, found):
            return bare((found[0], *factors[1:]))

        return jax.lax.fori_loop(0, calls, again, factors)

    return loop


def _descent(gradient, calls: int):
    def loop(factors, rate):
        def step(_, factors):
            return tuple(w - rate * g for w, g in zip(factors, gradient(factors), strict=True))

        return jax.lax.fori_loop(0, calls, step, factors)

    return loop


def one_gradient(size: int, depth: int, company: bool = False):
    """The gradient of completion from a fifth of the entries, by whole matrices.

    As a single run takes it, or as one of many in company.
    """
    loss = problem_of(size).loss(ff.DeepLinear(depth), "dense")
    loss = loss.for_company() if company else loss
    return lambda factors: loss.value_and_gradient(factors)[1]


def problem_of(size: int) -> ff.Completion:
    truth = ff.datasets.low_rank(shape=(size, size), rank=max(2, size // 20), seed=0)
    return ff.Completion.sample(truth, n_observed=size * size // 5, seed=0)


def orthogonal_factors(size: int, depth: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    draws = np.random.default_rng(seed).standard_normal((depth, size, size))
    return tuple(np.linalg.qr(draw)[0] for draw in draws)


def _whole(size: int, tell) -> tuple:
    """A run with its record and without, and the bare products of its gradients."""
    problem, network = problem_of(size), ff.DeepLinear(3)
    factors = orthogonal_factors(size, 3)
    found = {}

    def solve(name: str, record: ff.Record):
        found[name] = ff.solve(problem, network, record=record, throw=False)
        return found[name].factors

    calls = 100
    with jax.enable_x64(True):
        placed = _placed(factors)
        loop = jax.jit(_products_in_a_loop(products, calls))

    def bare():
        with jax.enable_x64(True):
            return jax.block_until_ready(loop(placed))

    contestants = {
        "recorded": lambda: solve("recorded", ff.Record()),
        "unrecorded": lambda: solve("unrecorded", ff.Record([])),
        "JAX": bare,
        "NumPy": lambda: [products(factors) for _ in range(calls)] and None,
    }
    timings = interleaved(contestants, REPEATS, pause=PAUSE)
    n_gradients = found["recorded"].n_gradients
    roof = min(timings[name].median for name in ("JAX", "NumPy")) / calls
    seconds = timings["recorded"].median
    tell(f"a whole run at {size}x{size}: {n_gradients * roof / seconds:.2f} of it bare products")
    return (
        size, found["recorded"].route, n_gradients, seconds, timings["unrecorded"].median,
        timings["recorded"].over(timings["unrecorded"]) - 1, n_gradients * roof / seconds,
    )  # fmt: skip


def _least(rows) -> float:
    return min(row[-1] for row in rows if row[0] >= FROM)


def figure(result: Result) -> Figure:
    """Share of the roof against size, a line for each depth, and the batches."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    ax = calm(figure.subplots())
    single, batch = result.tables[0].rows, result.tables[1].rows
    for color, depth in zip(COLORS, sorted({row[1] for row in single}), strict=False):
        shares = {row[0]: row[-1] for row in single if row[1] == depth}
        ax.plot(list(shares), list(shares.values()), "o-", color=color, label=f"depth {depth}")
    ax.plot([row[0] for row in batch], [row[-1] for row in batch], "kx", label="batch, depth 3")
    ax.axhline(SHARE, color="0.4", linestyle=":", linewidth=1)
    sizes = sorted({row[0] for row in single})
    ax.set_xscale("log")
    ax.set_xticks(sizes, list(map(str, sizes)))
    ax.minorticks_off()
    ax.set_ylim(0, None)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set_xlabel("size of the matrix")
    ax.set_ylabel("products' time over the gradient's")
    ax.legend(frameon=False)
    return figure


CASE = Case(
    name="roof",
    title="Roof: what a gradient costs beside its matrix products",
    question="How near does our gradient come to the matrix products that it cannot do without?",
    run=run,
    figure=figure,
)
