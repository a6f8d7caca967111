"""What gradient flow on layers conserves."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from factorflow._errors import InputError
from factorflow.theory._singular_basis import checked_matrix
from factorflow.trajectories import balance_gaps

_ORDERS = {"frobenius": "fro", "nuclear": "nuc", "spectral": 2}


def conserved_quantities(factors: Sequence[ArrayLike]) -> list[np.ndarray]:
    """``C_j = W_{j+1}^T W_{j+1} - W_j W_j^T`` for ``j = 1, ..., N - 1``.

    Gradient flow on the layers keeps each constant, whatever the loss of their product; a step of
    descent changes it by the square of the learning rate. Layers are balanced where all are zero.

    Parameters
    ----------
    factors
        ``W_1, ..., W_N``, first applied first.

    Returns
    -------
    list of numpy.ndarray
        ``(d_j, d_j)`` each; none for one layer.

    Raises
    ------
    InputError
        If the factors do not chain or one is no matrix.

    Notes
    -----
    Source: Arora, Cohen and Hazan 2018 (arXiv:1802.06509).
    """
    given = [checked_matrix(factor) for factor in factors]
    for number, (before, after) in enumerate(pairwise(given), start=1):
        if before.shape[0] != after.shape[1]:
            raise InputError(
                f"Factors {number} and {number + 1} have the shapes {before.shape} and "
                f"{after.shape}, which do not chain: expected (d_1, n), (d_2, d_1), ..., first "
                "applied first."
            )
    return balance_gaps(given)


def unbalancedness(
    factors: Sequence[ArrayLike],
    norm: Literal["frobenius", "nuclear", "spectral"] = "frobenius",
) -> float:
    """``max_j ||W_{j+1}^T W_{j+1} - W_j W_j^T||``, zero for one layer.

    Parameters
    ----------
    factors
        ``W_1, ..., W_N``, first applied first.
    norm
        The one that the statement at hand is in; Frobenius in convergence of descent.

    Raises
    ------
    InputError
        If the norm is none of these, or the factors do not chain.

    Notes
    -----
    Source: Arora, Cohen, Golowich and Hu 2019 (arXiv:1810.02281), for the Frobenius norm.
    """
    if norm not in _ORDERS:
        raise InputError(f"norm must be one of {', '.join(_ORDERS)}; got {norm!r}.")
    gaps = conserved_quantities(factors)
    return max((float(np.linalg.norm(gap, _ORDERS[norm])) for gap in gaps), default=0.0)
