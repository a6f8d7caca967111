"""Multilinear regression: its loss and gradient, its data, and runs on it."""

import pickle

import numpy as np
import pytest

import factorflow as ff
from factorflow import InputError
from factorflow.factorizations import CP, HierarchicalTucker
from factorflow.problems import Completion, MultilinearRegression
from factorflow.trajectories import train_loss

SIZES = (3, 2, 4)
FACTORIZATIONS = [CP(3), HierarchicalTucker(3)]


def samples(p=20, sizes=SIZES, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal((p, size)) for size in sizes), rng.standard_normal(p)


def factors_of(factorization, sizes=SIZES, seed=1):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(shape) for shape in factorization.shapes(sizes))


@pytest.mark.parametrize("factorization", FACTORIZATIONS, ids=str)
def test_loss_is_that_of_the_contracted_tensor(factorization):
    inputs, targets = samples()
    problem, factors = MultilinearRegression(inputs, targets), factors_of(factorization)
    tensor = np.asarray(factorization.tensor(factors))
    residuals = np.einsum("abc,pa,pb,pc->p", tensor, *inputs) - targets
    loss = problem.loss(factorization)
    assert loss.route == "samples"
    assert problem.shape == SIZES
    assert float(loss(factors)) == pytest.approx(np.mean(residuals**2) / 2, rel=1e-12)
    predicted = problem.predict(factorization, factors)
    np.testing.assert_allclose(predicted, residuals + targets, rtol=1e-11, atol=1e-12)
    agreed = np.mean(np.sign(predicted) == np.sign(targets))
    assert problem.accuracy(factorization, factors) == agreed


@pytest.mark.parametrize("factorization", FACTORIZATIONS, ids=str)
def test_gradient_against_differences(factorization):
    problem, factors = MultilinearRegression(*samples()), factors_of(factorization)
    loss = problem.loss(factorization)
    rng = np.random.default_rng(2)
    direction = tuple(rng.standard_normal(factor.shape) for factor in factors)
    slope = sum(np.vdot(g, d) for g, d in zip(loss.gradient(factors), direction, strict=True))

    def along(step):
        return float(loss(tuple(f + step * d for f, d in zip(factors, direction, strict=True))))

    step = 1e-4
    wanted = (8 * (along(step) - along(-step)) - (along(2 * step) - along(-2 * step))) / (12 * step)
    assert slope == pytest.approx(wanted, rel=1e-7)


def test_one_hot_inputs_are_a_completion():
    rng = np.random.default_rng(3)
    indices = np.array(list(np.ndindex(*SIZES)))[rng.permutation(24)[:10]]
    values = rng.standard_normal(10)
    inputs = tuple(np.eye(size)[index] for size, index in zip(SIZES, indices.T, strict=True))
    factorization, factors = CP(3), factors_of(CP(3))
    own = MultilinearRegression(inputs, values).loss(factorization)
    other = Completion.from_tuples(indices, values, SIZES).loss(factorization)
    assert float(own(factors)) == pytest.approx(float(other(factors)), rel=1e-12)


def test_descent_finds_a_multilinear_function():
    inputs, _ = samples(p=60)
    vectors = [np.linspace(-1, 1.5, size) for size in SIZES]
    targets = np.prod([x @ w for x, w in zip(inputs, vectors, strict=True)], axis=0)
    problem = MultilinearRegression(inputs, targets)
    stop = ff.Stop(train_error=1e-8)
    solution = ff.solve(
        problem,
        CP(3),
        ff.GradientDescent(0.05),
        init=ff.Gaussian(0.3),
        stop=stop,
        record=ff.Record([train_loss()]),
    )
    assert solution.status.name == "TRAIN_ERROR"
    assert solution.route == "samples"
    truth = np.einsum("a,b,c->abc", *vectors)
    np.testing.assert_allclose(CP(3).tensor(solution.factors), truth, atol=1e-3)


