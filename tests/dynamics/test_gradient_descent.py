"""Gradient descent against loops by hand, and the symmetries that an optimizer keeps or loses."""

import jax
import numpy as np
import optax
import pytest
from small_problem import (
    MATRIX,
    PROBLEM,
    SHAPE,
    gradient_by_hand,
    loss_by_hand,
    norm,
    product,
    start_at,
    steps,
)

from factorflow import (
    DeepLinear,
    EverySteps,
    FlowError,
    Gaussian,
    GradientDescent,
    InputError,
    Record,
    Status,
    Stop,
    group_rmsprop,
    solve,
)
from factorflow.trajectories import gradient_norm, train_error, train_loss

LEARNING_RATE, N_STEPS = 0.2, 60
RECORD = Record(
    [train_loss(), train_error(), gradient_norm(), MATRIX], schedule=EverySteps(1, 1000)
)


def sgd_by_hand(gradients):
    return [-LEARNING_RATE * g for g in gradients[-1]]


def momentum_by_hand(gradients):
    age = len(gradients)
    decayed = [[0.9 ** (age - 1 - t) * g for g in gradients[t]] for t in range(age)]
    return [-LEARNING_RATE * sum(layer) for layer in zip(*decayed, strict=True)]


def adam_by_hand(gradients):
    t, updates = len(gradients), []
    for layer in zip(*gradients, strict=True):
        m = sum(0.1 * 0.9 ** (t - 1 - i) * g for i, g in enumerate(layer)) / (1 - 0.9**t)
        v = sum(0.001 * 0.999 ** (t - 1 - i) * g**2 for i, g in enumerate(layer)) / (1 - 0.999**t)
        updates.append(-LEARNING_RATE * m / (np.sqrt(v) + 1e-8))
    return updates


def group_rmsprop_by_hand(gradients, decay=0.99, eps=1e-6):
    v = 0.0
    for gradient in gradients:
        v = decay * v + (1 - decay) * norm(gradient) ** 2
    step = LEARNING_RATE / (np.sqrt(v / (1 - decay ** len(gradients))) + eps)
    return [-step * g for g in gradients[-1]]


# A descent is entered here: its dynamics, its update by hand, and whether it commutes with
# rotations of the hidden basis.
DESCENTS = {
    "plain": (GradientDescent(LEARNING_RATE), sgd_by_hand, True),
    "momentum": (
        GradientDescent(LEARNING_RATE, optax.sgd(LEARNING_RATE, momentum=0.9)),
        momentum_by_hand,
        True,
    ),
    "group_rmsprop": (
        GradientDescent(LEARNING_RATE, group_rmsprop(LEARNING_RATE)),
        group_rmsprop_by_hand,
        True,
    ),
    "adam": (
        GradientDescent(LEARNING_RATE, optax.adam(LEARNING_RATE)),
        adam_by_hand,
        False,
    ),
}
descents = pytest.mark.parametrize("name", DESCENTS)


def descend(name, factors, n=N_STEPS):
    return solve(
        PROBLEM, DeepLinear(len(factors)), DESCENTS[name][0], init=start_at(factors),
        stop=steps(n), record=RECORD,
    )  # fmt: skip


def start_of(depth):
    return list(Gaussian(0.5)(DeepLinear(depth), SHAPE, 0))


def path_by_hand(update, factors, n):
    """Factors and gradient at every step."""
    gradients, path = [], [(factors, gradient_by_hand(PROBLEM, factors))]
    for _ in range(n):
        gradients.append(path[-1][1])
        moves = update(gradients)
        factors = [factor + move for factor, move in zip(factors, moves, strict=True)]
        path.append((factors, gradient_by_hand(PROBLEM, factors)))
    return path


