"""Component norms against complex steps of the flow, a solver, and bounds that always hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from factorflow import InputError
from factorflow.theory import (
    balanced_component_norm,
    component_blow_up_time,
    component_effective_rank,
    component_growth_rates,
    component_norm_bounds,
    component_norm_velocity,
    component_norms,
    component_unbalancedness,
)

SIZES = st.lists(st.integers(1, 4), min_size=2, max_size=5)
SEEDS = st.integers(0, 2**31)


def drawn(sizes, rank, seed=0):
    """Factors whose vectors differ in size by orders of magnitude."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(d, rank)) * 10 ** rng.uniform(-2, 1, rank) for d in sizes]


def tensor_of(factors):
    """By outer products, one after the other."""
    total = 0
    for r in range(factors[0].shape[1]):
        part = np.ones(())
        for factor in factors:
            part = np.multiply.outer(part, factor[:, r])
        total = total + part
    return total


def slope_of(factors, loss):
    """Gradients of the layers, exact but for rounding, by complex steps of single entries."""
    found = []
    for n, factor in enumerate(factors):
        slope = np.empty(factor.shape)
        for place in np.ndindex(factor.shape):
            moved = [each.astype(complex) for each in factors]
            moved[n][place] += 1e-30j
            slope[place] = loss(tensor_of(moved)).imag / 1e-30
        found.append(slope)
    return found


def norms_of(factors):
    """Component norms of complex factors too."""
    return np.prod([np.sqrt(np.sum(factor**2, axis=0)) for factor in factors], axis=0)


@pytest.mark.parametrize("sizes", [(3, 4), (2, 3, 4), (2, 3, 2, 2)])
@pytest.mark.parametrize("seed", range(3))
def test_velocities_under_the_flow_of_a_loss(sizes, seed):
    """Of a loss that is not quadratic; its gradient by the parameters is never asked of us."""
    factors = drawn(sizes, 3, seed)
    target = np.random.default_rng(seed + 9).normal(size=sizes)
    moves = [-slope for slope in slope_of(factors, lambda t: np.sum(np.cos(t - target) + t**2))]
    tensor = tensor_of(factors)
    gradient = -np.sin(tensor - target) + 2 * tensor

    squares = [2 * np.sum(f * m, axis=0) for f, m in zip(factors, moves, strict=True)]
    for each in squares:  # the same for every mode: so unbalancedness is conserved
        np.testing.assert_allclose(each, squares[0], rtol=1e-9, atol=1e-9)
    norms = component_norms(factors)
    rates = component_growth_rates(factors, gradient)
    np.testing.assert_allclose(squares[0], 2 * norms * rates, rtol=1e-9, atol=1e-9)

    along = [f + 1e-30j * m for f, m in zip(factors, moves, strict=True)]
    velocity = component_norm_velocity(factors, gradient)
    np.testing.assert_allclose(velocity, norms_of(along).imag / 1e-30, rtol=1e-9, atol=1e-12)


@given(SEEDS, SIZES, st.integers(1, 4))
def test_the_formula_of_the_growth_rate(seed, sizes, rank):
    factors = drawn(sizes, rank, seed)
    gradient = np.random.default_rng(seed).normal(size=sizes)
    norms, rates = component_norms(factors), component_growth_rates(factors, gradient)
    for r in range(rank):
        alone = tensor_of([factor[:, [r]] for factor in factors])
        assert norms[r] == pytest.approx(np.linalg.norm(alone), rel=1e-12)
        assert rates[r] == pytest.approx(-np.sum(gradient * alone) / norms[r], abs=1e-12)
    lengths = sum(1 / np.linalg.norm(factor, axis=0) ** 2 for factor in factors)
    np.testing.assert_allclose(
        component_norm_velocity(factors, gradient), rates * norms**2 * lengths, rtol=1e-9
    )


@given(SEEDS, SIZES, st.integers(1, 4))
def test_bounds_hold_for_every_component(seed, sizes, rank):
    factors = drawn(sizes, rank, seed)
    gradient = np.random.default_rng(seed).normal(size=sizes)
    velocity = component_norm_velocity(factors, gradient)
    norms, rates = component_norms(factors), component_growth_rates(factors, gradient)
    gap = component_unbalancedness(factors)
    low, high = component_norm_bounds(norms, rates, gap, len(sizes))
    slack = 1e-12 * np.abs(velocity)
    assert np.all(low <= velocity + slack)
    assert np.all(velocity <= high + slack)
    wide_low, wide_high = component_norm_bounds(norms, rates, gap, len(sizes), published=True)
    assert np.all(wide_low <= low + slack)
    assert np.all(high <= wide_high + slack)


