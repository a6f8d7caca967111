"""A tensor's gradient by its entries against the dense one: where the one overtakes the other.

For each factorization and shape, the share of observed entries at which both take the same time
(by interpolation in the logarithm), beside the share at which ``route="auto"`` changes.

    python benchmarks/tensor_routes.py [--json FILE]
"""

import argparse
import json

import jax
import jax.numpy as jnp
import numpy as np
from _clock import interleaved, median_ratio

import factorflow as ff

CASES = {
    "CP(64), 8x8x8": (ff.CP(64), (8, 8, 8)),
    "CP(512), 8x8x8x8": (ff.CP(512), (8, 8, 8, 8)),
    "CP(10), 100x100x100": (ff.CP(10), (100, 100, 100)),
    "CP(50), 300x200x3": (ff.CP(50), (300, 200, 3)),
    "CP(20), 30x30x30x30": (ff.CP(20), (30, 30, 30, 30)),
    "HierarchicalTucker(16), 30x30x30x30": (ff.HierarchicalTucker(16), (30, 30, 30, 30)),
}
SHARES = (0.001, 0.01, 0.05, 0.2, 0.8)


def crossover(factorization, shape) -> dict:
    ratios = {share: entries_over_dense(factorization, shape, share) for share in SHARES}
    return {
        "entries_over_dense": ratios,
        "measured_share": equal_share(ratios),
        "chosen_share": changed_share(factorization, shape),
    }


def entries_over_dense(factorization, shape, share: float) -> float:
    problem = observed(shape, share)
    start = ff.Gaussian(0.5)(factorization, shape, 0)
    with jax.enable_x64(True):
        factors = tuple(map(jnp.asarray, start))
        losses = {route: problem.loss(factorization, route) for route in ("dense", "entries")}
        gradient = jax.jit(lambda loss, factors: loss.value_and_gradient(factors))
        runs = {route: lambda loss=loss: gradient(loss, factors) for route, loss in losses.items()}
        seconds = interleaved(runs, 15)
    return median_ratio(seconds["entries"], seconds["dense"])


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


def changed_share(factorization, shape) -> float | None:
    """The largest share, of a fine grid, that ``auto`` visits by entries."""
    grid = np.geomspace(min(SHARES), max(SHARES), 25)
    by_entries = [s for s in grid if observed(shape, s).loss(factorization).route == "entries"]
    return float(max(by_entries)) if by_entries else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    result: dict = {}
    for name, case in CASES.items():
        result[name] = crossover(*case)
        print(name, json.dumps(result[name]), flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(result, file, indent=2)


if __name__ == "__main__":
    main()
