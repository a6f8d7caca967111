"""The escape of small modes in closed form, however far they have to grow."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from factorflow.dynamics._generator import Frame, Sides
from factorflow.dynamics._linear_flow import LinearFlow
from factorflow.factorizations import growth_power

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_BISECTIONS = 60
_PARALLEL = 12.0
_ALIGNMENT = 40.0  # e-folds that vectors may need before the mode grows


def leap(
    frame: Frame, small: Array, depth: float, efolds: Array, time_left: Array
) -> tuple[Sides, Array]:
    """Sides and duration of the growth of the largest small mode under a constant gradient.

    A mode far above all others that are small moves as if alone. With ``sigma = sigma_0 |p|^N``,
    ``u = p / |p|``, ``v = q / |q|`` and the clock ``d theta/dt = sigma^(1 - 2/N)``, its flow is
    linear at every depth:

        dp/d theta = -G q,    dq/d theta = -G^T p.

    The other small modes turn along, so that they stay orthogonal, and grow by the law of their
    own rate.

    Parameters
    ----------
    frame, depth
        Where the matrix is; `N`, above 2 and finite.
    small
        ``(k,)`` booleans, True from the largest small mode on.
    efolds, time_left
        How far it may grow, and how long at most.
    """
    which = jnp.argmax(small)
    escape = _Escape(frame, small, which, depth)
    hi = (efolds / depth + _ALIGNMENT) / escape.flow.speeds[0]

    def halved(_, ends):
        low, high = ends
        middle = 0.5 * (low + high)
        beyond = (escape.growth(middle) > efolds) | (escape.duration(middle) > time_left)
        return jnp.where(beyond, low, middle), jnp.where(beyond, middle, high)

    theta = jax.lax.fori_loop(0, _BISECTIONS, halved, (jnp.zeros_like(hi), hi))[0]
    u, v = escape.vectors(theta)
    left = _turned(frame.left, frame.left[:, which], u)
    right = _turned(frame.right, frame.right[:, which], v)
    change = _own_growth(frame, small, which, depth, escape.elapsed(theta))
    sides = Sides(left, right, change.at[which].set(escape.growth(theta)))
    return sides, escape.duration(theta)


class _Escape:
    """The flow of one mode, ``sigma = sigma_0 |p|^N``."""

    def __init__(self, frame: Frame, small: Array, which: Array, depth: float):
        u, v = frame.left[:, which], frame.right[:, which]
        self.flow = LinearFlow(frame, small, u[:, None], v[:, None])
        self.depth, self.log = depth, frame.logs[which]

    def growth(self, theta: Array) -> Array:
        """Of ``log sigma``."""
        return self.depth * self.flow.log_sizes(theta)[0]

    def vectors(self, theta: Array) -> tuple[Array, Array]:
        p, q = (columns[:, 0] for columns in self.flow.at(theta))
        return p / jnp.linalg.norm(p), q / jnp.linalg.norm(q)

    def elapsed(self, theta: Array) -> Array:
        """Time, in units of that at the start."""
        power = growth_power(self.depth)
        nodes = 0.5 * theta * (1 + jnp.asarray(_NODES))
        slowness = jnp.exp(-power * jax.vmap(self.growth)(nodes))
        return 0.5 * theta * jnp.sum(jnp.asarray(_WEIGHTS) * slowness)

    def duration(self, theta: Array) -> Array:
        return self.elapsed(theta) * jnp.exp(-growth_power(self.depth) * self.log)


def leap_together(
    frame: Frame, small: Array, efolds: Array, time_left: Array
) -> tuple[Sides, Array]:
    """The same at depth 2, where the flow of all small modes together is linear.

    With ``W = P Q^T``, ``P = U sqrt(S)`` and ``Q = V sqrt(S)``, in time itself.
    """
    flow = LinearFlow(frame, small, frame.left, frame.right)
    # Columns become parallel, but for what is e^theta smaller.
    reach = jnp.minimum(0.5 * efolds, _PARALLEL) / flow.speeds[0]
    theta = jnp.minimum(reach, time_left)
    columns = flow.at(theta)
    sizes = [jnp.linalg.norm(each, axis=0) for each in columns]
    left, right = (
        jnp.where(small[None, :], each / size[None, :], before)
        for each, size, before in zip(columns, sizes, (frame.left, frame.right), strict=True)
    )
    grown = 2 * flow.speeds[0] * theta + jnp.log(sizes[0]) + jnp.log(sizes[1])
    return Sides(left, right, jnp.where(small, grown, 0.0)), theta


def _turned(columns: Array, before: Array, after: Array) -> Array:
    """All columns by the rotation in one plane that takes one unit vector to another."""
    both = before + after
    along = (both @ columns) / (1 + before @ after)
    return columns - both[:, None] * along[None, :] + 2 * after[:, None] * (before @ columns)[None]


def _own_growth(frame: Frame, small: Array, which: Array, depth: float, elapsed: Array) -> Array:
    power = growth_power(depth)
    clocks = jnp.exp(power * (frame.logs - frame.logs[which]))
    grown = -depth * jnp.diagonal(frame.core) * clocks * elapsed
    return jnp.where(small, -jnp.log1p(-power * grown) / power, 0.0)
