"""Measurements of single entries."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import equinox as eqx
import jax
import numpy as np

from factorflow._errors import InputError
from factorflow._placed import placed
from factorflow._x64 import double_precision
from factorflow.problems._by_entries import EntriesLoss
from factorflow.problems._cell_loss import loss_of_cells
from factorflow.problems._cells import (
    check_range,
    checked_indices,
    checked_matrix_shape,
    refuse_none,
)
from factorflow.problems._dense import DenseLoss
from factorflow.problems._operator import AbstractOperator, checked_matrix, checked_values, digest
from factorflow.problems._route import check_route
from factorflow.problems._sensing_loss import SensingLoss


@dataclass(frozen=True, eq=False)
class EntryOperator(AbstractOperator):
    """Measurements ``W[i_k, j_k]``, or of the two entries of a symmetric pair at once.

    Parameters
    ----------
    shape
        ``(m, n)``.
    rows, columns
        Indices ``i_k`` and ``j_k``, in any order; no cell twice, so that ``A A*`` is diagonal.
    symmetric
        Whether ``A_k = (e_i e_j^T + e_j e_i^T) / 2``, which measures ``(W_ij + W_ji) / 2`` of a
        square matrix, instead of ``e_i e_j^T``.

    Raises
    ------
    InputError
        If an index lies outside the shape, a cell (or a pair) comes twice, or a symmetric
        operator is not square.
    """

    shape: tuple[int, int]
    rows: np.ndarray = field(repr=False)
    columns: np.ndarray = field(repr=False)
    symmetric: bool = False

    def __post_init__(self):
        m, n = checked_matrix_shape(self.shape)
        rows, columns = checked_indices(self.rows, "rows"), checked_indices(self.columns, "columns")
        if len(rows) != len(columns):
            raise InputError(
                "rows and columns must be vectors of one length; "
                f"got {len(rows)} and {len(columns)} indices."
            )
        refuse_none(len(rows))
        check_range(rows, "rows", m)
        check_range(columns, "columns", n)
        if self.symmetric and m != n:
            raise InputError(f"Symmetric pairs need a square matrix; the shape is {(m, n)}.")
        _refuse_repeats(rows, columns, n, self.symmetric)
        object.__setattr__(self, "shape", (m, n))
        for name, indices in (("rows", rows), ("columns", columns)):
            own = indices.astype(np.int32)
            own.setflags(write=False)
            object.__setattr__(self, name, own)

    @property
    def count(self) -> int:
        return len(self.rows)

    @cached_property
    def content_hash(self) -> str:
        return digest(self.shape, [self.rows, self.columns, np.array([self.symmetric], np.int32)])

    def forward(self, matrix: Any) -> np.ndarray:
        matrix = checked_matrix(matrix, self.shape)
        entries = matrix[self.rows, self.columns]
        return (entries + matrix[self.columns, self.rows]) / 2 if self.symmetric else entries

    def adjoint(self, values: Any) -> np.ndarray:
        result = np.zeros(self.shape)
        result[self.rows, self.columns] = checked_values(values, self.count)
        return (result + result.T) / 2 if self.symmetric else result

    @property
    def norms(self) -> np.ndarray:
        return np.sqrt(self.gram())

    def gram(self) -> np.ndarray:
        apart = self.symmetric & (self.rows != self.columns)
        return np.where(apart, 0.5, 1.0)

    def solve_gram(self, values: Any) -> np.ndarray:
        return checked_values(values, self.count) / self.gram()

    def subset(self, positions: Any) -> "EntryOperator":
        return EntryOperator(
            self.shape, self.rows[positions], self.columns[positions], self.symmetric
        )

    def loss(
        self, factorization: Any, values: np.ndarray, route: str = "auto"
    ) -> DenseLoss | EntriesLoss | SensingLoss:
        """Mean over measurements of half the squared residual, as a function of the factors.

        Routes: ``"dense"`` and ``"entries"`` as for a :class:`Completion`; symmetric pairs have
        ``"dense"`` alone.
        """
        if self.symmetric:
            check_route(route, ("auto", "dense"))
            return SensingLoss(factorization, self.shape, self._pairs, values)
        order = np.lexsort((self.columns, self.rows))
        indices = self.rows[order], self.columns[order]
        return loss_of_cells(factorization, self.shape, indices, values[order], route)

    @cached_property
    def _pairs(self) -> "_Pairs":
        with double_precision():
            return _Pairs(placed(self.rows), placed(self.columns))


class _Pairs(eqx.Module):
    rows: jax.Array
    columns: jax.Array

    def __call__(self, matrix: jax.Array) -> jax.Array:
        return (matrix[self.rows, self.columns] + matrix[self.columns, self.rows]) / 2


def _refuse_repeats(rows: np.ndarray, columns: np.ndarray, n: int, symmetric: bool) -> None:
    cells = rows * n + columns
    if symmetric:
        cells = np.minimum(cells, columns * n + rows)
    order = np.argsort(cells, kind="stable")
    again = np.diff(cells[order]) == 0
    if again.any():
        k = order[1:][again][0]
        pair = "pair" if symmetric else "cell"
        raise InputError(
            f"Each {pair} may be measured once; row {rows[k]}, column {columns[k]} comes again."
        )
