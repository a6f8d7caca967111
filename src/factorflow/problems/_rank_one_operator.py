"""Measurement matrices of rank one."""

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
from factorflow.problems._sensing_loss import SensingLoss


@dataclass(frozen=True, eq=False)
class RankOneOperator(AbstractOperator):
    """Measurements ``l_i^T W r_i = <l_i r_i^T, W>``.

    Both directions are matrix products: ``A(W) = sum_b (L W)_ib R_ib`` and
    ``A*(v) = L^T diag(v) R``.

    Parameters
    ----------
    left
        ``L``, the vectors ``l_i`` in its rows, shape ``(p, m)``, finite; kept in float64.
    right
        ``R``, the vectors ``r_i`` in its rows, shape ``(p, n)``, finite; kept in float64.

    Raises
    ------
    InputError
        If they are no such arrays, or of different lengths.
    """

    left: np.ndarray = field(repr=False)
    right: np.ndarray = field(repr=False)
    shape: tuple[int, int] = field(init=False)

    def __post_init__(self):
        left = real_array(self.left, "left", 2).astype(np.float64, copy=False)
        right = real_array(self.right, "right", 2).astype(np.float64, copy=False)
        if len(left) != len(right):
            raise InputError(
                "left and right must have a row for each measurement; "
                f"they have {len(left)} and {len(right)}."
            )
        for array in (left, right):
            array.setflags(write=False)
        object.__setattr__(self, "left", left)
        object.__setattr__(self, "right", right)
        object.__setattr__(self, "shape", (left.shape[1], right.shape[1]))

    @property
    def count(self) -> int:
        return len(self.left)

    @cached_property
    def content_hash(self) -> str:
        return digest(self.shape, [self.left, self.right])

    def forward(self, matrix: Any) -> np.ndarray:
        products = self.left @ checked_matrix(matrix, self.shape)
        return np.einsum("pn,pn->p", products, self.right)

    def adjoint(self, values: Any) -> np.ndarray:
        weights = checked_values(values, self.count)
        return self.left.T @ (weights[:, None] * self.right)

    @property
    def norms(self) -> np.ndarray:
        return np.linalg.norm(self.left, axis=1) * np.linalg.norm(self.right, axis=1)

    def gram(self) -> np.ndarray:
        return (self.left @ self.left.T) * (self.right @ self.right.T)

    def solve_gram(self, values: Any) -> np.ndarray:
        return self._solver(checked_values(values, self.count))

    def subset(self, positions: Any) -> "RankOneOperator":
        return RankOneOperator(self.left[positions], self.right[positions])

    def loss(self, factorization: Any, values: np.ndarray, route: str = "auto") -> SensingLoss:
        """Mean over measurements of half the squared residual; its one route is ``"dense"``."""
        check_route(route, ("auto", "dense"))
        return SensingLoss(factorization, self.shape, self._vectors, values)

    @cached_property
    def _vectors(self) -> "_Vectors":
        with double_precision():
            return _Vectors(placed(self.left), placed(self.right))

    @cached_property
    def _solver(self) -> Solver:
        return gram_solver(self.gram())


class _Vectors(eqx.Module):
    left: jax.Array
    right: jax.Array

    def __call__(self, matrix: jax.Array) -> jax.Array:
        return jnp.sum((self.left @ matrix) * self.right, axis=1)
