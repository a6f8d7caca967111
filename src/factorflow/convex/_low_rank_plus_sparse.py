"""Singular values of matrices that are low-rank plus sparse, without forming them."""

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from factorflow.convex._thin_svd import ThinSVD

_DENSE = 40_000  # cells up to which LAPACK decomposes the matrix itself
_MULTIPLIED_DENSE = 2_000_000  # cells up to which products of the sparse part are taken dense
_GRAM = 2000  # rows up to which the Gram matrix is decomposed, above it is only applied
_GRAM_NORM = 300  # the same where only the largest value is wanted
_LANCZOS = 40
_SPARE = 8  # values asked for beyond the expected number
# A singular value that passes the threshold by no more than rounding does not pass.
_ROUNDING = 1e-10


def shrunk(
    low_rank: ThinSVD,
    sparse: scipy.sparse.csr_array,
    threshold: float,
    max_rank: int,
    start: np.ndarray,
    accuracy: float,
) -> ThinSVD:
    """``low_rank + sparse`` with its singular values reduced by a threshold, those below left out.

    That is the minimizer over `X` of ``1/2 ||X - low_rank - sparse||_F^2 + threshold ||X||_*``,
    under ``rank X <= max_rank``.

    Parameters
    ----------
    low_rank, sparse
        ``(m, n)`` with ``m <= n``.
    start
        ``(m,)``, where iterations begin.
    accuracy
        Relative residual at which iterations for squared singular values end.
    """
    m, n = _shape(sparse)
    if m * n <= _DENSE:
        left, values, right = np.linalg.svd(low_rank.matrix() + sparse.toarray(), False)
        kept = _passing(values, threshold, max_rank)
        return ThinSVD(left[:, kept], values[kept] - threshold, right[kept])
    if m <= _GRAM:
        squares, vectors = scipy.linalg.eigh(
            _gram(low_rank, sparse), subset_by_value=(threshold**2, np.inf)
        )
    else:
        squares, vectors = _leading_squares(low_rank, sparse, threshold, max_rank, start, accuracy)
    values = np.sqrt(np.maximum(squares[::-1], 0))
    kept = _passing(values, threshold, max_rank)
    left, values = vectors[:, ::-1][:, kept], values[kept]
    right = (_times(low_rank.transposed, sparse.T, left) / values).T
    return ThinSVD(left, values - threshold, right)


def spectral_norm(
    sparse: scipy.sparse.csr_array, start: np.ndarray, accuracy: float = 1e-14
) -> float:
    """The largest singular value of an ``(m, n)`` matrix with ``m <= n``, or a little more.

    Where it is iterated, it is given with the bound of its error added, of about ``accuracy``.
    """
    unit = float(np.sqrt(np.sum(sparse.data**2)))
    if unit == 0:
        return 0.0
    m, n = _shape(sparse)
    if m * n <= _DENSE:
        return float(np.linalg.norm(sparse.toarray(), 2))
    if m <= _GRAM_NORM:
        last = (m - 1, m - 1)
        square = scipy.linalg.eigvalsh(_gram(ThinSVD.zero((m, n)), sparse), subset_by_index=last)
        return float(np.sqrt(square[0]))
    scaled = sparse / unit  # ARPACK's tolerances are absolute near zero
    square, _, reached = _lanczos(_gram_operator(None, scaled), 1, start, accuracy)
    return unit * float(np.sqrt(square[0] * (1 + reached)))


def _passing(values: np.ndarray, threshold: float, max_rank: int) -> slice:
    return slice(min(max_rank, int(np.sum(values > threshold * (1 + _ROUNDING)))))


def _gram(low_rank: ThinSVD, sparse: scipy.sparse.csr_array) -> np.ndarray:
    """``Z Z^T`` of ``Z = low_rank + sparse``, ``(m, m)``."""
    m, n = _shape(sparse)
    if m * n <= _MULTIPLIED_DENSE:
        dense = sparse.toarray()
        gram = dense @ dense.T
    else:
        gram = (sparse @ sparse.T).toarray()
    if low_rank.rank:
        scaled = low_rank.left * low_rank.singular_values
        crossed = (sparse @ low_rank.right.T) @ scaled.T
        gram += crossed + crossed.T + scaled @ scaled.T
    return gram


def _leading_squares(
    low_rank: ThinSVD,
    sparse: scipy.sparse.csr_array,
    threshold: float,
    max_rank: int,
    start: np.ndarray,
    accuracy: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of ``Z Z^T``, ascending, down to the squared threshold, and their vectors."""
    m = _shape(sparse)[0]
    unit = float(np.sqrt(np.sum(low_rank.singular_values**2) + np.sum(sparse.data**2)))
    values = low_rank.singular_values / unit
    scaled = ThinSVD(low_rank.left, values, low_rank.right), sparse / unit
    wanted = low_rank.rank + _SPARE
    while True:
        wanted = min(wanted, max_rank, m - 1)
        squares, vectors, _ = _lanczos(_gram_operator(*scaled), wanted, start, accuracy)
        if squares[0] <= (threshold / unit) ** 2 or wanted in (max_rank, m - 1):
            return squares * unit**2, vectors
        wanted *= 2


def _lanczos(
    operator: LinearOperator, k: int, start: np.ndarray, accuracy: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """The `k` largest eigenvalues, ascending, their vectors, and the accuracy that was reached.

    Vectors of eigenvalues that all but coincide cannot be told apart to any accuracy.
    """
    width = min(operator.shape[0], 2 * k + _LANCZOS)
    while True:
        try:
            settings: Any = {"k": k, "v0": start, "ncv": width, "tol": accuracy, "maxiter": 50}
            squares, vectors = eigsh(operator, **settings)
            return squares, vectors, accuracy
        except ArpackNoConvergence:
            accuracy *= 100


def _gram_operator(low_rank: ThinSVD | None, sparse: scipy.sparse.csr_array) -> LinearOperator:
    m = _shape(sparse)[0]
    across = None if low_rank is None else low_rank.transposed
    turned = sparse.T.tocsr()

    def apply(vector):
        return _times(low_rank, sparse, _times(across, turned, vector.ravel()))

    return LinearOperator((m, m), matvec=apply, dtype=float)  # pyright: ignore[reportCallIssue]


def _shape(sparse: Any) -> tuple[int, int]:
    return sparse.shape


def _times(low_rank: ThinSVD | None, sparse, vectors: np.ndarray) -> np.ndarray:
    """``(low_rank + sparse) @ vectors``."""
    product = sparse @ vectors
    if low_rank is not None and low_rank.rank:
        scaled = low_rank.left * low_rank.singular_values
        product += scaled @ (low_rank.right @ vectors)
    return product
