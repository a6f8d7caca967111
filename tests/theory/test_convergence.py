"""Certificates of convergence against runs, and what happens where an assumption fails."""

from math import ceil, inf

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow import (
    DeepLinear,
    FunctionProblem,
    GradientDescent,
    GradientFlow,
    InputError,
    Monitor,
    Stop,
    solve,
)
from factorflow.initializers import balanced_factors
from factorflow.theory import (
    deficiency_margin,
    descent_certificate,
    end_to_end_velocity,
    flow_certificate,
    flow_certificate_of,
    stuck_start,
)


class HalfSquaredDistance:
    """``1/2 ||W - Phi||_F^2`` as a function that compiled code knows again."""

    def __init__(self, target):
        self.target = np.asarray(target, float)

    def __call__(self, matrix):
        return 0.5 * jnp.sum((matrix - self.target) ** 2)


def run(factors, target, dynamics, stop, **parts):
    problem = FunctionProblem(np.shape(target), HalfSquaredDistance(target))
    start = lambda factorization, shape, seed: tuple(factors)  # noqa: E731
    widths = [factor.shape[0] for factor in factors[:-1]]
    network = DeepLinear(len(factors), widths)
    return solve(problem, network, dynamics, init=start, stop=stop, **parts)


def layers(matrix, depth):
    m, n = matrix.shape
    k = min(m, n)
    shapes = [(k, n), *[(k, k)] * (depth - 2), (m, k)]
    return balanced_factors(matrix, shapes)


def near(target, share, seed):
    """A matrix whose deficiency margin is that share of the target's least singular value."""
    away = np.random.default_rng(seed).normal(size=target.shape)
    least = np.linalg.svd(target, compute_uv=False)[-1]
    return target + (1 - share) * least * away / np.linalg.norm(away)


def with_values(m, n, values, seed):
    rng = np.random.default_rng(seed)
    k = len(values)
    left, _ = np.linalg.qr(rng.normal(size=(m, k)))
    right, _ = np.linalg.qr(rng.normal(size=(n, k)))
    return left @ np.diag(values) @ right.T


@given(share=st.floats(0.01, 0.99), seed=st.integers(0, 999))
def test_the_margin_separates_the_start_from_singular_matrices(share, seed):
    target = with_values(4, 3, [3.0, 2.0, 1.0], seed)
    start = near(target, share, seed + 1)
    c = deficiency_margin(start, target)
    assert c == pytest.approx(share, rel=1e-9)
    # The nearest matrix with a least singular value c has the loss of the start: Eckart and Young.
    left, values, right = np.linalg.svd(target, full_matrices=False)
    values[-1] = c
    nearest = left @ np.diag(values) @ right
    assert np.linalg.norm(nearest - target) == pytest.approx(np.linalg.norm(start - target))


def test_there_is_no_margin_beyond_the_least_singular_value():
    assert deficiency_margin(np.zeros((2, 2)), np.eye(2)) == 0
    assert deficiency_margin(np.eye(2), np.diag([-1.0, 1.0])) == 0


@pytest.mark.parametrize("depth", [2, 3])
def test_descent_converges_within_the_certified_count(depth):
    target, start = np.ones((1, 1)), np.full((1, 1), 0.9)
    factors = layers(start, depth)
    certificate = descent_certificate(factors, target)
    limit = certificate.assumptions[-1].limit
    assert certificate.holds
    assert repr(descent_certificate(start, target, limit, depth)) == repr(certificate)
    assert not descent_certificate(start, target, 1.001 * limit, depth).holds
    c = certificate.margin
    assert c == pytest.approx(0.9)
    assert limit == pytest.approx(c ** ((4 * depth - 2) / depth) / (6144 * depth**3))
    epsilon = 1e-3 * certificate.excess_loss
    bound = ceil(certificate.until(epsilon))
    stop = Stop(train_error=2 * epsilon, n_gradients=bound + 1)
    solution = run(factors, target, GradientDescent(limit), stop)
    assert solution.successful
    assert 4 * solution.n_steps < bound < 7 * solution.n_steps
    assert 0.5 * solution.train_error <= certificate.excess_after(solution.n_steps)


