"""Gradients whose products go to BLAS are those of the definition, in every transformation."""

from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import factorflow as ff
from factorflow.problems._product_handlers import compiled
from factorflow.problems._products import product, worth_blas

SHAPE, WIDTHS = (66, 70), (67, 65)


@pytest.fixture(scope="module", params=["alone", "in company"])
def loss(request):
    rng = np.random.default_rng(0)
    problem = ff.Completion.sample(rng.standard_normal(SHAPE), n_observed=300, seed=0)
    with jax.enable_x64(True):
        loss = problem.loss(ff.DeepLinear(3, WIDTHS), "dense")
        return loss if request.param == "alone" else loss.for_company()


def drawn(loss, seed):
    with jax.enable_x64(True):
        start = ff.Gaussian(0.5)(loss.factorization, SHAPE, seed)
        return tuple(map(jnp.asarray, start))


def by_hand(loss, factors):
    """Value and gradient in NumPy: dL/dW_j = (W_N ... W_{j+1})^T G (W_{j-1} ... W_1)^T."""
    first, second, third = map(np.asarray, factors)
    residual = np.asarray(loss.observed) * (third @ second @ first - np.asarray(loss.values))
    slope = residual / float(loss.count)
    return 0.5 * np.sum(residual * slope), (
        (third @ second).T @ slope,
        third.T @ slope @ first.T,
        slope @ (second @ first).T,
    )


def on_host(arrays):
    """As NumPy has them, which computes in double precision everywhere."""
    return tuple(map(np.asarray, arrays))


def close(found, expected):
    for each, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(each, other, rtol=0, atol=1e-13)


@pytest.mark.parametrize("company", ["alone", "in company"])
def test_only_layers_that_are_not_small_go_to_blas(company):
    layers = [jax.ShapeDtypeStruct((65, 65), np.float64)] * 3
    assert worth_blas(ff.DeepLinear(3), layers, company)
    narrow = [jax.ShapeDtypeStruct(shape, np.float64) for shape in ((8, 65), (65, 8))]
    assert not worth_blas(ff.DeepLinear(2), narrow, company)
    single = [jax.ShapeDtypeStruct((65, 65), np.float32)] * 3
    assert not worth_blas(ff.DeepLinear(3), single, company)
    assert not worth_blas(ff.DeepLinear(1), layers[:1], company)
    assert not worth_blas(ff.Symmetric(), layers[:1], company)


def test_products_are_of_a_run_alone_or_in_company():
    with pytest.raises(ff.InputError, match="alone, in company"):
        product("crowd")


TARGETS = {kind: f"test product, {kind}" for kind in ("plain", "back", "slope")}


@pytest.fixture(scope="module")
def shared():
    """Handlers that share a product out among more threads than this machine may have."""
    for kind, handler in compiled(5).items():
        jax.ffi.register_ffi_target(TARGETS[kind], jax.ffi.pycapsule(handler), platform="cpu")


def called(kind, shapes, *arrays):
    with jax.enable_x64(True):
        outputs = [jax.ShapeDtypeStruct(shape, jnp.float64) for shape in shapes]
        return jax.ffi.ffi_call(TARGETS[kind], outputs)(*arrays)


SIZES = st.integers(1, 90) | st.sampled_from([160, 161, 223])


@settings(max_examples=20)
@given(SIZES, SIZES, SIZES, st.integers(0, 9))
def test_products_shared_out_are_those_of_numpy(shared, m, k, n, seed):
    rng = np.random.default_rng(seed)
    a, b, slope = (rng.standard_normal((3, *shape)) for shape in ((m, k), (k, n), (m, n)))
    (product,) = called("plain", [slope.shape], a, b)
    np.testing.assert_allclose(product, a @ b, rtol=0, atol=1e-13 * k)
    by_a, by_b = called("back", [a.shape, b.shape], a, b, slope)
    np.testing.assert_allclose(by_a, slope @ b.transpose(0, 2, 1), rtol=0, atol=1e-13 * n)
    np.testing.assert_allclose(by_b, a.transpose(0, 2, 1) @ slope, rtol=0, atol=1e-13 * m)


BATCHES = [((), ()), ((3,), (3,)), ((3,), (1,)), ((1,), (3,)), ((2, 3), (2, 1)), ((2, 3), (1, 3))]


@settings(max_examples=30)
@given(SIZES, SIZES, SIZES, st.sampled_from(BATCHES), st.integers(0, 9))
def test_slopes_shared_out_are_those_of_numpy(shared, m, k, n, batches, seed):
    """Also where a batch shares its values, or each of them is for a part of the batch."""
    rng = np.random.default_rng(seed)
    of_factors, of_values = batches
    a, b = (rng.standard_normal((*of_factors, *shape)) for shape in ((m, k), (k, n)))
    values = rng.standard_normal((*of_values, m, n))
    observed = rng.choice([0.0, 1.0, 2.0], (*of_values, m, n))
    count = rng.integers(1, 9, of_values).astype(float)
    residual = observed * (a @ b - values)
    slope, squares = called(
        "slope", [residual.shape, residual.shape[:-1]], a, b, values, observed, count
    )
    expected = observed * residual / count[..., None, None]
    np.testing.assert_allclose(slope, expected, rtol=0, atol=1e-12 * k)
    np.testing.assert_allclose(squares, np.sum(residual**2, axis=-1), rtol=1e-12 * k)


def test_threads_that_multiply_at_once_do_not_mix_their_products(shared):
    a = np.random.default_rng(0).standard_normal((200, 200))

    def power(k):
        """``(k a)^2``, thirty times."""
        with jax.enable_x64(True):
            output = jax.ShapeDtypeStruct(a.shape, jnp.float64)
            call = jax.ffi.ffi_call(TARGETS["plain"], output)
            return [np.asarray(call(k * a, k * a)) for _ in range(30)]

    with ThreadPoolExecutor(4) as pool:
        for k, products in enumerate(pool.map(power, range(1, 9)), 1):
            for each in products:
                np.testing.assert_allclose(each, k * k * (a @ a), rtol=0, atol=1e-10)


def test_value_and_gradient_alone_and_in_a_batch(loss):
    many = [drawn(loss, seed) for seed in range(3)]
    with jax.enable_x64(True):
        value, gradient = jax.jit(lambda factors: loss.value_and_gradient(factors))(many[0])
        stacked = tuple(map(jnp.stack, zip(*many, strict=True)))
        gradients = jax.jit(jax.vmap(lambda factors: loss.gradient(factors)))(stacked)
    expected_value, expected = by_hand(loss, many[0])
    np.testing.assert_allclose(value, expected_value, rtol=1e-13)
    close(gradient, expected)
    for k, factors in enumerate(many):
        close([each[k] for each in gradients], by_hand(loss, factors)[1])


def test_second_derivatives_are_differences_of_gradients(loss):
    factors, direction = drawn(loss, 0), drawn(loss, 1)
    with jax.enable_x64(True):
        along = jax.jvp(loss.gradient, (factors,), (direction,))[1]
    h = 1e-5
    ahead, behind = (
        by_hand(
            loss,
            [w + sign * h * d for w, d in zip(*map(on_host, (factors, direction)), strict=True)],
        )[1]
        for sign in (1, -1)
    )
    for each, a, b in zip(along, ahead, behind, strict=True):
        np.testing.assert_allclose(each, (a - b) / (2 * h), atol=1e-8)
