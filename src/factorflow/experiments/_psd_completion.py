"""Random completion of positive semidefinite matrices: greedy path, flow and its phases."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from factorflow.datasets import low_rank_psd
from factorflow.dynamics import EndToEndFlow, GradientFlow, GreedyLowRank, Stop, solve
from factorflow.factorizations import LogSVD, Symmetric
from factorflow.initializers import Identity
from factorflow.problems import Completion
from factorflow.trajectories import Record, Solution

AGREE = 1e-3  # relative distance within which two matrices are taken for one
_SEED_SIZE = 1e-6  # of a new column's product, as a share of the matrix
_AT_REST = 1e-8  # gradient, as a share of that of a matrix of full size at zero


def sampled(size: int, rank: int, oversampling: float, instance: int) -> Completion:
    """A random matrix ``U U^T``; as many pairs as its degrees of freedom times the oversampling."""
    freedom = rank * size - rank * (rank - 1) // 2
    pairs = min(round(oversampling * freedom), size * (size + 1) // 2)
    truth = low_rank_psd(size, rank, seed=instance)
    return Completion.sample_symmetric(truth, pairs, seed=instance)


def graded_start(problem: Completion, scale: float) -> Callable:
    """Factors of ``scale I``, the columns being the eigenvectors of the gradient at zero.

    Each column then grows at a rate of its own, and what is small stays exact beside what is
    large. ``U U^T`` is positive semidefinite at every moment.
    """
    vectors = np.linalg.eigh(gradient_at(problem, np.zeros(problem.shape)))[1]
    return lambda factorization, shape, seed: (np.sqrt(scale) * vectors,)


def flow_from(
    problem: Completion,
    scale: float,
    *,
    rtol: float = 1e-4,
    train_error: float = 1e-12,
    n_gradients: int = 100_000,
    record: Record | None = None,
    progress=None,
) -> Solution:
    """Gradient flow of depth 2 on `U` from ``scale I`` to its train error, step by step."""
    return solve(
        problem,
        Symmetric(len(problem.observed)),
        GradientFlow(rtol=rtol),
        init=graded_start(problem, scale),
        stop=Stop(train_error=train_error, n_gradients=n_gradients),
        record=Record([]) if record is None else record,
        progress=progress,
        throw=False,
    )


def end_of_flow(problem: Completion, scale: float, progress=None) -> Solution:
    """The same flow in eigenvectors and logarithms of eigenvalues, for its end alone.

    However small the scale, it takes about as many gradients; 1e-300 is a start like another.
    """
    return solve(
        problem,
        LogSVD(symmetric=True),
        EndToEndFlow(2),
        init=Identity(scale),
        stop=Stop(train_error=1e-12, n_gradients=100_000),
        record=Record([]),
        progress=progress,
        throw=False,
    )


def greedy(problem: Completion, width: int) -> Solution:
    """Greedy low-rank learning up to a rank."""
    return solve(problem, Symmetric(width), GreedyLowRank(), record=Record([]), throw=False)


@dataclass(frozen=True, eq=False)
class PhaseByFlow:
    """Where the flow of a rank goes from the critical point before.

    Attributes
    ----------
    rank
        Of the phase.
    distance
        Relative distance of its end from the critical point of the greedy path.
    at_rest
        Whether it came to rest, or to the train error, within its gradients.
    matrix
        Where it ended.
    """

    rank: int
    distance: float
    at_rest: bool
    matrix: np.ndarray


def phases_by_flow(
    problem: Completion, solution: Solution, n_gradients: int = 30_000
) -> list[PhaseByFlow]:
    """Each phase of a greedy path again, by gradient flow instead of the local solver.

    It says whether a phase of the theory is stationary, and whether a solver that may jump has
    ended where the flow does.
    """
    path = solution.path
    found = []
    for before, after, matrix in zip(path.points, path.points[1:], path.matrices[1:], strict=False):
        flow = solve(
            problem,
            solution.factorization,
            GradientFlow(rtol=1e-4),
            init=_seeded(problem, before, path.matrices[-1]),
            stop=Stop(
                train_error=1e-13,
                gradient_norm=_AT_REST * _unit(problem, path.matrices[-1]),
                n_gradients=n_gradients,
            ),
            record=Record([]),
            throw=False,
        )
        at_rest = flow.status.name in ("STATIONARY", "TRAIN_ERROR")
        found.append(PhaseByFlow(after.rank, distance(flow.matrix, matrix), at_rest, flow.matrix))
    return found


def distance(matrix: np.ndarray, reference: np.ndarray) -> float:
    """Frobenius distance relative to the reference."""
    return float(np.linalg.norm(matrix - reference) / np.linalg.norm(reference))


def gradient_at(problem: Completion, matrix: np.ndarray) -> np.ndarray:
    """Symmetric gradient of the loss by the matrix."""
    residual = problem.operator.forward(matrix) - problem.values
    gradient = np.asarray(problem.operator.adjoint(residual)) / problem.n_observed
    return (gradient + gradient.T) / 2


def _unit(problem: Completion, matrix: np.ndarray) -> float:
    size = np.linalg.norm(matrix, 2)
    return float(np.linalg.norm(gradient_at(problem, 0 * matrix), 2) * np.sqrt(size))


def _seeded(problem: Completion, point, matrix: np.ndarray) -> Callable:
    """The factors of a critical point with its direction of escape as one more column."""
    (columns,) = (np.array(each, float) for each in point.factors)
    direction = np.linalg.eigh(-gradient_at(problem, columns @ columns.T))[1][:, -1]
    columns[:, point.rank] = np.sqrt(_SEED_SIZE * np.linalg.norm(matrix, 2)) * direction
    return lambda factorization, shape, seed: (columns,)
