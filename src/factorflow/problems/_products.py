"""Products of matrices of middling size by BLAS within compiled programs, on a CPU.

XLA shares out every product among all threads. At 100x100 that takes as long as one thread of
BLAS alone, at up to twice the processor time, which runs side by side lack. Below these sizes the
call counts more than the product, above them XLA does as well. A single run is left to XLA: to
load the handlers takes longer than it would save, and one call of NumPy's for the whole gradient
made runs at 100x100 and 200x200 no faster.
"""

import functools
import threading
from collections.abc import Sequence

import jax
import jax.numpy as jnp

# Sides of a cube of as many multiplications as a product has.
_SMALLEST, _LARGEST = 32, 160

_TARGETS = {
    "plain": "factorflow_product",
    "left": "factorflow_product_left_transposed",
    "right": "factorflow_product_right_transposed",
}


def worth_blas(factorization, factors: Sequence[jax.Array]) -> bool:
    """Whether BLAS is the better for the products of a gradient by these layers."""
    if not hasattr(factorization, "matrix_by") or len(factors) < 2:
        return False
    if jax.default_backend() != "cpu" or any(factor.dtype != jnp.float64 for factor in factors):
        return False
    sides = [factors[0].shape[1], *(factor.shape[0] for factor in factors)]
    return min(sides) >= _SMALLEST and max(sides) <= _LARGEST


@jax.custom_vjp
def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """``a @ b`` of two matrices; its derivatives are such products too, of first order alone."""
    return _call("plain", a, b, (a.shape[0], b.shape[1]))


def _forward(a, b):
    return product(a, b), (a, b)


def _backward(kept, slope):
    a, b = kept
    return _call("right", slope, b, a.shape), _call("left", a, slope, b.shape)


product.defvjp(_forward, _backward)


def _call(kind: str, a, b, shape):
    with _loading:  # threads may trace their first loss at once
        _load()
    output = jax.ShapeDtypeStruct(shape, jnp.float64)
    return jax.ffi.ffi_call(_TARGETS[kind], output, vmap_method="broadcast_all")(a, b)


@functools.cache
def _load() -> None:
    """Compile the handlers, or read them from the disk, and make them known to XLA."""
    from factorflow.problems import _product_handlers

    for kind, target in _TARGETS.items():
        handler = _product_handlers.HANDLERS[kind]
        jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(handler.ctypes), platform="cpu")


_loading = threading.Lock()
