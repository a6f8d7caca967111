"""The escape of one small mode in closed form, however far it has to grow."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from factorflow.dynamics._generator import Frame, Sides
from factorflow.factorizations import growth_power

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_BISECTIONS = 60
_ALIGNMENT = 40.0  # e-folds that vectors may need before the mode grows


def leap(
    frame: Frame, small: Array, depth: float, efolds: Array, time_left: Array
) -> tuple[Sides, Array]:
    """Sides and duration of the growth of the largest small mode under a constant gradient.

    A mode far above all others that are small moves as if alone. With ``sigma = sigma_0 |p|^N``,
    ``u = p / |p|``, ``v = q / |q|`` and the clock ``d theta/dt = sigma^(1 - 2/N)``, its flow is
    linear at every depth:

        dp/d theta = -G q,    dq/d theta = -G^T p,

    solved by the singular values of `G` off the modes that are not small. The other small modes
    turn along, so that they stay orthogonal, and grow by the law of their own rate.

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
    hi = (efolds / depth + _ALIGNMENT) / escape.speeds[0]

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
    """The linear flow of one mode."""

    def __init__(self, frame: Frame, small: Array, which: Array, depth: float):
        large_left = jnp.where(small[None, :], 0.0, frame.left)
        large_right = jnp.where(small[None, :], 0.0, frame.right)
        force = -frame.gradient
        force = force - large_left @ (large_left.T @ force)
        force = force - (force @ large_right) @ large_right.T
        self.left, self.speeds, right = jnp.linalg.svd(force, full_matrices=False)
        self.right = right.T
        u, v = frame.left[:, which], frame.right[:, which]
        a, b = self.left.T @ u, self.right.T @ v
        self.growing, self.falling = 0.5 * (a + b), 0.5 * (a - b)
        self.rest = u - self.left @ a, v - self.right @ b
        self.depth, self.log = depth, frame.logs[which]

    def growth(self, theta: Array) -> Array:
        """Of ``log sigma``."""
        up, down, still = self._parts(theta)
        square = jnp.sum((up + down) ** 2) + still**2 * jnp.sum(self.rest[0] ** 2)
        return self.depth * (self.speeds[0] * theta + 0.5 * jnp.log(square))

    def vectors(self, theta: Array) -> tuple[Array, Array]:
        up, down, still = self._parts(theta)
        p = self.left @ (up + down) + still * self.rest[0]
        q = self.right @ (up - down) + still * self.rest[1]
        return p / jnp.linalg.norm(p), q / jnp.linalg.norm(q)

    def elapsed(self, theta: Array) -> Array:
        """Time, in units of that at the start."""
        power = growth_power(self.depth)
        nodes = 0.5 * theta * (1 + jnp.asarray(_NODES))
        slowness = jnp.exp(-power * jax.vmap(self.growth)(nodes))
        return 0.5 * theta * jnp.sum(jnp.asarray(_WEIGHTS) * slowness)

    def duration(self, theta: Array) -> Array:
        return self.elapsed(theta) * jnp.exp(-growth_power(self.depth) * self.log)

    def _parts(self, theta: Array) -> tuple[Array, Array, Array]:
        """Growing, falling and constant parts, all over ``exp(speeds[0] theta)``."""
        up = self.growing * jnp.exp((self.speeds - self.speeds[0]) * theta)
        down = self.falling * jnp.exp(-(self.speeds + self.speeds[0]) * theta)
        return up, down, jnp.exp(-self.speeds[0] * theta)


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
