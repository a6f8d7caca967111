"""balanced_factors against the statements of the procedure."""

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow import DeepLinear, InputError
from factorflow.initializers import balanced_factors

TARGETS = {
    "tall": lambda rng: rng.normal(size=(6, 4)),
    "wide": lambda rng: rng.normal(size=(4, 6)),
    "square": lambda rng: rng.normal(size=(5, 5)),
    "rank 2": lambda rng: rng.normal(size=(6, 2)) @ rng.normal(size=(2, 5)),
    "exact zeros": lambda rng: np.diag([3.0, 1.0, 0.0, 0.0]),
    "zero": lambda rng: np.zeros((3, 4)),
    "tiny": lambda rng: 1e-12 * rng.normal(size=(5, 4)),
    "one entry": lambda rng: rng.normal(size=(1, 1)),
}
targets = pytest.mark.parametrize("name", TARGETS)
depths = pytest.mark.parametrize("depth", [1, 2, 3, 5])


def factors_of(target, depth, widths=None):
    return balanced_factors(target, DeepLinear(depth, widths).shapes(target.shape))


def product(factors, size):
    return reduce(lambda done, factor: factor @ done, factors, np.eye(size))


def gram_power(matrix, power, rank):
    """``[A^T A]^power`` of a matrix of known rank."""
    _, values, right = np.linalg.svd(matrix)
    return right[:rank].T * values[:rank] ** (2 * power) @ right[:rank]


def rank_of(name, target):
    return {"rank 2": 2, "exact zeros": 2, "zero": 0}.get(name, min(target.shape))


def unbalancedness(factors):
    gaps = [b.T @ b - a @ a.T for a, b in pairwise(factors)]
    return max((np.abs(gap).max() for gap in gaps), default=0.0)


@targets
@depths
def test_the_product_is_the_target_and_the_layers_are_balanced(name, depth):
    target = TARGETS[name](np.random.default_rng(0))
    factors = factors_of(target, depth)
    size = np.linalg.norm(target)
    assert np.abs(product(factors, target.shape[1]) - target).max() <= 1e-12 * size
    assert unbalancedness(factors) <= 1e-12 * max(size ** (2 / depth), 0.0)


@targets
@depths
def test_partial_products_have_the_powers_of_the_gram_matrix(name, depth):
    target = TARGETS[name](np.random.default_rng(1))
    factors, rank = factors_of(target, depth), rank_of(name, target)
    for j in range(1, depth + 1):
        first = product(factors[:j], target.shape[1])
        gram = gram_power(target, j / depth, rank)
        scale = max(np.linalg.norm(target) ** (2 * j / depth), 1e-300)
        np.testing.assert_allclose(first.T @ first, gram, rtol=0, atol=1e-12 * scale)
        last = product(factors[-j:], factors[-j].shape[1])
        gram = gram_power(target.T, j / depth, rank)
        np.testing.assert_allclose(last @ last.T, gram, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("widths", [(2,), (2, 3), (4, 1), (3, 2, 4)])
def test_narrow_widths_give_the_best_approximation(widths):
    target = np.random.default_rng(2).normal(size=(6, 5))
    factors = factors_of(target, len(widths) + 1, widths)
    left, values, right = np.linalg.svd(target)
    rank = min(widths)
    best = left[:, :rank] * values[:rank] @ right[:rank]
    np.testing.assert_allclose(product(factors, 5), best, atol=1e-12)
    assert unbalancedness(factors) <= 1e-12


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    extra=st.lists(st.integers(0, 5), max_size=4),
    scale=st.floats(1e-6, 1e6),
    seed=st.integers(0, 2**31),
)
def test_wider_widths_keep_the_target_and_the_balance(shape, extra, scale, seed):
    target = scale * np.random.default_rng(seed).normal(size=shape)
    widths = [min(shape) + more for more in extra]
    factors = factors_of(target, len(widths) + 1, widths)
    size = np.linalg.norm(target)
    assert np.abs(product(factors, shape[1]) - target).max() <= 1e-12 * size
    assert unbalancedness(factors) <= 1e-12 * size ** (2 / len(factors))


def test_the_target_is_copied():
    target = np.ones((2, 3))
    factors = factors_of(target, 1)
    factors[0][:] = 7
    assert (target == 1).all()


@pytest.mark.parametrize("shapes", [[(2, 4), (3, 2)], [(2, 3), (4, 5)], [(2, 3), (4, 3)], [(3, 4)]])
def test_shapes_that_do_not_chain(shapes):
    with pytest.raises(InputError, match="do not chain to a matrix of shape"):
        balanced_factors(np.ones((4, 3)), shapes)
