"""One suite of properties for all factorizations of tensors."""

from functools import reduce
from itertools import combinations

import jax
import numpy as np
import pytest

from factorflow import CP, Balanced, DeepLinear, Gaussian, HierarchicalTucker, Identity, InputError
from factorflow._x64 import double_precision

# A factorization is entered here, with a shape for it.
MEMBERS = {
    "cp": (CP(3), (3, 2, 4)),
    "cp of any rank": (CP(), (2, 3, 2, 2)),
    "cp of a matrix": (CP(2), (3, 4)),
    "binary tree": (HierarchicalTucker((3, 2)), (2, 3, 2, 2)),
    "uneven tree": (HierarchicalTucker(2), (2, 3, 2, 1, 2)),
    "ternary tree": (HierarchicalTucker(3, arity=3), (2, 3, 2, 2)),
    "one level": (HierarchicalTucker(3, arity=3), (3, 2, 4)),
    "tree of any rank": (HierarchicalTucker(), (2, 3, 2)),
}
members = pytest.mark.parametrize("member", MEMBERS)


def case(member, seed=0):
    factorization, shape = MEMBERS[member]
    rng = np.random.default_rng(seed)
    return factorization, shape, tuple(rng.normal(size=s) for s in factorization.shapes(shape))


def outer(*arrays):
    return reduce(np.multiply.outer, arrays)


def compiled(function, factors):
    with double_precision():
        return jax.device_get(jax.jit(function)(tuple(factors)))


def summed(factorization, factors, order):
    """The tensor by its definition, component by component."""
    if isinstance(factorization, CP):
        return sum(outer(*vectors) for vectors in zip(*(A.T for A in factors), strict=True))
    tensors = [list(A.T) for A in factors[:order]]  # of each node, a tensor for each column
    for node, children in factorization.nodes(order):
        joined = [outer(*parts) for parts in zip(*(tensors[c] for c in children), strict=True)]
        mixed = [
            sum(w * T for w, T in zip(column, joined, strict=True)) for column in factors[node].T
        ]
        tensors.append(mixed)
    return tensors[-1][0]


@members
def test_the_tensor_is_the_sum_of_its_components(member):
    factorization, shape, factors = case(member)
    expected = summed(factorization, factors, len(shape))
    with double_precision():
        np.testing.assert_allclose(factorization.tensor(factors), expected, atol=1e-12)
        left, right = factorization.halves(factors)
        rows = np.prod(shape[: factorization.n_left(shape)])
        np.testing.assert_allclose(left @ right, expected.reshape(rows, -1), atol=1e-12)
    assert factorization.sizes(factors) == shape


@members
def test_entries_and_parts_of_the_halves_are_those_of_the_tensor(member):
    factorization, shape, factors = case(member)
    rng = np.random.default_rng(1)
    indices = [rng.integers(size, size=7) for size in shape]
    cut = factorization.n_left(shape)
    found = np.asarray(factorization.entries(factors, indices))
    with double_precision():
        tensor = np.asarray(factorization.tensor(factors))
        np.testing.assert_allclose(found, tensor[tuple(indices)], atol=1e-12)
        ends = np.stack(indices[:cut], 1), np.stack(indices[cut:], 1)
        left, right = factorization.halves_at(factors, *ends)
        crossed = tensor[(*(i[:, None] for i in indices[:cut]), *(i[None] for i in indices[cut:]))]
        np.testing.assert_allclose(left @ right, crossed, atol=1e-12)


@members
def test_it_is_a_multilinear_function_of_representations(member):
    factorization, shape, factors = case(member)
    rng = np.random.default_rng(2)
    inputs = [rng.normal(size=(5, size)) for size in shape]
    with double_precision():
        tensor = np.asarray(factorization.tensor(factors))
    expected = [np.sum(tensor * outer(*vectors)) for vectors in zip(*inputs, strict=True)]
    np.testing.assert_allclose(factorization.evaluate(factors, inputs), expected, rtol=1e-10)
    with pytest.raises(InputError, match=f"inputs must be {len(shape)} arrays"):
        factorization.evaluate(factors, inputs[1:])


@members
def test_balancing_keeps_the_tensor_and_evens_out_the_components(member):
    factorization, shape, factors = case(member)
    even = factorization.balanced(factors)
    with double_precision():
        expected = np.asarray(factorization.tensor(factors))
        np.testing.assert_allclose(
            factorization.tensor(even), expected, atol=1e-11 * np.abs(expected).max()
        )
    for norms in vector_norms(factorization, even, len(shape)):
        for norm in norms[1:]:
            np.testing.assert_allclose(norm, norms[0], rtol=1e-10)
    gaps = [np.ptp(np.square(n), axis=0) for n in vector_norms(factorization, factors, len(shape))]
    found = np.array([factorization.unbalancedness(each) for each in (factors, even)])
    np.testing.assert_allclose(found, [max(gap.max() for gap in gaps), 0], atol=1e-10)


@members
def test_component_norms_are_products_and_a_dead_vector_stays_dead(member):
    factorization, shape, factors = case(member)
    factors[0][:, 0] = 0.0
    found = factorization.component_norms(factors)
    expected = [
        np.prod(norms, axis=0) for norms in vector_norms(factorization, factors, len(shape))
    ]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    even = factorization.balanced(factors)
    assert all(np.isfinite(factor).all() for factor in even)
    np.testing.assert_allclose(
        summed(factorization, even, len(shape)), summed(factorization, factors, len(shape)),
        atol=1e-10,
    )  # fmt: skip


