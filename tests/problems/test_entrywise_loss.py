"""Functions of cells, and the loss that averages them over the observed ones."""

import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.factorizations import DeepLinear
from factorflow.problems import (
    AbstractCellFunction,
    Completion,
    DenseLoss,
    EntriesLoss,
    EntrywiseLoss,
    FunctionLoss,
    Logistic,
    PseudoHuber,
    RegressionLoss,
    SensingLoss,
)

RNG = np.random.default_rng(0)
SHAPE = (4, 5)
OBSERVED = RNG.random(SHAPE) < 0.6
SIGNS = np.where(OBSERVED, RNG.choice([-1.0, 1.0], SHAPE), 0)
VALUES = np.where(OBSERVED, RNG.standard_normal(SHAPE), 0)
# A function of a cell, with values that suit it, is entered here.
FUNCTIONS = {
    "logistic": (Logistic(), SIGNS),
    "pseudo-Huber": (PseudoHuber(0.7), VALUES),
    "narrow pseudo-Huber": (PseudoHuber(0.02), VALUES),
}
each_function = pytest.mark.parametrize(
    ("function", "values"), FUNCTIONS.values(), ids=FUNCTIONS.keys()
)


def loss_of(function, values, factorization):
    return EntrywiseLoss(factorization, function, values, OBSERVED, OBSERVED.sum())


def at(function, w, y):
    """``phi(w, y)`` and its first two derivatives by `w`."""
    with double_precision():
        return tuple(map(float, _derivatives(function, float(w), float(y))))


@jax.jit
def _derivatives(function, w, y):
    def phi(w):
        return function(w, y)

    return phi(w), jax.grad(phi)(w), jax.grad(jax.grad(phi))(w)


def factors_of(factorization, seed=1):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(each) for each in factorization.shapes(SHAPE))


@each_function
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_loss_is_the_mean_over_observed_cells(function, values, depth):
    factorization = DeepLinear(depth)
    factors = factors_of(factorization)
    matrix = np.asarray(factorization.matrix(factors))
    own = [at(function, w, y)[0] for w, y in zip(matrix[OBSERVED], values[OBSERVED], strict=True)]
    loss = loss_of(function, values, factorization)
    assert (loss.route, loss.entrywise) == ("dense", True)
    assert float(loss(factors)) == pytest.approx(np.mean(own), rel=1e-12)


@each_function
@pytest.mark.parametrize("depth", [1, 3])
def test_gradient_against_differences(function, values, depth):
    factorization = DeepLinear(depth)
    loss, factors = loss_of(function, values, factorization), factors_of(factorization)
    along = factors_of(factorization, seed=2)
    slope = sum(
        np.sum(np.asarray(g) * d) for g, d in zip(loss.gradient(factors), along, strict=True)
    )
    step = 1e-6
    ends = [
        float(loss(tuple(f + sign * step * d for f, d in zip(factors, along, strict=True))))
        for sign in (1, -1)
    ]
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope, rel=1e-6, abs=1e-8)


@each_function
def test_the_hessian_by_the_matrix_is_diagonal_and_not_negative(function, values):
    loss, (matrix,) = loss_of(function, values, DeepLinear(1)), factors_of(DeepLinear(1))
    with double_precision():
        hessian = np.asarray(jax.jit(jax.hessian(lambda w: loss((w,))))(jnp.asarray(matrix)))
    hessian = hessian.reshape(20, 20)
    diagonal = np.diag(hessian)
    np.testing.assert_array_equal(hessian, np.diag(diagonal))
    np.testing.assert_array_equal(diagonal > 0, OBSERVED.ravel())


entries = st.floats(-40, 40)


@given(entries, entries, st.floats(0, 1), st.sampled_from(list(FUNCTIONS)))
def test_functions_are_convex(a, b, share, name):
    with double_precision():
        ends = jnp.asarray([a, b, share * a + (1 - share) * b])
        one, other, between = map(float, FUNCTIONS[name][0](ends, jnp.ones(3)))
    assert between <= share * one + (1 - share) * other + 1e-12 * (1 + one + other)


@each_function
@pytest.mark.parametrize("w", [-30, -1, 0, 0.99, 1, 2, 1e3])
def test_curvature_lies_between_0_and_1(function, values, w):
    assert 0 <= at(function, w, 1)[2] <= 1


def test_logistic_by_hand():
    log2 = math.log(2)
    assert at(Logistic(), 0, 1) == pytest.approx((log2, -0.5, 0.25), rel=1e-15)
    assert at(Logistic(), 0, -1) == pytest.approx((log2, 0.5, 0.25), rel=1e-15)
    # Odds of 3 to 1 for the sign that came: probability 3/4.
    phi, slope, curvature = at(Logistic(), math.log(3), 1)
    assert (phi, slope, curvature) == pytest.approx((math.log(4 / 3), -1 / 4, 3 / 16), rel=1e-14)


@pytest.mark.parametrize("w", [40.0, 800.0, 1e10, 1e300])
def test_logistic_of_large_entries(w):
    right, wrong = at(Logistic(), w, 1), at(Logistic(), w, -1)
    assert right[0] == pytest.approx(math.exp(-w), rel=1e-12)
    assert right[1] == pytest.approx(-math.exp(-w), rel=1e-12)
    assert wrong[:2] == (w, 1)
    assert right[2] == pytest.approx(wrong[2], rel=1e-12, abs=1e-16)


