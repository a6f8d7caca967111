"""Observables that compare the matrix with a truth or with entries kept aside."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from factorflow._errors import InputError
from factorflow.factorizations import DeepLinear
from factorflow.problems import AbstractLoss
from factorflow.trajectories._observables import Observable
from factorflow.trajectories._snapshot import Snapshot

Entries = Literal["all", "unobserved"]


def reconstruction_error(problem, entries: Entries = "all") -> Observable:
    """Relative Frobenius error ``||W - W*||_F / ||W*||_F`` over the named entries.

    Parameters
    ----------
    problem
        A completion or sensing problem that knows its truth `W*`, a matrix or tensor.
    entries
        ``"all"`` (default) or ``"unobserved"``; the name of the variable says which.

    Raises
    ------
    InputError
        If the problem does not know its truth, or has no unobserved entry to count (a sensing
        problem never has).
    """
    truth, counted = _counted(problem, entries)
    function = _RelativeError(truth, counted)
    text = f"relative Frobenius error over {entries} entries"
    return Observable(_named("reconstruction_error", entries), function, description=text)


def mean_squared_error(problem, entries: Entries = "all") -> Observable:
    """Mean squared error against the truth over the named entries.

    Parameters and errors as for :func:`reconstruction_error`.
    """
    truth, counted = _counted(problem, entries)
    function = _SquaredError(truth, counted)
    text = f"mean squared error over {entries} entries"
    return Observable(
        _named("mean_squared_error", entries), function, units="value^2", description=text
    )


def held_out_error(held_out) -> Observable:
    """Root-mean-square error on what another problem of the same shape has measured.

    Parameters
    ----------
    held_out
        A completion or sensing problem, such as the second part of ``problem.split(fraction)``.
    """
    if hasattr(held_out, "indices"):
        function = _HeldOutError(held_out.indices, held_out.values, held_out.shape)
        text = "root-mean-square error on held-out entries"
    else:
        function = _HeldOutLoss(held_out.loss(DeepLinear(1)), held_out.shape)
        text = "root-mean-square error on held-out measurements"
    return Observable("held_out_error", function, units="value", description=text)


class _RelativeError(eqx.Module):
    truth: ArrayLike
    counted: ArrayLike

    def __call__(self, snapshot: Snapshot) -> jax.Array:
        gap = self.counted * (snapshot.tensor - self.truth)
        return jnp.sqrt(jnp.sum(gap**2) / jnp.sum((self.counted * self.truth) ** 2))


class _SquaredError(eqx.Module):
    truth: ArrayLike
    counted: ArrayLike

    def __call__(self, snapshot: Snapshot) -> jax.Array:
        gap = self.counted * (snapshot.tensor - self.truth)
        return jnp.sum(gap**2) / jnp.sum(self.counted)


class _HeldOutError(eqx.Module):
    indices: tuple[ArrayLike, ...]
    values: ArrayLike
    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, snapshot: Snapshot) -> jax.Array:
        _check_shape(snapshot, self.shape)
        gap = snapshot.entries(*self.indices) - self.values
        return jnp.sqrt(jnp.mean(gap**2))


class _HeldOutLoss(eqx.Module):
    loss: AbstractLoss  # of the matrix itself
    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, snapshot: Snapshot) -> jax.Array:
        _check_shape(snapshot, self.shape)
        return jnp.sqrt(2 * self.loss((snapshot.matrix,)))


def _check_shape(snapshot: Snapshot, shape: tuple[int, ...]) -> None:
    if snapshot.shape != shape:
        raise InputError(
            f"What is held out is of an unknown of shape {shape}, the run is of one "
            f"of shape {snapshot.shape}; problem.split(fraction, seed) gives both in one shape."
        )


def _named(name: str, entries: Entries) -> str:
    return name if entries == "all" else f"{name}_{entries}"


def _counted(problem, entries: Entries) -> tuple[np.ndarray, np.ndarray]:
    if entries not in ("all", "unobserved"):
        raise InputError(f'entries must be "all" or "unobserved"; got {entries!r}.')
    if getattr(problem, "truth", None) is None:
        raise InputError(
            "The problem does not know its truth; make it by Completion.sample(truth, ...) or "
            "Sensing.gaussian(truth, ...), or observe held_out_error(held_out) instead."
        )
    if entries == "unobserved" and not hasattr(problem, "observed"):
        raise InputError(
            f"A {type(problem).__name__} problem observes no single entries, so none is "
            'unobserved; count entries="all".'
        )
    counted = np.ones(problem.shape) if entries == "all" else 1.0 - problem.observed
    if not counted.any():
        raise InputError("Every entry is observed, so there is no unobserved entry to count.")
    return np.asarray(problem.truth, dtype=np.float64), counted
