"""Gradients whose products go to BLAS are those of the definition, in every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import factorflow as ff
from factorflow.problems._products import worth_blas

SHAPE, WIDTHS = (34, 36), (35, 33)


@pytest.fixture(scope="module")
def loss():
    rng = np.random.default_rng(0)
    problem = ff.Completion.sample(rng.standard_normal(SHAPE), n_observed=300, seed=0)
    with jax.enable_x64(True):
        return problem.loss(ff.DeepLinear(3, WIDTHS), "dense").for_company()


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


def test_only_layers_of_middling_size_go_to_blas(loss):
    assert worth_blas(loss.factorization, drawn(loss, 0))
    small = tuple(factor[:8, :8] for factor in drawn(loss, 0))
    assert not worth_blas(loss.factorization, small)
    assert not worth_blas(ff.DeepLinear(1), drawn(loss, 0)[:1])
    assert not worth_blas(ff.Symmetric(), drawn(loss, 0))


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
