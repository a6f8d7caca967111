"""Regression by any power: its loss and gradient, its data, and runs on it."""

import pickle
from itertools import pairwise

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import factorflow as ff
from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.factorizations import DeepLinear
from factorflow.problems import Regression


def samples(p=30, d_in=6, d_out=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((p, d_in)), rng.standard_normal((p, d_out))


def factors_of(factorization, shape, seed=1):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(each) for each in factorization.shapes(shape))


FACTORIZATIONS = [
    DeepLinear(1),
    DeepLinear(2),
    DeepLinear(2, [1]),
    DeepLinear(3, [1, 7]),
    DeepLinear(3, [20, 20]),
]


@pytest.mark.parametrize("power", [1, 1.5, 2, 3, 4])
@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_loss_is_the_mean_over_samples(factorization, power):
    inputs, targets = samples()
    problem = Regression(inputs, targets, power)
    factors = factors_of(factorization, problem.shape)
    matrix = factors[0]
    for factor in factors[1:]:
        matrix = factor @ matrix
    own = [sum(abs(matrix @ x - y) ** power) / power for x, y in zip(inputs, targets, strict=True)]
    loss = problem.loss(factorization)
    assert loss.route == "dense"
    assert float(loss(factors)) == pytest.approx(np.mean(own), rel=1e-12)


@pytest.mark.parametrize("power", [1.5, 2, 3, 4])
@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_gradient_is_that_of_the_matrix_through_the_layers(factorization, power):
    inputs, targets = samples()
    problem = Regression(inputs, targets, power)
    factors = factors_of(factorization, problem.shape)
    products = [np.eye(problem.shape[1])]
    for factor in factors:
        products.append(factor @ products[-1])
    residuals = inputs @ products[-1].T - targets
    of_matrix = (np.sign(residuals) * abs(residuals) ** (power - 1)).T @ inputs / len(inputs)
    found = problem.loss(factorization).gradient(factors)
    after = np.eye(problem.shape[0])
    for j in reversed(range(len(factors))):
        wanted = after.T @ of_matrix @ products[j].T
        np.testing.assert_allclose(found[j], wanted, rtol=1e-10, atol=1e-10)
        after = after @ factors[j]


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0, 1), st.sampled_from([1, 1.5, 2, 3, 4, 5.5]))
def test_loss_of_a_matrix_is_convex(a, b, share, power):
    inputs, targets = samples(p=5, d_in=1, d_out=1)
    loss = Regression(inputs, targets, power).loss(DeepLinear(1))
    one, other, between = (
        float(loss((np.array([[w]]),))) for w in (a, b, share * a + (1 - share) * b)
    )
    assert between <= share * one + (1 - share) * other + 1e-9 * (1 + one + other)


def test_one_output_may_be_a_vector():
    inputs, targets = samples(d_out=1)
    problem = Regression(inputs, targets[:, 0])
    assert problem.shape == (1, 6)
    assert problem.n_samples == 30
    assert problem.content_hash == Regression(inputs, targets).content_hash


def test_descent_ends_on_least_squares():
    inputs, targets = samples()
    problem = Regression(inputs, targets)
    stop = ff.Stop(train_error=None, gradient_norm=1e-10)
    solution = ff.solve(problem, DeepLinear(1), ff.GradientDescent(0.3), stop=stop)
    wanted = np.linalg.lstsq(inputs, targets, rcond=None)[0].T
    np.testing.assert_allclose(solution.matrix, wanted, atol=1e-9)


def test_whitened_loss_is_a_distance():
    """L(W) = 1/2 ||W - F||^2 + constant with F the mean of y x^T."""
    inputs, targets = samples()
    mixed = inputs @ np.diag([1, 2, 3, 4, 5, 60.0]) + 1
    problem = Regression(mixed, targets).whitened()
    second_moment = problem.inputs.T @ problem.inputs / problem.n_samples
    np.testing.assert_allclose(second_moment, np.eye(6), atol=1e-12)
    best = problem.targets.T @ problem.inputs / problem.n_samples
    loss = problem.loss(DeepLinear(1))
    least = float(loss((best,)))
    for seed in range(3):
        matrix = np.random.default_rng(seed).standard_normal(problem.shape)
        distance = 0.5 * np.sum((matrix - best) ** 2)
        assert float(loss((matrix,))) - least == pytest.approx(distance, rel=1e-10)


def test_whitened_inputs_are_the_given_ones_turned_into_shape():
    """The change of inputs is one symmetric positive matrix, so that white inputs stay."""
    inputs, targets = samples()
    once = Regression(inputs, targets).whitened()
    change = np.linalg.lstsq(inputs, once.inputs, rcond=None)[0]
    np.testing.assert_allclose(change, change.T, atol=1e-12)
    assert np.linalg.eigvalsh(change).min() > 0
    np.testing.assert_allclose(once.whitened().inputs, once.inputs, atol=1e-12)


