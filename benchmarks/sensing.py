"""What one gradient of Gaussian sensing costs, as ratios within one run.

100x100, 2,000 measurement matrices kept in float32, all sums in float64. The gradient is that of
the loss with respect to the matrix, against:

1. the product form: ``(A * W).sum((1, 2))`` and back ``(r[:, None, None] * A).sum(0)``, in NumPy,
2. two plain matrix-vector products in float64, one each way, in NumPy and in JAX;

then runs in lockstep: a gradient of 32 matrices at once against 32 of one.

    python benchmarks/sensing.py [--json FILE]
"""

import argparse
import json

import jax
import jax.numpy as jnp
import numpy as np
from _clock import interleaved, median_ratio

import factorflow as ff
from factorflow._blas import one_blas_thread

SIZE, RANK, MEASUREMENTS, RUNS = 100, 5, 2000, 32


def sensing() -> ff.Sensing:
    truth = ff.datasets.low_rank(shape=(SIZE, SIZE), rank=RANK, seed=0)
    return ff.Sensing.gaussian(truth, MEASUREMENTS, seed=0)


def against_products(problem: ff.Sensing) -> dict:
    matrices, values = problem.operator.matrices, problem.values
    stack = matrices.reshape(MEASUREMENTS, -1).astype(np.float64)
    matrix = np.random.default_rng(0).standard_normal(problem.shape)

    def product_form():
        residuals = (matrices * matrix).sum((1, 2)) - values
        return (residuals[:, None, None] * matrices).sum(0)

    def two_products():
        residuals = stack @ matrix.ravel() - values
        return (residuals @ stack).reshape(matrix.shape)

    cases = {"product form": product_form, "two products": two_products}
    with jax.enable_x64(True):
        factors = (jnp.asarray(matrix),)
        gradient = jax.jit(lambda loss, factors: loss.gradient(factors))
        for name, route in (("ours", "fused"), ("two products, JAX", "dense")):
            loss = problem.loss(ff.DeepLinear(1), route)
            cases[name] = lambda loss=loss: gradient(loss, factors)
        _agree(cases)
        seconds = interleaved(cases, 40)
    ours = seconds["ours"]
    return {
        **{f"{name} (ms)": 1e3 * float(np.median(taken)) for name, taken in seconds.items()},
        **{f"ours / {name}": median_ratio(ours, seconds[name]) for name in cases if name != "ours"},
    }


def batch_over_single(problem: ff.Sensing) -> dict:
    loss = problem.loss(ff.DeepLinear(1))
    with jax.enable_x64(True):
        draws = np.random.default_rng(0).standard_normal((RUNS, *problem.shape))
        many = (jnp.asarray(draws),)
        gradient = jax.jit(lambda loss, factors: loss.gradient(factors))
        batch = jax.jit(jax.vmap(lambda loss, f: loss.gradient(f), in_axes=(None, 0)))
        cases = {
            "batch": lambda: batch(loss, many),
            "single": lambda: [gradient(loss, (one,)) for one in many[0]],
        }
        with one_blas_thread():  # as in a run
            seconds = interleaved(cases, 10)
    return {"ratio": median_ratio(seconds["batch"], seconds["single"])}


def _agree(cases: dict) -> None:
    """Nothing is timed that computes something else, the mean aside."""
    product_form = cases["product form"]() / MEASUREMENTS
    np.testing.assert_allclose(cases["two products"]() / MEASUREMENTS, product_form, atol=1e-12)
    for name in ("ours", "two products, JAX"):
        np.testing.assert_allclose(cases[name]()[0], product_form, atol=1e-12)


CASES = {"gradient": against_products, "batch_over_single": batch_over_single}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    problem, result = sensing(), {}
    for name, case in CASES.items():
        result[name] = case(problem)
        print(name, json.dumps(result[name]), flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(result, file, indent=2)


if __name__ == "__main__":
    main()
