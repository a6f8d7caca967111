"""Starts of the factors near zero."""

import abc
from collections.abc import Sequence
from numbers import Real
from typing import Literal

import equinox as eqx
import numpy as np

from factorflow._errors import InputError
from factorflow._random import stream
from factorflow.factorizations import (
    AbstractFactorization,
    AbstractMatrixFactorization,
    AbstractTensorFactorization,
)

Shape = tuple[int, ...]
ScaleOf = Literal["product", "layer"]


class AbstractInitializer(eqx.Module):
    """Makes starting factors from a factorization, a shape and a seed."""

    @abc.abstractmethod
    def __call__(
        self, factorization: AbstractFactorization, shape: Shape, seed: int
    ) -> tuple[np.ndarray, ...]:
        """Float64 factors of the shapes ``factorization.shapes(shape)``."""


class Gaussian(AbstractInitializer):
    r"""Independent Gaussian entries.

    Parameters
    ----------
    scale
        With ``scale_of="product"`` (default) the root-mean-square norm of a row of the product:
        layer `j` has standard deviation ``scale^(1/N) / sqrt(d_{j-1})``, an entry of `W` has
        ``scale / sqrt(n)`` and ``E ||W||_F^2 = m scale^2``. Of a tensor it is that of a slice of
        the first axis, ``E ||T||_F^2 = d_1 scale^2``, and all factors have one deviation. With
        ``scale_of="layer"`` the standard deviation of the entries of every layer.

    Notes
    -----
    Source of the convention: the experiments of Arora, Cohen, Hu and Luo 2019 (arXiv:1905.13655),
    for ``n x n`` matrices ``scale^(1/N) n^(-1/2)``.

    Raises
    ------
    InputError
        If the scale is not a positive finite number.
    """

    scale: float = 1e-3
    scale_of: ScaleOf = "product"

    def __check_init__(self):
        _check_scale(self.scale, self.scale_of)

    def __call__(self, factorization, shape, seed):
        shapes = factorization.layer_shapes(shape)
        rng = stream(seed, "initializer", "gaussian")
        size = _layer_scale(self, len(shapes))
        fans = [1.0] * len(shapes) if self.scale_of == "layer" else factorization.fans(shape)
        return factorization.from_layers(
            [
                size / np.sqrt(fan) * rng.standard_normal(rows_columns)
                for fan, rows_columns in zip(fans, shapes, strict=True)
            ]
        )


class Balanced(AbstractInitializer):
    """A Gaussian product, factored so that ``W_{j+1}^T W_{j+1} = W_j W_j^T`` for every `j`.

    The end-to-end matrix has independent Gaussian entries of standard deviation
    ``scale / sqrt(n)``, as the product of :class:`Gaussian` has; its singular values are shared
    out evenly over the layers (:func:`balanced_factors`). With ``scale_of="layer"`` its entries
    have the standard deviation that layers of standard deviation ``scale`` would give them.
    Hidden widths below ``min(m, n)`` truncate it to that rank.

    Of a tensor: the factors of :class:`Gaussian`, rescaled so that the vectors of each (local)
    component have equal norms, which leaves their product as it was.

    Source: Arora, Cohen, Golowich and Hu 2019 (arXiv:1810.02281), Procedure 1.

    Raises
    ------
    InputError
        If the scale is not a positive finite number.
    """

    scale: float = 1e-3
    scale_of: ScaleOf = "product"

    def __check_init__(self):
        _check_scale(self.scale, self.scale_of)

    def __call__(self, factorization, shape, seed):
        if isinstance(factorization, AbstractTensorFactorization):
            layers = Gaussian(self.scale, self.scale_of)(factorization, shape, seed)
            return factorization.balanced(layers)
        target = stream(seed, "initializer", "balanced").standard_normal(shape)
        deviation = self._deviation(factorization.layer_shapes(shape))
        return of_matrices(self, factorization).from_matrix(target * deviation)

    def _deviation(self, shapes: Sequence[tuple[int, ...]]) -> float:
        if self.scale_of == "product":
            return self.scale / np.sqrt(shapes[0][1])
        hidden = [size[0] for size in shapes[:-1]]
        return float(self.scale ** len(shapes) * np.sqrt(np.prod(hidden, dtype=float)))


