"""The loss that visits the observed entries alone."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from factorflow._errors import InputError
from factorflow._placed import placed
from factorflow._x64 import double_precision
from factorflow.problems import _half_gradients as by_halves
from factorflow.problems._dense import DenseLoss
from factorflow.problems._index import CellIndex, cell_index
from factorflow.problems._loss import AbstractLoss, Factors
from factorflow.problems._numbers import index_names

_KERNELS = ("auto", "numba", "gather")


class EntriesLoss(AbstractLoss):
    """Mean over observations of half the squared residual, without forming the unknown.

        L = 1/(2p) sum_k (left[i_k] . right[:, j_k] - y_k)^2,    matrix = left @ right

    The halves come from ``factorization.halves(factors)``, of which a tensor's are formed only
    where a cell was observed. Time and memory are of the order of ``p w``, not ``m n w``, for
    halves of width `w`; a tensor's halves are ``(q_1 + q_2) w`` numbers for `q_1` and `q_2`
    different observed beginnings and ends of an index, ``8 w (q_1 + q_2)`` bytes a copy.

    Parameters
    ----------
    factorization
        A factorization with ``halves``: of matrices, of depth 2 or more.
    shape
        ``(m, n)``, or ``(d_1, ..., d_N)`` with a factorization of tensors.
    indices
        A vector for each axis, of the `p` observed cells, sorted.
    values
        Their values, shape ``(p,)``.
    kernel
        ``"numba"``: compiled kernels on all cores of a CPU (as many threads as
        ``NUMBA_NUM_THREADS``); the sums do not depend on the number of threads. ``"gather"``:
        JAX operations, on any device. ``"auto"``: Numba where JAX computes on a CPU.

    Raises
    ------
    InputError
        If the cells do not fit the shape or are not sorted, or the kernel is unknown.
    """

    route: ClassVar[str] = "entries"
    entrywise: ClassVar[bool] = True
    factorization: Any = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    kernel: str = eqx.field(static=True)
    values: jax.Array
    index: CellIndex
    ends: tuple[jax.Array, jax.Array] | None

    def __init__(
        self,
        factorization: Any,
        shape: Sequence[int],
        indices: Sequence[np.ndarray],
        values: np.ndarray,
        kernel: str = "auto",
    ):
        indices, values = tuple(map(np.asarray, indices)), np.asarray(values)
        self.shape = tuple(map(int, shape))
        _check_cells(self.shape, indices, values)
        self.factorization = factorization
        self.kernel = _chosen(kernel)
        ends, sizes = None, self.shape[:2]
        if hasattr(factorization, "halves_at"):  # of tensors
            ends, indices = _observed_ends(indices, factorization.n_left(self.shape))
            sizes = (len(ends[0]), len(ends[1]))
        if np.any(np.diff(indices[0]) < 0):
            raise InputError("cells must be sorted; make a Completion, which sorts them.")
        with double_precision():
            self.values = placed(values, jnp.float64)
            self.index = cell_index((sizes[0], sizes[1]), *indices)
            self.ends = None if ends is None else (placed(ends[0]), placed(ends[1]))

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
        """The same loss by the route that forms the whole unknown."""
        with double_precision():
            empty = jnp.zeros(self.shape)
            cells: tuple[jax.Array, ...] = self.index.rows, self.index.columns
            if self.ends is not None:
                halves = zip(self.ends, cells, strict=True)
                cells = tuple(axis for ends, of in halves for axis in ends[of].T)
            values = empty.at[cells].set(self.values)
            return DenseLoss(
                self.factorization, values, empty.at[cells].set(1.0), self.values.shape[0]
            )

    @property
    def _compiled(self) -> bool:
        return self.kernel == "numba"

    def _halves(self, factors: Factors) -> tuple[jax.Array, jax.Array]:
        if self.ends is None:
            left, right = self.factorization.halves(factors)
            self._check_shape((left.shape[0], right.shape[1]))
        else:
            self._check_shape(self.factorization.sizes(factors))
            left, right = self.factorization.halves_at(factors, *self.ends)
        return left.astype(jnp.float64), right.astype(jnp.float64)

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        if shape != self.shape:  # the kernels trust their indices
            raise InputError(
                f"The factors make an unknown of shape {shape}, "
                f"the problem is of shape {self.shape}."
            )


def _observed_ends(indices, n_left: int):
    """The different beginnings and ends of the observed indices, and where each cell has them."""
    beginnings, rows = np.unique(np.stack(indices[:n_left], 1), axis=0, return_inverse=True)
    ends, columns = np.unique(np.stack(indices[n_left:], 1), axis=0, return_inverse=True)
    return (beginnings, ends), (rows.ravel(), columns.ravel())


def default_kernel() -> str:
    """``"numba"`` where JAX computes on a CPU, else ``"gather"``."""
    return "numba" if jax.default_backend() == "cpu" else "gather"


def _chosen(kernel: str) -> str:
    if kernel not in _KERNELS:
        raise InputError(f"kernel must be one of {', '.join(_KERNELS)}; got {kernel!r}.")
    return default_kernel() if kernel == "auto" else kernel


def _check_cells(shape, indices, values) -> None:
    names = index_names(len(shape))
    lengths = {each.shape for each in (*indices, values)}
    if len(indices) != len(shape) or len(lengths) != 1 or values.ndim != 1 or not len(values):
        raise InputError(
            f"{', '.join(names)} and values must be vectors of one length, 1 or more; "
            f"got shapes {', '.join(str(each.shape) for each in (*indices, values))}."
        )
    for name, each, size in zip(names, indices, shape, strict=True):
        if each.min() < 0 or each.max() >= size:
            raise InputError(
                f"{name} must lie in 0..{size - 1}; they run from {each.min()} to {each.max()}."
            )
