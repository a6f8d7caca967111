"""Steps and their lengths: beside Diffrax's own controller, and to and fro between the two."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_problem import PROBLEM

from factorflow import (
    RKC,
    ROCK4,
    DeepLinear,
    Gaussian,
    GradientFlow,
    Record,
    Rosenbrock,
    Stop,
    solve,
)
from factorflow._x64 import double_precision
from factorflow.dynamics._stepper import Attempt, StepSize, root_mean_square

SIZES = st.floats(1e-8, 1e8)
ORDER = 3


@pytest.fixture(autouse=True)
def x64():
    with double_precision():
        yield


def vectors(seed, size):
    return size * np.random.default_rng(seed).normal(size=(2, 3))


@jax.jit
def first_steps(y0, rate, atol):
    """Ours, and Diffrax's for the same field and tolerances."""

    def field(t, y):
        return -rate * y * (1 + t), ()

    start = jnp.zeros(())
    theirs = diffrax.PIDController(rtol=1e-3, atol=atol).init(
        diffrax.ODETerm(lambda t, y, args: field(t, y)[0]), start, jnp.inf, y0, None, None,
        lambda terms, t, y, args: terms.vf(t, y, args), ORDER,
    )[0]  # fmt: skip
    sizes = StepSize(1e-3, atol, root_mean_square)
    return sizes.first(field, ORDER, start, y0, field(start, y0)[0]), theirs


@given(st.integers(0, 99), SIZES, SIZES, SIZES)
def test_the_first_step_is_that_of_the_textbook(seed, size, rate, atol):
    ours, theirs = first_steps(vectors(seed, size), rate, atol)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@jax.jit
def judgements(y0, y1, error, h, last_error):
    """Ours, and Diffrax's: whether the step is kept, the length of the next, the last error."""
    theirs = diffrax.PIDController(rtol=1e-3, atol=1e-4, safety=0.8, pcoeff=0.3, icoeff=0.7)
    state = 1 / last_error, jnp.ones(()), jnp.asarray(False)
    keep, t0, t1, _, (inverse, *_), _ = theirs.adapt_step_size(
        jnp.zeros(()), h, y0, y1, None, error, ORDER, state
    )
    attempt = Attempt(y1, error, None, None, None, None)
    sizes = StepSize(1e-3, 1e-4, root_mean_square)
    return sizes.judge(ORDER, h, y0, attempt, last_error), (keep, t1 - t0, 1 / inverse)


@given(st.integers(0, 99), st.floats(-8, 3), st.floats(-6, 0))
def test_a_step_is_judged_as_by_diffrax(seed, power, last):
    y0, error = vectors(seed, 1.0), vectors(seed + 1, 10.0**power)
    (keep, following, last_error), theirs = judgements(y0, y0 + error, error, 0.7, 10.0**last)
    # Theirs is never shorter after a step that was kept.
    ours = keep, max(following, 0.7 * keep), last_error
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_step_without_error_is_no_end():
    y0, still = jnp.ones(3), Attempt(jnp.ones(3), jnp.zeros(3), None, None, None, None)
    length = last_error = jnp.ones(())
    for _ in range(3):
        keep, following, last_error = StepSize(1e-3, 1e-3, root_mean_square).judge(
            3, length, y0, still, last_error
        )
        assert keep
        assert following == 10 * length
        length = following


@pytest.mark.parametrize(("y", "error"), [(1.0, jnp.nan), (jnp.nan, 1e-6), (jnp.inf, jnp.inf)])
def test_what_is_no_number_shrinks_the_step(y, error):
    y0, first = jnp.ones(3), jnp.array([1.0, 0.0, 0.0])
    attempt = Attempt(y0 * jnp.where(first, y, 1), first * error, None, None, None, None)
    one = jnp.ones(())
    keep, following, _ = StepSize(1e-3, 1e-3, root_mean_square).judge(3, one, y0, attempt, one)
    assert not keep
    assert following == 0.2


@pytest.mark.parametrize(
    "stepper", [RKC(), ROCK4(), Rosenbrock()], ids=lambda each: type(each).__name__
)
def test_by_way_of_diffrax_it_is_the_same_flow(stepper):
    settings = {
        "init": Gaussian(0.3),
        "stop": Stop(time=20.0, train_error=None),
        "record": Record([]),
    }
    ours, theirs = (
        solve(PROBLEM, DeepLinear(2), GradientFlow(each, rtol=1e-4), **settings)
        for each in (stepper, stepper.for_diffrax())
    )
    assert ours.n_steps == theirs.n_steps
    np.testing.assert_allclose(ours.matrix, theirs.matrix, rtol=1e-9, atol=1e-12)


@jax.jit
def between(ends, t0, t1, time):
    return RKC().between(ends, t0, t1, time)


@given(st.integers(0, 99), st.floats(0, 1))
def test_between_the_ends_stands_the_cubic_with_their_slopes(seed, share):
    # A cubic is met exactly.
    c = np.random.default_rng(seed).normal(size=(4, 2))

    def cubic(t):
        return c[0] + c[1] * t + c[2] * t**2 + c[3] * t**3

    t0, t1 = 0.3, 1.1
    slopes = [c[1] + 2 * c[2] * t + 3 * c[3] * t**2 for t in (t0, t1)]
    time = t0 + share * (t1 - t0)
    found = between((cubic(t0), cubic(t1), *slopes), t0, t1, time)
    np.testing.assert_allclose(found, cubic(time), rtol=1e-10, atol=1e-10)
