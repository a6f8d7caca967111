"""Conserved quantities along the layers' own flow, and what balanced layers satisfy."""

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from factorflow import DeepLinear, InputError
from factorflow.initializers import balanced_factors
from factorflow.theory import conserved_quantities, unbalancedness

NORMS = ("frobenius", "nuclear", "spectral")


def drawn(widths, seed=0, size=0.7):
    rng = np.random.default_rng(seed)
    return [size * rng.normal(size=(b, a)) for a, b in pairwise(widths)]


def product(factors, size):
    return reduce(lambda done, factor: factor @ done, factors, np.eye(size))


def slopes(factors, gradient):
    """Gradients of the layers, given that of their product."""
    found = []
    for j, factor in enumerate(factors):
        above = product(factors[j + 1 :], len(factor))
        below = product(factors[:j], factors[0].shape[1])
        found.append(above.T @ gradient @ below.T)
    return found


def flow(factors, gradient_of, time):
    """Layers after gradient flow, by a solver that knows nothing of them."""
    shapes = [factor.shape for factor in factors]
    ends = np.cumsum([a * b for a, b in shapes])[:-1]

    def layers(state):
        return [part.reshape(s) for part, s in zip(np.split(state, ends), shapes, strict=True)]

    def velocity(_, state):
        now = layers(state)
        moved = slopes(now, gradient_of(product(now, shapes[0][1])))
        return -np.concatenate([part.ravel() for part in moved])

    start = np.concatenate([factor.ravel() for factor in factors])
    settings = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-12}
    return layers(solve_ivp(velocity, (0, time), start, **settings).y[:, -1])


@pytest.mark.parametrize("widths", [(3, 2), (3, 4, 2), (3, 2, 5, 4), (2, 2, 2, 2, 2)])
def test_gradient_flow_conserves(widths):
    """Of a loss that is not quadratic, from layers that are far from balanced."""
    target = np.random.default_rng(1).normal(size=(widths[-1], widths[0]))
    factors = drawn(widths)
    moved = flow(factors, lambda w: np.tanh(w - target), 1.5)
    change = np.linalg.norm(product(moved, widths[0]) - product(factors, widths[0]))
    assert change > 0.3
    before, after = conserved_quantities(factors), conserved_quantities(moved)
    assert len(before) == len(after) == len(widths) - 2
    for one, other in zip(before, after, strict=True):
        assert np.linalg.norm(one) > 0.1
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


def test_descent_drifts_by_the_square_of_its_rate():
    factors = drawn((3, 4, 2, 3))
    moves = slopes(factors, np.random.default_rng(2).normal(size=(3, 3)))

    def drift(rate):
        after = conserved_quantities([f - rate * g for f, g in zip(factors, moves, strict=True)])
        pairs = zip(after, conserved_quantities(factors), strict=True)
        return max(np.linalg.norm(a - b) for a, b in pairs)

    assert drift(1e-3) / drift(5e-4) == pytest.approx(4, rel=1e-8)


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (1, 4)])
@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_balanced_layers(shape, depth):
    """Nothing unbalanced; products of layers have the fractional powers as Gram matrices."""
    target = np.random.default_rng(3).normal(size=shape)
    factors = balanced_factors(target, DeepLinear(depth).shapes(shape))
    for norm in NORMS:
        assert unbalancedness(factors, norm) <= 1e-12
    left, values, right = np.linalg.svd(target, full_matrices=False)
    for j in range(1, depth + 1):
        first = product(factors[:j], shape[1])
        power = right.T * values ** (2 * j / depth) @ right
        np.testing.assert_allclose(first.T @ first, power, rtol=0, atol=1e-12)
        last = product(factors[j - 1 :], factors[j - 1].shape[1])
        power = left * values ** (2 * (depth - j + 1) / depth) @ left.T
        np.testing.assert_allclose(last @ last.T, power, rtol=0, atol=1e-12)
    np.testing.assert_allclose(product(factors, shape[1]), target, rtol=0, atol=1e-12)


def test_the_quantities_by_hand():
    factors = [np.array([[1.0], [2.0]]), np.array([[3.0, 0.0]])]
    (found,) = conserved_quantities(factors)
    np.testing.assert_array_equal(found, [[9 - 1, -2], [-2, -4]])
    eigenvalues = np.linalg.eigvalsh(found)
    assert unbalancedness(factors) == pytest.approx(np.sqrt(64 + 16 + 8))
    assert unbalancedness(factors, "nuclear") == pytest.approx(np.abs(eigenvalues).sum())
    assert unbalancedness(factors, "spectral") == pytest.approx(np.abs(eigenvalues).max())
    assert conserved_quantities([np.eye(2)]) == []
    assert unbalancedness([np.eye(2)]) == 0


@given(st.integers(0, 2**31), st.lists(st.integers(1, 4), min_size=3, max_size=5))
def test_norms_and_hidden_bases(seed, widths):
    """The three norms in their order, blind to a rotation of a hidden basis."""
    factors = drawn(widths, seed)
    spectral, frobenius, nuclear = (
        unbalancedness(factors, norm) for norm in ("spectral", "frobenius", "nuclear")
    )
    assert spectral <= frobenius * (1 + 1e-12) <= nuclear * (1 + 1e-11)
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(widths[1], widths[1])))[0]
    turned = [turn @ factors[0], factors[1] @ turn.T, *factors[2:]]
    for norm, value in (("spectral", spectral), ("frobenius", frobenius), ("nuclear", nuclear)):
        assert unbalancedness(turned, norm) == pytest.approx(value, rel=1e-10, abs=1e-12)


def test_unusable_inputs():
    with pytest.raises(InputError, match="Factors 1 and 2 have the shapes"):
        conserved_quantities([np.ones((2, 3)), np.ones((2, 3))])
    with pytest.raises(InputError, match="norm must be one of frobenius"):
        unbalancedness([np.eye(2)], norm="max")  # type: ignore[arg-type]
