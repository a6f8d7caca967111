"""The loss that visits the observed entries alone."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.problems import _half_gradients as by_halves
from factorflow.problems._dense import DenseLoss
from factorflow.problems._index import CellIndex, cell_index
from factorflow.problems._loss import AbstractLoss, Factors

_KERNELS = ("auto", "numba", "gather")


class EntriesLoss(AbstractLoss):
    """Mean over observations of half the squared residual, without forming the matrix.

        L = 1/(2p) sum_k (left[i_k] . right[:, j_k] - y_k)^2,    matrix = left @ right

    The halves come from ``factorization.halves(factors)``. Time and memory are of the order of
    ``p w``, not ``m n w``, for halves of width `w`.

    Parameters
    ----------
    factorization
        A factorization with ``halves``, so of depth 2 or more.
    shape
        ``(m, n)``.
    rows, columns
        Indices of the `p` observed cells, sorted by row.
    values
        Their values, shape ``(p,)``.
    kernel
        ``"numba"``: compiled kernels on all cores of a CPU (as many threads as
        ``NUMBA_NUM_THREADS``); the sums do not depend on the number of threads. ``"gather"``:
        JAX operations, on any device. ``"auto"``: Numba where JAX computes on a CPU.

    Raises
    ------
    InputError
        If the cells do not fit the shape or are not sorted by row, or the kernel is unknown.
    """

    route: ClassVar[str] = "entries"
    entrywise: ClassVar[bool] = True
    factorization: Any = eqx.field(static=True)
    shape: tuple[int, int] = eqx.field(static=True)
    kernel: str = eqx.field(static=True)
    values: jax.Array
    index: CellIndex

    def __init__(
        self,
        factorization: Any,
        shape: tuple[int, int],
        rows: np.ndarray,
        columns: np.ndarray,
        values: np.ndarray,
        kernel: str = "auto",
    ):
        rows, columns, values = np.asarray(rows), np.asarray(columns), np.asarray(values)
        _check_cells(shape, rows, columns, values)
        self.factorization = factorization
        self.shape = (int(shape[0]), int(shape[1]))
        self.kernel = _chosen(kernel)
        with double_precision():
            self.values = jnp.asarray(values, jnp.float64)
            self.index = cell_index(self.shape, rows, columns)

    def __call__(self, factors: Factors) -> jax.Array:
        function = by_halves.kernel_value if self._compiled else by_halves.gathered_value
        with double_precision():
            left, right = self._halves(factors)
            return function(left, right.T, self.values, self.index) / self.values.shape[0]

    def value_and_gradient(self, factors: Factors) -> tuple[jax.Array, Factors]:
        function = (
            by_halves.kernel_value_and_gradient
            if self._compiled
            else by_halves.gathered_value_and_gradient
        )
        count = self.values.shape[0]
        with double_precision():
            (left, right), pull_back = jax.vjp(self._halves, tuple(factors))
            value, left_gradient, right_gradient_t = function(
                left, right.T, self.values, self.index
            )
            return value / count, pull_back((left_gradient / count, right_gradient_t.T / count))[0]

    def dense(self) -> DenseLoss:
        """The same loss by the route that forms the matrix."""
        with double_precision():
            empty = jnp.zeros(self.shape)
            cells = self.index.rows, self.index.columns
            values = empty.at[cells].set(self.values)
            return DenseLoss(
                self.factorization, values, empty.at[cells].set(1.0), self.values.shape[0]
            )

    @property
    def _compiled(self) -> bool:
        return self.kernel == "numba"

    def _halves(self, factors: Factors) -> tuple[jax.Array, jax.Array]:
        left, right = self.factorization.halves(factors)
        if (left.shape[0], right.shape[1]) != self.shape:  # the kernels trust their indices
            raise InputError(
                f"The factors make a matrix of shape {(left.shape[0], right.shape[1])}, "
                f"the problem is of shape {self.shape}."
            )
        return left.astype(jnp.float64), right.astype(jnp.float64)


def default_kernel() -> str:
    """``"numba"`` where JAX computes on a CPU, else ``"gather"``."""
    return "numba" if jax.default_backend() == "cpu" else "gather"


def _chosen(kernel: str) -> str:
    if kernel not in _KERNELS:
        raise InputError(f"kernel must be one of {', '.join(_KERNELS)}; got {kernel!r}.")
    return default_kernel() if kernel == "auto" else kernel


def _check_cells(shape, rows, columns, values) -> None:
    if not rows.shape == columns.shape == values.shape or rows.ndim != 1 or not len(rows):
        raise InputError(
            "rows, columns and values must be vectors of one length, 1 or more; "
            f"got shapes {rows.shape}, {columns.shape} and {values.shape}."
        )
    for name, indices, size in (("rows", rows, shape[0]), ("columns", columns, shape[1])):
        if indices.min() < 0 or indices.max() >= size:
            raise InputError(
                f"{name} must lie in 0..{size - 1}; they run from {indices.min()} to "
                f"{indices.max()}."
            )
    if np.any(np.diff(rows) < 0):
        raise InputError("cells must be sorted by row; make a Completion, which sorts them.")
