"""The preconditioner and the end-to-end velocity, each by independent routes."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow import DeepLinear, InputError
from factorflow.initializers import balanced_factors
from factorflow.theory import end_to_end_velocity, preconditioner

# Of each: the matrix and its rank.
MATRICES = {
    "square": lambda rng: (rng.normal(size=(4, 4)), 4),
    "tall": lambda rng: (rng.normal(size=(5, 3)), 3),
    "wide": lambda rng: (rng.normal(size=(3, 5)), 3),
    "rank 2 of 4": lambda rng: (rng.normal(size=(4, 2)) @ rng.normal(size=(2, 4)), 2),
    "rank 1, tall": lambda rng: (rng.normal(size=(5, 1)) @ rng.normal(size=(1, 3)), 1),
    "equal values": lambda rng: (np.linalg.qr(rng.normal(size=(4, 4)))[0], 4),
    "exact zeros": lambda rng: (np.diag([3.0, 1.0, 0.0]), 2),
    "small": lambda rng: (1e-6 * rng.normal(size=(3, 4)), 3),
    "row": lambda rng: (rng.normal(size=(1, 4)), 1),
    "zero": lambda rng: (np.zeros((3, 2)), 0),
}
matrices = pytest.mark.parametrize("name", MATRICES)
whole_depths = pytest.mark.parametrize("depth", [1, 2, 3, 5, 8])
all_depths = pytest.mark.parametrize("depth", [1, 1.5, 2, 2.7, 3, 40, np.inf])


def an_instance(name):
    rng = np.random.default_rng(len(name))
    matrix, rank = MATRICES[name](rng)
    return matrix, rank, rng.normal(size=matrix.shape)


def power_of(vectors, values, rank, size, power):
    """``[A A^T]^power`` of `A` with these left vectors, where ``[A A^T]^0 = I``."""
    kept = np.zeros(size)
    kept[:rank] = values[:rank] ** (2 * power)
    return vectors * (kept if power > 0 else np.ones(size)) @ vectors.T


def by_matrix_powers(matrix, rank, gradient, depth):
    left, values, right = np.linalg.svd(matrix)
    m, n = matrix.shape
    return -sum(
        power_of(left, values, rank, m, (depth - j) / depth)
        @ gradient
        @ power_of(right.T, values, rank, n, (j - 1) / depth)
        for j in range(1, depth + 1)
    )


def product(factors):
    return reduce(lambda done, factor: factor @ done, factors)


def after_descent(factors, gradient, learning_rate, weight_decay):
    """The product after one step on every layer."""
    moved = []
    for j, factor in enumerate(factors):
        above = reduce(lambda done, f: f @ done, factors[j + 1 :], np.eye(factor.shape[0]))
        below = reduce(lambda done, f: f @ done, factors[:j], np.eye(factors[0].shape[1]))
        slope = above.T @ gradient @ below.T + weight_decay * factor
        moved.append(factor - learning_rate * slope)
    return product(moved)


def by_layers(matrix, gradient, depth, weight_decay=0.0, widths=None):
    """Derivative of the product with respect to the learning rate, to fourth order."""
    factors = balanced_factors(matrix, DeepLinear(depth, widths).shapes(matrix.shape))
    rate = 2e-4
    ends = [after_descent(factors, gradient, k * rate, weight_decay) for k in (-2, -1, 1, 2)]
    return (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * rate)


def tolerance(gradient, matrix, depth):
    return 1e-8 * (1 + np.linalg.norm(gradient) * np.linalg.norm(matrix, 2) ** (2 - 2 / depth))


@matrices
@whole_depths
def test_three_routes_agree(name, depth):
    matrix, rank, gradient = an_instance(name)
    velocity = end_to_end_velocity(matrix, gradient, depth)
    atol = tolerance(gradient, matrix, depth)
    by_powers = by_matrix_powers(matrix, rank, gradient, depth)
    np.testing.assert_allclose(velocity, by_powers, rtol=0, atol=atol)
    np.testing.assert_allclose(velocity, by_layers(matrix, gradient, depth), rtol=0, atol=atol)


@whole_depths
@pytest.mark.parametrize("name", ["tall", "rank 2 of 4"])
def test_weight_decay_and_wider_layers(name, depth):
    matrix, _, gradient = an_instance(name)
    widths = tuple(range(5, 4 + depth))
    velocity = end_to_end_velocity(matrix, gradient, depth, weight_decay=0.3)
    layers = by_layers(matrix, gradient, depth, weight_decay=0.3, widths=widths or None)
    np.testing.assert_allclose(velocity, layers, rtol=0, atol=tolerance(gradient, matrix, depth))


@matrices
@all_depths
def test_dense_matrix_is_the_map(name, depth):
    """Symmetric, positive semidefinite, and on stacked columns what ``apply`` is on matrices."""
    matrix, _, gradient = an_instance(name)
    found = preconditioner(matrix, depth)
    dense = found.matrix
    size = max(found.eigenvalues.max(), 1e-300)
    np.testing.assert_allclose(dense, dense.T, rtol=0, atol=1e-13 * size)
    assert np.linalg.eigvalsh((dense + dense.T) / 2).min() >= -1e-13 * size
    moved = dense @ gradient.ravel(order="F")
    velocity = end_to_end_velocity(matrix, gradient, depth)
    np.testing.assert_allclose(moved, -velocity.ravel(order="F"), rtol=0, atol=1e-12 * size)
    np.testing.assert_array_equal(found.apply(gradient), -velocity)


@matrices
@all_depths
def test_eigenvectors(name, depth):
    found = preconditioner(an_instance(name)[0], depth)
    size = found.eigenvalues.max()
    identity = found.eigenvectors.T @ found.eigenvectors
    np.testing.assert_allclose(identity, np.eye(len(identity)), rtol=0, atol=1e-13)
    for r, s in np.ndindex(found.eigenvalues.shape):
        vector = np.outer(found.left[:, r], found.right[:, s])
        column = found.eigenvectors[:, s * len(found.left) + r]
        np.testing.assert_array_equal(vector.ravel(order="F"), column)
        expected = found.eigenvalues[r, s] * vector
        np.testing.assert_allclose(found.apply(vector), expected, rtol=0, atol=1e-13 * size)


@matrices
@all_depths
def test_vectors_and_values_are_of_the_matrix(name, depth):
    matrix, rank, _ = an_instance(name)
    found = preconditioner(matrix, depth)
    k = len(found.singular_values)
    back = found.left[:, :k] * found.singular_values @ found.right[:, :k].T
    np.testing.assert_allclose(back, matrix, rtol=0, atol=1e-14 * (1 + np.abs(matrix).max()))
    assert np.count_nonzero(found.singular_values) == rank


@pytest.mark.parametrize("depth", [1, 1.5, 2, 2.7, 3, 40])
@pytest.mark.parametrize("name", ["square", "tall", "wide", "rank 2 of 4", "equal values"])
def test_least_eigenvalue(name, depth):
    """At least ``sigma_min^(2-2/N)``, and positive just where the rank is full."""
    matrix, rank, _ = an_instance(name)
    least = preconditioner(matrix, depth).least_eigenvalue
    sigma = np.linalg.svd(matrix, compute_uv=False)[-1] if rank == min(matrix.shape) else 0.0
    bound = sigma ** (2 - 2 / depth)
    assert least >= bound * (1 - 1e-12)
    assert (least > 0) == (rank == min(matrix.shape) or depth == 1)
    if matrix.shape[0] == matrix.shape[1]:
        assert least == pytest.approx(depth * bound, rel=1e-9, abs=0)


@given(
    st.lists(st.floats(0.05, 20), min_size=2, max_size=2, unique=True),
    st.floats(1, 60),
)
def test_divided_difference_of_real_depth(values, depth):
    a, b = values
    if abs(a / b - 1) < 1e-3:
        return
    found = preconditioner(np.diag(values), depth)
    quotient = (a**2 - b**2) / (a ** (2 / depth) - b ** (2 / depth))
    np.testing.assert_allclose(found.eigenvalues[[0, 1], [1, 0]], quotient, rtol=1e-9)


@matrices
def test_infinite_depth_is_the_logarithmic_mean(name):
    """``lambda / N`` tends to it like ``1/N`` where no singular value is zero."""
    matrix, rank, gradient = an_instance(name)
    found = preconditioner(matrix, np.inf)
    sigma = found.singular_values[:rank]
    for r, a in enumerate(sigma):
        for s, b in enumerate(sigma):
            if abs(a / b - 1) > 1e-9:
                mean = (a**2 - b**2) / (np.log(a**2) - np.log(b**2))
                assert found.eigenvalues[r, s] == pytest.approx(mean, rel=1e-9)
            else:
                assert found.eigenvalues[r, s] == pytest.approx(a**2, rel=1e-9)
    assert np.all(found.eigenvalues[rank:] == 0)
    assert np.all(found.eigenvalues[:, rank:] == 0)
    decayed = [
        end_to_end_velocity(matrix, gradient, depth, 0.2) / scale
        for depth, scale in ((1e7, 1e7), (np.inf, 1))
    ]
    np.testing.assert_allclose(*decayed, rtol=0, atol=1e-5 * (1 + np.abs(decayed[1]).max()))


@pytest.mark.parametrize("depth", [5, 40, 1000])
def test_rounding_is_no_direction(depth):
    """Of rank 1 in exact arithmetic: rounding of 1e-16 has a root of 0.96 at depth 1000."""
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in (4, 3))
    matrix, gradient = 2 * np.outer(u[:, 0], v[:, 0]), rng.normal(size=(4, 3))
    inner = u.T @ gradient @ v
    weights = np.zeros((4, 3))
    weights[0] = weights[:, 0] = 2 ** (2 - 2 / depth)
    weights[0, 0] *= depth
    velocity = end_to_end_velocity(matrix, gradient, depth)
    np.testing.assert_allclose(velocity, -u @ (weights * inner) @ v.T, rtol=0, atol=1e-11 * depth)


@given(
    st.integers(0, 2**31),
    st.floats(1, 30),
    st.sampled_from([(1, 1), (1, 3), (3, 3), (4, 2)]),  # few: each shape is compiled anew
)
def test_turns_with_the_coordinates_and_descends(seed, depth, shape):
    m, n = shape
    rng = np.random.default_rng(seed)
    matrix, gradient = rng.normal(size=(2, m, n))
    p, q = (np.linalg.qr(rng.normal(size=(k, k)))[0] for k in (m, n))
    velocity = end_to_end_velocity(matrix, gradient, depth)
    turned = end_to_end_velocity(p @ matrix @ q, p @ gradient @ q, depth)
    size = np.abs(velocity).max()
    np.testing.assert_allclose(turned, p @ velocity @ q, rtol=0, atol=1e-8 * size)
    assert np.sum(velocity * gradient) < 0


def test_unusable_inputs():
    with pytest.raises(InputError, match="two dimensions"):
        preconditioner(np.ones(3), 2)
    with pytest.raises(InputError, match="not finite"):
        preconditioner(np.array([[1.0, np.nan]]), 2)
    with pytest.raises(InputError, match="depth must be"):
        preconditioner(np.eye(2), 0.5)
    with pytest.raises(InputError, match=r"gradient must have the shape \(2, 2\)"):
        end_to_end_velocity(np.eye(2), np.ones((2, 3)), 2)
    with pytest.raises(InputError, match="gradient has entries"):
        preconditioner(np.eye(2), 2).apply(np.full((2, 2), np.inf))
