"""The first part of the demonstration: the classic programme, and what depth does."""

from dataclasses import dataclass

import numpy as np

from factorflow.cli._interrupts import Interrupts
from factorflow.cli._progress import FitProgress
from factorflow.convex import NuclearNormSolution, nuclear_norm
from factorflow.datasets import low_rank
from factorflow.dynamics import Stop, solve
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Gaussian
from factorflow.problems import Completion
from factorflow.trajectories import EverySteps, Record, Solution, effective_rank_of

SHAPE, RANK, N_OBSERVED = (100, 100), 5, 2000
DEPTHS = (1, 2, 3)
SCALE = 1e-4

Row = tuple[str, float, float, float, int | None]


@dataclass(frozen=True)
class MatrixDemo:
    """The problem, which knows its truth, and its solutions by the norm and at each depth."""

    problem: Completion
    convex: NuclearNormSolution
    solutions: dict[int, Solution]

    @property
    def truth(self) -> np.ndarray:
        assert self.problem.truth is not None
        return self.problem.truth

    def rows(self) -> list[Row]:
        """For the truth and each solution: name, relative error, nuclear norm, effective rank and
        gradients."""
        return [
            self._row("truth", self.truth),
            self._row("nuclear norm", self.convex.matrix),
            *(
                self._row(f"depth {depth}", solution.matrix, solution.n_gradients)
                for depth, solution in self.solutions.items()
            ),
        ]

    def _row(self, name: str, matrix: np.ndarray, n_gradients: int | None = None) -> Row:
        error = np.linalg.norm(matrix - self.truth) / np.linalg.norm(self.truth)
        values = np.linalg.svd(matrix, compute_uv=False)
        rank = float(effective_rank_of(values))
        return name, float(error), float(values.sum()), rank, n_gradients


def complete_matrix(seed: int, interrupts: Interrupts, progress: FitProgress) -> MatrixDemo:
    """Complete one matrix by its nuclear norm and by each depth from the same small start."""
    problem = Completion.sample(low_rank(SHAPE, RANK, seed=seed), N_OBSERVED, seed=seed)
    progress.begin("Completing the matrix by the least nuclear norm")
    convex = nuclear_norm(problem)
    interrupts.end_if_asked()
    solutions = {}
    for depth in DEPTHS:
        solutions[depth] = _solved(problem, depth, seed, interrupts, progress)
    return MatrixDemo(problem, convex, solutions)


def _solved(problem, depth: int, seed: int, interrupts: Interrupts, progress: FitProgress):
    def look(seen: dict) -> None:
        progress(seen)
        interrupts.between_steps(seen)

    with interrupts.flow():
        progress.begin(f"Completing the matrix at depth {depth}")
        solution = solve(
            problem,
            DeepLinear(depth),
            init=Gaussian(SCALE),
            seed=seed,
            stop=Stop(train_error=1e-6),
            record=Record(schedule=EverySteps(1)),
            progress=look,
        )
    interrupts.end_if_asked()
    return solution
