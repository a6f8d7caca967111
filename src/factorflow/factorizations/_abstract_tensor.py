"""What every factorization of a tensor offers beside a matrix's."""

import abc
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.factorizations._abstract import AbstractFactorization, Shape

Features = Sequence[jax.Array]
Product = Callable[[jax.Array, jax.Array], jax.Array]


class AbstractTensorFactorization(AbstractFactorization):
    """A way to write an unknown ``(d_1, ..., d_N)`` tensor by products over its modes.

    Every mode has a matrix of its own, ``factors[n]``, a row for each of its indices. What follows
    from the rows of all modes is the same sum of products whether the rows are combined each with
    each (the whole tensor), in given tuples (its entries), or are first mixed by representation
    vectors (a convolutional arithmetic circuit); so there is one formula for the three.
    """

    @abc.abstractmethod
    def combine(
        self, factors: Sequence[jax.Array], features: Features, product: Product
    ) -> tuple[jax.Array, jax.Array]:
        """``left (p, w)`` and ``right (q, w)``: the two halves from the features of each mode.

        ``features[n]`` is ``(p_n, R_n)`` and ``product`` joins two of them that belong to
        neighbouring modes.
        """

    @abc.abstractmethod
    def n_left(self, shape: Shape) -> int:
        """Number of leading modes in the left half."""

    @abc.abstractmethod
    def sizes(self, factors: Sequence[Any]) -> Shape:
        """``(d_1, ..., d_N)``."""

    @abc.abstractmethod
    def vector_norms(self, factors: Sequence[Any]) -> tuple[jax.Array, ...]:
        """Norms of the vectors of every (local) component: ``(K, R)`` for each place of a sum.

        At a place where `R` components are summed, each is a product of `K` vectors.
        """

    @abc.abstractmethod
    def balanced(self, factors: Sequence[Any]) -> tuple[np.ndarray, ...]:
        """Factors of the same tensor with equal norms within every (local) component."""

    @abc.abstractmethod
    def n_terms(self, shape: Shape) -> int:
        """Number of products that an entry of the tensor sums."""

    def component_norms(self, factors: Sequence[Any]) -> tuple[jax.Array, ...]:
        """Norms of the (local) components, ``(R,)`` for each place where components are summed."""
        with double_precision():
            return tuple(jnp.prod(norms, axis=0) for norms in self.vector_norms(factors))

    def unbalancedness(self, factors: Sequence[Any]) -> jax.Array:
        """Largest difference of squared norms of vectors of one component; flow conserves each."""
        with double_precision():
            spreads = [jnp.max(jnp.ptp(norms**2, axis=0)) for norms in self.vector_norms(factors)]
            return jnp.max(jnp.stack(spreads))

    def tensor(self, factors: Sequence[jax.Array]) -> jax.Array:
        left, right = self.halves(factors)
        return (left @ right).reshape(self.sizes(factors))

    def halves(self, factors: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
        left, right = self.combine(factors, self._leaves(factors), each_with_each)
        return left, right.T

    def halves_at(
        self, factors: Sequence[jax.Array], left: jax.Array, right: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Some rows of the left half and some columns of the right one.

        ``left (p, k)`` holds the indices of the first `k` modes, ``right (q, N - k)`` those of the
        others, with ``k = n_left(shape)``. Gives ``(p, w)`` and ``(w, q)``.
        """
        indices = [*left.T, *right.T]
        features = [leaf[i] for leaf, i in zip(self._leaves(factors), indices, strict=True)]
        left, right = self.combine(factors, features, jnp.multiply)
        return left, right.T

    def entries(self, factors: Sequence[Any], indices: Sequence[Any]) -> jax.Array:
        """The entries ``T[i_1, ..., i_N]`` for vectors of indices, without the whole tensor.

        Raises
        ------
        InputError
            If an index lies outside the shape, or there is not one vector for each mode.
        """
        _check_indices(indices, self.sizes(factors))
        with double_precision():
            features = [leaf[i] for leaf, i in zip(self._leaves(factors), indices, strict=True)]
            return _inner(*self.combine(factors, features, jnp.multiply))

    def evaluate(self, factors: Sequence[Any], inputs: Sequence[Any]) -> jax.Array:
        """``<T, x_1 (x) ... (x) x_N>``, ``(p,)``, for ``inputs[n]`` of shape ``(p, d_n)``.

        One-hot vectors give entries; others what a convolutional arithmetic circuit computes.

        Raises
        ------
        InputError
            If there is not one array for each mode, or their shapes are others.
        """
        leaves, sizes = self._leaves(factors), self.sizes(factors)
        shapes = [np.shape(each) for each in inputs]
        count = shapes[0][0] if shapes and shapes[0] else 0
        if shapes != [(count, size) for size in sizes]:
            raise InputError(
                f"inputs must be {len(sizes)} arrays, (p, d) with d = {', '.join(map(str, sizes))} "
                f"in turn; got the shapes {', '.join(map(str, shapes))}."
            )
        with double_precision():
            features = [x @ leaf for x, leaf in zip(inputs, leaves, strict=True)]
            return _inner(*self.combine(factors, features, jnp.multiply))

    def layer_shapes(self, shape: Shape) -> list[tuple[int, ...]]:
        return self.shapes(shape)

    def fans(self, shape: Shape) -> list[float]:
        n_layers = len(self.shapes(shape))
        # An entry sums so many products of all layers, and the tensor has so many entries.
        total = self.n_terms(shape) * (prod(shape) / shape[0])
        return [float(total ** (1 / n_layers))] * n_layers

    def from_layers(self, layers: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        return tuple(layers)

    def _leaves(self, factors: Sequence[Any]) -> Sequence[Any]:
        return factors[: len(self.sizes(factors))]


def lengths(xp: Any, array: Any, axis: int) -> Any:
    """Euclidean norms along an axis, of entries however small, by NumPy or JAX."""
    top = xp.max(xp.abs(array), axis=axis, keepdims=True)
    scale = xp.where(top > 0, top, 1.0)
    return xp.squeeze(scale, axis) * xp.linalg.norm(array / scale, axis=axis)


def each_with_each(first: jax.Array, second: jax.Array) -> jax.Array:
    """The products of every row with every row: ``(p, R), (q, R) -> (p q, R)``."""
    joined = first[:, None, :] * second[None, :, :]
    return joined.reshape(-1, first.shape[1])


def even_split(shape: Shape, cuts: Sequence[int]) -> int:
    """Of the places to cut the modes in two, the one with the most even halves."""
    whole = np.log([float(size) for size in shape])
    gaps = [abs(whole[:cut].sum() - whole[cut:].sum()) for cut in cuts]
    return cuts[int(np.argmin(gaps))]


def checked_order(shape: Shape, name: str) -> Shape:
    """A shape of two modes or more."""
    if len(shape) < 2:
        raise InputError(f"{name} needs a tensor of two modes or more; this one has shape {shape}.")
    return tuple(shape)


def _check_indices(indices: Sequence[Any], sizes: Shape) -> None:
    if len(indices) != len(sizes):
        raise InputError(f"indices must be {len(sizes)} vectors, one a mode; got {len(indices)}.")
    for n, (each, size) in enumerate(zip(indices, sizes, strict=True)):
        if isinstance(each, Tracer) or not np.size(each):
            continue  # inside compiled code nobody can look
        if np.min(each) < 0 or np.max(each) >= size:
            raise InputError(
                f"indices[{n}] must lie in 0..{size - 1}; they run from {np.min(each)} to "
                f"{np.max(each)}."
            )


def _inner(left: jax.Array, right: jax.Array) -> jax.Array:
    return jnp.sum(left * right, axis=1)
