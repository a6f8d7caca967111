"""What the end-to-end flow costs, as ratios within one run.

1. One right-hand side at depths 2, 3, 8, 100 and infinity against depth 3: of the matrix and of
   singular vectors with logarithms of singular values, at 30x30.
2. A run from scale 1e-100 against one from 1e-4, to the same train error: seconds and gradients.
3. A run of the end-to-end flow, in both forms, against that of the layers.

Compilation is apart. A shared machine adds noise: the runs are taken in turns.

    python benchmarks/end_to_end.py [--json FILE]
"""

import argparse
import json
from functools import partial
from math import inf

import jax
import jax.numpy as jnp
import numpy as np
from _clock import interleaved, median_ratio

import factorflow as ff
from factorflow.dynamics._generator import Sides

DEPTHS = (2, 3, 8, 100, inf)
FORMS = {"matrix": ff.DeepLinear(1), "logarithms": ff.LogSVD()}
SIZE = 30
TINY_SIZES = (8, 20)


def problem_of(size: int) -> ff.Completion:
    truth = ff.datasets.low_rank(shape=(size, size), rank=2, seed=0)
    return ff.Completion.sample(truth, n_observed=size * size * 3 // 5, seed=0)


def right_hand_sides(form: str) -> dict:
    """Seconds of one velocity at each depth over those at depth 3."""
    network, problem = FORMS[form], problem_of(SIZE)
    with jax.enable_x64(True):
        start = ff.Gaussian(0.1)(network, problem.shape, 0)
        factors = tuple(map(jnp.asarray, start))
        cases = {}
        for depth in DEPTHS:
            velocity = jax.jit(_velocity(ff.EndToEndFlow(depth), problem.loss(network)))
            cases[depth] = lambda velocity=velocity: velocity(factors)
        seconds = interleaved(cases, 300)
    return {
        "depth_3_us": 1e6 * float(np.median(seconds[3])),
        **{f"depth_{depth}": median_ratio(seconds[depth], seconds[3]) for depth in DEPTHS},
    }


def _velocity(dynamics: ff.EndToEndFlow, loss):
    flow, loss = dynamics._form(loss)
    if not isinstance(loss.factorization, ff.LogSVD):
        return lambda factors: loss.gradient(factors)

    def of_factors(factors):
        left, logs, right = factors
        sides = Sides(left, right, jnp.zeros_like(logs))
        return flow._terms(loss).vf(0.0, sides, logs)

    return of_factors


def tiny_over_small(depth: float, size: int) -> dict:
    """A run from scale 1e-100 over one from 1e-4, in the same directions."""
    problem = problem_of(size)
    found = {}

    def run(scale):
        solution = ff.solve(
            problem, ff.LogSVD(), ff.EndToEndFlow(depth, rtol=1e-4), init=ff.Balanced(scale),
            stop=ff.Stop(train_error=1e-6, n_gradients=None), record=ff.Record([]),
        )  # fmt: skip
        found[scale] = solution
        return solution.factors

    seconds = interleaved({scale: lambda scale=scale: run(scale) for scale in (1e-4, 1e-100)}, 5)
    return {
        "seconds_1e-4": float(np.median(seconds[1e-4])),
        "ratio": median_ratio(seconds[1e-100], seconds[1e-4]),
        "gradients_1e-4": found[1e-4].n_gradients,
        "gradients_1e-100": found[1e-100].n_gradients,
    }


def end_to_end_over_layers() -> dict:
    """Runs of one task from one start at depth 3, with the default settings."""
    problem = problem_of(SIZE)
    found = {}

    def run(name, network, dynamics):
        solution = ff.solve(
            problem, network, dynamics, init=ff.Balanced(1e-3), record=ff.Record([])
        )
        found[name] = solution
        return solution.factors

    ways = {
        "layers": (ff.DeepLinear(3), ff.GradientFlow()),
        **{form: (network, ff.EndToEndFlow(3)) for form, network in FORMS.items()},
    }
    seconds = interleaved({name: lambda name=name: run(name, *ways[name]) for name in ways}, 5)
    layers = found["layers"].matrix
    return {
        "layers_s": float(np.median(seconds["layers"])),
        **{
            form: {
                "ratio": median_ratio(seconds[form], seconds["layers"]),
                "gradients_ratio": found[form].n_gradients / found["layers"].n_gradients,
                "apart": float(
                    np.linalg.norm(found[form].matrix - layers) / np.linalg.norm(layers)
                ),
            }
            for form in FORMS
        },
    }


CASES = {
    **{f"right_hand_side_{form}": lambda form=form: right_hand_sides(form) for form in FORMS},
    **{
        f"from_1e-100_over_1e-4_depth_{depth}_{size}x{size}": partial(tiny_over_small, depth, size)
        for depth in (2, 3, 4)
        for size in TINY_SIZES
    },
    "end_to_end_over_layers": end_to_end_over_layers,
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
