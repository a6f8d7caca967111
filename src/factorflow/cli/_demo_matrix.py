"""The first part of the demonstration: what depth does to a completed matrix."""

from dataclasses import dataclass

import numpy as np

from factorflow._x64 import double_precision
from factorflow.cli._interrupts import Interrupts
from factorflow.cli._progress import FitProgress
from factorflow.datasets import low_rank
from factorflow.dynamics import Stop, solve
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Gaussian
from factorflow.problems import Completion
from factorflow.trajectories import EverySteps, Record, Solution, effective_rank_of

SHAPE, RANK, N_OBSERVED = (100, 100), 5, 2000
DEPTHS = (1, 2, 3)


@dataclass(frozen=True)
class MatrixDemo:
    """The problem, which knows its truth, and its solution at each depth."""

    problem: Completion
    solutions: dict[int, Solution]

    @property
    def truth(self) -> np.ndarray:
        assert self.problem.truth is not None
        return self.problem.truth

    def rows(self) -> list[tuple[str, float, float, float, int | None]]:
        """For the truth and each depth: name, relative error, nuclear norm, effective rank and
        gradients."""
        values = np.linalg.svd(self.truth, compute_uv=False)
        with double_precision():
            rank = float(effective_rank_of(values))
        rows: list = [("truth", 0.0, float(values.sum()), rank, None)]
        for depth, solution in self.solutions.items():
            gap = np.linalg.norm(solution.matrix - self.truth) / np.linalg.norm(self.truth)
            norm, rank = solution.nuclear_norm, solution.effective_rank
            rows.append((f"depth {depth}", float(gap), norm, rank, solution.n_gradients))
        return rows


def complete_matrix(seed: int, interrupts: Interrupts, progress: FitProgress) -> MatrixDemo:
    """Complete one matrix at each depth from the same entries and the same small start."""
    problem = Completion.sample(low_rank(SHAPE, RANK, seed=seed), N_OBSERVED, seed=seed)
    solutions = {}
    for depth in DEPTHS:
        solutions[depth] = _solved(problem, depth, seed, interrupts, progress)
    return MatrixDemo(problem, solutions)


def _solved(problem, depth: int, seed: int, interrupts: Interrupts, progress: FitProgress):
    def look(seen: dict) -> None:
        progress(seen)
        interrupts.between_steps(seen)

    with interrupts.flow():
        progress.begin(f"Completing the matrix at depth {depth}")
        solution = solve(
            problem,
            DeepLinear(depth),
            init=Gaussian(1e-3),
            seed=seed,
            stop=Stop(train_error=1e-6),
            record=Record(schedule=EverySteps(1)),
            progress=look,
        )
    interrupts.end_if_asked()
    return solution
