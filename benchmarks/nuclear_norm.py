"""Nuclear-norm minimization: ours, certified to 1e-6, against CVXPY with SCS at its looser 1e-4.

Completion of 100x100 (2,000 and 5,000 entries) and 300x300 (13,500 entries), Gaussian sensing of
30x30 (500 measurements); then ours alone on 1000x1000 with 100,000 entries. Prints a table with
seconds, the two values of the norm and the peak of the memory; ``--json FILE`` writes it.

    python benchmarks/nuclear_norm.py [--json FILE] [--repeats K]

CVXPY and SCS come with ``pip install factorflow[test]``.
"""

import argparse
import json
import resource
from time import perf_counter

import cvxpy
import numpy as np

import factorflow as ff

CASES = {
    "completion 100x100, 2,000": lambda: ff.Completion.sample(truth(100, 5), 2000, seed=0),
    "completion 100x100, 5,000": lambda: ff.Completion.sample(truth(100, 5), 5000, seed=0),
    "completion 300x300, 13,500": lambda: ff.Completion.sample(truth(300, 5), 13_500, seed=0),
    "sensing 30x30, 500": lambda: ff.Sensing.gaussian(truth(30, 2), 500, seed=0),
}


def truth(n: int, rank: int) -> np.ndarray:
    return ff.datasets.low_rank((n, n), rank, seed=0)


def by_scs(problem) -> tuple[float, float]:
    """Value and seconds of SCS, those of CVXPY's own compilation not counted."""
    X = cvxpy.Variable(problem.shape)
    if isinstance(problem, ff.Completion):
        fits = X[problem.rows, problem.columns] == problem.values
    else:
        fits = problem.operator.stack.astype(float) @ cvxpy.vec(X, order="C") == problem.values
    program = cvxpy.Problem(cvxpy.Minimize(cvxpy.normNuc(X)), [fits])
    program.solve(solver=cvxpy.SCS, eps=1e-4, max_iters=20_000)
    return float(program.value), program.solver_stats.solve_time


def compared(name: str, repeats: int) -> dict:
    problem = CASES[name]()
    ff.nuclear_norm(problem, tol=1e-2)  # warm up
    seconds, peer_seconds = [], []
    for _ in range(repeats):
        began = perf_counter()
        ours = ff.nuclear_norm(problem)
        seconds.append(perf_counter() - began)
        value, taken = by_scs(problem)
        peer_seconds.append(taken)
    return {
        "case": name,
        "seconds": float(np.median(seconds)),
        "scs_seconds": float(np.median(peer_seconds)),
        "ratio": float(np.median(seconds) / np.median(peer_seconds)),
        "nuclear_norm": ours.nuclear_norm,
        "scs_nuclear_norm": value,
        "difference": abs(value / ours.nuclear_norm - 1),
        "gap": ours.gap,
        "rank": ours.rank,
    }


def large() -> dict:
    problem = ff.Completion.sample(truth(1000, 10), 100_000, seed=0)
    solution = ff.nuclear_norm(problem)
    error = np.linalg.norm(solution.matrix - problem.truth) / np.linalg.norm(problem.truth)
    return {
        "case": "completion 1000x1000, 100,000, rank 10",
        "seconds": solution.seconds,
        "gap": solution.gap,
        "rank": solution.rank,
        "relative_error": float(error),
        "peak_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    rows = [large()]  # first, so that the peak of the memory is its own
    print(json.dumps(rows[0]), flush=True)
    for name in CASES:
        rows.append(compared(name, arguments.repeats))
        print(json.dumps(rows[-1]), flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
