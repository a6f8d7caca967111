"""The end-to-end flow as two rotations and stretchings, one on each side of the matrix."""

from math import isfinite
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from factorflow.factorizations import growth_power, spectral_factor


class Frame(NamedTuple):
    """``W = U diag(exp s) V^T`` with the gradient `G` of the loss at it, ``s`` descending."""

    left: Array  # (m, k)
    logs: Array  # (k,)
    right: Array  # (n, k)
    gradient: Array  # (m, n)

    @property
    def core(self) -> Array:
        """``U^T G V``, ``(k, k)``."""
        return self.left.T @ self.gradient @ self.right


def generator(
    frame: Frame, depth: float, clock: ArrayLike = 0.0, chosen: ArrayLike = True
) -> tuple[Array, Array]:
    """``(A U, B^T V)`` with ``dW/dt = A W + W B``, times ``exp(-clock)``.

    With ``g = U^T G V``, the larger ``M`` of two singular values, their ratio ``q <= 1`` and the
    spectral factor ``phi`` of the preconditioner, entry by entry

        a_ij = -g_ij phi_ij M_ij^(1 - 2/N) / (1 + q_ij^2) * (1 where sigma_j is larger, else q_ij),

    and ``b_ij`` the same with `i` for `j`, but for the freedom that :func:`_shared_out` uses. Both
    are bounded for depths of 2 and more, so that a step multiplies singular values and never takes
    one through zero.

    Parameters
    ----------
    frame, depth
        Where the matrix is; `N`, of 2 or more or infinite (time rescaled by depth).
    clock
        Logarithm of the unit of inverse time.
    chosen
        ``(k,)`` booleans: modes that move, the others standing still.
    """
    left, logs, right, gradient = frame
    forward, backward = gradient @ right, gradient.T @ left
    core = left.T @ forward
    inside, outside = _speeds(logs, depth, clock, chosen)
    a, b = _shared_out(core * inside, logs)
    return (
        -left @ a - (forward - left @ core) * outside[None, :],
        -right @ b.T - (backward - right @ core.T) * outside[None, :],
    )


class Sides(NamedTuple):
    """`P`, `Q` and ``c`` of ``W = P diag(exp(s + c)) Q^T`` within a step that began at ``s``."""

    left: Array
    right: Array
    change: Array


def at_rest(frame: Frame) -> Sides:
    """The sides at the start of a step."""
    return Sides(frame.left, frame.right, jnp.zeros_like(frame.logs))


def slope_of(
    moved: tuple[Array, Array], frame: Frame, sides: Sides, speeds: ArrayLike = 0.0
) -> Sides:
    """How the sides move, from ``(A U, B^T V)`` at the same `W`.

    Columns of `P` and `Q` keep their length, so that no step can turn one over: all growth goes
    to ``c``, less the ``speeds`` at which ``s`` grows by itself.
    """
    left, left_rate = _turning(sides.left, moved[0] @ (frame.left.T @ sides.left))
    right, right_rate = _turning(sides.right, moved[1] @ (frame.right.T @ sides.right))
    return Sides(left, right, left_rate + right_rate - speeds)


def _turning(columns: Array, moved: Array) -> tuple[Array, Array]:
    rate = jnp.sum(columns * moved, axis=0) / jnp.sum(columns**2, axis=0)
    return moved - columns * rate[None, :], rate


def error_of_modes(errors: Sides) -> Array:
    """Root mean square over the modes of a step's errors, each of its vectors and its logarithm."""
    total = sum(jnp.sum(leaf**2) for leaf in errors)
    return jnp.sqrt(total / errors.change.size)


def rates(frame: Frame, depth: float, chosen) -> Array:
    """The largest rate at which modes that are not chosen move, relative to their size."""
    left, logs, right, gradient = frame
    forward, backward = gradient @ right, gradient.T @ left
    core = left.T @ forward
    every, out = _speeds(logs, depth, 0.0, True)
    pairs = jnp.where(chosen[:, None] & chosen[None, :], 0.0, jnp.abs(core * every))
    lost = jnp.linalg.norm(forward - left @ core, axis=0)
    gained = jnp.linalg.norm(backward - right @ core.T, axis=0)
    columns = jnp.where(chosen, 0.0, out * jnp.maximum(lost, gained))
    return jnp.maximum(jnp.max(pairs), jnp.max(columns))


def squared_gradient_norm(frame: Frame, depth: float) -> Array:
    """``<G, P_W G>``, the squared norm of the gradient by all layers of a balanced network.

    The loss of the flow falls at this rate.
    """
    left, logs, right, gradient = frame
    forward, backward = gradient @ right, gradient.T @ left
    core = left.T @ forward
    larger, gap = _larger_and_gap(logs)
    power = growth_power(depth, 2)
    inside = jnp.exp(power * larger) * spectral_factor(gap, depth)
    outside = jnp.exp(power * logs) * _towards_nothing(depth)
    lost = jnp.sum((forward - left @ core) ** 2, axis=0)
    gained = jnp.sum((backward - right @ core.T) ** 2, axis=0)
    return jnp.sum(inside * core**2) + jnp.sum(outside * (lost + gained))


def growth_coefficient(depth: float) -> float:
    """``n`` in ``d sigma/dt = n sigma^(2 - 2/N) (-g)``: the depth, or 1 in rescaled time."""
    return depth if isfinite(depth) else 1.0


def _speeds(logs, depth, clock, chosen):
    larger, gap = _larger_and_gap(logs)
    power = growth_power(depth)
    inside = jnp.exp(power * larger - clock) * spectral_factor(gap, depth)
    outside = jnp.exp(power * logs - clock) * _towards_nothing(depth)
    chosen = jnp.broadcast_to(jnp.asarray(chosen), logs.shape)
    pairs = chosen[:, None] & chosen[None, :]
    return jnp.where(pairs, inside, 0.0), jnp.where(chosen, outside, 0.0)


def _larger_and_gap(logs):
    larger = jnp.maximum(logs[:, None], logs[None, :])
    return larger, jnp.abs(logs[:, None] - logs[None, :])


def _shared_out(pairs, logs):
    """``a`` and ``b`` with ``a_ij sigma_j + sigma_i b_ij`` the motion of `W` within its modes.

    The smallest such pair is bounded but leaves the smaller of two modes where it was while the
    larger one turns towards it. The further apart two modes are, the more the smaller one is
    turned away by as much, so that they stay orthogonal.
    """
    _, gap = _larger_and_gap(logs)
    ratio = jnp.exp(-gap)
    share = jnp.where(logs[None, :] >= logs[:, None], 1.0, ratio) / (1 + ratio**2)
    a, b = pairs * share, pairs * share.T
    apart = 1 - ratio**2
    above = jnp.triu(apart, 1)  # (larger, smaller)
    below = jnp.tril(apart, -1)
    return (
        a - above * a.T + below * ratio * b.T,
        b + above * ratio * a.T - below * b.T,
    )


def _towards_nothing(depth: float) -> float:
    """The spectral factor of a mode with a direction in which the matrix is zero."""
    return 1.0 if isfinite(depth) else 0.0
