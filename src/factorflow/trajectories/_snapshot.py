"""What an observable may look at: one point of a run."""

from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from factorflow._errors import InputError
from factorflow.factorizations import (
    AbstractFactorization,
    AbstractMatrixFactorization,
    AbstractTensorFactorization,
    LogSVD,
)


class Snapshot:
    """One point of a run; the costly quantities are computed when first asked for.

    Attributes
    ----------
    factorization
        How the matrix or tensor is written.
    factors
        The factors, of a matrix first applied first.
    time, step, n_gradients
        Where on its way the run is.
    train_loss
        Mean over observations of half the squared residual (or the user's own loss).
    gradient_norm
        Norm of the gradient with respect to all factors.
    """

    def __init__(
        self,
        factorization: AbstractFactorization,
        factors: tuple[jax.Array, ...],
        *,
        time: jax.Array,
        step: jax.Array,
        n_gradients: jax.Array,
        train_loss: jax.Array,
        gradient_norm: jax.Array,
    ):
        self.factorization = factorization
        self.factors = factors
        self.time = time
        self.step = step
        self.n_gradients = n_gradients
        self.train_loss = train_loss
        self.gradient_norm = gradient_norm

    @cached_property
    def tensor(self) -> jax.Array:
        """The end-to-end tensor, ``(d_1, ..., d_N)``; of a matrix the matrix."""
        return self.factorization.tensor(self.factors)

    @property
    def matrix(self) -> jax.Array:
        """The end-to-end matrix, ``(m, n)``."""
        check_matrix(self.factorization, self.shape)
        return self.tensor

    @cached_property
    def singular_values(self) -> jax.Array:
        """Singular values of the end-to-end matrix, descending, one for each unit of width."""
        return singular_values_of(self.factorization, self.factors)

    @cached_property
    def component_norms(self) -> tuple[jax.Array, ...]:
        """Norms of the (local) components of a tensor, for each place where they are summed."""
        return tensor_factorization(self.factorization).component_norms(self.factors)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the matrix or tensor."""
        return jax.eval_shape(self.factorization.tensor, self.factors).shape

    def entries(self, *indices: ArrayLike) -> jax.Array:
        """The entries ``W[rows, columns]``, without the matrix where the factors are thin.

        Of a tensor, given as many vectors of indices as it has axes.
        """
        if isinstance(self.factorization, AbstractTensorFactorization):
            return self.factorization.entries(self.factors, indices)
        rows, columns = indices
        whole = len(self.factors) == 1 or isinstance(self.factorization, LogSVD)
        if whole or "tensor" in self.__dict__:
            return self.matrix[rows, columns]
        left, right = self.factorization.halves(self.factors)
        if 4 * left.shape[1] > min(left.shape[0], right.shape[1]):
            return self.matrix[rows, columns]
        return jnp.sum(left[rows] * right.T[columns], axis=1)


def check_matrix(factorization: AbstractFactorization, shape: tuple[int, ...]) -> None:
    """Refuse to take a tensor for a matrix."""
    if len(shape) != 2:
        raise InputError(
            f"{factorization!r} writes a tensor of shape {shape} here, which has neither matrix "
            "nor singular values; take tensor or component_norms instead."
        )


def singular_values_of(factorization: AbstractFactorization, factors: Any) -> jax.Array:
    """Singular values of the end-to-end matrix, also of a tensor factorization of one."""
    if isinstance(factorization, AbstractMatrixFactorization):
        return factorization.singular_values(factors)
    tensor = factorization.tensor(factors)
    check_matrix(factorization, tensor.shape)
    return jnp.linalg.svd(tensor, compute_uv=False)


def tensor_factorization(factorization: AbstractFactorization) -> AbstractTensorFactorization:
    """The factorization, if it is one of tensors."""
    if not isinstance(factorization, AbstractTensorFactorization):
        raise InputError(
            f"{factorization!r} writes a matrix, which has singular values; components are of "
            "tensor factorizations such as CP()."
        )
    return factorization
