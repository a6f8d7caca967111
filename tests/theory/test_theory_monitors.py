"""Monitors of the theory's bounds on runs that keep and that break them."""

import warnings
from dataclasses import replace
from functools import reduce

import jax.numpy as jnp
import numpy as np
import pytest

from factorflow import (
    Balanced,
    Completion,
    DeepLinear,
    FactorflowWarning,
    GradientDescent,
    GradientFlow,
    InputError,
    Record,
    Stop,
    solve,
    solve_many,
)
from factorflow._x64 import double_precision
from factorflow.factorizations import LogSVD
from factorflow.theory import (
    QuasiNorm,
    blow_up_sign,
    deficiency_margin,
    deficiency_margin_monitor,
    determinant_sign_monitor,
    distance_bound,
    distance_monitor,
    effective_rank_bound,
    effective_rank_monitor,
    norm_bound,
    norm_monitor,
    unbalancedness,
    unbalancedness_monitor,
    unobserved_entry_bound,
    unobserved_entry_monitor,
)
from factorflow.trajectories import Snapshot, effective_rank_of


def problem_of(z, other, corner):
    return Completion.from_array(np.array([[np.nan, z], [other, corner]]))


PUBLISHED = problem_of(1, 1, 0)
DEEP = DeepLinear(3)
NOTHING = Record([])  # what is not looked at need not be compiled
AT_ONCE = Stop(train_error=1e6)


def monitors_of(problem, sign):
    return [
        determinant_sign_monitor(sign),
        unobserved_entry_monitor(problem),
        distance_monitor(problem),
        effective_rank_monitor(problem),
        norm_monitor(problem, 2),
    ]


def published_monitors_of(problem):
    """By other names, so that one run can be watched by both."""
    wider = (make(problem, published=True) for make in (distance_monitor, effective_rank_monitor))
    return [replace(monitor, name=f"published {monitor.name}") for monitor in wider]


def product(factors):
    return reduce(lambda done, factor: factor @ done, factors)


def seed_of(network, scale, sign):
    """A seed whose start has a determinant of that sign."""
    starts = (product(Balanced(scale)(network, (2, 2), seed)) for seed in range(50))
    return next(k for k, W in enumerate(starts) if np.sign(np.linalg.det(W)) == sign)


def snapshot_at(matrix, problem=None, network=None):
    """A point of a run whose loss is that of the problem."""
    matrix = np.asarray(matrix, float)
    residual = 0.0 if problem is None else (matrix - problem.to_array())[problem.observed]
    zero = jnp.zeros((), int)
    return Snapshot(
        network or DeepLinear(1), (jnp.asarray(matrix),), time=jnp.zeros(()), step=zero,
        n_gradients=zero, train_loss=jnp.asarray(0.5 * np.mean(np.square(residual))),
        gradient_norm=jnp.zeros(()),
    )  # fmt: skip


def margin_of(monitor, snapshot):
    with double_precision():
        return float(monitor.margin(snapshot))


@pytest.mark.parametrize("values", [(1, 1, 0), (-2, 0.5, 0.1)])
def test_margins_are_the_bounds_beside_what_they_bound(values):
    problem, W = problem_of(*values), np.array([[30.0, values[0] + 0.02], [values[1] - 0.01, 0.05]])
    with double_precision():
        point = snapshot_at(W, problem)
        residual = (W - problem.to_array())[problem.observed]
        loss, spectrum = 0.5 * np.sum(residual**2), np.linalg.svd(W, compute_uv=False)
        expected = {
            unobserved_entry_monitor(problem): 30 - unobserved_entry_bound(loss, values),
            distance_monitor(problem): distance_bound(loss, values) - spectrum[1],
            effective_rank_monitor(problem): effective_rank_bound(loss, values)
            - float(effective_rank_of(spectrum)),
        }
        for monitor, margin in expected.items():
            assert margin_of(monitor, point) == pytest.approx(float(margin), rel=1e-9)


def test_bounds_do_not_apply_where_the_loss_is_large():
    with double_precision():
        start = snapshot_at(np.zeros((2, 2)), PUBLISHED)
    assert margin_of(unobserved_entry_monitor(PUBLISHED), start) == np.inf
    assert margin_of(norm_monitor(PUBLISHED, 1), start) == np.inf


