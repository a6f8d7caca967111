"""Sum of squared residuals of a stack of measurements, and its gradient, in one reading.

With a stack `A` of shape ``(p, q)``, ``r = A w - y``:

    S = 1/2 sum_k r_k^2,    dS/dw = A^T r,    dS/dy = -r.
"""

import functools
import threading

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from factorflow._host_call import register

_VALUE, _GRADIENT = "factorflow_stack_value", "factorflow_stack_value_and_gradient"


@jax.custom_jvp
def half_squares(stack, w, y):
    """``S`` by the Numba kernel, on a CPU."""
    (residuals,) = _call(_VALUE, stack, w, y, y.shape)
    return 0.5 * jnp.sum(residuals**2)


def half_squares_and_gradient(stack, w, y):
    """``(S, dS/dw)`` by the Numba kernel, on a CPU."""
    residuals, gradient = _residuals_and_gradient(stack, w, y)
    return 0.5 * jnp.sum(residuals**2), gradient


@functools.partial(half_squares.defjvp, symbolic_zeros=True)
def _half_squares_jvp(primals, tangents):
    stack, w, y = primals
    residuals, gradient = _residuals_and_gradient(stack, w, y)
    stack_tangent, w_tangent, y_tangent = tangents
    slope = _dot(gradient, w_tangent) - _dot(residuals, y_tangent)
    if not isinstance(stack_tangent, SymbolicZero):  # the measurements are hardly ever varied
        slope += jnp.vdot(residuals, stack_tangent.astype(w.dtype) @ w)
    return 0.5 * jnp.sum(residuals**2), slope


@jax.custom_jvp
def _residuals_and_gradient(stack, w, y):
    return tuple(_call(_GRADIENT, stack, w, y, y.shape, w.shape))


@_residuals_and_gradient.defjvp
def _residuals_and_gradient_jvp(primals, tangents):
    # Second derivatives are rare; plain products have them all.
    def plain(stack, w, y):
        full = stack.astype(w.dtype)
        residuals = full @ w - y
        return residuals, residuals @ full

    return _residuals_and_gradient(*primals), jax.jvp(plain, primals, tangents)[1]


def _dot(derivative, tangent):
    if isinstance(tangent, SymbolicZero):
        return jnp.zeros((), derivative.dtype)
    return jnp.vdot(derivative, tangent)


def _call(name, stack, w, y, *shapes):
    with _loading:  # threads may trace their first loss at once
        _load_kernels()
    outputs = tuple(jax.ShapeDtypeStruct(shape, jnp.float64) for shape in shapes)
    # Many vectors come to the kernel at once: it reads a stack that they share only once.
    return jax.ffi.ffi_call(name, outputs, vmap_method="expand_dims")(stack, w, y)


@functools.cache
def _load_kernels() -> None:
    """Compile the Numba kernels, or read them from the disk, and make them known to XLA."""
    from factorflow.problems import _stack_kernels

    register(_VALUE, _stack_kernels.value)
    register(_GRADIENT, _stack_kernels.value_and_gradient)


_loading = threading.Lock()
