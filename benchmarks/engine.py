"""What the engine costs beside its own parts, as ratios within one run.

1. One gradient (depth 3, 100x100, dense) against its six bare matrix products.
2. A run with the default record against one without observables.
3. Runs of a batch of 64 seeds against 64 single runs, at 4x4, 20x20 and 100x100.
4. 32 runs in lockstep against the same in threads, where ``solve_many`` changes from one to the
   other.

    python benchmarks/engine.py [--json FILE]
"""

import argparse
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from _clock import interleaved, median_ratio

import factorflow as ff

BATCHES = {4: (1, 12), 20: (2, 200), 100: (5, 2000)}  # size: rank, entries
SEEDS = range(64)


def problem_of(size: int) -> ff.Completion:
    rank, n_observed = BATCHES[size]
    truth = ff.datasets.low_rank(shape=(size, size), rank=rank, seed=0)
    return ff.Completion.sample(truth, n_observed=n_observed, seed=0)


def gradient_over_products() -> dict:
    with jax.enable_x64(True):
        network = ff.DeepLinear(3)
        loss = problem_of(100).loss(network, "dense")
        start = ff.Gaussian(0.5)(network, (100, 100), 0)
        factors = tuple(map(jnp.asarray, start))
        gradient = jax.jit(lambda factors: loss.gradient(factors))
        products = jax.jit(_six_products)
        seconds = interleaved(
            {"gradient": lambda: gradient(factors), "products": lambda: products(factors)}, 2000
        )
    return {
        "gradient_us": 1e6 * float(np.median(seconds["gradient"])),
        "products_us": 1e6 * float(np.median(seconds["products"])),
        "ratio": median_ratio(seconds["gradient"], seconds["products"]),
    }


def _six_products(factors):
    """As many products of the same shapes as a gradient has, and nothing else."""
    first, second, third = factors
    left = third @ second
    matrix = left @ first
    back = third.T @ matrix
    return left.T @ matrix, back @ second.T, matrix @ first.T


def recorded_over_unrecorded() -> dict:
    problem = problem_of(100)
    cases = {
        "recorded": lambda: ff.solve(problem, ff.DeepLinear(3)).factors,
        "unrecorded": lambda: ff.solve(problem, ff.DeepLinear(3), record=ff.Record([])).factors,
    }
    seconds = interleaved(cases, 15)
    return {
        "recorded_s": float(np.median(seconds["recorded"])),
        "unrecorded_s": float(np.median(seconds["unrecorded"])),
        "ratio": median_ratio(seconds["recorded"], seconds["unrecorded"]),
    }


def batch_over_single(size: int) -> dict:
    problem, network = problem_of(size), ff.DeepLinear(3)
    cases = {
        "batch": lambda: [s.factors for s in ff.solve_many(problem, network, seeds=SEEDS)],
        "single": lambda: [ff.solve(problem, network, seed=seed).factors for seed in SEEDS],
    }
    seconds = interleaved(cases, 5 if size < 100 else 1)
    return {
        "size": size,
        "batch_ms_per_run": 1e3 * float(np.median(seconds["batch"])) / len(SEEDS),
        "single_ms_per_run": 1e3 * float(np.median(seconds["single"])) / len(SEEDS),
        "ratio": median_ratio(seconds["batch"], seconds["single"]),
    }


def lockstep_over_threads(size: int) -> dict:
    truth = ff.datasets.low_rank(shape=(size, size), rank=3, seed=0)
    problem = ff.Completion.sample(truth, n_observed=size * size * 2 // 5, seed=0)

    def runs(how):
        many = ff.solve_many(problem, ff.DeepLinear(3), seeds=range(32), how=how)
        return [solution.factors for solution in many]

    ways = {"batch": lambda: runs("batch"), "threads": lambda: runs("threads")}
    seconds = interleaved(ways, 1)
    return {"size": size, "ratio": median_ratio(seconds["batch"], seconds["threads"])}


CASES = {
    "gradient_over_six_products": gradient_over_products,
    "recorded_over_unrecorded": recorded_over_unrecorded,
    **{f"batch_of_64_over_single_{n}": partial(batch_over_single, n) for n in BATCHES},
    **{f"lockstep_over_threads_{n}": partial(lockstep_over_threads, n) for n in (40, 60, 100)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    result: dict = {}
    for name, case in CASES.items():
        result[name] = case()
        print(name, json.dumps(result[name]), flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(result, file, indent=2)


if __name__ == "__main__":
    main()
