"""The deep linear network W = W_N ... W_1."""

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise
from operator import index, matmul

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from factorflow._errors import InputError
from factorflow.factorizations._abstract import AbstractMatrixFactorization, Shape, sides
from factorflow.factorizations._balance import balanced_factors

Product = Callable[[jax.Array, jax.Array], jax.Array]


class DeepLinear(AbstractMatrixFactorization):
    """Deep linear network: the matrix is the product ``W = W_N ... W_1`` of ``depth`` factors.

    Parameters
    ----------
    depth
        Number `N` of factors, 1 or more. Depth 1 is the matrix itself, depth 2 the classic matrix
        factorization, 3 and above *deep matrix factorization*.
    widths
        The ``depth - 1`` hidden widths ``(d_1, ..., d_{N-1})``. By default each is ``min(m, n)``,
        which does not constrain the rank; anything narrower does.

    Notes
    -----
    For an ``(m, n)`` matrix, ``d_0 = n`` and ``d_N = m``; factor ``W_j`` has shape
    ``(d_j, d_{j-1})`` and is ``factors[j - 1]``, so ``factors[0]`` is applied first. With
    ``G = dL/dW`` the gradient of a loss of the product is

        dL/dW_j = (W_N ... W_{j+1})^T G (W_{j-1} ... W_1)^T.

    Source: Arora, Cohen, Hu and Luo 2019 (arXiv:1905.13655).

    Raises
    ------
    InputError
        If the depth is no integer of 1 or more, or the widths are not ``depth - 1`` positive
        integers.
    """

    depth: int = eqx.field(static=True)
    widths: tuple[int, ...] | None = eqx.field(static=True)

    def __init__(self, depth: int, widths: Sequence[int] | None = None):
        self.depth = _checked_depth(depth)
        self.widths = None if widths is None else _checked_widths(widths, self.depth)

    def shapes(self, shape: Shape) -> list[tuple[int, ...]]:
        m, n = sides(shape, self)
        dims = [n, *self._hidden(shape), m]
        return [(after, before) for before, after in pairwise(dims)]

    def width(self, shape: Shape) -> int:
        return min(*shape, *self._hidden(shape))

    def matrix(self, factors: Sequence[jax.Array]) -> jax.Array:
        return factors[0] if len(factors) == 1 else matmul(*self.halves(factors))

    def halves(self, factors: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
        return self.halves_by(matmul, factors)

    def halves_by(
        self, product: Product, factors: Sequence[jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        """The two halves, by this product of two matrices."""
        if len(factors) == 1:
            raise InputError("A network of depth 1 has no halves; take its matrix instead.")
        cut = 1 + int(np.argmin([factor.shape[0] for factor in factors[:-1]]))
        # Each half grows from its narrow end, so that no product is wider than it must be.
        right = reduce(product, reversed(factors[:cut]))
        left = reduce(lambda grown, factor: product(factor, grown), factors[cut:])
        return left, right

    def singular_values(self, factors: Sequence[jax.Array]) -> jax.Array:
        if len(factors) == 1:
            return jnp.linalg.svd(factors[0], compute_uv=False)
        left, right = self.halves(factors)
        if 2 * left.shape[1] > min(left.shape[0], right.shape[1]):
            values = jnp.linalg.svd(left @ right, compute_uv=False)
            return values[: self.width((left.shape[0], right.shape[1]))]
        return jnp.linalg.svd(_triangle(left) @ _triangle(right.T).T, compute_uv=False)

    def layer_shapes(self, shape: Shape) -> list[tuple[int, ...]]:
        return self.shapes(shape)

    def from_layers(self, layers: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        return tuple(layers)

    def from_matrix(self, matrix: np.ndarray) -> tuple[np.ndarray, ...]:
        return balanced_factors(matrix, self.shapes(np.shape(matrix)))

    def _hidden(self, shape: Shape) -> tuple[int, ...]:
        return (min(shape),) * (self.depth - 1) if self.widths is None else self.widths


def _triangle(tall: jax.Array) -> jax.Array:
    return jnp.linalg.qr(tall, mode="r")


def _checked_depth(depth: int) -> int:
    try:
        whole = index(depth)
    except TypeError:
        raise InputError(f"depth must be a whole number of 1 or more; got {depth!r}.") from None
    if whole < 1 or isinstance(depth, bool):
        raise InputError(f"depth must be 1 or more; got {depth!r}.")
    return whole


def _checked_widths(widths: Sequence[int], depth: int) -> tuple[int, ...]:
    try:
        whole = tuple(index(width) for width in widths)
    except TypeError:
        raise InputError(f"widths must be whole numbers; got {widths!r}.") from None
    if len(whole) != depth - 1:
        raise InputError(
            f"widths must name the {depth - 1} hidden widths of a depth-{depth} network; "
            f"got {len(whole)}: {whole}."
        )
    if any(width < 1 for width in whole):
        raise InputError(f"every hidden width must be 1 or more; got {whole}.")
    return whole
