"""What an observable may look at: one point of a run."""

from functools import cached_property

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from factorflow.factorizations import AbstractFactorization, LogSVD


class Snapshot:
    """One point of a run; the costly quantities are computed when first asked for.

    Attributes
    ----------
    factorization
        How the matrix is written.
    factors
        The factors, first applied first.
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
    def matrix(self) -> jax.Array:
        """The end-to-end matrix, ``(m, n)``."""
        return self.factorization.matrix(self.factors)

    @cached_property
    def singular_values(self) -> jax.Array:
        """Singular values of the end-to-end matrix, descending, one for each unit of width."""
        return self.factorization.singular_values(self.factors)

    @property
    def shape(self) -> tuple[int, int]:
        """``(m, n)``."""
        return jax.eval_shape(self.factorization.matrix, self.factors).shape

    def entries(self, rows: ArrayLike, columns: ArrayLike) -> jax.Array:
        """The entries ``W[rows, columns]``, without the matrix where the factors are thin."""
        whole = len(self.factors) == 1 or isinstance(self.factorization, LogSVD)
        if whole or "matrix" in self.__dict__:
            return self.matrix[rows, columns]
        left, right = self.factorization.halves(self.factors)
        if 4 * left.shape[1] > min(left.shape[0], right.shape[1]):
            return self.matrix[rows, columns]
        return jnp.sum(left[rows] * right.T[columns], axis=1)
