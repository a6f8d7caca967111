"""Soft-thresholding of the singular values of dense matrices that change little."""

import numpy as np

from factorflow._random import stream
from factorflow.convex._thin_svd import ThinSVD

_SMALL = 200  # below, a whole decomposition takes a few milliseconds
_NARROW = 0.15  # of the smaller side: a block up to this width is cheaper than the whole
_SPARE = 10
_SWEEPS = 6


class Shrinkage:
    """The proximal map of the nuclear norm, for matrices that change little from call to call.

        argmin_Z  threshold ||Z||_* + 1/2 ||Z - M||_F^2 = U (S - threshold)_+ V^T,   M = U S V^T

    Where few singular values pass the threshold, a block Krylov iteration that begins at the last
    right singular vectors finds these alone; whether it has found all of them shows in the
    smallest value of the block.

    Parameters
    ----------
    shape
        ``(m, n)`` of the matrices.
    """

    def __init__(self, shape: tuple[int, int]):
        self._smaller = min(shape)
        self._stream = stream(0, "shrinkage")
        self._block: np.ndarray | None = None

    def __call__(self, matrix: np.ndarray, threshold: float, error: float = 0.0) -> ThinSVD:
        """Shrink a matrix; ``error`` is the Frobenius norm up to which the answer may be off."""
        found = self._partial(matrix, threshold, error)
        if found is None:
            found = ThinSVD(*np.linalg.svd(matrix, full_matrices=False))
        rank = int(np.sum(found.singular_values > threshold))
        self._block = self._next_block(found, rank)
        left, right = found.left[:, :rank], found.right[:rank]
        return ThinSVD(left, found.singular_values[:rank] - threshold, right)

    def _next_block(self, found: ThinSVD, rank: int) -> np.ndarray | None:
        """Right vectors to begin with next time; None where the whole decomposition is cheaper."""
        width = rank + _SPARE + rank // 4
        if self._smaller <= _SMALL or width > _NARROW * self._smaller:
            return None
        known = found.right[:width]
        new = self._stream.normal(size=(width - len(known), known.shape[1]))
        return np.concatenate([known, new]).T

    def _partial(self, matrix: np.ndarray, threshold: float, error: float) -> ThinSVD | None:
        block = self._block
        if block is None:
            return None
        for _ in range(_SWEEPS):
            found, off = _block_krylov(matrix, block, threshold)
            if found.singular_values[-1] > threshold:  # there may be more of them
                return None
            if off <= error:
                return found
            block = found.right.T
        return None


def _block_krylov(matrix: np.ndarray, block: np.ndarray, threshold: float) -> tuple[ThinSVD, float]:
    """Leading singular triplets from ``span(M B, M M^T M B)``, and how far off they are.

    As the left sides span the search space, ``M^T u = s v`` holds; the error is what remains of
    ``M v - s u`` over the triplets above the threshold.
    """
    first = np.linalg.qr(matrix @ block)[0]
    second = matrix @ np.linalg.qr(matrix.T @ first)[0]
    basis = np.linalg.qr(np.concatenate([first, second], axis=1))[0]
    core_q, core_r = np.linalg.qr(matrix.T @ basis)
    inner, values, outer = np.linalg.svd(core_r)
    width = block.shape[1]
    left = basis @ outer[:width].T
    right = (core_q @ inner[:, :width]).T
    found = ThinSVD(left, values[:width], right)
    above = int(np.sum(found.singular_values > threshold))
    residual = matrix @ right[:above].T - left[:, :above] * values[:above]
    return found, float(np.linalg.norm(residual))
