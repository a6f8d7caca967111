"""Systems with the Gram matrix of measurements."""

from collections.abc import Callable

import numpy as np

from factorflow._blas import one_blas_thread

Solver = Callable[[np.ndarray], np.ndarray]

_SMALL = 1000  # measurements up to which threads of BLAS cost more than they save


def gram_solver(gram: np.ndarray) -> Solver:
    """The map ``v -> K^-1 v`` of a symmetric positive semidefinite matrix `K`, which is used up.

    Measurements are brought to norm 1 first, so that small ones count like others. Then by
    Cholesky's factorization; where that is singular up to rounding, by the pseudo-inverse from its
    eigenvalues, of which those below ``p eps`` times the largest count as zero.
    """
    sizes = np.sqrt(gram.diagonal())
    sizes[sizes == 0] = 1.0
    gram /= sizes
    gram /= sizes[:, None]
    solve = _unit_solver(gram)
    return lambda values: solve(values / sizes) / sizes


def _unit_solver(gram: np.ndarray) -> Solver:
    with one_blas_thread(len(gram) <= _SMALL):
        return _solver(gram)


def _solver(gram: np.ndarray) -> Solver:
    import scipy.linalg  # a fifth of a second, which runs without such a system do not need

    largest = gram.diagonal().max()
    rounding = len(gram) * np.finfo(np.float64).eps
    try:
        factor = scipy.linalg.cholesky(gram, lower=True)
    except np.linalg.LinAlgError:
        return _pseudo_inverse(gram, rounding)
    # Rounding can leave a small positive pivot where there should be none.
    if factor.diagonal().min() ** 2 <= 10 * rounding * largest:
        return _pseudo_inverse(gram, rounding)
    return lambda values: scipy.linalg.cho_solve((factor, True), values)


def _pseudo_inverse(gram: np.ndarray, rounding: float) -> Solver:
    import scipy.linalg

    eigenvalues, vectors = scipy.linalg.eigh(gram)
    kept = eigenvalues > rounding * max(eigenvalues[-1], 0.0)
    eigenvalues, vectors = eigenvalues[kept], vectors[:, kept]
    return lambda values: vectors @ ((vectors.T @ values) / eigenvalues)
