"""The law of parsimony: what descent from orthogonal layers leaves in common in every layer."""

from numbers import Real

import numpy as np

from factorflow._errors import InputError
from factorflow.theory._numbers import checked_positive, checked_whole


def common_singular_value(
    scale: float,
    depth: int,
    learning_rate: float,
    n_steps: int,
    weight_decay: float = 0.0,
    loss_factor: float = 1.0,
) -> np.ndarray:
    """The singular value that each layer of a descent has ``d - 2r`` times.

        rho <- rho (1 - eta lambda - eta f rho^(2N-2))

    Parameters
    ----------
    scale
        ``rho`` at the start: every layer is ``scale`` times an orthogonal matrix
        (``Orthogonal(scale, scale_of="layer")``).
    depth
        `N`, the number of layers.
    learning_rate
        `eta` of plain gradient descent.
    n_steps
        Steps.
    weight_decay
        ``lambda``, of ``lambda/2 sum_j ||W_j||_F^2`` in the objective.
    loss_factor
        `f` of the loss ``f/2 ||W - Phi||_F^2``: 1 for half the sum of squares; ``1/d^2`` for a
        fully observed ``d`` by ``d`` :class:`Completion`, whose loss is the mean.

    Returns
    -------
    numpy.ndarray
        ``rho`` after 0, 1, ..., ``n_steps`` steps, ``(n_steps + 1,)``.

    Raises
    ------
    InputError
        If a number is out of its range.

    Notes
    -----
    For a ``d`` by ``d`` target of rank `r`, all layers square, started as said and moved by plain
    descent, all by the same learning rate. Take the input directions that the target sends to zero
    and that the start sends to outputs outside of the target's range: there are ``d - 2r`` at
    least. There the target is not felt, ``G = f W``, every layer acts as ``rho`` times an
    orthogonal matrix between spaces that never change, and its gradient is
    ``f rho^(N-1) rho^N`` times that matrix: the recursion. It assumes that every entry counts
    alike; with missing entries it does not hold.
    Source: the law of parsimony of Yaras et al. 2023 (arXiv:2306.01154); the recursion with its
    factor is derived here.
    """
    given = {"scale": scale, "learning_rate": learning_rate, "loss_factor": loss_factor}
    for name, value in given.items():
        checked_positive(name, value)
    if not isinstance(weight_decay, Real) or not 0 <= weight_decay < np.inf:
        raise InputError(
            f"weight_decay must be a finite number of 0 or more; got {weight_decay!r}."
        )
    depth, n_steps = checked_whole("depth", depth, 1), checked_whole("n_steps", n_steps, 0)
    path = np.empty(n_steps + 1)
    path[0] = scale
    for k in range(len(path) - 1):
        pull = loss_factor * path[k] ** (2 * depth - 2)
        path[k + 1] = path[k] * (1 - learning_rate * (weight_decay + pull))
    return path


def common_count(size: int, rank: int) -> int:
    """``max(0, d - 2r)``, how often every layer has :func:`common_singular_value`.

    Parameters
    ----------
    size
        `d` of the ``d`` by ``d`` layers and target.
    rank
        `r` of the target.

    Raises
    ------
    InputError
        If they are no whole numbers, or the rank is not from 0 to ``size``.
    """
    size, rank = checked_whole("size", size, 1), checked_whole("rank", rank, 0)
    if rank > size:
        raise InputError(f"rank must be from 0 to the size {size}; got {rank}.")
    return max(0, size - 2 * rank)
