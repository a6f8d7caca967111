"""One gradient of Gaussian sensing against the forms it could have had."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import factorflow as ff
from benchmarks._case import Case, Result, Table
from benchmarks._clock import interleaved, spread
from factorflow._blas import one_blas_thread
from factorflow.plots._style import COLORS, calm

SIZES = {False: ((100, 5, 2000),), True: ((50, 3, 1000), (100, 5, 2000), (150, 5, 3000))}
RUNS = 32
SINGLE_REPEATS, BATCH_REPEATS = 20, 5
PAUSE = 0.05  # seconds, until threads of NumPy's BLAS have fallen asleep
OURS, PRODUCT, TWO, TWO_JAX = (
    "ours", "product form, NumPy", "two matrix-vector products, NumPy",
    "two matrix-vector products, JAX",
)  # fmt: skip


def run(full: bool, tell: Callable[[str], None]) -> Result:
    rows, batches = [], []
    for size, rank, count in SIZES[full]:
        truth = ff.datasets.low_rank(shape=(size, size), rank=rank, seed=0)
        problem = ff.Sensing.gaussian(truth, count, seed=0)
        rows += _against_products(problem, size, count)
        batches.append((size, count, RUNS, *_batch_over_single(problem)))
        tell(f"{size}x{size}, {count} measurements: done")
    return Result(
        tables=(
            Table(
                f"One gradient with respect to the matrix; medians of {SINGLE_REPEATS}.",
                _COLUMNS, rows,
            ),
            Table(
                "Runs in lockstep: one reading of the measurements for all; medians of "
                f"{BATCH_REPEATS}.",
                ("size", "measurements", "runs", "at once (ms)", "one by one (ms)", "gain"),
                batches,
            ),
        ),
        notes=(
            "The measurement matrices are kept in float32, all sums are in float64; the product "
            "form is `(A * W).sum((1, 2))` and back, the matrix-vector products read the matrices "
            "in float64. Reading the matrices is what costs: ours reads half as many bytes. BLAS "
            "has one thread in JAX's forms, as in a run of ours, and all that it takes in NumPy's.",
        ),
    )  # fmt: skip


_COLUMNS = ("size", "measurements", "form", "gradient (ms)", "spread (ms)", "over ours")


def _against_products(problem: ff.Sensing, size: int, count: int) -> list[tuple]:
    matrices, values = problem.operator.matrices, problem.values
    stack = matrices.reshape(count, -1).astype(np.float64)
    matrix = np.random.default_rng(0).standard_normal(problem.shape)

    def product_form():
        residuals = (matrices * matrix).sum((1, 2)) - values
        return (residuals[:, None, None] * matrices).sum(0)

    def two_products():
        residuals = stack @ matrix.ravel() - values
        return (residuals @ stack).reshape(matrix.shape)

    contestants = {PRODUCT: product_form, TWO: two_products}
    with jax.enable_x64(True):
        factors = (jnp.asarray(matrix),)
        gradient = jax.jit(lambda loss, factors: loss.gradient(factors))
        for name, route in ((OURS, "fused"), (TWO_JAX, "dense")):
            loss = problem.loss(ff.DeepLinear(1), route)
            contestants[name] = lambda loss=loss: _as_in_a_run(gradient, loss, factors)
        _agree(contestants, count)
        timings = interleaved(contestants, SINGLE_REPEATS, pause=PAUSE)
    return [
        (size, count, name, 1e3 * timing.median, spread(1e3 * timing.seconds),
         timing.over(timings[OURS]))
        for name, timing in timings.items()
    ]  # fmt: skip


def _as_in_a_run(gradient, loss, factors):
    """With one thread of BLAS until it is there."""
    with one_blas_thread():
        return jax.block_until_ready(gradient(loss, factors))


def _batch_over_single(problem: ff.Sensing) -> tuple:
    loss = problem.loss(ff.DeepLinear(1))
    with jax.enable_x64(True):
        draws = np.random.default_rng(0).standard_normal((RUNS, *problem.shape))
        many = (jnp.asarray(draws),)
        gradient = jax.jit(lambda loss, factors: loss.gradient(factors))
        batch = jax.jit(jax.vmap(lambda loss, f: loss.gradient(f), in_axes=(None, 0)))
        contestants = {
            "batch": lambda: batch(loss, many),
            "single": lambda: [gradient(loss, (one,)) for one in many[0]],
        }
        with one_blas_thread():  # as in a run
            timings = interleaved(contestants, BATCH_REPEATS)
    batch, single = timings["batch"], timings["single"]
    return 1e3 * batch.median, 1e3 * single.median, single.over(batch)


def _agree(contestants: dict, count: int) -> None:
    """Nothing is timed that computes something else, the mean aside."""
    reference = contestants[PRODUCT]() / count
    np.testing.assert_allclose(contestants[TWO]() / count, reference, atol=1e-12)
    for name in (OURS, TWO_JAX):
        np.testing.assert_allclose(contestants[name]()[0], reference, atol=1e-12)


def figure(result: Result) -> Figure:
    """Milliseconds of each form at the largest size."""
    rows = result.tables[0].rows
    largest = max(row[0] for row in rows)
    here = [row for row in rows if row[0] == largest]
    figure = Figure(figsize=(6.4, 2.4), layout="constrained")
    ax = calm(figure.subplots())
    ax.barh([row[2] for row in here], [row[3] for row in here], color=COLORS[0])
    ax.set_xlabel(f"one gradient (ms), {largest}×{largest}, {here[0][1]:,} measurements")
    return figure


CASE = Case(
    name="sensing",
    title="Sensing: reading the measurement matrices",
    question="What does one gradient of Gaussian sensing cost beside plain ways to write it?",
    run=run,
    figure=figure,
)