def vector_norms(factorization, factors, order):
    """For every place where components are summed, the norms of their vectors."""
    columns = [np.linalg.norm(A, axis=0) for A in factors]
    if isinstance(factorization, CP):
        return [columns]
    return [
        [*(columns[c] for c in children), np.linalg.norm(factors[node], axis=1)]
        for node, children in factorization.nodes(order)
    ]


@members
def test_flow_conserves_the_differences_of_squared_norms(member):
    """``d/dt ||v||^2 = -2 <v, dL/dv>`` is one number for all vectors `v` of a component."""
    factorization, shape, factors = case(member)
    weights = np.random.default_rng(3).normal(size=shape)
    slopes = compiled(jax.grad(lambda f: (weights * factorization.tensor(f)).sum()), factors)
    rates = [np.sum(A * slope, axis=0) for A, slope in zip(factors, slopes, strict=True)]
    if isinstance(factorization, CP):
        groups = [rates]
    else:
        rows = [np.sum(A * slope, axis=1) for A, slope in zip(factors, slopes, strict=True)]
        nodes = factorization.nodes(len(shape))
        groups = [[*(rates[c] for c in children), rows[node]] for node, children in nodes]
    for group in groups:
        for one, other in combinations(group, 2):
            np.testing.assert_allclose(one, other, atol=1e-10)


@members
def test_a_start_of_a_product_scale_has_that_size(member):
    """``E ||T||_F^2 = d_1 scale^2``: variances of independent entries add and multiply."""
    factorization, shape, factors = case(member)
    scale, fans = 0.5, factorization.fans(shape)
    variances = [scale ** (2 / len(factors)) / fan for fan in fans]
    spread = [np.full(A.shape, v) for A, v in zip(factors, variances, strict=True)]
    total = np.sum(summed(factorization, spread, len(shape)))
    np.testing.assert_allclose(total, scale**2 * shape[0], rtol=1e-12)


def test_tiny_starts_keep_their_norms():
    factorization, shape = CP(3), (2, 3, 2)
    even = Balanced(1e-90, "layer")(factorization, shape, 0)
    start = Gaussian(1e-90, "layer")(factorization, shape, 0)
    for one, other in zip(even, start, strict=True):
        assert 0.1 < np.abs(one).max() / np.abs(other).max() < 10
    (norms,) = factorization.component_norms(even)
    np.testing.assert_allclose(np.asarray(norms) * 1e270, np.prod(lengths(even, 1e90), axis=0))


def lengths(factors, unit):
    return [np.linalg.norm(unit * factor, axis=0) for factor in factors]


def test_starts_have_their_deviation_and_balanced_ones_the_same_tensor():
    factorization, shape = CP(2000), (4, 3, 5)
    fan = factorization.fans(shape)[0]
    start = Gaussian(0.5)(factorization, shape, 0)
    for factor in start:
        np.testing.assert_allclose(np.std(factor), 0.5 ** (1 / 3) / np.sqrt(fan), rtol=0.05)
    for factor in Gaussian(0.5, "layer")(factorization, shape, 0):
        np.testing.assert_allclose(np.std(factor), 0.5, rtol=0.05)
    even = Balanced(0.5)(factorization, shape, 0)
    expected = summed(factorization, start, 3)
    np.testing.assert_allclose(summed(factorization, even, 3), expected, atol=1e-12)


@pytest.mark.parametrize("member", ["cp of any rank", "tree of any rank"])
def test_by_default_every_tensor_can_be_written(member):
    """The map from factors to tensors is locally onto at random factors."""
    factorization, shape, factors = case(member)
    slopes = compiled(jax.jacobian(lambda f: factorization.tensor(f).ravel()), factors)
    size = np.prod(shape)
    jacobian = np.concatenate([np.reshape(slope, (size, -1)) for slope in slopes], axis=1)
    assert np.linalg.matrix_rank(jacobian) == size


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: CP(0), "components must be a whole number of 1 or more; got 0"),
        (lambda: CP(2).shapes((3,)), "two modes or more"),
        (
            lambda: CP(1).entries([np.ones((2, 1))] * 2, ([0], [2])),
            r"indices\[1\] must lie in 0..1",
        ),
        (lambda: CP(1).entries([np.ones((2, 1))] * 2, ([0],)), "indices must be 2 vectors"),
        (lambda: HierarchicalTucker((2, 0)), "every width must be a whole number of 1 or more"),
        (lambda: HierarchicalTucker(True), "widths must be a whole number"),
        (lambda: HierarchicalTucker(arity=1), "arity must be 2 or more"),
        (lambda: HierarchicalTucker((2, 2)).shapes((2, 2)), "widths must name 1 level"),
        (lambda: HierarchicalTucker(2).sizes([np.ones((2, 2))] * 5), "No tree of arity 2 has 5"),
        (lambda: DeepLinear(2).shapes((2, 2, 2)), r"CP\(\) and HierarchicalTucker\(\) write"),
        (lambda: Identity()(CP(2), (2, 2, 2), 0), "Identity starts a matrix factorization"),
    ],
)
def test_what_is_refused(act, said):
    with pytest.raises(InputError, match=said):
        act()
