"""Eigenpairs from products alone, against dense decompositions."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from factorflow import Completion, DeepLinear, Sensing, Symmetric
from factorflow._x64 import double_precision
from factorflow.dynamics._escape import curvature_along, directions_of_escape
from factorflow.dynamics._lanczos import largest_eigenpair

# Compiled as a whole: operation by operation takes longer.
_escape = eqx.filter_jit(directions_of_escape)
_bend = eqx.filter_jit(curvature_along)
_find = jax.jit(lambda K, known: largest_eigenpair(lambda x: K @ x, len(K), known))


def with_spectrum(values, seed=0):
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values),) * 2))[0]
    return Q * np.array(values) @ Q.T, Q


@pytest.mark.parametrize(
    "values",
    [
        np.linspace(-1, 1, 100),  # longer than one sweep
        np.concatenate([[1.0, 1 - 1e-5], np.linspace(-1, 0.9, 98)]),  # nearly a tie
        -np.geomspace(1e-3, 1, 100),  # all negative
        np.concatenate([[2.0], np.zeros(99)]),  # a Krylov space of two dimensions
    ],
)
def test_the_largest_eigenpair_is_that_of_a_dense_solver(values):
    K, Q = with_spectrum(values)
    top = np.argsort(values)
    with double_precision():
        value, vector, _ = jax.device_get(_find(K, jnp.zeros((100, 1))))
        second = float(_find(K, Q[:, top[-1:]]).value)
    scale = np.max(abs(values))
    np.testing.assert_allclose(value, values[top[-1]], atol=1e-8 * scale)
    np.testing.assert_allclose(second, values[top[-2]], atol=1e-8 * scale)
    np.testing.assert_allclose(np.linalg.norm(vector), 1)
    assert np.linalg.norm(K @ vector - value * vector) <= 1e-7 * scale


PROBLEM = Completion.sample(np.random.default_rng(0).normal(size=(7, 7)), n_observed=30, seed=0)


def gradient(problem, W):
    return problem.observed * (W - np.nan_to_num(problem.to_array())) / problem.n_observed


@pytest.mark.parametrize("route", ["dense", "entries"])
@pytest.mark.parametrize("factorization", [DeepLinear(2, [2]), Symmetric(2)], ids=str)
def test_directions_of_escape_are_the_top_of_the_spectrum(factorization, route):
    rng = np.random.default_rng(1)
    with double_precision():
        factors = tuple(rng.normal(size=size) for size in factorization.shapes((7, 7)))
        loss = PROBLEM.loss(factorization, route)
        found = _escape(loss, factors, 2, 1e-7)
        bend = float(_bend(loss, factors, found))
        found = jax.device_get(found)
        W = np.array(factorization.matrix(factors))
    G = gradient(PROBLEM, W)
    u, v = (each[:, 0] for each in (found.columns[0], found.columns[-1]))
    if isinstance(factorization, Symmetric):
        values = np.linalg.eigvalsh(-(G + G.T) / 2)[::-1]
    else:
        values = np.linalg.svd(G, compute_uv=False)
    np.testing.assert_allclose([found.value, found.runner_up], values[:2], rtol=1e-7)
    np.testing.assert_allclose(-u @ G @ v, values[0], rtol=1e-7)
    np.testing.assert_allclose(bend, u**2 @ PROBLEM.observed @ v**2 / 30, rtol=1e-9)
    assert found.count == 1
    assert found.n_gradients == 1 if route == "dense" else found.n_gradients > 7


def test_all_that_tie_leave_together():
    target = np.diag([2.0, 2.0, 2.0, 1.0])
    full = Completion.from_array(target)
    with double_precision():
        loss = full.loss(Symmetric(4))
        found = jax.device_get(_escape(loss, (np.zeros((4, 4)),), 4, 1e-7))
    assert found.count == 3
    span = np.array(found.columns[0])[:, :3]
    np.testing.assert_allclose(span @ span.T, np.diag([1.0, 1.0, 1.0, 0.0]), atol=1e-6)
    assert not np.array(found.columns[0])[:, 3].any()


def test_measurements_of_any_kind_have_directions():
    truth = np.outer(np.arange(1.0, 6.0), np.arange(1.0, 6.0))
    problem = Sensing.rank_one(truth, 12, seed=0)
    with double_precision():
        factors = (np.zeros((1, 5)), np.zeros((5, 1)))
        found = _escape(problem.loss(DeepLinear(2, [1])), factors, 1, 1e-7)
    G = problem.operator.adjoint(problem.values) / 12
    np.testing.assert_allclose(found.value, np.linalg.norm(G, 2), rtol=1e-7)
