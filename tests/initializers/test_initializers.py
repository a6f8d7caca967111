"""One suite of properties for all initializers, and the law of each."""

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow import (
    Balanced,
    Completion,
    DeepLinear,
    Gaussian,
    Identity,
    InputError,
    LogSVD,
    Orthogonal,
    StartAt,
    solve,
)

# An initializer is entered here.
RANDOM = [Gaussian, Balanced, Orthogonal]
INITIALIZERS = [*RANDOM, Identity]
SCALES_OF = ["product", "layer"]
SHAPES = [(6, 4), (4, 6), (5, 5), (1, 3)]

all_initializers = pytest.mark.parametrize("make", INITIALIZERS)
scales_of = pytest.mark.parametrize("scale_of", SCALES_OF)

dimensions = st.tuples(st.integers(1, 7), st.integers(1, 7))
hidden = st.lists(st.integers(1, 8), max_size=4)
seeds = st.integers(0, 2**63)


def product(factors):
    return reduce(lambda done, factor: factor @ done, factors)


@all_initializers
@scales_of
@given(shape=dimensions, widths=hidden, seed=seeds)
def test_factors_have_the_shapes_of_the_network(make, scale_of, shape, widths, seed):
    network = DeepLinear(len(widths) + 1, widths)
    factors = make(0.1, scale_of)(network, shape, seed)
    assert isinstance(factors, tuple)
    assert [factor.shape for factor in factors] == network.shapes(shape)
    assert all(type(factor) is np.ndarray for factor in factors)
    assert all(factor.dtype == np.float64 for factor in factors)
    assert all(np.isfinite(factor).all() and factor.any() for factor in factors)


