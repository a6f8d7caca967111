"""Every observable against NumPy, on snapshots of networks of several depths."""

from functools import reduce
from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest

from factorflow import Completion, DeepLinear, Gaussian, InputError
from factorflow._x64 import double_precision
from factorflow.trajectories import (
    Snapshot,
    determinant_sign,
    effective_rank,
    effective_rank_of,
    frobenius_norm,
    gradient_norm,
    held_out_error,
    matrix,
    mean_squared_error,
    nuclear_norm,
    reconstruction_error,
    schatten_norm,
    singular_values,
    train_error,
    train_loss,
    unbalancedness,
)

SHAPE = (9, 9)
NETWORKS = {"matrix": (1, None), "deep": (3, None), "thin": (2, (2,)), "narrow": (4, (6, 5, 7))}
TRUTH = np.random.default_rng(7).normal(size=SHAPE)
PROBLEM = Completion.sample(TRUTH, 50, seed=1)
TRAIN, HELD_OUT = PROBLEM.split(0.3, seed=0)


def values(matrix):
    return np.linalg.svd(matrix, compute_uv=False)


def entropy_rank(matrix):
    p = values(matrix) / values(matrix).sum()
    p = p[p > 1e-13]
    return np.exp(-(p * np.log(p)).sum())


def gaps(factors):
    pairs = pairwise(factors)
    return [np.linalg.norm(after.T @ after - before @ before.T) for before, after in pairs]


def square_root_mean(matrix, problem):
    kept = ~np.isnan(problem.to_array())
    return np.sqrt(np.mean((matrix - problem.to_array())[kept] ** 2))


# An observable is entered here: the observable, and NumPy's word on factors and matrix.
OBSERVABLES = {
    "train_loss": (train_loss(), lambda factors, W: 0.25),
    "train_error": (train_error(), lambda factors, W: 0.5),
    "gradient_norm": (gradient_norm(), lambda factors, W: 1.5),
    "singular_values": (singular_values(2), lambda factors, W: values(W)[:2]),
    "effective_rank": (effective_rank(), lambda factors, W: entropy_rank(W)),
    "nuclear_norm": (nuclear_norm(), lambda factors, W: np.linalg.norm(W, "nuc")),
    "frobenius_norm": (frobenius_norm(), lambda factors, W: np.linalg.norm(W)),
    "schatten_3_norm": (schatten_norm(3), lambda factors, W: np.linalg.norm(values(W), 3)),
    "schatten_1.5_norm": (schatten_norm(1.5), lambda factors, W: np.linalg.norm(values(W), 1.5)),
    "schatten_inf_norm": (schatten_norm(np.inf), lambda factors, W: np.linalg.norm(W, 2)),
    "matrix": (matrix(), lambda factors, W: W),
    "unbalancedness": (unbalancedness(), lambda factors, W: max(gaps(factors), default=0)),
    "reconstruction_error": (
        reconstruction_error(PROBLEM),
        lambda factors, W: np.linalg.norm(W - TRUTH) / np.linalg.norm(TRUTH),
    ),
    "reconstruction_error_unobserved": (
        reconstruction_error(PROBLEM, "unobserved"),
        lambda factors, W: (
            np.linalg.norm((W - TRUTH)[~PROBLEM.observed])
            / np.linalg.norm(TRUTH[~PROBLEM.observed])
        ),
    ),
    "mean_squared_error": (
        mean_squared_error(PROBLEM),
        lambda factors, W: np.mean((W - TRUTH) ** 2),
    ),
    "mean_squared_error_unobserved": (
        mean_squared_error(PROBLEM, "unobserved"),
        lambda factors, W: np.mean((W - TRUTH)[~PROBLEM.observed] ** 2),
    ),
    "held_out_error": (
        held_out_error(HELD_OUT),
        lambda factors, W: square_root_mean(W, HELD_OUT),
    ),
}
names = pytest.mark.parametrize("name", OBSERVABLES)
networks = pytest.mark.parametrize("network", NETWORKS)


@pytest.fixture(autouse=True)
def x64():
    with double_precision():
        yield


def factors_of(network, shape=SHAPE, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=size) for size in network.shapes(shape))


def snapshot_of(network, factors):
    zero = jnp.zeros((), int)
    return Snapshot(
        network, tuple(map(jnp.asarray, factors)), time=jnp.zeros(()), step=zero,
        n_gradients=zero, train_loss=jnp.asarray(0.25), gradient_norm=jnp.asarray(1.5),
    )  # fmt: skip


def snapshot_at(matrix):
    return snapshot_of(DeepLinear(1), (matrix,))


def product(factors):
    return reduce(lambda done, factor: factor @ done, factors)


@names
@networks
def test_an_observable_is_what_numpy_says(name, network):
    observable, expected = OBSERVABLES[name]
    network = DeepLinear(*NETWORKS[network])
    factors = factors_of(network)
    found = np.asarray(observable.function(snapshot_of(network, factors)))
    assert observable.name == name
    assert found.ndim == len(observable.dims)
    np.testing.assert_allclose(found, expected(factors, product(factors)), rtol=1e-9, atol=1e-12)


@names
def test_an_observable_says_what_it_is(name):
    observable, _ = OBSERVABLES[name]
    assert observable.description
    assert observable.units


