"""Local component norms against finite differences of the flow and their closed law."""

import numpy as np
import pytest

from factorflow import InputError
from factorflow.factorizations import CP, DeepLinear, HierarchicalTucker
from factorflow.theory import (
    component_growth_rates,
    component_norm_bounds,
    component_norm_velocity,
    component_norms,
    component_unbalancedness,
    local_component_growth_rates,
    local_component_norms,
    local_component_unbalancedness,
    local_component_velocities,
)

SHAPE = (2, 3, 2)
TREE = HierarchicalTucker((3, 2))  # modes 0 and 1 below one node; mode 2 alone below another
COUNTS = tuple(len(children) + 1 for _, children in TREE.nodes(len(SHAPE)))
WIDTHS = (3, 3, 2)


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    shapes = TREE.shapes(SHAPE)
    return [rng.normal(size=size) * 10 ** rng.uniform(-1, 0.5, size) for size in shapes]


def tensor_of(factors):
    """The tree written out by hand."""
    a, b, c, joined, single, root = factors
    left = np.einsum("ir,jr,rs->ijs", a, b, joined)
    right = np.einsum("kr,rs->ks", c, single)
    return np.einsum("ijs,ks,st->ijkt", left, right, root)[..., 0]


def moves_of(factors, gradient):
    """Velocities of the factors, by complex steps of single parameters."""
    found = []
    for n, factor in enumerate(factors):
        move = np.empty(factor.shape)
        for place in np.ndindex(factor.shape):
            moved = [each.astype(complex) for each in factors]
            moved[n][place] += 1e-30j
            move[place] = -np.sum(gradient * tensor_of(moved)).imag / 1e-30
        found.append(move)
    return found


def vectors_of(factors):
    a, b, c, joined, single, root = factors
    return [[a, b, joined.T], [c, single.T], [joined, single, root.T]]


@pytest.fixture(params=range(4))
def case(request):
    gradient = np.random.default_rng(request.param + 50).normal(size=SHAPE)
    return drawn(request.param), gradient


def test_exact_for_any_factors(case):
    factors, gradient = case
    along = [f + 1e-30j * m for f, m in zip(factors, moves_of(factors, gradient), strict=True)]
    found = local_component_velocities(TREE, factors, gradient)
    norms = local_component_norms(TREE, factors)
    assert [len(each) for each in found] == list(WIDTHS)
    for v, vectors in enumerate(vectors_of(along)):
        sizes = np.prod([np.sqrt(np.sum(each**2, axis=0)) for each in vectors], axis=0)
        np.testing.assert_allclose(norms[v], sizes.real, rtol=1e-12)
        np.testing.assert_allclose(found[v], sizes.imag / 1e-30, rtol=1e-9, atol=1e-12)


def test_growth_rates_and_what_is_conserved(case):
    factors, gradient = case
    moves = moves_of(factors, gradient)
    rates = local_component_growth_rates(TREE, factors, gradient)
    norms = local_component_norms(TREE, factors)
    gaps = []
    for v, (vectors, steps) in enumerate(zip(vectors_of(factors), vectors_of(moves), strict=True)):
        for each, step in zip(vectors, steps, strict=True):
            np.testing.assert_allclose(np.sum(each * step, 0), rates[v] * norms[v], rtol=1e-9)
        squares = np.array([np.sum(each**2, axis=0) for each in vectors])
        gaps.append(np.max(squares.max(axis=0) - squares.min(axis=0)))
    assert local_component_unbalancedness(TREE, factors) == pytest.approx(max(gaps), rel=1e-12)


def test_the_tensor_of_a_local_component(case):
    """Growth rates are inner products with what is left if all others of the node are cut."""
    factors, gradient = case
    rates = local_component_growth_rates(TREE, factors, gradient)
    norms = local_component_norms(TREE, factors)
    for v, (node, _) in enumerate(TREE.nodes(len(SHAPE))):
        for r in range(WIDTHS[v]):
            kept = list(factors)
            kept[node] = np.where(np.arange(WIDTHS[v])[:, None] == r, factors[node], 0)
            alone = np.sum(-gradient * tensor_of(kept)) / norms[v][r]
            assert rates[v][r] == pytest.approx(alone, abs=1e-12)


def test_bounds(case):
    factors, gradient = case
    found = local_component_velocities(TREE, factors, gradient)
    rates = local_component_growth_rates(TREE, factors, gradient)
    gap = local_component_unbalancedness(TREE, factors)
    for v, norms in enumerate(local_component_norms(TREE, factors)):
        low, high = component_norm_bounds(norms, rates[v], gap, COUNTS[v])
        slack = 1e-12 * np.abs(found[v])
        assert np.all(low <= found[v] + slack)
        assert np.all(found[v] <= high + slack)


def test_closed_law_at_balance(case):
    factors, gradient = case
    balanced = TREE.balanced(factors)
    np.testing.assert_allclose(tensor_of(balanced), tensor_of(factors), rtol=1e-10, atol=1e-12)
    assert local_component_unbalancedness(TREE, balanced) < 1e-10
    rates = local_component_growth_rates(TREE, balanced, gradient)
    found = local_component_velocities(TREE, balanced, gradient)
    for v, norms in enumerate(local_component_norms(TREE, balanced)):
        law = COUNTS[v] * norms ** (2 - 2 / COUNTS[v]) * rates[v]
        np.testing.assert_allclose(found[v], law, rtol=1e-9, atol=1e-12)


def test_of_cp_they_are_the_components():
    rng = np.random.default_rng(0)
    factors = [rng.normal(size=(size, 3)) for size in SHAPE]
    gradient = rng.normal(size=SHAPE)
    pairs = [
        (local_component_norms(CP(3), factors), component_norms(factors)),
        (
            local_component_velocities(CP(3), factors, gradient),
            component_norm_velocity(factors, gradient),
        ),
        (
            local_component_growth_rates(CP(3), factors, gradient),
            component_growth_rates(factors, gradient),
        ),
    ]
    for (found,), expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert local_component_unbalancedness(CP(3), factors) == component_unbalancedness(factors)


def test_zero_vectors():
    factors = drawn()
    factors[0][:, 1] = 0
    gradient = np.ones(SHAPE)
    assert np.isnan(local_component_growth_rates(TREE, factors, gradient)[0][1])
    found = local_component_velocities(TREE, factors, gradient)
    assert found[0][1] > 0
    assert all(np.isfinite(each).all() for each in found)


@pytest.mark.parametrize(
    ("factorization", "change", "words"),
    [
        (DeepLinear(2), {}, "must be CP or HierarchicalTucker; got DeepLinear"),
        (TREE, {2: np.ones((2, 4))}, "Factor 4 must have a row for each column"),
        (TREE, {0: np.ones(2)}, "two dimensions"),
        (TREE, {5: np.ones((2, 2))}, "The last factor must have one column"),
        (CP(3), {}, "a column for each component"),
    ],
)
def test_unusable_factors(factorization, change, words):
    factors = [change.get(n, factor) for n, factor in enumerate(drawn())]
    with pytest.raises(InputError, match=words):
        local_component_norms(factorization, factors)


def test_unusable_gradient_and_number_of_factors():
    with pytest.raises(InputError, match=r"gradient must have the shape \(2, 3, 2\)"):
        local_component_velocities(TREE, drawn(), np.ones((2, 3)))
    with pytest.raises(InputError, match="must have a row"):
        local_component_norms(TREE, [*drawn(), np.ones((1, 1))])