@pytest.mark.parametrize("norm", [0.5, 2, QuasiNorm(jnp.max, corner=0.5, unit=2.0)])
def test_the_margin_of_a_norm(norm):
    W = np.array([[3e5, 1.0], [1.0, 1e-4]])
    as_norm = norm if isinstance(norm, QuasiNorm) else QuasiNorm.schatten(norm)
    with double_precision():
        margin = margin_of(norm_monitor(PUBLISHED, norm), snapshot_at(W, PUBLISHED))
        size = float(as_norm.function(jnp.asarray(W)))
    bound = float(norm_bound(0.5e-8, as_norm))
    assert bound > 0
    assert margin == pytest.approx(size - bound)


def test_the_sign_of_the_determinant():
    with double_precision():
        positive, negative = snapshot_at(np.eye(2)), snapshot_at(np.diag([1.0, -1.0]))
        singular = snapshot_at(np.ones((2, 2)))
    found = [
        [
            margin_of(determinant_sign_monitor(sign), point)
            for point in (positive, negative, singular)
        ]
        for sign in (1, -1)
    ]
    assert found == [[1, -1, -1], [-1, 1, -1]]


@pytest.mark.parametrize(("values", "published"), [((1, 1, 0), True), ((-2, 0.5, 0.1), False)])
def test_a_flow_through_three_layers_keeps_every_bound(values, published):
    problem, sign = problem_of(*values), blow_up_sign(values)
    monitors = monitors_of(problem, sign)
    if published:
        monitors += published_monitors_of(problem)
    solution = solve(
        problem,
        DEEP,
        GradientFlow(),
        init=Balanced(1e-3),
        seed=seed_of(DEEP, 1e-3, sign),
        stop=Stop(train_error=1e-4, n_gradients=20_000),
        monitors=monitors,
        record=NOTHING,
        throw=False,
    )
    assert all(report.holds for report in solution.monitors)
    counts = {report.name: report.n_checked for report in solution.monitors}
    assert counts["determinant_sign"] == solution.n_steps + 1
    assert 0 < counts["unobserved_entry"] < counts["determinant_sign"]


def test_a_descent_on_two_layers_jumps_over_the_singular_matrices():
    network, scale = DeepLinear(2), 1e-3
    with pytest.warns(FactorflowWarning) as told:
        solution = solve(
            PUBLISHED,
            network,
            GradientDescent(0.3),
            init=Balanced(scale),
            seed=seed_of(network, scale, 1),
            stop=Stop(train_error=2e-4 / 3),
            monitors=monitors_of(PUBLISHED, 1),
            record=NOTHING,
        )
    assert len(told) == 5
    assert np.linalg.det(solution.matrix) < -0.5
    first = [report.first_violation.step for report in solution.monitors]
    # The sign goes first; only then can the bounds that rest on it break.
    assert first[0] == min(first)
    assert min(first[1:]) > first[0]


