"""Whether observed entries determine a matrix among those of its rank."""

import numpy as np

from factorflow.problems import Completion

_NULL = 1e-11  # of the largest eigenvalue: what cannot be told from zero


def determined(problem: Completion, left: np.ndarray, right: np.ndarray) -> bool:
    """Whether no matrix of the same rank nearby has the same observed entries.

    To first order: the observed entries of ``dL R^T + L dR^T`` vanish only on the ``r^2``
    dimensions in which ``L R^T`` itself does not move.

    Parameters
    ----------
    left, right
        ``L``, ``(m, r)``, and ``R``, ``(n, r)``, balanced and of full rank.
    """
    (m, r), n = left.shape, len(right)
    observed = problem.observed.astype(float)
    normal = np.zeros((m + n, r, m + n, r))
    rows, columns = np.arange(m), np.arange(m, m + n)
    normal[rows, :, rows] = np.einsum("ij,ja,jb->iab", observed, right, right, optimize=True)
    normal[columns, :, columns] = np.einsum("ij,ia,ib->jab", observed, left, left, optimize=True)
    cross = observed[:, None, :, None] * right.T[None, :, :, None] * left[:, None, None, :]
    normal[:m, :, m:] = cross
    normal[m:, :, :m] = cross.transpose(2, 3, 0, 1)
    values = np.linalg.eigvalsh(normal.reshape((m + n) * r, (m + n) * r))
    return int(np.count_nonzero(values < _NULL * values[-1])) <= r * r
