"""Losses of linear measurements against automatic differentiation of the plain formula."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow import DeepLinear, EarlyStopping, Gaussian, Stop, solve, solve_many
from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.problems import Completion, DenseOperator, EntryOperator, Sensing
from factorflow.trajectories import mean_squared_error

RNG = np.random.default_rng(0)
TRUTH = RNG.standard_normal((6, 6))
NETWORK = DeepLinear(3, (4, 5))


def in_float64(problem):
    return Sensing(DenseOperator(problem.operator.matrices.astype(np.float64)), problem.values)


GAUSSIAN = Sensing.gaussian(TRUTH, 21, noise=0.3)
LARGE = Sensing.gaussian(RNG.standard_normal((30, 40)), 700, noise=0.3)
# A problem and one of its routes are entered here.
LOSSES = {
    "fused": (GAUSSIAN, "fused"),
    "fused, float64": (in_float64(GAUSSIAN), "fused"),
    "fused, symmetric": (Sensing.gaussian(TRUTH, 21, symmetric=True), "fused"),
    "fused, threads": (LARGE, "fused"),
    "dense": (GAUSSIAN, "dense"),
    "dense, symmetric": (Sensing.gaussian(TRUTH, 21, symmetric=True), "dense"),
    "rank one": (Sensing.rank_one(TRUTH, 21, noise=0.1), "dense"),
    "rank one, symmetric": (Sensing.rank_one(TRUTH, 21, symmetric=True, noise=0.1), "dense"),
    "entries": (Sensing.entries(TRUTH, 21, noise=0.1), "entries"),
    "entries, dense": (Sensing.entries(TRUTH, 21, noise=0.1), "dense"),
    "entries, symmetric": (Sensing.entries(TRUTH, 18, symmetric=True, noise=0.1), "dense"),
    "unsorted entries": (Sensing(EntryOperator((3, 4), [2, 0, 1], [0, 3, 1]), [1, 2, 3]), "auto"),
}
each_loss = pytest.mark.parametrize(("problem", "route"), LOSSES.values(), ids=LOSSES.keys())
KINDS = ("gaussian", "rank_one", "entries")
kinds = pytest.mark.parametrize("kind", KINDS)


def written_out(operator):
    """The matrices ``A_i`` from what the operator makes of the unit vectors."""
    return np.stack([operator.adjoint(unit) for unit in np.eye(operator.count)])


def plain(problem):
    """The loss from the formula, with the matrices in full."""
    stack = jnp.asarray(written_out(problem.operator))

    def loss(factors):
        residuals = jnp.einsum("pmn,mn->p", stack, NETWORK.matrix(factors)) - problem.values
        return jnp.mean(residuals**2) / 2

    return loss


def factors_of(problem, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.standard_normal(each)) for each in NETWORK.shapes(problem.shape))


def assert_close(actual, expected, rtol=1e-11):
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


@each_loss
def test_loss_and_gradient_are_those_of_the_formula(problem, route):
    loss = problem.loss(NETWORK, route)
    assert route in (loss.route, "auto")

    @jax.jit
    def every_way(loss, at):
        return loss(at), loss.value_and_gradient(at), jax.value_and_grad(lambda at: loss(at))(at)

    with double_precision():
        factors = factors_of(problem)
        expected = jax.jit(jax.value_and_grad(plain(problem)))(factors)
        assert_close(every_way(loss, factors), (expected[0], expected, expected))
        assert_close(loss(factors), expected[0])  # not compiled


@pytest.mark.parametrize("name", ["fused", "dense", "rank one", "entries, symmetric"])
def test_derivatives_along_a_direction(name):
    problem, route = LOSSES[name]
    loss = problem.loss(NETWORK, route)
    with double_precision():
        formula = plain(problem)
        at, along = (factors_of(problem),), (factors_of(problem, seed=1),)

        @jax.jit
        def slopes(at, along):
            first = jax.jvp(loss, at, along), jax.jvp(formula, at, along)
            second = jax.jvp(loss.gradient, at, along), jax.jvp(jax.grad(formula), at, along)
            return tuple(zip(first, second, strict=True))

        assert_close(*slopes(at, along))


@pytest.mark.parametrize("name", ["fused", "dense", "rank one", "entries, symmetric"])
def test_maps_over_factors_and_over_losses(name):
    problem, route = LOSSES[name]
    loss = problem.loss(NETWORK, route)
    other = problem.with_values(problem.values + 1).loss(NETWORK, loss.route)
    with double_precision():
        factors = factors_of(problem)
        grid = jax.tree.map(
            lambda x: jnp.stack([jnp.stack([x, 2 * x]), jnp.stack([-x, 3 * x])]), factors
        )
        losses = jax.tree.map(lambda *leaves: jnp.stack(leaves), loss, other)

        @jax.jit
        def one(loss, factors):
            return loss(factors), loss.value_and_gradient(factors)

        def at(tree, *place):
            return jax.tree.map(lambda x: x[place], tree)

        shared = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (None, 0)))(loss, grid)
        own = jax.jit(jax.vmap(one))(losses, at(grid, 0))
        product = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(losses, at(grid, 0))
        for i, own_loss in enumerate((loss, other)):
            assert_close(at(own, i), one(own_loss, at(grid, 0, i)))
            for j in range(2):
                assert_close(at(shared, i, j), one(loss, at(grid, i, j)))
                assert_close(at(product, i, j), one(own_loss, at(grid, 0, j)))


@pytest.mark.parametrize("route", ["fused", "dense"])
def test_measurements_and_values_can_be_varied_too(route):
    loss = GAUSSIAN.loss(NETWORK, route)
    with double_precision():
        factors = factors_of(GAUSSIAN)
        residuals = GAUSSIAN.operator.forward(NETWORK.matrix(factors)) - GAUSSIAN.values
        slope = jax.grad(lambda loss: loss(factors))(loss)
        matrix = np.asarray(NETWORK.matrix(factors))
    assert_close(slope.values, -residuals / 21)
    stack = next(leaf for leaf in jax.tree.leaves(slope) if leaf.ndim == 2)
    by_stack = np.outer(residuals, matrix.ravel()) / 21
    assert_close(np.asarray(stack, np.float64), by_stack, 1e-6)


@each_loss
def test_a_pickled_loss_is_the_same(problem, route):
    loss = problem.loss(NETWORK, route)
    again = pickle.loads(pickle.dumps(loss))
    assert jax.tree.structure(again) == jax.tree.structure(loss)
    for found, expected in zip(jax.tree.leaves(again), jax.tree.leaves(loss), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@each_loss
def test_factors_of_another_shape_are_refused(problem, route):
    m, n = problem.shape
    loss = problem.loss(DeepLinear(1), route if route != "entries" else "dense")
    for function in (loss, loss.value_and_gradient):
        with pytest.raises(InputError, match=rf"\({m}, {n + 1}\).*\({m}, {n}\)"):
            function((np.zeros((m, n + 1)),))


@kinds
@pytest.mark.parametrize("symmetric", [False, True])
def test_the_same_seed_gives_the_same_problem(kind, symmetric):
    make = getattr(Sensing, kind)
    one, same, other, noisy = (
        make(TRUTH, 15, symmetric=symmetric, **each)
        for each in ({"seed": 3}, {"seed": 3}, {"seed": 4}, {"seed": 3, "noise": 0.5})
    )
    assert one.content_hash == same.content_hash != other.content_hash
    assert noisy.content_hash != one.content_hash
    assert noisy.operator.content_hash == one.operator.content_hash
    np.testing.assert_array_equal(one.values, one.operator.forward(TRUTH))
    np.testing.assert_array_equal(one.truth, TRUTH)


@kinds
@pytest.mark.parametrize("symmetric", [False, True])
def test_noise_has_the_given_deviation(kind, symmetric):
    problem = getattr(Sensing, kind)(np.zeros((70, 70)), 2000, symmetric=symmetric, noise=0.5)
    # The relative deviation of an empirical standard deviation of 2000 draws is 1/63.
    assert np.std(problem.values) == pytest.approx(0.5, rel=5 / 63)


@pytest.mark.parametrize("kind", ["gaussian", "rank_one"])
def test_measurements_have_the_mean_square_of_the_entries(kind):
    shape, count = (12, 20), 4000
    operator = getattr(Sensing, kind)(np.zeros(shape), count).operator
    if kind == "gaussian":
        stack = operator.matrices
    else:
        stack = np.einsum("pm,pn->pmn", operator.left, operator.right)
    # Squares of entries have deviation at most sqrt(8) times their mean, over 4000 draws.
    mean_square = (stack**2).mean(axis=0) * 240
    assert np.abs(mean_square - 1).max() < 5 * np.sqrt(8 / count)
    assert np.abs(stack.mean(axis=0)).max() * np.sqrt(240) < 5 / np.sqrt(count)
    values = operator.forward(np.ones(shape))
    assert np.mean(values**2) == pytest.approx(1, rel=5 * np.sqrt(8 / count))


def test_symmetric_gaussians_are_the_symmetric_parts():
    plain, symmetric = (Sensing.gaussian(TRUTH, 9, symmetric=each) for each in (False, True))
    draws = plain.operator.matrices.astype(np.float64)
    halves = (draws + draws.transpose(0, 2, 1)) / 2
    np.testing.assert_allclose(symmetric.operator.matrices, halves, rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", ["gaussian", "rank_one"])
def test_more_measurements_begin_with_the_fewer(kind):
    few, many = (getattr(Sensing, kind)(TRUTH, count, seed=2) for count in (5, 12))
    np.testing.assert_allclose(few.values, many.values[:5], rtol=1e-12)


def test_entries_are_those_of_a_completion():
    problem = Sensing.entries(TRUTH, 15, noise=0.0, seed=7)
    completion = Completion.sample(TRUTH, 15, seed=7)
    np.testing.assert_array_equal(problem.operator.adjoint(np.ones(15)) == 1, completion.observed)
    np.testing.assert_array_equal(problem.values, completion.values)
    operator = completion.operator
    assert operator is completion.operator
    assert operator.content_hash == problem.operator.content_hash
    np.testing.assert_array_equal(operator.forward(TRUTH), completion.values)


def test_all_pairs_can_be_drawn_and_no_more():
    problem = Sensing.entries(np.eye(4), 10, symmetric=True)
    seen = problem.operator.adjoint(np.ones(10)) > 0
    assert seen.all()
    with pytest.raises(InputError, match="between 1 and 10"):
        Sensing.entries(np.eye(4), 11, symmetric=True)


@kinds
@given(fraction=st.floats(0.01, 0.99), seed=st.integers(0, 5))
def test_split_parts_the_measurements(kind, fraction, seed):
    problem = getattr(Sensing, kind)(TRUTH, 12, noise=1.0)
    train, held_out = problem.split(fraction, seed)
    assert train.n_observed + held_out.n_observed == 12
    assert min(train.n_observed, held_out.n_observed) >= 1
    assert abs(held_out.n_observed - 12 * fraction) <= 1
    found = sorted([*train.values, *held_out.values])
    np.testing.assert_array_equal(found, np.sort(problem.values))
    for part in (train, held_out):
        errors = np.abs(part.values[:, None] - problem.values)
        own = written_out(problem.operator)[errors.argmin(axis=1)]
        np.testing.assert_array_equal(written_out(part.operator), own)
        assert part.shape == problem.shape
        np.testing.assert_array_equal(part.truth, TRUTH)


def test_measurements_of_your_own():
    matrices = RNG.standard_normal((5, 2, 3))
    problem = Sensing(DenseOperator(matrices), [1, 2, 3, 4, 5])
    assert problem.shape == (2, 3)
    assert problem.n_observed == 5
    assert problem.truth is None
    assert problem.values.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        problem.values[0] = 0
    changed = problem.with_values(np.zeros(5))
    assert changed.operator is problem.operator
    assert changed.content_hash != problem.content_hash
    assert changed.content_hash == problem.with_values(-np.zeros(5)).content_hash


OPERATOR = DenseOperator(np.ones((2, 3, 3)))
WRONG = {
    "no operator": (lambda: Sensing(np.ones((2, 3, 3)), [1, 2]), r"DenseOperator\(...\)"),
    "count": (lambda: Sensing(OPERATOR, [1, 2, 3]), "values must be 2"),
    "text": (lambda: Sensing(OPERATOR, ["1", "2"]), "real numbers"),
    "not finite": (lambda: Sensing(OPERATOR, [1, np.nan]), "measurement 1 is nan"),
    "truth": (lambda: Sensing(OPERATOR, [1, 2], np.eye(4)), r"\(3, 3\); got \(4, 4\)"),
    "truth not finite": (
        lambda: Sensing.gaussian([[np.inf]], 2),
        "truth must be finite everywhere",
    ),
    "square": (lambda: Sensing.gaussian(np.ones((2, 3)), 2, symmetric=True), "square"),
    "none": (lambda: Sensing.gaussian(np.eye(2), 0), "n_measurements must be 1 or more"),
    "half": (lambda: Sensing.rank_one(np.eye(2), 1.5), "n_measurements must be an integer"),
    "too many": (lambda: Sensing.entries(np.eye(2), 5), "between 1 and 4"),
    "noise": (lambda: Sensing.gaussian(np.eye(2), 2, noise=-1), "noise"),
    "seed": (lambda: Sensing.gaussian(np.eye(2), 2, seed=-1), "seed"),
    "split": (lambda: Sensing.gaussian(np.eye(2), 1).split(0.5), "two"),
    "route": (lambda: GAUSSIAN.loss(NETWORK, "entries"), "auto, dense, fused; got 'entries'"),
    "rank one": (lambda: Sensing.rank_one(TRUTH, 3).loss(NETWORK, "fused"), "auto, dense; got"),
    "entries": (lambda: Sensing.entries(TRUTH, 3).loss(NETWORK, "fused"), "dense, entries; got"),
    "unobserved": (lambda: mean_squared_error(GAUSSIAN, "unobserved"), "no single entries"),
    "held out": (lambda: EarlyStopping("last"), "a Sensing; got str"),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_used_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


LOW_RANK = 3 * np.outer(RNG.standard_normal(10), RNG.standard_normal(10))
TWO = DeepLinear(2)
EXACT = Stop(train_error=1e-8)
# Of one shape and number of measurements, so that little is compiled.
FIRST, SECOND = (Sensing.gaussian(LOW_RANK, 60, seed=seed) for seed in (0, 1))


def relative_error(matrix):
    return np.linalg.norm(matrix - LOW_RANK) / np.linalg.norm(LOW_RANK)


@pytest.mark.parametrize("route", ["auto", "dense"])
def test_a_matrix_is_recovered_from_few_measurements(route):
    solution = solve(FIRST, TWO, stop=EXACT, route=route)
    assert solution.route == ("fused" if route == "auto" else route)
    error = relative_error(solution.matrix)
    assert error < 0.03
    # The matrix of least Frobenius norm misses what was not measured, 40 of 100 dimensions.
    assert relative_error(FIRST.operator.adjoint(FIRST.operator.solve_gram(FIRST.values))) > 0.5
    recorded = solution.trajectory["reconstruction_error"].values[-1]
    assert recorded == pytest.approx(error, rel=1e-6)


@pytest.mark.parametrize(
    ("problems", "how"),
    [
        ([FIRST] * 4, "batch"),
        ([FIRST, SECOND] * 2, "auto"),
        ([FIRST, SECOND] * 2, "batch"),
    ],
)
def test_many_runs_are_the_same_runs_one_by_one(problems, how):
    together = solve_many(problems, TWO, init=Gaussian(0.1), seeds=range(4), stop=EXACT, how=how)
    for seed, (problem, found) in enumerate(zip(problems, together, strict=True)):
        alone = solve(problem, TWO, init=Gaussian(0.1), seed=seed, stop=EXACT)
        assert found.route == alone.route == "fused"
        assert found.n_gradients == alone.n_gradients
        np.testing.assert_allclose(found.matrix, alone.matrix, rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", ["gaussian", "entries"])
def test_early_stopping_keeps_the_least_error_on_held_out_measurements(kind):
    train, held_out = getattr(Sensing, kind)(LOW_RANK, 86, noise=1.0).split(0.3)
    assert train.n_observed == FIRST.n_observed
    solution = solve(train, TWO, early_stopping=EarlyStopping(held_out, patience=2.0))
    gap = held_out.operator.forward(solution.matrix) - held_out.values
    error = np.sqrt(np.mean(gap**2))
    assert solution.held_out_error == pytest.approx(error, rel=1e-9)
    recorded = solution.trajectory["held_out_error"].values
    assert error <= recorded.min() * (1 + 1e-9)
    assert error < recorded[0] / 2
