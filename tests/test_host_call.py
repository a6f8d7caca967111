"""Host functions see XLA's own buffers, and their failures become errors of the computation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from factorflow._host_call import register
from factorflow._x64 import double_precision


def test_arrays_of_every_kind_pass_through():
    def scale(inputs, outputs):
        (matrix, indices, starts), (scaled, total) = inputs, outputs
        scaled[:] = 2 * matrix
        total[...] = indices.sum() + starts.sum()

    register("test_scale", scale)
    with double_precision():
        like = jax.ShapeDtypeStruct((3, 4), jnp.float64), jax.ShapeDtypeStruct((), jnp.int64)
        scaled, total = jax.jit(jax.ffi.ffi_call("test_scale", like))(
            jnp.arange(12.0).reshape(3, 4),
            jnp.arange(5, dtype=jnp.int32),
            jnp.array([7], jnp.int64),
        )
    np.testing.assert_array_equal(scaled, 2 * np.arange(12.0).reshape(3, 4))
    assert int(total) == 17


def test_an_exception_is_an_error_of_the_computation():
    def fail(inputs, outputs):
        raise RuntimeError("out of paper")

    register("test_fail", fail)
    call = jax.ffi.ffi_call("test_fail", jax.ShapeDtypeStruct((2,), jnp.int32))
    with pytest.raises(Exception, match="test_fail: RuntimeError: out of paper"):
        call()
