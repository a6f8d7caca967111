"""The flow of pairs of vectors under a constant gradient, which is linear and solved exactly."""

import jax.numpy as jnp
from jax import Array

from factorflow.dynamics._generator import Frame


class LinearFlow:
    """``dP/d theta = -G Q``, ``dQ/d theta = -G^T P``, column by column.

    `G` is the gradient off the modes that are not small. With the singular values ``s`` of ``-G``
    the parts of `P` and `Q` along its singular vectors grow and fall as ``exp(s theta)`` and
    ``exp(-s theta)``; all is given over ``exp(s_1 theta)``, so that nothing overflows.

    Parameters
    ----------
    frame, small
        Where the matrix is, and ``(k,)`` booleans: its small modes.
    left, right
        `P` and `Q` at the start, ``(m, j)`` and ``(n, j)``, orthogonal to the modes that are not
        small.
    """

    def __init__(self, frame: Frame, small: Array, left: Array, right: Array):
        large_left = jnp.where(small[None, :], 0.0, frame.left)
        large_right = jnp.where(small[None, :], 0.0, frame.right)
        force = -frame.gradient
        force = force - large_left @ (large_left.T @ force)
        force = force - (force @ large_right) @ large_right.T
        self._left, self.speeds, back = jnp.linalg.svd(force, full_matrices=False)
        self._right = back.T
        a, b = self._left.T @ left, self._right.T @ right
        self._growing, self._falling = 0.5 * (a + b), 0.5 * (a - b)
        self._rest = left - self._left @ a, right - self._right @ b

    def at(self, theta: Array) -> tuple[Array, Array]:
        """`P` and `Q`, over ``exp(speeds[0] theta)``."""
        up, down, still = self._parts(theta)
        return (
            self._left @ (up + down) + still * self._rest[0],
            self._right @ (up - down) + still * self._rest[1],
        )

    def log_sizes(self, theta: Array) -> Array:
        """Of the columns of `P`; the same without a singular vector."""
        up, down, still = self._parts(theta)
        squares = jnp.sum((up + down) ** 2, axis=0)
        squares = squares + still**2 * jnp.sum(self._rest[0] ** 2, axis=0)
        return self.speeds[0] * theta + 0.5 * jnp.log(squares)

    def _parts(self, theta: Array) -> tuple[Array, Array, Array]:
        """Growing, falling and constant parts."""
        up = jnp.exp((self.speeds - self.speeds[0]) * theta)
        down = jnp.exp(-(self.speeds + self.speeds[0]) * theta)
        return (
            up[:, None] * self._growing,
            down[:, None] * self._falling,
            jnp.exp(-self.speeds[0] * theta),
        )
