"""The three ways to compute one loss agree with each other and with finite differences."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.factorizations import DeepLinear
from factorflow.problems import Completion, DenseLoss, EntriesLoss

ROUTES = ("dense", "numba", "gather")
# (shape, observed cells, hidden widths): wide, tall, narrow, one row, rows and columns without
# observations, and enough cells for several threads.
CASES = [
    ((7, 5), 20, (4, 3)),
    ((5, 9), 45, (2,)),
    ((1, 6), 3, (1,)),
    ((12, 1), 5, (3, 2, 4)),
    ((30, 40), 17, (6,)),
    ((150, 130), 15_000, (33,)),
]


def losses(problem, factorization):
    cells = problem.indices, problem.values
    return {
        "dense": problem.loss(factorization, "dense"),
        "numba": EntriesLoss(factorization, problem.shape, *cells, kernel="numba"),
        "gather": EntriesLoss(factorization, problem.shape, *cells, kernel="gather"),
    }


def case(shape, n_observed, widths, seed=0):
    rng = np.random.default_rng(seed)
    factorization = DeepLinear(len(widths) + 1, widths)
    problem = Completion.sample(rng.standard_normal(shape), n_observed, seed=seed)
    factors = tuple(rng.standard_normal(each) for each in factorization.shapes(shape))
    return problem, factorization, factors


def assert_close(actual, expected, rtol=1e-12):
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        scale = np.abs(np.asarray(b)).max()
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale)


@jax.jit  # operation by operation takes longer
def every_way(loss, factors):
    return loss(factors), loss.value_and_gradient(factors)


@pytest.mark.parametrize("sizes", CASES, ids=str)
def test_routes_agree_with_the_definition(sizes):
    problem, factorization, factors = case(*sizes)
    residual = np.linalg.multi_dot(factors[::-1]) - problem.to_array()
    expected = 0.5 * np.nanmean(residual**2)
    by_route = losses(problem, factorization)
    with double_precision():
        found = {route: every_way(loss, factors) for route, loss in by_route.items()}
    dense = found["dense"][1][1]
    for value, (again, gradient) in found.values():
        assert float(value) == pytest.approx(expected, rel=1e-12)
        assert float(again) == pytest.approx(expected, rel=1e-12)
        assert_close(gradient, dense)


@settings(max_examples=6)
@given(st.integers(0, 1000), st.sampled_from(ROUTES))
def test_gradient_is_the_slope(seed, route):
    problem, factorization, factors = case((6, 7), 20, (3, 4), seed)
    loss = losses(problem, factorization)[route]
    rng = np.random.default_rng(seed + 1)
    direction = tuple(rng.standard_normal(factor.shape) for factor in factors)
    # Along a line the loss is a polynomial of degree 6: six points give its slope exactly.
    steps = np.array([-3, -2, -1, 1, 2, 3]) * 1e-2
    weights = np.array([-1, 9, -45, 45, -9, 1]) / 60e-2
    along = [
        float(loss(tuple(f + step * d for f, d in zip(factors, direction, strict=True))))
        for step in steps
    ]
    slope = sum(np.vdot(g, d) for g, d in zip(loss.gradient(factors), direction, strict=True))
    assert weights @ along == pytest.approx(slope, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("route", ROUTES)
def test_automatic_differentiation_takes_every_route(route):
    problem, factorization, factors = case(*CASES[0])
    by_route = losses(problem, factorization)
    loss, dense = by_route[route], by_route["dense"]
    with double_precision():
        factors = tuple(map(jnp.asarray, factors))
        tangent = jax.tree.map(jnp.cos, factors)

        @jax.jit
        def derivatives(loss, at, along):
            first = jax.jvp(loss, (at,), (along,))
            return jax.grad(loss)(at), first, jax.jvp(loss.gradient, (at,), (along,))

        found, expected = (derivatives(each, factors, tangent) for each in (loss, dense))
        assert_close(found, expected)
        assert_close(found[0], dense.gradient(factors))


@pytest.mark.parametrize("route", ["numba", "gather"])
def test_values_can_be_differentiated_too(route):
    problem, factorization, factors = case(*CASES[0])
    loss = losses(problem, factorization)[route]
    with double_precision():
        by_values = jax.grad(
            lambda values: jax.tree.unflatten(
                jax.tree.structure(loss), [values, *jax.tree.leaves(loss)[1:]]
            )(factors)
        )(loss.values)
    matrix = np.linalg.multi_dot(factors[::-1])
    residuals = matrix[problem.rows, problem.columns] - problem.values
    assert_close(by_values, -residuals / problem.n_observed)


@pytest.mark.parametrize("route", ROUTES)
def test_maps_over_factors_and_over_losses(route):
    problem, factorization, factors = case(*CASES[0])
    loss = losses(problem, factorization)[route]
    other = losses(problem.with_values(problem.values + 1), factorization)[route]
    with double_precision():
        both_factors = tuple(jnp.stack([factor, 2 * factor]) for factor in factors)
        both_losses = jax.tree.map(lambda *leaves: jnp.stack(leaves), loss, other)
        by_factors = jax.jit(jax.vmap(lambda each: loss.value_and_gradient(each)))(both_factors)
        by_losses = jax.jit(jax.vmap(lambda each: each.value_and_gradient(factors)))(both_losses)
    twice = tuple(2 * factor for factor in factors)
    for k, (one, at) in enumerate([(loss, factors), (loss, twice)]):
        assert_close(jax.tree.map(lambda x, k=k: x[k], by_factors), one.value_and_gradient(at))
    for k, one in enumerate([loss, other]):
        assert_close(jax.tree.map(lambda x, k=k: x[k], by_losses), one.value_and_gradient(factors))


def test_the_kernel_does_not_depend_on_the_number_of_threads(monkeypatch):
    from factorflow.problems import _kernels

    problem, factorization, factors = case(*CASES[-1])
    loss = losses(problem, factorization)["numba"]
    answers = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(_kernels, "_N_THREADS", threads)
        monkeypatch.setattr(_kernels, "_WORTH_A_THREAD", 1)
        answers.append(jax.tree.leaves(loss.value_and_gradient(factors)))
    for answer in answers[1:]:
        for a, b in zip(answer, answers[0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_kernel_runs_in_a_compiled_loop():
    problem, factorization, factors = case((2000, 500), 20_000, (16,))
    loss = losses(problem, factorization)["numba"]

    @jax.jit
    def descend(loss, factors):
        def step(state):
            k, factors = state
            gradient = loss.gradient(factors)
            return k + 1, jax.tree.map(lambda f, g: f - 10.0 * g, factors, gradient)

        return jax.lax.while_loop(lambda state: state[0] < 200, step, (0, factors))[1]

    with double_precision():
        end = descend(loss, tuple(map(jnp.asarray, factors)))
    assert float(loss(end)) < 0.9 * float(loss(factors))


@pytest.mark.parametrize("route", ROUTES)
def test_factors_of_another_shape_are_refused(route):
    problem, factorization, _ = case(*CASES[0])
    _, _, factors = case((8, 5), 20, (4, 3))
    loss = losses(problem, factorization)[route]
    with pytest.raises(InputError, match=r"\(8, 5\).*\(7, 5\)"):
        loss.value_and_gradient(factors)
    with pytest.raises(InputError, match=r"\(8, 5\).*\(7, 5\)"):
        loss(factors)


def test_dense_takes_values_and_observed_of_one_shape():
    with pytest.raises(InputError, match=r"\(2, 3\) and \(3, 2\)"):
        DenseLoss(DeepLinear(1), np.zeros((2, 3)), np.ones((3, 2)), 6)


def test_depth_three_takes_six_matrix_products():
    problem, factorization, factors = case((20, 20), 100, (20, 20))
    loss = problem.loss(factorization, "dense")
    with double_precision():
        compiled = jax.jit(lambda loss, factors: loss.value_and_gradient(factors))
        text = compiled.lower(loss, factors).compile().as_text()
    assert text.count(" dot(") == 6


def test_a_pickled_loss_works_in_a_fresh_process():
    problem, factorization, factors = case(*CASES[0])
    loss = losses(problem, factorization)["numba"]
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        there = pool.submit(slope_elsewhere, pickle.dumps((loss, factors))).result(timeout=120)
    assert_close(there, jax.tree.map(np.asarray, loss.gradient(factors)))


def slope_elsewhere(pickled):
    loss, factors = pickle.loads(pickled)
    return jax.tree.map(np.asarray, loss.gradient(factors))