def test_quasi_norm():
    matrix = np.diag([4.0, 1.0, 0.0])
    found = schatten_norm(0.5).function(snapshot_at(matrix))
    np.testing.assert_allclose(found, (2 + 1) ** 2, rtol=1e-12)
    assert "quasi-norm" in schatten_norm(0.5).description
    assert "quasi-norm" not in schatten_norm(1).description


@pytest.mark.parametrize("p", [0.25, 1, 4])
def test_schatten_norms_neither_under_nor_overflow(p):
    matrix = np.diag([3.0, 2.0, 0.5])
    norm = schatten_norm(p).function
    expected = norm(snapshot_at(matrix))
    for scale in (1e-150, 1e150):
        found = norm(snapshot_at(scale * matrix))
        np.testing.assert_allclose(found / scale, expected, rtol=1e-12)
    assert norm(snapshot_at(np.zeros((3, 3)))) == 0


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_effective_rank_of_equal_singular_values_is_their_number(rank):
    matrix = np.diag([2.0] * rank + [0.0] * (5 - rank))  # exact zeros: 0 ln 0 = 0
    found = effective_rank().function(snapshot_at(matrix))
    np.testing.assert_allclose(found, rank, rtol=1e-12)


def test_effective_rank_of_the_zero_matrix_is_no_number():
    assert np.isnan(effective_rank().function(snapshot_at(np.zeros((3, 3)))))


@pytest.mark.parametrize(
    ("matrix", "sign"),
    [
        (np.eye(3), 1),
        (np.diag([1.0, -1e-200, 1e-200]), -1),
        (np.eye(3)[[1, 0, 2]], -1),
        (np.ones((3, 3)), 0),
    ],
)
def test_determinant_sign(matrix, sign):
    assert determinant_sign().function(snapshot_at(matrix)) == sign


@pytest.mark.parametrize("signs", [(1, 1, 1), (1, -1, 1), (-1, -1, -1)])
def test_determinant_sign_where_the_product_has_lost_it(signs):
    rng = np.random.default_rng(1)
    layers = []
    for sign in signs:
        left, _ = np.linalg.qr(rng.normal(size=(4, 4)))
        right, _ = np.linalg.qr(rng.normal(size=(4, 4)))
        turn = np.sign(np.linalg.det(left) * np.linalg.det(right))
        layers.append(left * [1.0, 1e-3, 1e-9, 1e-12 * sign * turn] @ right)
    snapshot = snapshot_of(DeepLinear(3), tuple(layers))
    assert determinant_sign().function(snapshot) == np.prod(signs)


class OwnSign:
    """A factorization that knows the sign by itself."""

    def tensor(self, factors):
        return factors[0] * 0.0

    def determinant_sign(self, factors):
        return jnp.sign(factors[0][0, 0])


def test_a_factorization_may_know_the_sign_of_its_determinant():
    snapshot = snapshot_of(OwnSign(), (np.diag([-2.0, 1.0]),))
    assert determinant_sign().function(snapshot) == -1


@networks
def test_entries_of_a_snapshot_are_those_of_its_matrix(network):
    network = DeepLinear(*NETWORKS[network])
    factors = factors_of(network)
    rows, columns = np.array([0, 8, 3, 3]), np.array([8, 0, 3, 4])
    expected = product(factors)[rows, columns]
    snapshot = snapshot_of(network, factors)
    for _ in range(2):  # before and after the matrix is there
        np.testing.assert_allclose(snapshot.entries(rows, columns), expected, rtol=1e-10)
        np.testing.assert_allclose(snapshot.matrix, product(factors), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("make", [reconstruction_error, mean_squared_error])
def test_a_comparison_that_cannot_be(make):
    no_truth = Completion.from_array(np.ones((2, 2)))
    with pytest.raises(InputError, match="does not know its truth"):
        make(no_truth)
    everything = Completion.sample(TRUTH, TRUTH.size)
    with pytest.raises(InputError, match="Every entry is observed"):
        make(everything, "unobserved")
    with pytest.raises(InputError, match="entries must be"):
        make(PROBLEM, "observed")


def test_held_out_entries_outside_of_the_matrix_are_refused():
    larger = Completion.sample(np.ones((12, 12)), 144)
    snapshot = snapshot_of(DeepLinear(3), factors_of(DeepLinear(3)))
    with pytest.raises(InputError, match="shape"):
        held_out_error(larger).function(snapshot)


@pytest.mark.parametrize("p", [0, -1, np.nan])
def test_a_power_that_cannot_be(p):
    with pytest.raises(InputError, match="p must be positive"):
        schatten_norm(p)


@pytest.mark.parametrize("k", [0, -2])
def test_a_number_of_singular_values_that_cannot_be(k):
    with pytest.raises(InputError, match="k must be 1 or more"):
        singular_values(k)


def test_the_determinant_of_a_rectangle_is_refused():
    network = DeepLinear(2)
    snapshot = snapshot_of(network, Gaussian(0.5)(network, (3, 4), 0))
    with pytest.raises(InputError, match=r"square matrix; this has the shape \(3, 4\)"):
        determinant_sign().function(snapshot)


def test_the_zero_matrix_has_no_effective_rank():
    with double_precision():
        assert np.isnan(effective_rank_of(np.zeros(3)))
        assert effective_rank_of(np.array([2.0, 2.0, 0.0])) == pytest.approx(2)