@given(SEEDS, SIZES, st.integers(1, 4))
def test_bounds_meet_at_balance(seed, sizes, rank):
    factors = drawn(sizes, rank, seed)
    norms = component_norms(factors)
    order = len(sizes)
    factors = [f / np.linalg.norm(f, axis=0) * norms ** (1 / order) for f in factors]
    gradient = np.random.default_rng(seed).normal(size=sizes)
    rates = component_growth_rates(factors, gradient)
    law = order * rates * norms ** (2 - 2 / order)
    assert component_unbalancedness(factors) <= 1e-12 * max(norms) ** (2 / order)
    np.testing.assert_allclose(component_norm_velocity(factors, gradient), law, rtol=1e-9)
    for published in (False, True):
        for bound in component_norm_bounds(norms, rates, 0.0, order, published=published):
            np.testing.assert_allclose(bound, law, rtol=1e-12)


@pytest.mark.parametrize("rate", [1.0, -1.0])
def test_bounds_of_very_unbalanced_components(rate):
    """One short vector: all comes from that mode, and the upper bound counts it N times."""
    factors = [np.array([[size]]) for size in (1.0, 1.0, 1e-4)]
    norm, gap = component_norms(factors), component_unbalancedness(factors)
    velocity = component_norm_velocity(factors, -rate * np.ones((1, 1, 1)))
    bounds = component_norm_bounds(norm, rate, gap, 3)
    wider = component_norm_bounds(norm, rate, gap, 3, published=True)
    near, far = (0, 1) if rate > 0 else (1, 0)
    assert bounds[far] / velocity == pytest.approx(3, rel=0.01)
    assert bounds[near] / wider[near] == pytest.approx(1e8 ** (1 / 3), rel=0.01)  # gap / c^(2/3)


def test_unbalancedness_along_the_flow():
    sizes, rank = (2, 3, 2), 2
    start = [0.3 * factor for factor in drawn(sizes, rank, 4)]
    target = np.random.default_rng(5).normal(size=sizes)
    ends = np.cumsum([d * rank for d in sizes])[:-1]

    def factors_of(state):
        return [part.reshape(-1, rank) for part in np.split(state, ends)]

    def velocity(_, state):
        a, b, c = factors_of(state)
        g = tensor_of([a, b, c]) - target
        slopes = [
            np.einsum("ijk,jr,kr->ir", g, b, c),
            np.einsum("ijk,ir,kr->jr", g, a, c),
            np.einsum("ijk,ir,jr->kr", g, a, b),
        ]
        return -np.concatenate([slope.ravel() for slope in slopes])

    state = np.concatenate([factor.ravel() for factor in start])
    run = solve_ivp(velocity, (0, 3), state, method="DOP853", rtol=1e-11, atol=1e-12)
    end = factors_of(run.y[:, -1])
    assert np.linalg.norm(tensor_of(end) - tensor_of(start)) > 0.5
    gaps = [[np.sum(f**2, axis=0) - np.sum(fs[0] ** 2, axis=0) for f in fs] for fs in (start, end)]
    np.testing.assert_allclose(gaps[0], gaps[1], atol=1e-8)
    assert component_unbalancedness(end) == pytest.approx(component_unbalancedness(start), abs=1e-8)


@pytest.mark.parametrize("order", [2, 3, 5])
@pytest.mark.parametrize("rate", [0.8, 0.0, -0.8])
def test_closed_form_against_a_solver(order, rate):
    """A component along the gradient, whose growth rate is constant."""
    start, blow_up = 0.2, component_blow_up_time(0.2, rate, order)
    assert np.isinf(blow_up) == (order == 2 or rate <= 0)
    times = np.linspace(0, min(float(blow_up) * 0.9, 2.0), 5)
    directions = [np.eye(2)[:, :1]] * order
    gradient = -rate * tensor_of(directions)

    def velocity(_, c):
        return component_norm_velocity([d * c ** (1 / order) for d in directions], gradient)

    span = (0, times[-1])
    run = solve_ivp(velocity, span, [start], "DOP853", times, rtol=1e-11, atol=1e-13)
    found = balanced_component_norm(times, start, rate, order)
    np.testing.assert_allclose(found, run.y[0], rtol=1e-9)


def test_the_blow_up():
    time = component_blow_up_time([0.1, 0.4], 2.0, 4)
    np.testing.assert_allclose(time, [0.1**-0.5 / 4, 0.4**-0.5 / 4], rtol=1e-14)
    assert np.all(np.isinf(balanced_component_norm([1.0001 * time[0], 9.0], 0.1, 2.0, 4)))
    late = balanced_component_norm(time[0] * (1 - 1e-6), 0.1, 2.0, 4)
    assert late == pytest.approx(0.1e12, rel=1e-5)
    # A start as small as one likes blows up at the time that its size says.
    tiny = component_blow_up_time(1e-100, 1.0, 4)
    assert balanced_component_norm(tiny / 2, 1e-100, 1.0, 4) == pytest.approx(4e-100)