@given(
    depth=st.sampled_from([1, 1.5, 2, 3, 7.3, inf]),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 999),
)
def test_the_rate_of_flow_is_a_bound_on_the_velocity(depth, share, seed):
    target = with_values(3, 3, [3.0, 2.0, 1.0], seed)
    start = near(target, share, seed + 1)
    certificate = flow_certificate(start, target, depth)
    G = start - target
    falls = -np.sum(G * end_to_end_velocity(start, G, depth))
    # Twice the rate in general and, in rescaled time and for square matrices, at any depth.
    times = 1 if depth == inf else depth
    assert falls >= 2 * times * certificate.rate * certificate.excess_loss * (1 - 1e-9)


@given(depth=st.sampled_from([1, 1.5, 2, 3, 7.3]), seed=st.integers(0, 999))
def test_the_rate_of_flow_bounds_rectangles_too(depth, seed):
    target = with_values(4, 2, [2.0, 1.0], seed)
    start = near(target, 0.3, seed + 1)
    certificate = flow_certificate(start, target, depth)
    G = start - target
    falls = -np.sum(G * end_to_end_velocity(start, G, depth))
    assert falls >= 2 * certificate.rate * certificate.excess_loss * (1 - 1e-9)


class LeastAbove:
    def __init__(self, c):
        self.c = c

    def __call__(self, snapshot):
        return snapshot.singular_values[-1] - self.c


def test_a_flow_keeps_its_margin_and_its_promise():
    depth, target = 3, with_values(4, 3, [3.0, 2.0, 1.0], 3)
    factors = layers(near(target, 0.4, 4), depth)
    certificate = flow_certificate(factors, target)
    assert certificate.holds
    assert certificate.depth == depth
    epsilon = 1e-4
    stop = Stop(train_error=None, n_gradients=None, time=certificate.until(epsilon))
    monitor = Monitor("margin", LeastAbove(certificate.margin))
    solution = run(factors, target, GradientFlow(rtol=1e-6), stop, monitors=[monitor])
    assert solution.monitors[0].holds
    assert 0.5 * solution.train_error <= epsilon
    path = solution.trajectory
    bound = certificate.excess_after(path["time"].values)
    assert np.all(path["train_loss"].values <= bound * (1 + 1e-6))


def test_a_start_may_be_nested_lists():
    start, target = np.diag([0.9, 0.8]), np.eye(2)
    assert flow_certificate(start.tolist(), target, 3) == flow_certificate(start, target, 3)
    factors = [np.full((3, 2), 0.5), np.full((2, 3), 0.5)]
    lists = [factor.tolist() for factor in factors]
    assert flow_certificate(lists, target) == flow_certificate(factors, target)
    square = [start, start]
    assert flow_certificate(np.array(square), target) == flow_certificate(square, target)


def test_a_loss_of_other_convexity_has_its_rate():
    certificate = flow_certificate_of(0.5, 2.0, 4, strong_convexity=3.0)
    assert certificate.holds
    assert certificate.rate == pytest.approx(3 * 0.5**1.5)
    assert certificate.until(1.0) == pytest.approx(np.log(2) * 0.5**-1.5 / 3)
    assert certificate.excess_after(certificate.until(0.01)) == pytest.approx(0.01)
    assert certificate.until(5.0) == 0
    assert not flow_certificate_of(0.0, 2.0, 4).holds


def test_a_certificate_says_what_fails_and_by_how_much():
    target = np.diag([2.0, 1.0])
    factors = [np.eye(2) * 1.2, np.eye(2)]
    certificate = descent_certificate(factors, target, 0.1)
    assert not certificate.holds
    assert [each.name for each in certificate.failures] == ["balancedness", "learning rate"]
    c, norm = 1 - np.hypot(0.8, 0.2), np.sqrt(5)
    balance, rate = certificate.failures
    assert certificate.margin == pytest.approx(c)
    assert balance.excess == pytest.approx(0.44 * np.sqrt(2) / (c**2 / (2048 * norm)))
    assert rate.excess == pytest.approx(0.1 / (c**3 / (6144 * 8 * norm**4)))
    assert "balancedness fails by a factor of" in certificate.sentence
    assert "learning rate fails" in certificate.sentence
    assert "deficiency margin" not in certificate.sentence
    # No margin: nothing is promised.
    far = flow_certificate(np.zeros((2, 2)), target, 3)
    assert far.failures[0].name == "deficiency margin"
    assert far.until(0.1) == inf
    assert far.excess_after(1e9) == far.excess_loss