def test_nothing_of_the_size_of_the_tensor_is_formed():
    """Of order 16 with vectors of 5 the tensor has 1.5e11 entries."""
    inputs, targets = samples(p=6, sizes=(5,) * 16)
    problem = MultilinearRegression(np.stack(inputs, axis=1), targets)
    factorization = CP(2)
    factors = factors_of(factorization, problem.shape)
    assert problem.shape == (5,) * 16
    products = np.prod([x @ f for x, f in zip(inputs, factors, strict=True)], axis=0).sum(axis=1)
    wanted = np.mean((products - targets) ** 2) / 2
    assert float(problem.loss(factorization)(factors)) == pytest.approx(wanted, rel=1e-12)


def test_split():
    inputs, targets = samples()
    problem = MultilinearRegression(inputs, targets)
    train, held_out = problem.split(0.25, seed=5)
    assert (train.n_samples, held_out.n_samples) == (15, 5)
    assert train.shape == held_out.shape == SIZES
    both = np.concatenate([train.targets, held_out.targets])
    np.testing.assert_array_equal(np.sort(both), np.sort(targets))
    rows = [np.flatnonzero(targets == target)[0] for target in held_out.targets]
    for given, kept in zip(inputs, held_out.inputs, strict=True):
        np.testing.assert_array_equal(kept, given[rows])
    assert problem.split(0.25, seed=5)[0].content_hash == train.content_hash
    assert problem.split(0.25, seed=6)[0].content_hash != train.content_hash


def test_hash_and_own_arrays():
    inputs, targets = samples()
    problem = MultilinearRegression(inputs, targets)
    square = np.stack([inputs[0], inputs[0]], axis=1)
    as_array = MultilinearRegression(square, targets)
    as_sequence = MultilinearRegression((inputs[0], inputs[0]), targets)
    assert as_array.content_hash == as_sequence.content_hash != problem.content_hash
    assert pickle.loads(pickle.dumps(problem)).content_hash == problem.content_hash
    inputs[0][0, 0] = 99
    assert problem.inputs[0][0, 0] != 99
    with pytest.raises(ValueError, match="read-only"):
        problem.inputs[0][0, 0] = 1


X, Y = samples()


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        (X[:1], Y, "two modes or more; got 1"),
        (X, Y[:7], "20, 20, 20 vectors and 7 targets"),
        (X[0], Y, r"\(p, N, M\), or a sequence .* shape \(20, 3\)"),
        ((X[0], X[1][:, 0]), Y, "The inputs of mode 1 must be an array of 2 axes"),
        ((X[0], X[1].astype(str)), Y, "The inputs of mode 1 must be real numbers"),
        ((X[0], np.where(X[1] > 1, np.inf, X[1])), Y, "The inputs of mode 1 must be finite"),
        (X, Y[:, None], "targets must be an array of 1 axes"),
    ],
)
def test_what_is_refused(inputs, targets, message):
    with pytest.raises(InputError, match=message):
        MultilinearRegression(inputs, targets)


def test_routes_and_shapes():
    problem = MultilinearRegression(X, Y)
    with pytest.raises(InputError, match="'dense'"):
        problem.loss(CP(2), "dense")
    with pytest.raises(InputError, match=r"shape \(3, 2, 5\), the problem is of shape \(3, 2, 4\)"):
        problem.loss(CP(2))(factors_of(CP(2), (3, 2, 5)))
    with pytest.raises(InputError, match=r"shape \(3, 2, 5\), the problem is of shape \(3, 2, 4\)"):
        problem.predict(CP(2), factors_of(CP(2), (3, 2, 5)))


def test_a_factorization_of_matrices_is_refused_at_two_modes():
    problem, model = MultilinearRegression(X[:2], Y), ff.DeepLinear(2)
    factors = factors_of(model, SIZES[:2])
    for call in (
        lambda: problem.loss(model),
        lambda: problem.predict(model, factors),
        lambda: problem.accuracy(model, factors),
        lambda: ff.solve(problem, model, ff.GradientDescent(0.1)),
    ):
        with pytest.raises(InputError, match="a factorization of tensors, such as CP"):
            call()
