"""Sum of squared residuals over cells, and its gradients by the two halves of the matrix.

With ``matrix = left @ right`` and ``r_k = left[i_k] . right[:, j_k] - y_k`` over the cells `k`,

    S = 1/2 sum_k r_k^2,    dS/dleft[i] = sum_{k: i_k = i} r_k right[:, j_k],
    dS/dright[:, j] = sum_{k: j_k = j} r_k left[i_k].

The right half comes and goes transposed, ``(n, w)``, so that one cell reads two short rows.
"""

import functools
import threading

import jax
import jax.numpy as jnp
from jax.ops import segment_sum

from factorflow._host_call import register
from factorflow.problems._index import CellIndex

_VALUE, _GRADIENT = "factorflow_entries_value", "factorflow_entries_value_and_gradient"


def gathered_value(left, right_t, values, index: CellIndex):
    """``S`` by plain JAX operations, on any device."""
    return 0.5 * jnp.sum(_residuals(left, right_t, values, index) ** 2)


def gathered_value_and_gradient(left, right_t, values, index: CellIndex):
    """``(S, dS/dleft (m, w), dS/dright_t (n, w))`` by gather and sums over sorted segments."""
    residuals = _residuals(left, right_t, values, index)
    by_column = residuals[index.order_by_column]
    left_gradient = segment_sum(
        residuals[:, None] * right_t[index.columns],
        index.rows,
        num_segments=left.shape[0],
        indices_are_sorted=True,
    )
    right_gradient_t = segment_sum(
        by_column[:, None] * left[index.rows_by_column],
        index.columns_by_column,
        num_segments=right_t.shape[0],
        indices_are_sorted=True,
    )
    return 0.5 * jnp.sum(residuals**2), left_gradient, right_gradient_t


def _residuals(left, right_t, values, index):
    return jnp.sum(left[index.rows] * right_t[index.columns], axis=1) - values


@jax.custom_jvp
def kernel_value(left, right_t, values, index: CellIndex):
    """``S`` by the Numba kernel, on a CPU."""
    inputs = (left, right_t, values, index.row_starts, index.columns)
    row_sums, _ = _call(_VALUE, inputs, (left.shape[0],), values.shape)
    return 0.5 * jnp.sum(row_sums)


@kernel_value.defjvp
def _kernel_value_jvp(primals, tangents):
    left_tangent, right_tangent, values_tangent, _ = tangents
    value, residuals, left_gradient, right_gradient = _kernel_pass(*primals)
    return value, (
        jnp.vdot(left_gradient, left_tangent)
        + jnp.vdot(right_gradient, right_tangent)
        - jnp.vdot(residuals, values_tangent)
    )


def kernel_value_and_gradient(left, right_t, values, index: CellIndex):
    """``(S, dS/dleft (m, w), dS/dright_t (n, w))`` by the Numba kernel, on a CPU."""
    value, _, left_gradient, right_gradient_t = _kernel_pass(left, right_t, values, index)
    return value, left_gradient, right_gradient_t


@jax.custom_jvp
def _kernel_pass(left, right_t, values, index):
    inputs = (
        left,
        right_t,
        values,
        index.row_starts,
        index.columns,
        index.column_starts,
        index.rows_by_column,
        index.order_by_column,
    )
    row_sums, residuals, left_gradient, right_gradient, _ = _call(
        _GRADIENT,
        inputs,
        (left.shape[0],),
        values.shape,
        left.shape,
        right_t.shape,
        values.shape,
    )
    return 0.5 * jnp.sum(row_sums), residuals, left_gradient, right_gradient


@_kernel_pass.defjvp
def _kernel_pass_jvp(primals, tangents):
    # Second derivatives are rare; the gather route has them all.
    index = primals[3]

    def gathered(left, right_t, values):
        value, *gradients = gathered_value_and_gradient(left, right_t, values, index)
        return value, _residuals(left, right_t, values, index), *gradients

    _, tangents_out = jax.jvp(gathered, primals[:3], tangents[:3])
    return _kernel_pass(*primals), tangents_out


def _call(name, inputs, *shapes):
    with _loading:  # threads may trace their first loss at once
        _load_kernels()
    outputs = tuple(jax.ShapeDtypeStruct(shape, jnp.float64) for shape in shapes)
    return jax.ffi.ffi_call(name, outputs, vmap_method="sequential")(*inputs)


@functools.cache
def _load_kernels() -> None:
    """Compile the Numba kernels, or read them from the disk, and make them known to XLA."""
    from factorflow.problems import _kernels

    register(_VALUE, _kernels.value)
    register(_GRADIENT, _kernels.value_and_gradient)


_loading = threading.Lock()
