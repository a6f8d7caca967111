"""Velocities of singular values and vectors, against differences along the flow."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from factorflow import DeepLinear, InputError
from factorflow.initializers import balanced_factors
from factorflow.theory import (
    alignment,
    end_to_end_velocity,
    singular_value_velocities,
    singular_vector_velocities,
)

shapes = pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (1, 4), (4, 1), (1, 1)])
real_depths = pytest.mark.parametrize("depth", [1, 1.6, 2, 2.3, 3, 7, 100, np.inf])


def an_instance(shape, seed=0):
    """Distinct singular values, well apart."""
    rng = np.random.default_rng(seed)
    k = min(shape)
    left, right = (np.linalg.qr(rng.normal(size=(size, k)))[0] for size in shape)
    values = np.linspace(1.8, 0.5, k)
    return left * values @ right.T, rng.normal(size=shape)


def decomposition(matrix, like):
    """Thin decomposition with the signs of the one it continues."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    signs = np.sign(np.sum(left * like[0], axis=0))
    return left * signs, values, right.T * signs


def differences(path, rate):
    """Derivatives at 0 of the decomposition of ``path(t)``, by differences of fourth order."""
    left, _, right = np.linalg.svd(path(0.0), full_matrices=False)
    ends = [decomposition(path(k * rate), (left, right.T)) for k in (-2, -1, 1, 2)]
    return [(a - 8 * b + 8 * c - d) / (12 * rate) for a, b, c, d in zip(*ends, strict=True)]


def compare(path, rate, matrix, gradient, depth, scale=1.0):
    left, values, right = differences(path, rate)
    moved = singular_vector_velocities(matrix, gradient, depth)
    rising = singular_value_velocities(matrix, gradient, depth)
    np.testing.assert_allclose(values / scale, rising, rtol=0, atol=1e-7)
    np.testing.assert_allclose(left / scale, moved.left, rtol=0, atol=1e-7)
    np.testing.assert_allclose(right / scale, moved.right, rtol=0, atol=1e-7)


@shapes
@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_along_the_layers_velocity(shape, depth):
    """The path of the product where every layer moves by minus its gradient."""
    matrix, gradient = an_instance(shape)
    factors = balanced_factors(matrix, DeepLinear(depth).shapes(shape))

    def path(time):
        moved = []
        for j, factor in enumerate(factors):
            above = reduce(lambda done, f: f @ done, factors[j + 1 :], np.eye(factor.shape[0]))
            below = reduce(lambda done, f: f @ done, factors[:j], np.eye(shape[1]))
            moved.append(factor - time * above.T @ gradient @ below.T)
        return reduce(lambda done, factor: factor @ done, moved)

    compare(path, 1e-4, matrix, gradient, depth)


@shapes
@real_depths
def test_along_the_end_to_end_velocity(shape, depth):
    matrix, gradient = an_instance(shape, seed=1)
    velocity = end_to_end_velocity(matrix, gradient, depth)
    scale = np.abs(velocity).max()
    compare(lambda t: matrix + t * velocity / scale, 1e-3, matrix, gradient, depth, 1 / scale)


@pytest.mark.parametrize("depth", [1, 2.5, 4])
def test_along_an_integrated_flow(depth):
    """Differences of the decomposition between two times of the flow of a quadratic loss."""
    matrix, target = an_instance((4, 3), seed=2)

    def slope(_, state):
        w = state.reshape(matrix.shape)
        return end_to_end_velocity(w, w - target, depth).ravel()

    def flow(start, time):
        settings = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-13}
        return solve_ivp(slope, (0, time), start.ravel(), **settings).y[:, -1].reshape(4, 3)

    point = flow(matrix, 0.2)
    compare(lambda t: flow(point, t), 2e-4, point, point - target, depth)