def test_pseudo_huber_by_hand():
    # z = 3/4: sqrt(1 + z^2) = 5/4.
    phi, slope, curvature = at(PseudoHuber(2.0), 1.5 + 7, 7)
    assert (phi, slope, curvature) == pytest.approx((1.0, 1.2, (4 / 5) ** 3), rel=1e-14)


@given(st.floats(1e-3, 1e3), st.floats(1e-9, 1e-3), st.sampled_from([-1, 1]))
def test_pseudo_huber_of_small_residuals_is_half_the_square(delta, ratio, sign):
    residual = sign * ratio * delta
    phi, slope, curvature = at(PseudoHuber(delta), residual, 0)
    # The next term of the series is z^2 / 4 of the first.
    assert phi == pytest.approx(residual**2 / 2, rel=ratio**2 / 4 + 1e-14)
    assert slope == pytest.approx(residual, rel=ratio**2 + 1e-14)
    assert curvature == pytest.approx(1, rel=2 * ratio**2 + 1e-14)


@given(st.floats(1e-3, 1e3), st.floats(1e3, 1e9), st.sampled_from([-1, 1]))
def test_pseudo_huber_of_large_residuals_is_linear(delta, ratio, sign):
    phi, slope, curvature = at(PseudoHuber(delta), sign * ratio * delta, 0)
    assert phi == pytest.approx(delta**2 * (ratio - 1), rel=1 / ratio**2 + 1e-14)
    assert slope == pytest.approx(sign * delta, rel=1 / ratio**2)
    assert curvature == pytest.approx(ratio**-3, rel=2 / ratio**2, abs=1e-18)


def test_a_wide_pseudo_huber_is_the_squared_loss():
    factorization = DeepLinear(2)
    factors = factors_of(factorization)
    wide = loss_of(PseudoHuber(1e6), VALUES, factorization)
    squared = Completion.from_array(VALUES, OBSERVED).loss(factorization)
    assert float(wide(factors)) == pytest.approx(float(squared(factors)), rel=1e-10)
    for a, b in zip(wide.gradient(factors), squared.gradient(factors), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_another_threshold_compiles_nothing_anew():
    traces = []

    @jax.jit
    def value(loss, factors):
        traces.append(1)
        return loss(factors)

    factorization = DeepLinear(2)
    factors = factors_of(factorization)
    with double_precision():
        found = [
            float(value(loss_of(PseudoHuber(delta), VALUES, factorization), factors))
            for delta in (0.1, 1.0, 10)
        ]
    assert len(traces) == 1
    assert found == sorted(found)


@each_function
def test_maps_over_losses_and_survives_pickling(function, values):
    factorization = DeepLinear(2)
    losses = [loss_of(function, part, factorization) for part in (values, -values)]
    factors = factors_of(factorization)
    with double_precision():
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *losses)
        both = jax.jit(jax.vmap(lambda loss: loss(factors)))(stacked)
    np.testing.assert_allclose(both, [float(loss(factors)) for loss in losses], rtol=1e-13)
    again = pickle.loads(pickle.dumps(losses[0]))
    assert float(again(factors)) == float(losses[0](factors))
    deeper = losses[0].of(DeepLinear(1))
    matrix = factorization.matrix(factors)
    assert float(deeper((matrix,))) == pytest.approx(float(losses[0](factors)), rel=1e-13)


def test_which_losses_are_of_single_entries():
    entrywise = {DenseLoss, EntriesLoss, EntrywiseLoss, FunctionLoss, RegressionLoss, SensingLoss}
    assert {each for each in entrywise if each.entrywise} == {DenseLoss, EntriesLoss, EntrywiseLoss}


class _Fourth(AbstractCellFunction):
    def __call__(self, entries, values):
        return (entries - values) ** 4


def test_a_function_of_ones_own():
    (matrix,) = factors_of(DeepLinear(1))
    wanted = np.mean((matrix - VALUES)[OBSERVED] ** 4)
    assert float(loss_of(_Fourth(), VALUES, DeepLinear(1))((matrix,))) == pytest.approx(wanted)


@pytest.mark.parametrize("delta", [0, -1.0, np.nan, np.inf, "1", True, None, [1.0, 2.0]])
def test_thresholds_that_are_refused(delta):
    with pytest.raises(InputError, match="delta must be a positive finite number"):
        PseudoHuber(delta)


def test_what_is_refused():
    with pytest.raises(InputError, match=r"function must be one of a cell, such as Logistic\(\)"):
        loss_of(jnp.square, VALUES, DeepLinear(1))
    with pytest.raises(InputError, match=r"of one shape, .*; got \(4, 5\) and \(5, 4\)"):
        EntrywiseLoss(DeepLinear(1), Logistic(), VALUES, OBSERVED.T, 3)
    with pytest.raises(InputError, match=r"shape \(3, 5\), the problem is of shape \(4, 5\)"):
        loss_of(Logistic(), SIGNS, DeepLinear(1))((np.zeros((3, 5)),))
