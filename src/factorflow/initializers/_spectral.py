"""The start that observed entries themselves suggest."""

from numbers import Real
from operator import index

import numpy as np

from factorflow._errors import InputError
from factorflow._random import stream
from factorflow.initializers._initializers import AbstractInitializer, of_matrices
from factorflow.problems import Completion


class Spectral(AbstractInitializer):
    """The observed entries with zeros elsewhere, evened out, cut to a rank and factored.

    Of the `p` observations in an ``(m, n)`` matrix let row `i` have `p_i` and column `j` have
    `q_j`. The start is balanced factors of ``scale`` times the best approximation of rank ``rank``
    of

        Y_ij / sqrt(p_i q_j / (n m))   on observed entries,   0 elsewhere.

    If each entry were observed with a probability that is a product of one of its row and one of
    its column, the expectation of ``Y_ij / (p_i q_j / p)`` would be the matrix itself; with the
    root, rows and columns of few observations are not blown up.

    Parameters
    ----------
    problem
        The :class:`Completion` to start near.
    rank
        Of the start; by default as much as the factorization holds. Columns of the factors beyond
        it are exactly zero, so that dynamics which leave such columns alone work at that rank.
    scale
        What the matrix is multiplied by. Below 1 the start is nearer to the saddle at zero.
    spread
        Standard deviation of the logarithm of random weights of rows and columns, drawn from the
        seed of the run; 0 for none, and then the seed has no effect. Each draw is another start.

    Notes
    -----
    One dense singular value decomposition of an ``(m, n)`` matrix.

    Raises
    ------
    InputError
        If a parameter is none of these, or all observed values are zero; when a run starts, if
        its problem has another shape.
    """

    problem: Completion
    rank: int | None = None
    scale: float = 0.5
    spread: float = 0.0

    def __check_init__(self):
        if not isinstance(self.problem, Completion):
            raise InputError(
                "Spectral needs the Completion that it is to start near; got "
                f"{type(self.problem).__name__}."
            )
        if not self.problem.values.any():
            raise InputError("All observed values are zero; a spectral start would be zero too.")
        _check_rank(self.rank)
        _check_number("scale", self.scale, positive=True)
        _check_number("spread", self.spread, positive=False)

    def __call__(self, factorization, shape, seed):
        if self.problem.shape != tuple(shape):
            raise InputError(
                f"Spectral has a problem of shape {self.problem.shape}, the run one of "
                f"{tuple(shape)}."
            )
        matrix = self._evened(seed)
        if self.rank is not None:
            left, values, right = np.linalg.svd(matrix, full_matrices=False)
            matrix = (left[:, : self.rank] * values[: self.rank]) @ right[: self.rank]
        return of_matrices(self, factorization).from_matrix(self.scale * matrix)

    def _evened(self, seed: int) -> np.ndarray:
        problem, (m, n) = self.problem, self.problem.shape
        by_row = np.bincount(problem.rows, minlength=m) / n
        by_column = np.bincount(problem.columns, minlength=n) / m
        matrix = np.zeros((m, n))
        share = np.sqrt(by_row[problem.rows] * by_column[problem.columns])
        matrix[problem.rows, problem.columns] = problem.values / share
        if self.spread > 0:
            rng = stream(seed, "initializer", "spectral")
            rows, columns = rng.standard_normal(m), rng.standard_normal(n)
            matrix *= np.exp(self.spread * (rows[:, None] + columns))
        return matrix


def _check_rank(rank) -> None:
    if rank is None:
        return
    try:
        whole = index(rank)
    except TypeError:
        whole = 0
    if whole < 1 or isinstance(rank, bool):
        raise InputError(f"rank must be a whole number of 1 or more, or None; got {rank!r}.")


def _check_number(name: str, value, positive: bool) -> None:
    known = isinstance(value, Real) and not isinstance(value, bool)
    size = float(value) if known else -1.0
    if not 0 <= size < np.inf or (positive and size == 0):
        kind = "a positive finite number" if positive else "a finite number of 0 or more"
        raise InputError(f"{name} must be {kind}; got {value!r}.")
