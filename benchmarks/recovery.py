"""Recovery of a 100x100 matrix of rank 5 from 2,000 entries, over ten seeds.

For each seed: gradients to a mean squared train error of 1e-6, reconstruction error and effective
rank at depth 3 and depth 2, and the distance of the depth-3 matrix from that of a tight Dopri8
flow from the same start. Prints a table; ``--json FILE`` writes it.

    python benchmarks/recovery.py [--json FILE]
"""

import argparse
import json

import diffrax
import numpy as np

import factorflow as ff

SEEDS = range(10)
FEWEST = 5  # observations without which a row or column of a rank-5 matrix cannot be recovered


def one_seed(seed: int) -> dict:
    truth = ff.datasets.low_rank(shape=(100, 100), rank=5, seed=seed)
    problem = ff.Completion.sample(truth, n_observed=2000, seed=seed)
    start = {"init": ff.Gaussian(scale=1e-3), "seed": seed, "stop": ff.Stop(train_error=1e-6)}
    deep = ff.solve(problem, ff.DeepLinear(3), **start)
    shallow = ff.solve(problem, ff.DeepLinear(2), **start)
    tight = ff.GradientFlow(diffrax.Dopri8(), rtol=1e-9, atol=1e-12)
    reference = ff.solve(problem, ff.DeepLinear(3), tight, **start)
    counts = [
        np.bincount(places, minlength=100).min() for places in (problem.rows, problem.columns)
    ]
    return {
        "seed": seed,
        "recoverable": bool(min(counts) >= FEWEST),
        "n_gradients": deep.n_gradients,
        "reference_n_gradients": reference.n_gradients,
        "train_error": deep.train_error,
        "from_reference": _relative(deep.matrix, reference.matrix),
        "depth_3": _relative(deep.matrix, truth),
        "depth_2": _relative(shallow.matrix, truth),
        "effective_rank_3": deep.effective_rank,
        "effective_rank_2": shallow.effective_rank,
    }


def _relative(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def summary(rows: list[dict]) -> dict:
    kept = [row for row in rows if row["recoverable"]]
    median = {name: float(np.median([row[name] for row in kept])) for name in kept[0]}
    inside = sum(4.8 <= row["effective_rank_3"] <= 5.4 for row in kept)
    return {
        "instances": len(kept),
        "largest_n_gradients": max(row["n_gradients"] for row in kept),
        "largest_from_reference": max(row["from_reference"] for row in kept),
        "median_depth_3": median["depth_3"],
        "median_depth_2": median["depth_2"],
        "depth_2_over_depth_3": median["depth_2"] / median["depth_3"],
        "effective_rank_inside": inside,
        "median_n_gradients": median["n_gradients"],
        "median_reference_n_gradients": median["reference_n_gradients"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    rows = []
    for seed in SEEDS:
        rows.append(one_seed(seed))
        print(" ".join(f"{name}={value:.4g}" for name, value in rows[-1].items()), flush=True)
    result = {"rows": rows, "summary": summary(rows)}
    print(json.dumps(result["summary"], indent=2))
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(result, file, indent=2)


if __name__ == "__main__":
    main()