def test_zero_vectors():
    """A component with one zero vector leaves zero at once, one with more never does."""
    factors = drawn((3, 2, 4), 3)
    factors[0][:, 0] = 0
    factors[1][:, 1] = factors[2][:, 1] = 0
    gradient = np.random.default_rng(1).normal(size=(3, 2, 4))
    moves = [
        np.einsum("ijk,jr,kr->ir", gradient, *factors[1:]),
        np.einsum("ijk,ir,kr->jr", gradient, factors[0], factors[2]),
        np.einsum("ijk,ir,jr->kr", gradient, *factors[:2]),
    ]
    h = 1e-7
    ahead = component_norms([f - h * m for f, m in zip(factors, moves, strict=True)])
    velocity = component_norm_velocity(factors, gradient)
    assert velocity[0] > 1e-3
    assert velocity[1] == 0
    np.testing.assert_allclose(velocity, (ahead - component_norms(factors)) / h, rtol=1e-4)
    rates = component_growth_rates(factors, gradient)
    np.testing.assert_array_equal(np.isnan(rates), [True, True, False])
    np.testing.assert_array_equal(
        np.isnan(component_norm_bounds(0.1, rates, 1.0, 3)), [[1, 1, 0]] * 2
    )


def test_sizes_below_the_root_of_the_least_number():
    factors = [1e-200 * np.ones((2, 1)), 1e150 * np.ones((3, 1))]
    assert component_norms(factors)[0] == pytest.approx(np.sqrt(6) * 1e-50, rel=1e-12)
    rate = component_growth_rates(factors, -np.ones((2, 3)))
    assert rate[0] == pytest.approx(np.sqrt(6), rel=1e-12)
    low, high = component_norm_bounds(1e-250, 1.0, 0.0, 3)
    assert low == high == pytest.approx(3 * 1e-250 ** (4 / 3), abs=0)


@given(st.lists(st.floats(0, 1e3), min_size=3, max_size=3).filter(lambda norms: max(norms) > 1e-6))
def test_effective_rank_from_norms(norms):
    found = component_effective_rank(norms)
    assert 1 - 1e-12 <= found <= np.count_nonzero(norms) * (1 + 1e-12)
    assert component_effective_rank(norms[::-1]) == pytest.approx(found, rel=1e-12)
    assert component_effective_rank(7 * np.array(norms)) == pytest.approx(found, rel=1e-12)


def test_effective_rank_of_equal_norms():
    assert component_effective_rank([2.0, 0.0, 2.0]) == pytest.approx(2, rel=1e-14)
    assert component_effective_rank([2.0, 2.0, 2.0]) == pytest.approx(3, rel=1e-14)
    assert np.isnan(component_effective_rank([0.0, 0.0, 0.0]))


def test_effective_rank_of_orthogonal_components():
    """The singular values of an unfolding, if the components are orthogonal in two modes."""
    rng = np.random.default_rng(3)
    frames = [np.linalg.qr(rng.normal(size=(4, 3)))[0] for _ in range(2)]
    factors = [frames[0] * [3.0, 1.0, 0.2], frames[1], rng.normal(size=(2, 3))]
    values = np.linalg.svd(tensor_of(factors).reshape(4, 8), compute_uv=False)
    p = values[:3] / values[:3].sum()
    expected = np.exp(-np.sum(p * np.log(p)))
    assert component_effective_rank(component_norms(factors)) == pytest.approx(expected, rel=1e-12)


ONES = [np.ones((2, 3)), np.ones((4, 3))]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: component_norms([np.ones((2, 3))]), "two matrices or more"),
        (lambda: component_norms([np.ones((2, 3)), np.ones((2, 2))]), "a column for each"),
        (lambda: component_norms([np.ones(2), np.ones(2)]), "two dimensions"),
        (lambda: component_unbalancedness([np.full((2, 3), np.nan), np.ones((2, 3))]), "finite"),
        (lambda: component_norm_velocity(ONES, np.ones((2, 3))), r"shape \(2, 4\)"),
        (lambda: component_growth_rates(ONES, np.full((2, 4), np.inf)), "finite"),
        (lambda: component_norm_bounds(-1.0, 1.0, 0.0, 3), "norms must be finite non-negative"),
        (lambda: component_norm_bounds(1.0, np.inf, 0.0, 3), "growth_rates must be finite"),
        (lambda: component_norm_bounds(1.0, 1.0, 0.0, 1), "order must be a whole number"),
        (lambda: component_norm_bounds([1.0, 2.0], [1.0] * 3, 0.0, 3), "do not broadcast"),
        (lambda: balanced_component_norm(1.0, 0.0, 1.0, 3), "start must be finite positive"),
        (lambda: balanced_component_norm(-1.0, 1.0, 1.0, 3), "time must be finite non-neg"),
        (lambda: component_blow_up_time(1.0, 1.0, 2.5), "order must be a whole number"),  # type: ignore[arg-type]
        (lambda: component_blow_up_time(-1.0, 1.0, 2), "start must be finite positive"),
        (lambda: component_effective_rank([[1.0]]), "a vector"),
        (lambda: component_effective_rank([-1.0]), "norms must be finite non-negative"),
    ],
)
def test_unusable_inputs(call, words):
    with pytest.raises(InputError, match=words):
        call()