@given(
    st.integers(0, 2**31),
    st.floats(1, 50),
    st.sampled_from([(1, 1), (1, 4), (3, 3), (5, 2)]),  # few: each shape is compiled anew
)
def test_vectors_stay_orthonormal(seed, depth, shape):
    """``U^T dU/dt`` is antisymmetric, and the parts add up to the velocity of the matrix."""
    matrix, gradient = an_instance(shape, seed)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    moved = singular_vector_velocities(matrix, gradient, depth)
    rising = singular_value_velocities(matrix, gradient, depth)
    velocity = end_to_end_velocity(matrix, gradient, depth)
    size = depth * np.abs(gradient).max()
    for vectors, change in ((left, moved.left), (right.T, moved.right)):
        inner = vectors.T @ change
        np.testing.assert_allclose(inner, -inner.T, rtol=0, atol=1e-12 * size)
    parts = moved.left * values @ right + left * rising @ right
    parts += left * values @ moved.right.T
    # The rest is perpendicular to both, and vanishes where one basis is complete.
    np.testing.assert_allclose(parts, velocity, rtol=0, atol=1e-11 * size)


def test_first_values_grow_fastest_with_depth():
    """The factor ``N sigma^(2-2/N)``, at whole depths and in the limit."""
    matrix, gradient = np.diag([2.0, 0.5]), -np.eye(2)
    for depth in (1, 2, 3):
        expected = depth * np.array([2.0, 0.5]) ** (2 - 2 / depth)
        found = singular_value_velocities(matrix, gradient, depth)
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    np.testing.assert_allclose(
        singular_value_velocities(matrix, gradient, np.inf), [4.0, 0.25], rtol=1e-14
    )


@pytest.mark.parametrize("depth", [2, 2.5, 30, np.inf])
def test_values_at_zero_stay(depth):
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(5, 2)) @ rng.normal(size=(2, 4))
    velocities = singular_value_velocities(matrix, rng.normal(size=(5, 4)), depth)
    assert np.all(velocities[:2] != 0)
    assert np.all(velocities[2:] == 0)


def test_vectors_without_a_velocity():
    gradient = np.ones((3, 3))
    with pytest.raises(InputError, match="1 of 3 are zero"):
        singular_vector_velocities(np.diag([2.0, 1.0, 0.0]), gradient, 3)
    with pytest.raises(InputError, match="two are equal to 1"):
        singular_vector_velocities(np.diag([2.0, 1.0, 1.0]), gradient, 3)
    rank_two = np.random.default_rng(4).normal(size=(3, 2)) @ np.ones((2, 3))
    with pytest.raises(InputError, match="are zero"):
        singular_vector_velocities(rank_two, gradient, 3)


@shapes
@pytest.mark.parametrize("depth", [1, 2, 3.5, np.inf])
def test_a_diagonal_gradient_moves_no_vector(shape, depth):
    matrix, _ = an_instance(shape, seed=5)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    gradient = left * np.linspace(-1, 2, len(values)) @ right
    moved = singular_vector_velocities(matrix, gradient, depth)
    np.testing.assert_allclose(moved.left, 0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(moved.right, 0, rtol=0, atol=1e-12)
    assert alignment(matrix, gradient).off_diagonal < 1e-14


def test_one_side_at_rest_is_not_aligned():
    """``H S + S H^T`` may vanish off the diagonal, but then the right vectors move."""
    matrix, _ = an_instance((3, 3), seed=6)
    left, values, right = np.linalg.svd(matrix)
    off = np.zeros((3, 3))
    off[0, 1], off[1, 0] = values[0], -values[1]  # H S + S H^T = 0
    gradient = left @ off @ right
    for depth in (1, 2, 5, np.inf):
        moved = singular_vector_velocities(matrix, gradient, depth)
        np.testing.assert_allclose(moved.left, 0, rtol=0, atol=1e-12)
        assert np.abs(moved.right).max() > 0.1


def test_alignment_by_hand():
    inner = np.array([[3.0, -1.0], [2.0, -5.0]])
    matrix, _ = an_instance((4, 2), seed=7)
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    gradient = left @ inner @ right
    assert alignment(matrix, gradient) == pytest.approx((4.0, 1.5))
    assert alignment(matrix, gradient, rank=1) == pytest.approx((3.0, 0.0))
    for rank in (0, 3):
        with pytest.raises(InputError, match="rank must be from 1 to 2"):
            alignment(matrix, gradient, rank=rank)
