"""Rotations of the hidden bases: the product does not see them, and which dynamics do."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow._random import stream
from factorflow.dynamics import AbstractDynamics, Stop, solve
from factorflow.factorizations import DeepLinear
from factorflow.initializers import AbstractInitializer, Gaussian
from factorflow.theory._numbers import checked_whole
from factorflow.trajectories import EverySteps, Record, matrix

Starter = AbstractInitializer | Callable[..., Any]

_N_RECORDS = 64
_OFF = 1e-8  # how far a rotation may be from orthogonal


def rotated(factors: Sequence[Any], rotations: Sequence[Any]) -> tuple[np.ndarray, ...]:
    """The factors in rotated hidden bases: the same product from other layers.

        W_j -> Q_j W_j Q_{j-1}^T,      Q_0 = I,  Q_N = I

    Parameters
    ----------
    factors
        ``(W_1, ..., W_N)``, first applied first; ``W_j`` has shape ``(d_j, d_{j-1})``.
    rotations
        ``(Q_1, ..., Q_{N-1})``, orthogonal, ``Q_j`` of shape ``(d_j, d_j)``.

    Returns
    -------
    tuple of numpy.ndarray
        Float64 layers of the same shapes.

    Raises
    ------
    InputError
        If there is not one orthogonal matrix of the right size for each hidden basis.
    """
    layers = [np.asarray(factor, np.float64) for factor in factors]
    turns = [np.asarray(rotation, np.float64) for rotation in rotations]
    if len(turns) != len(layers) - 1:
        raise InputError(
            f"{len(layers)} factors have {len(layers) - 1} hidden bases; "
            f"got {len(turns)} rotations."
        )
    for j, turn in enumerate(turns):
        _check_rotation(turn, layers[j].shape[0], j + 1)
        layers[j] = turn @ layers[j]
        layers[j + 1] = layers[j + 1] @ turn.T
    return tuple(layers)


def gauge_deviation(
    problem: Any,
    factorization: DeepLinear,
    dynamics: AbstractDynamics,
    *,
    init: Starter | None = None,
    seed: int = 0,
    steps: int = 1000,
    rotation_seed: int = 0,
) -> float:
    """How much the path of the product depends on the hidden bases of the start.

    The dynamics is run from the factors of an initializer and from the same factors with every
    hidden basis rotated at random (:func:`rotated`). A dynamics whose update of a layer turns
    with the bases, such as descent, with momentum or divided by one scalar for all parameters,
    makes the same products both times, to rounding. One that treats entries of the layers one by
    one, such as Adam, does not: it depends on a choice that the product cannot see.

    Parameters
    ----------
    problem, factorization, dynamics, init, seed
        As for :func:`factorflow.solve`; the factorization of depth 2 or more, the dynamics a
        descent: a flow chooses its steps by entries of the layers, and they would not be the same.
    steps
        Number of steps of each run.
    rotation_seed
        Seed of the rotations, which are uniformly distributed.

    Returns
    -------
    float
        The largest ``||W' - W||_F / ||W||_F`` over up to 64 moments of the run, its end included.

    Raises
    ------
    InputError
        If the factorization has no hidden basis, the two runs took steps of other lengths, or the
        parts do not fit together.
    FlowError
        If a run fails.

    Notes
    -----
    Rounding differs between the two runs and grows where products leave a saddle, so that an
    invariant dynamics deviates by some multiple of 1e-16. A product that has hardly moved in
    ``steps`` steps deviates little under any dynamics: make them enough to fit.
    """
    if not isinstance(factorization, DeepLinear) or factorization.depth < 2:
        raise InputError(
            f"A hidden basis needs a DeepLinear of depth 2 or more; got {factorization!r}."
        )
    start = Gaussian() if init is None else init
    hidden = [rows for rows, _ in factorization.shapes(problem.shape)[:-1]]
    rotations = _random_rotations(hidden, rotation_seed)

    def turned(*given: Any) -> tuple[np.ndarray, ...]:
        return rotated(start(*given), rotations)

    n_steps = checked_whole("steps", steps, 1)
    (times, here), (other_times, there) = (
        _path(problem, factorization, dynamics, each, seed, n_steps) for each in (start, turned)
    )
    if not np.array_equal(times, other_times):
        raise InputError(
            "The two runs took steps of other lengths, so that their products cannot be compared "
            "step by step; give a descent rather than a flow."
        )
    sizes = np.linalg.norm(here, axis=(1, 2))
    gaps = np.linalg.norm(there - here, axis=(1, 2))
    return float(np.max(gaps / np.where(sizes > 0, sizes, 1.0)))


def _path(
    problem, factorization, dynamics, init, seed: int, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Times and end-to-end matrices along a run, ``(records,)`` and ``(records, m, n)``."""
    every = EverySteps(max(1, -(-steps // _N_RECORDS)), 2 * _N_RECORDS)
    solution = solve(
        problem,
        factorization,
        dynamics,
        init=init,
        seed=seed,
        stop=Stop(train_error=None, n_gradients=steps + 1),  # one gradient at the start
        record=Record([matrix()], schedule=every),
    )
    seen = solution.trajectory
    return seen["time"].values, seen["matrix"].values


def _random_rotations(sizes: Sequence[int], seed: int) -> list[np.ndarray]:
    rng = stream(seed, "gauge", "rotations")
    found = []
    for size in sizes:
        q, r = np.linalg.qr(rng.standard_normal((size, size)))
        found.append(q * np.sign(np.diag(r)))  # makes the distribution uniform
    return found


def _check_rotation(rotation: np.ndarray, size: int, which: int) -> None:
    fits = rotation.shape == (size, size)
    if not fits or not np.max(np.abs(rotation @ rotation.T - np.eye(size))) <= _OFF:
        raise InputError(
            f"Rotation {which} must be an orthogonal matrix of shape {(size, size)}; "
            + ("it is not orthogonal." if fits else f"got shape {rotation.shape}.")
        )