def test_a_batch_reports_each_run():
    network, scale = DeepLinear(2), 1e-2
    seeds = [seed_of(network, scale, 1), seed_of(network, scale, -1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FactorflowWarning)
        kept, other = solve_many(
            PUBLISHED,
            network,
            GradientDescent(0.1),
            init=Balanced(scale),
            seeds=seeds,
            stop=Stop(train_error=None, n_gradients=200),
            monitors=[determinant_sign_monitor(-1)],
            record=NOTHING,
            how="batch",
        )
    assert kept.monitors[0].first_violation.step == 0
    assert other.monitors[0].first_violation is None


def test_descent_drifts_from_balance_and_flow_does_not():
    problem = problem_of(1, 1, 0)
    parts = {"init": Balanced(0.1), "seed": 1, "stop": Stop(train_error=None, time=10.0)}
    parts["record"] = NOTHING
    with pytest.warns(FactorflowWarning, match="unbalancedness <= 0.001"):
        descent = solve(
            problem, DEEP, GradientDescent(0.5), monitors=[unbalancedness_monitor(1e-3)], **parts
        )
    flow = solve(
        problem, DEEP, GradientFlow(rtol=1e-7), monitors=[unbalancedness_monitor(1e-5)], **parts
    )
    assert flow.monitors[0].holds
    drift = unbalancedness(descent.factors)
    assert descent.monitors[0].least_margin <= 1e-3 - drift + 1e-12


def test_the_least_singular_value():
    target = np.diag([2.0, 1.0])
    problem, start = Completion.from_array(target), np.diag([2.0, 0.7])
    margin = deficiency_margin(start, target)
    monitor = deficiency_margin_monitor(target, margin, tolerance=1e-9)
    solution = solve(
        problem,
        DeepLinear(1),
        init=lambda factorization, shape, seed: (start,),
        monitors=[monitor],
        record=NOTHING,
    )
    assert solution.monitors[0].holds
    assert solution.monitors[0].least_margin == pytest.approx(0.7 - margin, abs=1e-9)
    # A network that is too thin has no least singular value to speak of.
    with pytest.warns(FactorflowWarning, match="step 0"):
        solve(problem, DeepLinear(2, [1]), monitors=[monitor], stop=AT_ONCE, record=NOTHING)


def test_a_thin_network_is_at_no_distance_from_rank_one():
    with double_precision():
        point = snapshot_at(np.ones((2, 2)), PUBLISHED)
        thin = Snapshot(
            DeepLinear(2, [1]), (jnp.ones((1, 2)), jnp.ones((2, 1))), time=point.time,
            step=point.step, n_gradients=point.step, train_loss=point.train_loss,
            gradient_norm=point.gradient_norm,
        )  # fmt: skip
    assert margin_of(distance_monitor(PUBLISHED), thin) == pytest.approx(1.0)


def test_the_sign_that_only_the_factorization_knows():
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.normal(size=(2, 2)))
    right, _ = np.linalg.qr(rng.normal(size=(2, 2)))
    sign = int(np.sign(np.linalg.det(left) * np.linalg.det(right)))
    with double_precision():
        point = snapshot_at(np.eye(2))
        factors = tuple(map(jnp.asarray, (left, np.array([0.0, -300.0]), right)))
        tiny = Snapshot(
            LogSVD(), factors, time=point.time, step=point.step, n_gradients=point.step,
            train_loss=point.train_loss, gradient_norm=point.gradient_norm,
        )  # fmt: skip
    assert margin_of(determinant_sign_monitor(sign), tiny) == 1
    assert margin_of(determinant_sign_monitor(-sign), tiny) == -1
    assert margin_of(distance_monitor(PUBLISHED), tiny) == pytest.approx(-np.exp(-300), abs=1e-14)
    with pytest.raises(InputError, match="layers of a product"):
        margin_of(unbalancedness_monitor(1.0), tiny)


def steps_with(monitor, problem=PUBLISHED, network=DEEP):
    return solve(problem, network, stop=AT_ONCE, monitors=[monitor], record=NOTHING)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: determinant_sign_monitor(0), "sign must be 1 or -1"),
        (lambda: unobserved_entry_monitor(np.eye(2)), "must be a Completion"),
        (lambda: distance_monitor(Completion.from_array(np.eye(2))), "4 observed entries"),
        (lambda: effective_rank_monitor(Completion.from_array(np.eye(3))), r"shape \(3, 3\)"),
        (lambda: norm_monitor(problem_of(0, 1, 0), 2), "not zero"),
        (lambda: norm_monitor(PUBLISHED, "nuclear"), "QuasiNorm or p"),
        (lambda: norm_monitor(PUBLISHED, 0), "p must be positive"),
        (lambda: distance_monitor(problem_of(2, 1, 0), published=True), "published bound"),
        (lambda: unbalancedness_monitor(-1.0), "bound must be"),
        (lambda: deficiency_margin_monitor(np.eye(2), 0.0), "margin must be positive"),
        (lambda: deficiency_margin_monitor(np.eye(2), 1.5), "at most sigma_min"),
        (lambda: deficiency_margin_monitor(np.ones(2), 0.5), "target must be a matrix"),
        (
            lambda: steps_with(deficiency_margin_monitor(np.eye(3), 0.5)),
            r"target has shape \(3, 3\)",
        ),
        (
            lambda: steps_with(determinant_sign_monitor(1), Completion.from_array(np.ones((2, 3)))),
            "square matrix",
        ),
    ],
)
def test_unusable_inputs_are_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()
