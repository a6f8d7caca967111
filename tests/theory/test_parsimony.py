"""The common singular value against descents from orthogonal layers."""

import numpy as np
import optax
import pytest

from factorflow import Completion, DeepLinear, GradientDescent, InputError, Orthogonal, Stop, solve
from factorflow.theory import common_count, common_singular_value

SIZE, RANK, DEPTH, SCALE, RATE = 30, 3, 3, 0.9, 0.01
CLOSE = 2e-5


def descend(n_steps, weight_decay=0.0, n_observed=SIZE**2):
    """A descent on half the sum of squares: its rate is taken times the number of entries."""
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.normal(size=(SIZE, RANK)))
    right, _ = np.linalg.qr(rng.normal(size=(SIZE, RANK)))
    problem = Completion.sample(left * [3.0, 2.0, 1.0] @ right.T, n_observed, seed=0)
    rate = RATE * SIZE**2
    decayed = optax.chain(optax.add_decayed_weights(weight_decay / SIZE**2), optax.sgd(rate))
    return solve(
        problem,
        DeepLinear(DEPTH),
        GradientDescent(rate, decayed if weight_decay else None),
        init=Orthogonal(SCALE, scale_of="layer"),
        stop=Stop(train_error=None, n_gradients=n_steps + 1),
        route="dense",
    )


def common(solution, value):
    """How many singular values of each layer are that value."""
    spectra = [np.linalg.svd(factor, compute_uv=False) for factor in solution.factors]
    return [int(np.sum(np.abs(spectrum - value) < CLOSE)) for spectrum in spectra]


@pytest.mark.parametrize("n_steps", [100, 1000, 3000])
def test_every_layer_has_the_common_value(n_steps):
    path = common_singular_value(SCALE, DEPTH, RATE, n_steps)
    assert path[0] == SCALE
    assert path[-1] < 0.9 * SCALE
    assert common(descend(n_steps), path[-1]) == [common_count(SIZE, RANK)] * DEPTH


def test_weight_decay():
    path = common_singular_value(SCALE, DEPTH, RATE, 200, weight_decay=0.1)
    assert path[-1] < common_singular_value(SCALE, DEPTH, RATE, 200)[-1] - 0.05
    assert common(descend(200, 0.1), path[-1]) == [common_count(SIZE, RANK)] * DEPTH


def test_the_loss_factor_goes_with_the_learning_rate():
    mean = common_singular_value(SCALE, DEPTH, RATE * SIZE**2, 50, loss_factor=SIZE**-2)
    np.testing.assert_allclose(mean, common_singular_value(SCALE, DEPTH, RATE, 50), rtol=1e-12)


def test_it_takes_every_entry():
    value = common_singular_value(SCALE, DEPTH, RATE, 300)[-1]
    assert max(common(descend(300, n_observed=600), value)) < common_count(SIZE, RANK)


def test_a_long_descent_falls_as_a_power_of_time():
    # The flow d rho/dt = -rho^(2N-1) in closed form.
    path, t = common_singular_value(1.0, 3, 1e-4, 50_000), 5.0
    assert path[-1] == pytest.approx((1 + 4 * t) ** -0.25, rel=1e-4)


def test_counts():
    assert [common_count(30, 3), common_count(5, 3), common_count(4, 0)] == [24, 0, 4]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: common_singular_value(0.0, 3, 0.1, 5), "scale"),
        (lambda: common_singular_value(1.0, 3, -0.1, 5), "learning_rate"),
        (lambda: common_singular_value(1.0, 3, 0.1, 5, -1.0), "weight_decay"),
        (lambda: common_singular_value(1.0, 3, 0.1, 5, loss_factor=np.inf), "loss_factor"),
        (lambda: common_singular_value(1.0, 0, 0.1, 5), "depth"),
        (lambda: common_singular_value(1.0, 2.5, 0.1, 5), "depth must be a whole number"),  # type: ignore[arg-type]
        (lambda: common_singular_value(1.0, 3, 0.1, 5.5), "n_steps must be a whole number"),  # type: ignore[arg-type]
        (lambda: common_singular_value(1.0, 3, 0.1, 5, None), "weight_decay must be"),  # type: ignore[arg-type]
        (lambda: common_count(3, 4), "rank"),
        (lambda: common_count(3, 1.5), "rank must be a whole number"),  # type: ignore[arg-type]
    ],
)
def test_unusable_inputs_are_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()
