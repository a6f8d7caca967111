"""Products of matrices of middling size and above by BLAS within compiled programs, on a CPU.

XLA's own products of two such matrices take up to half as long again as those of BLAS, and as much
as twice the processor time, which runs side by side lack. Below these sizes the call counts more
than the product.
"""

import functools
import os
import threading
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from factorflow._cores import usable_cores
from factorflow._errors import InputError

Product = Callable[[jax.Array, jax.Array], jax.Array]
SquaredError = Callable[[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]

# Least side of a matrix. Alone a run must last long enough to make up for loading the handlers.
_SMALLEST = {"alone": 64, "in company": 32}
_MOST_THREADS = 8  # that share one product


def worth_blas(factorization, factors: Sequence[jax.Array], company: str) -> bool:
    """Whether BLAS is the better for the products of a gradient by these layers.

    ``company`` says whether the run is ``"alone"`` or ``"in company"`` of others in threads.
    """
    if not hasattr(factorization, "halves_by") or len(factors) < 2 or os.name != "posix":
        return False
    if jax.default_backend() != "cpu" or any(factor.dtype != jnp.float64 for factor in factors):
        return False
    sides = [factors[0].shape[1], *(factor.shape[0] for factor in factors)]
    return min(sides) >= _SMALLEST[company]


@functools.cache
def product(company: str) -> Product:
    """``a @ b`` of two matrices; its derivatives are such products too, of first order alone.

    Alone it is shared out among XLA's threads; in company every thread has its own.
    """
    call = functools.partial(_call, _checked(company))

    @jax.custom_vjp
    def multiply(a: jax.Array, b: jax.Array) -> jax.Array:
        return call("plain", (a, b), (a.shape[0], b.shape[1]))[0]

    def forward(a, b):
        return multiply(a, b), (a, b)

    def backward(kept, slope):
        a, b = kept
        return _back(call, a, b, slope)

    multiply.defvjp(forward, backward)
    return multiply


@functools.cache
def squared_error(company: str) -> SquaredError:
    """Half the sum of squares of ``observed * (a @ b - values)`` over ``count``.

    Its slope by the product is made row by row while the product is in the cache. It has
    derivatives by ``a`` and ``b``, of first order alone.
    """
    call = functools.partial(_call, _checked(company))

    def with_slope(a, b, values, observed, count):
        shape = (a.shape[0], b.shape[1])
        slope, squares = call("slope", (a, b, values, observed, count), shape, shape[:1])
        return 0.5 * jnp.sum(squares) / count, slope

    @jax.custom_vjp
    def error(a, b, values, observed, count):
        return with_slope(a, b, values, observed, count)[0]

    def forward(a, b, values, observed, count):
        value, slope = with_slope(a, b, values, observed, count)
        return value, (a, b, slope)

    def backward(kept, by):
        a, b, slope = kept
        return *_back(call, a, b, by * slope), None, None, None

    error.defvjp(forward, backward)
    return error


def _back(call, a, b, slope):
    """The slopes by ``a`` and ``b`` of what has this slope by their product."""
    by_a, by_b = call("back", (a, b, slope), a.shape, b.shape)
    return by_a, by_b


def _call(company: str, kind: str, arrays, *shapes):
    with _loading:  # threads may trace their first loss at once
        _load(company)
    outputs = [jax.ShapeDtypeStruct(shape, jnp.float64) for shape in shapes]
    return jax.ffi.ffi_call(_target(company, kind), outputs, vmap_method="expand_dims")(*arrays)


def _checked(company: str) -> str:
    if company not in _SMALLEST:
        raise InputError(f"company must be one of {', '.join(_SMALLEST)}; got {company!r}.")
    return company


def _target(company: str, kind: str) -> str:
    return f"factorflow product {kind}, {company}"


@functools.cache
def _load(company: str) -> None:
    """Compile the handlers and make them known to XLA."""
    from factorflow.problems import _product_handlers

    n_threads = min(usable_cores(), _MOST_THREADS) if company == "alone" else 1
    for kind, handler in _product_handlers.compiled(n_threads).items():
        capsule = jax.ffi.pycapsule(handler)
        jax.ffi.register_ffi_target(_target(company, kind), capsule, platform="cpu")


_loading = threading.Lock()
