"""Measurement matrices that are given in full."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from factorflow._errors import InputError
from factorflow._placed import placed
from factorflow._x64 import double_precision
from factorflow.problems._gram import Solver, gram_solver
from factorflow.problems._operator import (
    AbstractOperator,
    checked_matrix,
    checked_values,
    digest,
    real_array,
)
from factorflow.problems._route import check_route
from factorflow.problems._sensing_loss import FusedLoss, SensingLoss

_COLUMNS = 2048  # of the stack in float64 at a time, for the Gram matrix


@dataclass(frozen=True, eq=False)
class DenseOperator(AbstractOperator):
    """Measurements ``<A_i, W>`` by matrices ``A_i`` of any kind.

    Each direction costs one reading of the matrices, by compiled kernels.

    Parameters
    ----------
    matrices
        ``(A_1, ..., A_p)``, shape ``(p, m, n)``, finite. Given in float32 they are kept so, which
        halves memory and time; all arithmetic is in float64, on the numbers as they are kept.

    Raises
    ------
    InputError
        If they are no such array.
    """

    matrices: np.ndarray = field(repr=False)
    shape: tuple[int, int] = field(init=False)

    def __post_init__(self):
        matrices = real_array(self.matrices, "matrices", 3)
        object.__setattr__(self, "matrices", matrices)
        object.__setattr__(self, "shape", matrices.shape[1:])

    @property
    def count(self) -> int:
        return len(self.matrices)

    @property
    def stack(self) -> np.ndarray:
        """The matrices flattened, ``(p, m n)``."""
        return self.matrices.reshape(self.count, -1)

    @cached_property
    def content_hash(self) -> str:
        return digest(self.shape, [self.matrices])

    def forward(self, matrix: Any) -> np.ndarray:
        from factorflow.problems import _stack_kernels

        w = checked_matrix(matrix, self.shape).ravel()
        return _stack_kernels.residuals(self.stack, w, np.zeros(self.count))

    def adjoint(self, values: Any) -> np.ndarray:
        from factorflow.problems import _stack_kernels

        values = checked_values(values, self.count)
        return _stack_kernels.transposed(self.stack, values).reshape(self.shape)

    @property
    def norms(self) -> np.ndarray:
        squares = np.zeros(self.count)
        for columns in self._in_columns():
            squares += np.einsum("pk,pk->p", columns, columns)
        return np.sqrt(squares)

    def gram(self) -> np.ndarray:
        gram = np.zeros((self.count, self.count))
        for columns in self._in_columns():
            gram += columns @ columns.T
        return gram

    def solve_gram(self, values: Any) -> np.ndarray:
        return self._solver(checked_values(values, self.count))

    def subset(self, positions: Any) -> "DenseOperator":
        chosen = self.matrices[positions]
        chosen.setflags(write=False)
        return DenseOperator(chosen)

    def loss(
        self, factorization: Any, values: np.ndarray, route: str = "auto"
    ) -> FusedLoss | SensingLoss:
        """Mean over measurements of half the squared residual, as a function of the factors.

        Routes: ``"fused"`` by compiled kernels on a CPU, ``"dense"`` by JAX on any device with
        the matrices in float64, ``"auto"`` takes the first where JAX computes on a CPU.
        """
        check_route(route, ("auto", "dense", "fused"))
        on_cpu = jax.default_backend() == "cpu"
        if route == "fused" and not on_cpu:
            raise InputError('route="fused" is for JAX on a CPU; use route="dense" here.')
        if route == "dense" or not on_cpu:
            return SensingLoss(factorization, self.shape, self._in_double, values)
        return FusedLoss(factorization, self.shape, self._placed, values)

    @cached_property
    def _placed(self) -> jax.Array:
        """The stack where JAX computes, one for all losses."""
        with double_precision():
            return placed(self.stack)

    @cached_property
    def _in_double(self) -> "_Stack":
        with double_precision():
            return _Stack(placed(self.stack, jnp.float64))

    @cached_property
    def _solver(self) -> Solver:
        return gram_solver(self.gram())

    def _in_columns(self) -> Iterator[np.ndarray]:
        """The stack in float64, some columns at a time."""
        for first in range(0, self.stack.shape[1], _COLUMNS):
            yield self.stack[:, first : first + _COLUMNS].astype(np.float64)


class _Stack(eqx.Module):
    rows: jax.Array

    def __call__(self, matrix: jax.Array) -> jax.Array:
        return self.rows @ matrix.ravel()