def test_standardized():
    inputs, targets = samples()
    problem = Regression(7 + 3 * inputs, 1e4 * targets - 5, 4).standardized()
    for table in (problem.inputs, problem.targets):
        np.testing.assert_allclose(table.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(table.var(axis=0), 1, rtol=1e-12)
    assert problem.power == 4


def test_batch_gives_what_single_runs_give():
    problems = [Regression(*samples(seed=seed), 4) for seed in range(3)]
    parts = DeepLinear(2), ff.GradientDescent(1e-3)
    stop = ff.Stop(train_error=None, n_gradients=50)
    together = ff.solve_many(problems, *parts, seeds=[0, 1, 2], stop=stop, how="batch")
    for seed, (problem, solution) in enumerate(zip(problems, together, strict=True)):
        alone = ff.solve(problem, *parts, seed=seed, stop=stop)
        np.testing.assert_allclose(solution.matrix, alone.matrix, rtol=1e-10)


def test_a_gradient_takes_two_products_with_the_inputs():
    inputs, targets = samples(p=200, d_in=50, d_out=1)
    for factorization in (DeepLinear(1), DeepLinear(2, [1]), DeepLinear(3, [1, 1])):
        problem = Regression(inputs, targets, 4)
        loss, factors = problem.loss(factorization), factors_of(factorization, problem.shape)
        with double_precision():
            compiled = jax.jit(lambda f, loss=loss: loss.gradient(f)).lower(factors).compile()
        analysis = compiled.cost_analysis()
        flops = (analysis[0] if isinstance(analysis, list) else analysis)["flops"]
        assert flops < 1.2 * 2 * (2 * inputs.size)


def test_wide_outputs_go_through_the_halves():
    """With one hidden unit no product of the size of the matrix is formed."""
    inputs, targets = samples(p=50, d_in=200, d_out=200)
    problem, factorization = Regression(inputs, targets), DeepLinear(2, [1])
    factors = factors_of(factorization, problem.shape)
    with double_precision():
        text = str(jax.make_jaxpr(problem.loss(factorization))(factors))
    assert "f64[200,200]" not in text
    matrix = factors[1] @ factors[0]
    wanted = 0.5 * np.sum((inputs @ matrix.T - targets) ** 2) / 50
    assert float(problem.loss(factorization)(factors)) == pytest.approx(wanted, rel=1e-12)


def test_hash_tells_samples_and_powers_apart():
    inputs, targets = samples()
    changed = inputs.copy()
    changed[3, 2] += 1e-9
    every = [
        Regression(inputs, targets),
        Regression(inputs, targets, 4),
        Regression(changed, targets),
        Regression(inputs, 2 * targets),
        Regression(inputs[:20], targets[:20]),
    ]
    assert all(a.content_hash != b.content_hash for a, b in pairwise(sorted(every, key=id)))
    assert Regression(inputs.copy(), targets, 2.0).content_hash == every[0].content_hash
    assert pickle.loads(pickle.dumps(every[0])).content_hash == every[0].content_hash


def test_samples_are_its_own():
    inputs, targets = samples()
    problem = Regression(inputs, targets)
    inputs[0, 0] = 99
    assert problem.inputs[0, 0] != 99
    with pytest.raises(ValueError, match="read-only"):
        problem.inputs[0, 0] = 1


X, Y = samples()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X[0], Y), r"inputs must be a table .* shape \(6,\)"),
        ((X[:, :0], Y), "inputs must be a table"),
        ((X, Y[:7]), "30 rows of inputs and 7 of targets"),
        ((X.astype(str), Y), "inputs must be real numbers"),
        ((X, np.where(np.arange(30) == 4, np.nan, Y[:, 0])), "targets must be finite; row 4"),
        ((X, Y, 0.5), r"power must be a finite number of 1 or more; got 0\.5"),
        ((X, Y, np.inf), "power must be"),
        ((X, Y, "4"), "power must be"),
        ((X, Y, True), "power must be"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Regression(*arguments)


def test_what_cannot_be_standardized_or_whitened():
    constant = np.column_stack([X, np.full(30, 2.0)])
    with pytest.raises(InputError, match="Column 6 of the inputs is the same"):
        Regression(constant, Y).standardized()
    with pytest.raises(InputError, match="span 6 of 7 directions"):
        Regression(np.column_stack([X, X[:, 0]]), Y).whitened()
    with pytest.raises(InputError, match="span 4 of 6 directions"):
        Regression(X[:4], Y[:4]).whitened()


def test_routes_and_shapes():
    problem = Regression(X, Y)
    with pytest.raises(InputError, match="'entries'"):
        problem.loss(DeepLinear(2), "entries")
    with pytest.raises(InputError, match=r"shape \(3, 5\), the problem is of shape \(3, 6\)"):
        problem.loss(DeepLinear(1))((np.zeros((3, 5)),))
