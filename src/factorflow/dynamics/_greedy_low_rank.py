"""Greedy low-rank learning: gradient flow from an infinitesimal start."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from factorflow._errors import InputError
from factorflow.dynamics._abstract import AbstractDynamics, Factors, State
from factorflow.dynamics._damped_newton import DampedNewton, drifts
from factorflow.dynamics._escape import Escape, curvature_along, directions_of_escape
from factorflow.dynamics._greedy_path import CriticalPoint, GreedyPath, PhaseEnd
from factorflow.dynamics._newton import columns_of, from_columns, n_columns
from factorflow.dynamics._quasi_newton import QuasiNewton
from factorflow.factorizations import (
    CP,
    AbstractFactorization,
    DeepLinear,
    Symmetric,
    checked_width,
)
from factorflow.trajectories import Status


class _Points(eqx.Module):
    """One critical point, or all of them along a leading axis."""

    factors: Factors
    rank: Array
    train_loss: Array
    drift: Array
    escape: Array
    runner_up: Array
    n_together: Array
    duality_gap: Array
    end: Array
    n_gradients: Array
    time: Array


class _Rest(eqx.Module):
    """Where a phase first came to rest."""

    reached: Array
    factors: Factors
    step: Array


class _Inner(eqx.Module):
    phase: State
    before: tuple[Array, Array, Array]  # time, steps and gradients of the phases before
    scale: Array  # escape from zero
    pace: Array  # at which the columns of this phase set out
    rest: _Rest
    points: _Points
    n_points: Array


def _as_array(rank: int | None) -> np.ndarray | None:
    return None if rank is None else np.array(checked_width(rank, "max_rank"))


class GreedyLowRank(AbstractDynamics):
    """Greedy Low-Rank Learning: the limit of gradient flow as its start goes to zero.

    From ``W_0 = 0``, phase by phase: the top eigenvector `u` of ``-df/dW(W_r)`` (or its top
    singular pair) becomes one more column of length ``sqrt(epsilon)``, and the phase dynamics
    runs to stationarity at the higher rank. It ends with the certificate: no eigenvalue
    (singular value) of ``-df/dW`` is above ``tolerance`` times that at zero. Then `W` is a
    stationary point that no further rank could improve; if `f` is convex it is optimal, among the
    positive semidefinite matrices if the factorization is :class:`Symmetric`.

    Of a tensor, ``CP(largest number of components)``, a component of vectors of equal norms
    ``s`` near zero moves in the fixed field ``G = -df/dT``, ``dw_n/dt = G x_{m != n} w_m``. So

        ds/dt = <G, v_1 (x) ... (x) v_N> s^(N - 1),    w_n = s v_n,

    and from ``s_0`` it blows up no earlier than at ``s_0^(2 - N) / ((N - 2) |G|)``, where ``|G|``
    is the largest value of that product over unit vectors: of many components of one norm, the
    first to leave is the one along that maximum. It is the counterpart of the top singular pair,
    and becomes the next component.

    The start is zero: ``init`` and ``seed`` have no effect. The width of the factorization is the
    largest rank. ``solution.path`` has the critical points of all ranks with their certificates.

    Parameters
    ----------
    phase
        What runs within a rank: :class:`DampedNewton` (default), where only the limit is wanted
        and the factors are small; :class:`QuasiNewton` where they are large; or
        ``GradientFlow(rtol=1e-6)``, which follows the flow itself.
    max_rank
        Largest rank, if below the width of the factorization. It is an array to the compiled
        program, which serves all.
    tolerance
        Of the certificate, as a share of the escape from zero.
    stationarity
        Relative motion of the columns at which a phase has ended, as a share of the escape from
        zero; of tensors, as a share of the pace at which the phase set out. By default 1e-9, and
        1e-6 for phases other than :class:`DampedNewton`.
    rest
        Relative motion, as a share of the pace at which the phase set out, at which it has come
        to rest for the first time. From there it must not run off.
    patience
        A phase that is not stationary so many steps later has run off. It goes back to where it
        came to rest, and on from there: a flow from a small start would do so too, as the next
        direction escapes while the columns creep towards infinity. By default 50, and 500 for
        phases other than :class:`DampedNewton`, whose steps are shorter.
    tie
        Of matrices: directions within this share of the top eigenvalue leave together, each with
        ``epsilon``. A flow from a tiny random start would take them in some other proportion, and
        so might end elsewhere; the path says where it happened. Directions that nearly tie
        are not together here, though a flow must start exponentially small in one over their
        gap to tell them apart; the path has that gap.
    epsilon
        Size of a new column's product, as a share of the size at which it would stop growing if
        it were alone. That is the escape state of the unstable mode, up to terms of this order.
        By default 1e-6, and 1 for tensors and for :class:`QuasiNewton`, which do not follow the
        flow and cannot tell so small a column from rounding.

    Notes
    -----
    Source: Li, Luo and Lyu 2021 (arXiv:2012.09839). Their limit of a start ``epsilon -> 0`` is
    taken at the escape state; the run-off and its remedy are ours. ``time`` adds up that of
    the phases and does not count plateaus. At depths above 2 the limit is that of
    ``EndToEndFlow(depth)`` on ``LogSVD(symmetric=True)`` from ``Identity(1e-100)``, whose escapes
    follow the law of that depth in closed form: directions then leave in the order of their
    rates and of what earlier phases left of them. Each point costs the gradients of the search for
    directions as well.

    No published statement is followed for tensors. The bound above is for many components of one
    small norm; that the flow then follows a single one is measured in the claim
    ``razin2021.dominant-component``. That the limit goes on so, phase by phase, is not proved: the
    claim ``factorflow.greedy-components`` compares its ends with those of flows. Finding the
    strongest component is hard in general: the 64 longest fibres of the field, which is formed as a
    whole, are each improved by alternating updates, a sweep of which counts as a gradient, and
    the best is taken. No other is stronger by more than the square root of the number of fibres,
    which is what the certificate is worth.

    Raises
    ------
    InputError
        If a number is not positive or the phase no dynamics; in use, if the factorization is
        none of ``DeepLinear(2)``, :class:`Symmetric` and :class:`CP`, or the loss of a tensor is
        no sum over its entries.
    """

    phase: AbstractDynamics = DampedNewton()
    max_rank: Any = eqx.field(converter=_as_array, default=None)
    tolerance: float = 1e-7
    stationarity: float | None = None
    rest: float = 1e-2
    patience: int | None = None
    tie: float = 1e-7
    epsilon: float | None = None

    def __check_init__(self):
        if not isinstance(self.phase, AbstractDynamics) or isinstance(self.phase, GreedyLowRank):
            raise InputError(
                f"phase must be a dynamics of layers, such as DampedNewton() or GradientFlow(); "
                f"got {self.phase!r}."
            )
        for name in ("tolerance", "stationarity", "rest", "patience", "tie", "epsilon"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} must be positive; got {value!r}.")

    @property
    def counts_gradients(self) -> bool:
        return self.phase.counts_gradients

    @property
    def default_stop(self):
        from factorflow.dynamics._stop import Stop  # judges states, which are made here

        return Stop(train_error=None)

    def _default(self, given, for_newton, otherwise):
        if given is not None:
            return given
        return for_newton if isinstance(self.phase, DampedNewton) else otherwise

    @property
    def _patience(self) -> int:
        return self._default(self.patience, 50, 500)

    @property
    def _stationarity(self) -> float:
        return self._default(self.stationarity, 1e-9, 1e-6)

    def _epsilon(self, factorization) -> float:
        if self.epsilon is not None:
            return self.epsilon
        leaps = isinstance(self.phase, QuasiNewton) or isinstance(factorization, CP)
        return 1.0 if leaps else 1e-6

    def check(self, factorization: AbstractFactorization) -> None:
        two = isinstance(factorization, DeepLinear) and factorization.depth == 2
        if not (two or isinstance(factorization, Symmetric | CP)):
            raise InputError(
                "GreedyLowRank adds columns to DeepLinear(2, [largest rank]), Symmetric(largest "
                f"rank) or CP(largest number of components); got {factorization!r}."
            )
        self.phase.check(factorization)

    def init(self, loss, factors, interpolates):
        if isinstance(loss.factorization, CP) and not type(loss).entrywise:
            raise InputError(
                "GreedyLowRank on CP() needs a loss by the entries of the tensor, such as that of "
                f"a Completion; got {type(loss).__name__}."
            )
        zeros = jax.tree.map(jnp.zeros_like, factors)
        zero, none = jnp.zeros(()), jnp.zeros((), int)
        phase = self.phase.init(loss, zeros, False)
        here = _Points(
            zeros, none, zero, zero, zero, zero, none, zero, none, none, zero,
        )  # fmt: skip
        room = 1 + columns_of(loss.factorization, zeros)[0].shape[1]
        points = jax.tree.map(lambda leaf: jnp.zeros((room, *leaf.shape), leaf.dtype), here)
        inner = _Inner(phase, (zero, none, none), zero, zero, _no_rest(zeros), points, none)
        return State(
            zeros, phase.train_loss, zero, zero, none, phase.n_gradients,
            none + Status.RUNNING.code, inner,
        )  # fmt: skip

    def step(self, loss, state, end):
        # The first attempt leaves zero, which is the end of the phase of rank 0.
        at_zero = state.inner.n_points == 0
        stepped = self.phase.step(loss, state.inner.phase, end - state.inner.before[0])
        phase = jax.tree.map(
            lambda old, new: jnp.where(at_zero, old, new), state.inner.phase, stepped
        )
        gradient = getattr(phase.inner, "gradient", None)
        if gradient is None:
            gradient = loss.gradient(phase.factors)
            phase = eqx.tree_at(lambda s: s.n_gradients, phase, phase.n_gradients + 1)
        drift = jnp.max(drifts(loss.factorization, phase.factors, gradient))
        rest = self._rested(state.inner, phase, drift)
        inner = eqx.tree_at(lambda s: (s.phase, s.rest), state.inner, (phase, rest))
        after = _outside(state, inner)
        unit = inner.pace if isinstance(loss.factorization, CP) else inner.scale
        settled = drift <= self._stationarity * unit
        # A phase that cannot go on is as stationary as rounding lets it be.
        stalled = phase.status == Status.STALLED.code
        away = rest.reached & ~settled & (phase.step - rest.step > self._patience)
        following = jax.lax.cond(
            at_zero | settled | away | (stalled & rest.reached),
            lambda: self._end_phase(loss, after, drift, gradient, away),
            lambda: eqx.tree_at(lambda s: s.status, after, phase.status),
        )
        # A run that has ended and is resumed has nowhere to go.
        ended = self._judged(loss, state)
        over = ~at_zero & (state.inner.phase.step == 0) & (ended.status != Status.RUNNING.code)
        return jax.tree.map(lambda a, b: jnp.where(over, a, b), ended, following)

    def at(self, loss, state, time):
        return state

    def outcome(self, factorization, state):
        """The critical points, on the host."""
        points = state.inner.points
        n = min(int(state.inner.n_points), len(points.rank))

        def point(i: int) -> CriticalPoint:
            each = jax.tree.map(lambda leaf: leaf[i], points)
            values: dict[str, Any] = {
                name: value.item() for name, value in vars(each).items() if name != "factors"
            }
            values["end"] = PhaseEnd.of(values["end"])
            return CriticalPoint(factors=each.factors, **values)

        return GreedyPath(factorization, tuple(map(point, range(n))))

    def _rested(self, inner: _Inner, phase: State, drift) -> _Rest:
        new = ~inner.rest.reached & (drift <= self.rest * inner.pace)
        here = _Rest(jnp.asarray(True), phase.factors, phase.step)
        return jax.tree.map(lambda a, b: jnp.where(new, a, b), here, inner.rest)

    def _end_phase(self, loss, state: State, drift, gradient, away) -> State:
        """Record the critical point and set out from it, if any direction leaves."""
        inner = state.inner
        factors = jax.tree.map(
            lambda a, b: jnp.where(away, a, b), inner.rest.factors, inner.phase.factors
        )
        gradient, value = jax.lax.cond(
            away,
            lambda: (loss.gradient(factors), loss(factors)),
            lambda: (gradient, state.train_loss),
        )
        rank = n_columns(columns_of(loss.factorization, factors))
        most = columns_of(loss.factorization, factors)[0].shape[1]
        escape = directions_of_escape(loss, factors, most, self.tie)
        scale = jnp.where(inner.n_points == 0, jnp.abs(escape.value), inner.scale)
        inner = eqx.tree_at(lambda i: i.scale, inner, scale)
        spent = escape.n_gradients + jnp.where(away, 1, 0)
        sides = zip(factors, gradient, strict=True)
        # <G, W>, by each of the halves or modes
        along = sum(jnp.vdot(a, b) for a, b in sides) / _order(factors)
        gap = along + jnp.maximum(escape.value, 0) * _size(loss, factors)
        here = _Points(
            factors, rank, value, jnp.max(drifts(loss.factorization, factors, gradient)),
            escape.value, escape.runner_up, jnp.zeros((), int), gap,
            jnp.where(away, PhaseEnd.RAN_OFF.code, PhaseEnd.STATIONARY.code),
            state.n_gradients + spent, state.time,
        )  # fmt: skip
        inner = self._next_phase(loss, here, escape, inner)
        size = jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in gradient))
        state = State(
            factors, value, size, state.time, state.step, state.n_gradients + spent,
            state.status, inner,
        )  # fmt: skip
        return self._judged(loss, state)

    def _next_phase(self, loss, here: _Points, escape: Escape, inner: _Inner) -> _Inner:
        factorization = loss.factorization
        most = columns_of(factorization, here.factors)[0].shape[1]
        room = (most if self.max_rank is None else jnp.minimum(most, self.max_rank)) - here.rank
        count = jnp.where(self._leaves(escape.value, inner), jnp.minimum(escape.count, room), 0)
        here = eqx.tree_at(lambda p: p.n_together, here, count)
        points = jax.tree.map(
            lambda every, one: every.at[inner.n_points].set(one), inner.points, here
        )
        bend = jnp.abs(curvature_along(loss, here.factors, escape))
        size = self._epsilon(factorization) * escape.value / jnp.where(bend > 0, bend, escape.value)
        factors = _with_new(factorization, here.factors, escape, here.rank, count, size)
        phase = self.phase.init(loss, factors, False)
        pace = escape.value * (2.0 if isinstance(factorization, Symmetric) else 1.0)
        order = _order(factors)
        pace = pace * size ** ((order - 2) / order) if order > 2 else pace
        done = (here.time, inner.before[1] + inner.phase.step, here.n_gradients)
        return _Inner(phase, done, inner.scale, pace, _no_rest(factors), points, inner.n_points + 1)

    def _leaves(self, escape: Array, inner: _Inner) -> Array:
        """Whether a direction leaves, beyond what the certificate allows."""
        return (escape > 0) & (escape > self.tolerance * inner.scale)

    def _judged(self, loss, state: State) -> State:
        """At a critical point: the certificate, and whether there is room for more rank."""
        inner = state.inner
        found = inner.points.escape[inner.n_points - 1]
        rank = inner.points.rank[inner.n_points - 1]
        most = columns_of(loss.factorization, state.factors)[0].shape[1]
        met = ~self._leaves(found, inner)
        most = most if self.max_rank is None else jnp.minimum(most, self.max_rank)
        status = jnp.where(rank >= most, Status.RANK_LIMIT.code, Status.RUNNING.code)
        status = jnp.where(met, Status.CERTIFIED.code, status)
        return eqx.tree_at(lambda s: s.status, state, status)


def _no_rest(factors: Factors) -> _Rest:
    return _Rest(jnp.asarray(False), factors, jnp.zeros((), int))


def _size(loss, factors) -> Array:
    """Nuclear norm, of balanced factors."""
    if isinstance(loss.factorization, CP):
        return jnp.sum(loss.factorization.component_norms(factors)[0])
    columns = columns_of(loss.factorization, factors)
    return jnp.asarray(sum(jnp.vdot(column, column) for column in columns)) / len(columns)


def _order(factors: Factors) -> int:
    """Of the tensor, 2 of a matrix, also of one factor."""
    return max(2, len(factors))


def _outside(state: State, inner: _Inner) -> State:
    phase, (time, steps, gradients) = inner.phase, inner.before
    return State(
        phase.factors, phase.train_loss, phase.gradient_norm, time + phase.time,
        steps + phase.step, gradients + phase.n_gradients, state.status, inner,
    )  # fmt: skip


def _with_new(factorization, factors, escape: Escape, rank, count, size) -> Factors:
    """The factors with the directions of escape as columns behind those in use."""

    def placed(columns: Array, directions: Array) -> Array:
        most = columns.shape[1]
        which = jnp.arange(most)[None, :] - rank
        new = (which >= 0) & (which < count)
        shifted = jnp.take_along_axis(directions, jnp.clip(which, 0, most - 1), axis=1)
        return jnp.where(new, length * shifted, columns)

    length = size ** (1 / _order(factors))
    both = zip(columns_of(factorization, factors), escape.columns, strict=True)
    return from_columns(factorization, tuple(placed(*each) for each in both))