@descents
def test_a_descent_is_its_loop_by_hand(name):
    path = path_by_hand(DESCENTS[name][1], start_of(3), N_STEPS)
    solution = descend(name, start_of(3))
    for found, factor in zip(solution.factors, path[-1][0], strict=True):
        np.testing.assert_allclose(found, factor, rtol=1e-9, atol=1e-12)
    trajectory = solution.trajectory
    losses = [loss_by_hand(PROBLEM, factors) for factors, _ in path]
    np.testing.assert_allclose(trajectory["train_loss"], losses, rtol=1e-10)
    np.testing.assert_array_equal(trajectory["train_error"], 2 * trajectory["train_loss"])
    slopes = [norm(gradient) for _, gradient in path]
    np.testing.assert_allclose(trajectory["gradient_norm"], slopes, rtol=1e-9)
    matrices = [product(factors) for factors, _ in path]
    np.testing.assert_allclose(trajectory["matrix"], matrices, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("depth", [1, 2])
def test_plain_descent_at_other_depths(depth):
    path = path_by_hand(sgd_by_hand, start_of(depth), N_STEPS)
    solution = descend("plain", start_of(depth))
    for found, factor in zip(solution.factors, path[-1][0], strict=True):
        np.testing.assert_allclose(found, factor, rtol=1e-12, atol=1e-13)


@descents
def test_a_step_costs_a_gradient_and_a_learning_rate_of_time(name):
    solution = descend(name, start_of(3))
    assert solution.n_steps == N_STEPS
    assert solution.n_gradients == N_STEPS + 1
    np.testing.assert_allclose(solution.time, N_STEPS * LEARNING_RATE, rtol=1e-12)
    trajectory = solution.trajectory
    np.testing.assert_array_equal(trajectory.step, np.arange(N_STEPS + 1))
    np.testing.assert_array_equal(trajectory.n_gradients, trajectory.step + 1)
    np.testing.assert_allclose(trajectory.time, trajectory.step * LEARNING_RATE, rtol=1e-12)
    assert solution.status is Status.GRADIENT_LIMIT


@descents
def test_a_rotation_of_the_hidden_basis(name):
    start, rng = start_of(3), np.random.default_rng(1)
    Q, R = (np.linalg.qr(rng.normal(size=(5, 5)))[0] for _ in range(2))
    rotated = [Q @ start[0], R @ start[1] @ Q.T, start[2] @ R.T]
    np.testing.assert_allclose(product(rotated), product(start), atol=1e-14)
    plain, turned = (descend(name, s).trajectory["matrix"] for s in (start, rotated))
    gap = np.abs(plain.values - turned.values).max()
    if DESCENTS[name][2]:
        assert gap < 1e-10
    else:
        assert gap > 1e-2


def test_a_step_is_compiled_once(caplog):
    with jax.log_compiles():
        solve(PROBLEM, DeepLinear(2), GradientDescent(0.1), stop=steps(200), record=Record([]))
    compiled = [line for line in caplog.messages if "Finished XLA compilation" in line]
    assert sum("_advance_one" in line for line in compiled) == 1


def test_without_a_learning_rate_time_counts_steps():
    solution = solve(
        PROBLEM, DeepLinear(3), GradientDescent(transformation=optax.adam(0.01)),
        stop=steps(7), record=RECORD,
    )  # fmt: skip
    assert solution.time == solution.n_steps == 7


def test_a_huge_learning_rate_diverges():
    run = {"init": Gaussian(0.5), "stop": Stop(), "record": RECORD}
    diverging = GradientDescent(1e4)
    solution = solve(PROBLEM, DeepLinear(3), diverging, throw=False, **run)
    assert solution.status is Status.DIVERGED
    assert not solution.successful
    assert solution.trajectory.attrs["status"] == "DIVERGED"
    assert solution.n_steps < 20
    with pytest.raises(FlowError, match=r"diverged.*step.*smaller learning rate"):
        solve(PROBLEM, DeepLinear(3), diverging, **run)


@pytest.mark.parametrize("learning_rate", [0, -0.1, np.nan, np.inf])
def test_a_learning_rate_that_cannot_be(learning_rate):
    with pytest.raises(InputError, match="learning_rate must be a positive number"):
        GradientDescent(learning_rate)


def test_a_descent_of_nothing():
    with pytest.raises(InputError, match="needs a learning_rate or an Optax transformation"):
        GradientDescent()
