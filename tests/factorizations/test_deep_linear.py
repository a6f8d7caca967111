"""DeepLinear against products and decompositions by NumPy."""

from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factorflow import DeepLinear, InputError
from factorflow._x64 import double_precision

# A network is entered here: matrix shape, depth, hidden widths.
NETWORKS = [
    ((6, 4), 1, None),
    ((4, 6), 2, None),
    ((6, 4), 3, None),
    ((5, 5), 5, None),
    ((6, 4), 2, (1,)),
    ((9, 8), 2, (3,)),
    ((9, 8), 4, (5, 2, 7)),
    ((8, 9), 3, (2, 4)),
    ((4, 6), 3, (9, 7)),
]
networks = pytest.mark.parametrize(("shape", "depth", "widths"), NETWORKS)


def factors_of(network, shape, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=size) for size in network.shapes(shape))


def product(factors):
    return reduce(lambda done, factor: factor @ done, factors)


@networks
def test_matrix_is_the_product_with_the_first_factor_applied_first(shape, depth, widths):
    network = DeepLinear(depth, widths)
    factors = factors_of(network, shape)
    with double_precision():
        matrix = np.array(network.matrix(factors))
    assert matrix.shape == shape
    assert matrix.dtype == np.float64
    np.testing.assert_allclose(matrix, product(factors), rtol=1e-12, atol=1e-12)


@networks
def test_halves_meet_at_the_narrowest_hidden_width(shape, depth, widths):
    network = DeepLinear(depth, widths)
    factors = factors_of(network, shape)
    if depth == 1:
        with pytest.raises(InputError, match="depth 1"):
            network.halves(factors)
        return
    with double_precision():
        left, right = map(np.array, network.halves(factors))
    narrowest = min(size[0] for size in network.shapes(shape)[:-1])
    assert left.shape == (shape[0], narrowest)
    assert right.shape == (narrowest, shape[1])
    np.testing.assert_allclose(left @ right, product(factors), rtol=1e-12, atol=1e-12)


@networks
def test_singular_values_are_those_of_the_product(shape, depth, widths):
    network = DeepLinear(depth, widths)
    factors = factors_of(network, shape)
    with double_precision():
        values = np.array(network.singular_values(factors))
    expected = np.linalg.svd(product(factors), compute_uv=False)
    width = network.width(shape)
    assert values.shape == (width,)
    np.testing.assert_allclose(values, expected[:width], rtol=1e-10, atol=1e-12 * expected[0])
    np.testing.assert_allclose(expected[width:], 0, atol=1e-12 * expected[0])


@pytest.mark.parametrize("widths", [None, (2,)], ids=["dense", "thin"])
def test_singular_values_of_rank_deficient_factors(widths):
    network, shape = DeepLinear(2, widths), (9, 8)
    factors = [np.zeros(size) for size in network.shapes(shape)]
    factors[0][0], factors[1][:, 0] = np.arange(8), np.arange(9)
    with double_precision():
        values = np.array(network.singular_values(tuple(factors)))
    # The product is the rank-one matrix of two known vectors.
    top = np.sqrt(np.sum(np.arange(8) ** 2) * np.sum(np.arange(9) ** 2))
    np.testing.assert_allclose(values, [top] + [0] * (len(values) - 1), rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("widths", [(7, 3, 5), None])
def test_gradient_by_a_layer_is_the_documented_one(widths):
    network, shape = DeepLinear(4, widths), (6, 4)
    factors = factors_of(network, shape)
    G = np.random.default_rng(1).normal(size=shape)
    with double_precision():

        def loss(factors):
            return jnp.vdot(G, network.matrix(factors))

        gradient = jax.jit(jax.grad(loss))(tuple(map(jnp.asarray, factors)))
    for j, found in enumerate(gradient):
        after = product([np.eye(len(factors[j])), *factors[j + 1 :]])
        before = product([np.eye(shape[1]), *factors[:j]])
        np.testing.assert_allclose(found, after.T @ G @ before.T, rtol=1e-11, atol=1e-11)


@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    widths=st.lists(st.integers(1, 40), max_size=4),
)
def test_shapes_chain_from_columns_to_rows(shape, widths):
    network = DeepLinear(len(widths) + 1, widths)
    shapes = network.shapes(shape)
    assert [size[0] for size in shapes] == [*widths, shape[0]]
    assert [size[1] for size in shapes] == [shape[1], *widths]
    assert network.width(shape) == min(*shape, *widths)


@given(shape=st.tuples(st.integers(1, 30), st.integers(1, 30)), depth=st.integers(1, 6))
def test_default_widths_do_not_constrain_the_rank(shape, depth):
    network = DeepLinear(depth)
    assert network.width(shape) == min(shape)
    assert len(network.shapes(shape)) == depth
    assert np.linalg.matrix_rank(product(factors_of(network, shape))) == min(shape)


@settings(max_examples=15)
@given(
    dims=st.lists(st.sampled_from([1, 2, 3]), min_size=3, max_size=5),
    seed=st.integers(0, 2**31),
)
def test_any_chain_of_small_dimensions(dims, seed):
    network, shape = DeepLinear(len(dims) - 1, dims[1:-1]), (dims[-1], dims[0])
    factors = factors_of(network, shape, seed)
    with double_precision():
        matrix = np.array(network.matrix(factors))
    np.testing.assert_allclose(matrix, product(factors), rtol=1e-10, atol=1e-12)


def test_networks_are_values():
    assert DeepLinear(3, [2, 4]) == DeepLinear(3, (2, 4))
    assert DeepLinear(3) != DeepLinear(3, (2, 4))
    assert len({DeepLinear(2), DeepLinear(2), DeepLinear(3)}) == 2
    assert DeepLinear(np.int64(2)) == DeepLinear(2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "depth must be 1 or more; got 0"),
        ((-1,), "depth must be 1 or more; got -1"),
        ((True,), "depth must be 1 or more; got True"),
        ((2.5,), "whole number of 1 or more; got 2.5"),
        (("2",), "whole number of 1 or more; got '2'"),
        ((None,), "whole number of 1 or more; got None"),
        ((3, (4,)), "name the 2 hidden widths of a depth-3 network; got 1"),
        ((1, (4,)), "name the 0 hidden widths of a depth-1 network; got 1"),
        ((2, (0,)), "every hidden width must be 1 or more"),
        ((3, (4, -2)), "every hidden width must be 1 or more"),
        ((2, (2.5,)), "widths must be whole numbers"),
        ((2, 4), "widths must be whole numbers"),
    ],
)
def test_a_network_that_cannot_be(arguments, message):
    with pytest.raises(InputError, match=message):
        DeepLinear(*arguments)