class Identity(AbstractInitializer):
    """Every layer a multiple of the (rectangular) identity; the seed has no effect.

    The product is ``scale`` times the identity (``scale_of="product"``, layers
    ``scale^(1/N) I``), or every layer is ``scale`` times the identity (``scale_of="layer"``).

    Raises
    ------
    InputError
        If the scale is not a positive finite number.
    """

    scale: float = 1e-3
    scale_of: ScaleOf = "product"

    def __check_init__(self):
        _check_scale(self.scale, self.scale_of)

    def __call__(self, factorization, shape, seed):
        shapes = of_matrices(self, factorization).layer_shapes(shape)
        size = _layer_scale(self, len(shapes))
        return factorization.from_layers([size * np.eye(each[0], each[1]) for each in shapes])


class Orthogonal(AbstractInitializer):
    """Every layer a multiple of a random (semi-)orthogonal matrix, uniformly distributed.

    All singular values of every layer are equal: ``scale^(1/N)`` with ``scale_of="product"``, or
    ``scale`` with ``scale_of="layer"``. Where the widths from `n` over the hidden ones to `m` first
    narrow and then widen, as the default ones do, those of the product are equal too.

    Raises
    ------
    InputError
        If the scale is not a positive finite number.
    """

    scale: float = 1e-3
    scale_of: ScaleOf = "product"

    def __check_init__(self):
        _check_scale(self.scale, self.scale_of)

    def __call__(self, factorization, shape, seed):
        shapes = of_matrices(self, factorization).layer_shapes(shape)
        rng = stream(seed, "initializer", "orthogonal")
        size = _layer_scale(self, len(shapes))
        return factorization.from_layers([size * _random_orthogonal(rng, *each) for each in shapes])


class StartAt(AbstractInitializer):
    """Balanced factors of a given matrix; the seed has no effect.

    ``StartAt(W)(DeepLinear(3), W.shape, 0)`` gives the factors themselves, as every initializer
    does that is called with a factorization, a shape and a seed.

    Parameters
    ----------
    matrix
        Finite and not zero, ``(m, n)``.

    Raises
    ------
    InputError
        If it is no such matrix, or, when a run starts, not of the shape of the problem.
    """

    matrix: np.ndarray = eqx.field(converter=lambda given: np.array(given, float))

    def __check_init__(self):
        matrix = self.matrix
        if matrix.ndim != 2 or not np.isfinite(matrix).all() or not matrix.any():
            raise InputError(
                "StartAt needs a finite matrix that is not zero (a start at zero never moves); "
                f"got an array of shape {matrix.shape}."
            )

    def __call__(self, factorization, shape, seed):
        matrices = of_matrices(self, factorization)
        if self.matrix.shape != tuple(shape):
            raise InputError(
                f"StartAt has a matrix of shape {self.matrix.shape}, the problem is of shape "
                f"{tuple(shape)}."
            )
        return matrices.from_matrix(self.matrix)


def of_matrices(
    initializer: AbstractInitializer, factorization: AbstractFactorization
) -> AbstractMatrixFactorization:
    """The factorization, refused if it is not one of matrices."""
    if not isinstance(factorization, AbstractMatrixFactorization):
        raise InputError(
            f"{type(initializer).__name__} starts a matrix factorization; {factorization!r} takes "
            "Gaussian(...) or Balanced(...), or a function of your own."
        )
    return factorization


def _layer_scale(initializer: Gaussian | Identity | Orthogonal, depth: int) -> float:
    if initializer.scale_of == "layer":
        return initializer.scale
    return initializer.scale ** (1 / depth)


def _random_orthogonal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))  # makes the distribution uniform
    return q if rows >= columns else q.T


def _check_scale(scale: float, scale_of: str) -> None:
    if scale_of not in ("product", "layer"):
        raise InputError(f'scale_of must be "product" or "layer"; got {scale_of!r}.')
    if isinstance(scale, bool) or not isinstance(scale, Real) or not 0 < scale < np.inf:
        raise InputError(
            f"scale must be a positive finite number (a start at zero never moves); got {scale!r}."
        )