@all_initializers
@given(shape=dimensions, depth=st.integers(1, 5), seed=seeds)
def test_the_seed_decides(make, shape, depth, seed):
    network = DeepLinear(depth)
    first, second = (make(0.1)(network, shape, seed) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    other = make(0.1)(network, shape, seed + 1)
    same = all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    if make is Identity:
        assert same
    elif shape != (1, 1):  # an orthogonal 1 x 1 matrix is one of two
        assert not same


@all_initializers
@scales_of
@given(
    shape=dimensions,
    depth=st.integers(1, 5),
    scale=st.floats(1e-8, 1e2),
    ratio=st.floats(1e-3, 1e3),
    seed=seeds,
)
def test_the_scale_is_that_of_the_product_or_of_a_layer(
    make, scale_of, shape, depth, scale, ratio, seed
):
    network = DeepLinear(depth)
    one = make(scale, scale_of)(network, shape, seed)
    other = make(scale * ratio, scale_of)(network, shape, seed)
    by_layer = ratio if scale_of == "layer" else ratio ** (1 / depth)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(b, by_layer * a, rtol=1e-9, atol=1e-12 * np.abs(b).max())
    by_product = ratio**depth if scale_of == "layer" else ratio
    a, b = product(one), product(other)
    np.testing.assert_allclose(b, by_product * a, rtol=1e-9, atol=1e-9 * np.abs(b).max())


@all_initializers
@pytest.mark.parametrize(
    "scale", [0, 0.0, -1e-3, np.nan, np.inf, -np.inf, None, "small", [1e-3], 1 + 1j, 1 + 0j]
)
def test_a_scale_that_cannot_be(make, scale):
    with pytest.raises(InputError, match="scale must be a positive finite number"):
        make(scale)


@all_initializers
def test_an_unknown_scale_of(make):
    with pytest.raises(InputError, match='"product" or "layer"; got \'total\''):
        make(1e-3, "total")


@pytest.mark.parametrize("make", RANDOM)
@pytest.mark.parametrize("seed", [-1, 1.5, None, True, "0"])
def test_a_seed_that_cannot_be(make, seed):
    with pytest.raises(InputError, match="seed must be an integer of zero or more"):
        make(1e-3)(DeepLinear(2), (4, 3), seed)


def test_the_streams_of_the_initializers_are_independent():
    starts = [np.ravel(make(1.0)(DeepLinear(1), (40, 40), 0)[0]) for make in RANDOM]
    for i, a in enumerate(starts):
        for b in starts[i + 1 :]:
            assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(a.size)


def mean_and_error(samples):
    """Mean of independent samples and its standard error."""
    return np.mean(samples), np.std(samples) / np.sqrt(len(samples))


@pytest.mark.parametrize("make", [Gaussian, Balanced])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_the_product_has_rows_of_root_mean_square_norm_scale(make, depth, shape):
    scale, network = 0.3, DeepLinear(depth)
    samples = [np.sum(product(make(scale)(network, shape, s)) ** 2) for s in range(1500)]
    mean, error = mean_and_error(samples)
    assert abs(mean - shape[0] * scale**2) < 5 * error
    assert error < 0.1 * mean


@pytest.mark.parametrize("make", [Gaussian, Balanced])
@pytest.mark.parametrize("widths", [(), (5,), (5, 4)])
def test_layers_of_deviation_scale_make_a_product_of_known_deviation(make, widths):
    shape, scale = (4, 6), 0.3
    network = DeepLinear(len(widths) + 1, widths)
    samples = [np.mean(product(make(scale, "layer")(network, shape, s)) ** 2) for s in range(1500)]
    mean, error = mean_and_error(samples)
    assert abs(mean - scale ** (2 * network.depth) * np.prod(widths)) < 5 * error
    assert error < 0.1 * mean


@scales_of
def test_gaussian_layers_are_independent_and_of_the_documented_deviation(scale_of):
    scale, network, shape = 0.2, DeepLinear(3, (60, 50)), (40, 30)
    factors = Gaussian(scale, scale_of)(network, shape, 3)
    for factor, fan_in in zip(factors, (30, 60, 50), strict=True):
        deviation = scale if scale_of == "layer" else scale ** (1 / 3) / np.sqrt(fan_in)
        z = factor / deviation
        assert abs(z.mean()) < 5 / np.sqrt(z.size)
        assert abs((z**2).mean() - 1) < 5 * np.sqrt(2 / z.size)
        assert abs((z**4).mean() - 3) < 5 * np.sqrt(96 / z.size)
    flat = [factor.ravel()[:1000] for factor in factors]
    assert np.abs(np.corrcoef(flat) - np.eye(3)).max() < 5 / np.sqrt(1000)


@scales_of
@given(shape=dimensions, widths=hidden, seed=seeds)
def test_balanced_layers_are_balanced(scale_of, shape, widths, seed):
    factors = Balanced(0.1, scale_of)(DeepLinear(len(widths) + 1, widths), shape, seed)
    size = max(np.linalg.norm(factor) ** 2 for factor in factors)
    for before, after in pairwise(factors):
        assert np.abs(after.T @ after - before @ before.T).max() <= 1e-12 * size


@given(shape=dimensions, depth=st.integers(1, 5), seed=seeds)
def test_a_balanced_product_does_not_depend_on_the_depth(shape, depth, seed):
    plain = Balanced(0.1)(DeepLinear(1), shape, seed)[0]
    deep = product(Balanced(0.1)(DeepLinear(depth), shape, seed))
    np.testing.assert_allclose(deep, plain, rtol=0, atol=1e-12 * np.abs(plain).max())


@given(shape=dimensions, depth=st.integers(1, 5), seed=seeds)
@pytest.mark.parametrize("make", [Orthogonal, Identity])
@scales_of
def test_all_singular_values_are_equal(make, scale_of, shape, depth, seed):
    scale = 0.3
    factors = make(scale, scale_of)(DeepLinear(depth), shape, seed)
    layer = scale if scale_of == "layer" else scale ** (1 / depth)
    for factor in factors:
        np.testing.assert_allclose(np.linalg.svd(factor, compute_uv=False), layer, rtol=1e-12)
    whole = scale**depth if scale_of == "layer" else scale
    np.testing.assert_allclose(np.linalg.svd(product(factors), compute_uv=False), whole, rtol=1e-12)


def test_narrowing_orthogonal_layers_still_make_equal_singular_values():
    factors = Orthogonal(0.3)(DeepLinear(4, (4, 2, 5)), (7, 6), 0)
    values = np.linalg.svd(product(factors), compute_uv=False)
    np.testing.assert_allclose(values, [0.3, 0.3, 0, 0, 0, 0], rtol=1e-12, atol=1e-12)


def test_orthogonal_layers_are_uniformly_distributed():
    # Uniform over the orthogonal group: an entry has mean 0, square 1/n, fourth power 3/(n(n+2)),
    # and both signs of the determinant are as likely.
    n, count = 3, 2000
    drawn = np.stack([Orthogonal(1.0)(DeepLinear(1), (n, n), s)[0] for s in range(count)])
    for power, moment in ((1, 0), (2, 1 / n), (4, 3 / (n * (n + 2)))):
        spread = np.std(drawn**power, axis=0) / np.sqrt(count)
        assert (np.abs((drawn**power).mean(axis=0) - moment) < 5 * spread).all()
    assert abs(np.linalg.det(drawn).mean()) < 5 / np.sqrt(count)


@scales_of
def test_identity_is_a_multiple_of_the_identity(scale_of):
    factors = Identity(0.2, scale_of)(DeepLinear(3, (5, 3)), (4, 6), 0)
    layer = 0.2 if scale_of == "layer" else 0.2 ** (1 / 3)
    for factor in factors:
        np.testing.assert_allclose(factor, layer * np.eye(*factor.shape), rtol=1e-15)
    expected = np.zeros((4, 6))
    expected[:3, :3] = layer**3 * np.eye(3)
    np.testing.assert_allclose(product(factors), expected, rtol=1e-14)


@all_initializers
@scales_of
@given(shape=dimensions, seed=seeds)
def test_logarithms_start_at_the_matrix_of_one_layer(make, scale_of, shape, seed):
    layer = make(0.1, scale_of)(DeepLinear(1), shape, seed)[0]
    left, logs, right = make(0.1, scale_of)(LogSVD(), shape, seed)
    np.testing.assert_allclose((left * np.exp(logs)) @ right.T, layer, atol=1e-15)
    left, logs, right = make(0.1, scale_of)(LogSVD(1), shape, seed)
    assert (left.shape, logs.shape, right.shape) == ((shape[0], 1), (1,), (shape[1], 1))
    np.testing.assert_allclose(np.exp(logs[0]), np.linalg.norm(layer, 2), rtol=1e-12)


@given(shape=dimensions, widths=hidden, seed=seeds)
def test_a_start_at_a_matrix_is_balanced_and_near_it(shape, widths, seed):
    matrix = np.random.default_rng(seed).normal(size=shape)
    network = DeepLinear(len(widths) + 1, widths)
    factors = StartAt(matrix)(network, shape, 0)
    assert [factor.shape for factor in factors] == network.shapes(shape)
    for before, after in pairwise(factors):
        assert np.abs(after.T @ after - before @ before.T).max() <= 1e-12 * np.abs(matrix).max()
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    k = network.width(shape)
    best = (left[:, :k] * values[:k]) @ right[:k]
    np.testing.assert_allclose(product(factors), best, atol=1e-12)


def test_a_start_at_a_matrix_keeps_its_own_copy():
    matrix = np.eye(3)
    start = StartAt(matrix)
    matrix[:] = 7
    np.testing.assert_array_equal(start(DeepLinear(1), (3, 3), 5)[0], np.eye(3))


def test_a_start_at_nested_lists():
    factors = StartAt([[1, 2], [3, 4]])(DeepLinear(1), (2, 2), 0)
    np.testing.assert_array_equal(factors[0], [[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize("matrix", [np.zeros((2, 2)), np.ones(3), [[np.nan, 1.0]], [[np.inf]], 1.0])
def test_a_matrix_that_no_run_starts_at(matrix):
    with pytest.raises(InputError, match="StartAt needs a finite matrix that is not zero"):
        StartAt(matrix)


def test_a_start_at_a_matrix_of_another_shape():
    problem = Completion.from_array(np.eye(3))
    with pytest.raises(InputError, match=r"shape \(2, 3\), the problem is of shape \(3, 3\)"):
        solve(problem, DeepLinear(2), init=StartAt(np.ones((2, 3))))