@pytest.mark.parametrize(
    ("depth", "dynamics"), [(2, GradientDescent(0.01)), (3, GradientFlow(rtol=1e-5))]
)
def test_without_a_margin_the_loss_stays_above_that_of_singular_matrices(depth, dynamics):
    stuck = stuck_start(depth)
    assert not flow_certificate(stuck.factors, stuck.target).holds
    stop = Stop(train_error=None, n_gradients=None, time=5.0)
    positive = Monitor("above", AboveHalf(), tolerance=1e-14)
    solution = run(stuck.factors, stuck.target, dynamics, stop, monitors=[positive])
    assert solution.monitors[0].holds
    assert solution.matrix[0, 0] > 0
    np.testing.assert_allclose(solution.matrix[1:], np.eye(2)[1:], atol=1e-10)


class AboveHalf:
    def __call__(self, snapshot):
        return snapshot.train_loss - 0.5


def test_a_stuck_descent_tends_to_the_loss_of_singular_matrices():
    stuck, rate = stuck_start(2), 0.01
    short = run(stuck.factors, stuck.target, GradientDescent(rate), steps(1000))
    long = run(stuck.factors, stuck.target, GradientDescent(rate), steps(20_000))
    a = 1.0
    for _ in range(1000):
        a -= rate * a * (a**2 + 1)
    assert short.matrix[0, 0] == pytest.approx(a**2, rel=1e-9)
    losses = [0.5 * solution.train_error for solution in (short, long)]
    assert losses == pytest.approx([0.5 * (a**2 + 1) ** 2, stuck.infimum], abs=1e-5)
    assert losses[0] > losses[1] >= stuck.infimum


def steps(n):
    return Stop(train_error=None, n_gradients=n + 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: deficiency_margin(np.eye(2), np.eye(3)), "one shape"),
        (lambda: descent_certificate([np.eye(2)], np.eye(2), 0.0), "learning_rate"),
        (lambda: descent_certificate(np.eye(2), np.eye(2)), "needs a depth"),
        (lambda: descent_certificate(np.eye(2), np.eye(2), depth=1.5), "depth must be"),  # type: ignore[arg-type]
        (lambda: descent_certificate([np.eye(2)], np.eye(2), depth=1), "depth of their own"),
        (lambda: descent_certificate([np.eye(2)], np.eye(2), inf), "positive finite number"),
        (lambda: descent_certificate([np.eye(2)], np.zeros((2, 2)), 0.1), "target is zero"),
        (lambda: descent_certificate([np.eye(2), np.ones((2, 3))], np.eye(2), 0.1), "chain"),
        (lambda: flow_certificate(np.eye(2), np.eye(2)), "needs a depth"),
        (lambda: flow_certificate([np.eye(2)] * 2, np.eye(2), 2), "depth goes with a matrix"),
        (lambda: flow_certificate(np.eye(2).tolist(), np.eye(2)), "needs a depth"),
        (lambda: flow_certificate([np.ones((3, 2)), np.ones((2, 3))], np.eye(2), 2), "depth goes"),
        (lambda: flow_certificate(2.0, np.eye(2), 2), "start must be a matrix or a sequence"),
        (lambda: flow_certificate([], np.eye(2)), "one matrix or more"),
        (lambda: flow_certificate(np.eye(2), np.eye(2), 0.5), "depth must be"),
        (lambda: flow_certificate(np.ones((2, 1)), np.ones((2, 1)), inf), "square"),
        (lambda: flow_certificate_of(-1.0, 1.0, 2), "margin and excess_loss"),
        (lambda: flow_certificate_of(1.0, 1.0, 2).until(0), "excess must be"),
        (lambda: stuck_start(1), "depth must be a whole number of 2"),
        (lambda: stuck_start(2.5), "depth must be a whole number of 2 or more; got 2.5"),  # type: ignore[arg-type]
        (lambda: stuck_start(2, 0), "size must be a whole number of 1"),
    ],
)
def test_unusable_inputs_are_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()
