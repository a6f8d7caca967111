"""The linearly implicit solver: its order, its stability, its counts, and the flows on it."""

from collections.abc import Callable

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from small_problem import PROBLEM

from factorflow import (
    DeepLinear,
    EndToEndFlow,
    FunctionProblem,
    Gaussian,
    GradientFlow,
    Record,
    Rosenbrock,
    Status,
    Stop,
    solve,
)
from factorflow._x64 import double_precision

SOLVER = Rosenbrock().for_diffrax()


@pytest.fixture(autouse=True)
def x64():
    with double_precision():
        yield


def oscillator(t, y, args):
    """Nonlinear, on a pytree."""
    place, speed = y
    return speed, 2 * (1 - place**2) * speed - place


START = (1.0, 0.5)


def exact_oscillator(end):
    def field(t, y):
        return [float(leaf) for leaf in oscillator(t, y, None)]

    return solve_ivp(field, (0, end), START, "DOP853", rtol=1e-12, atol=1e-13).y[:, -1]


def linear(t, y, matrix):
    return matrix @ y


def symmetric(values, seed=0):
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values),) * 2))[0]
    return basis * np.asarray(values) @ basis.T


@eqx.filter_jit
def one_step(field, y0, h, args=None):
    terms, start = diffrax.ODETerm(field), jnp.zeros(())
    state = SOLVER.init(terms, start, h, y0, args)
    return SOLVER.step(terms, start, h, y0, args, state, False)


@eqx.filter_jit
def integrate(field, y0, t1, dt0, controller, args=None):
    saveat = diffrax.SaveAt(t1=True, solver_state=True)
    return diffrax.diffeqsolve(
        diffrax.ODETerm(field), SOLVER, 0.0, t1, dt0, y0, args, saveat=saveat,
        stepsize_controller=controller, max_steps=100_000,
    )  # fmt: skip


def test_the_error_of_constant_steps_falls_with_the_square_of_the_step():
    start, end, exact = tuple(map(jnp.asarray, START)), 3.0, exact_oscillator(3.0)
    constant, errors = diffrax.ConstantStepSize(), []
    for steps in (64, 128, 256):  # powers of two, so that times add up without rounding
        found = integrate(oscillator, start, jnp.asarray(end), jnp.asarray(end / steps), constant)
        assert int(found.stats["num_steps"]) == steps
        errors.append(np.linalg.norm(np.ravel(found.ys) - exact))
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all(np.abs(orders - 2) < 0.15), orders


def test_the_error_of_a_step_and_its_estimate_are_of_third_order():
    start, true, estimated = tuple(map(jnp.asarray, START)), [], []
    for h in (0.04, 0.02, 0.01):
        y1, error, _, _, _ = one_step(oscillator, start, jnp.asarray(h))
        true.append(np.linalg.norm(np.ravel(y1) - exact_oscillator(h)))
        estimated.append(np.linalg.norm(np.ravel(error)))
    for errors in (true, estimated):
        orders = np.log2(np.divide(errors[:-1], errors[1:]))
        assert np.all(np.abs(orders - 3) < 0.25), orders
    assert np.all(np.divide(estimated, true) < 10)
    assert np.all(np.divide(estimated, true) > 0.1)


def test_a_step_on_a_linear_problem_is_its_rational_function():
    # R(z) = (1 + (1 - 2 g) z) / (1 - g z)^2, which vanishes at infinity: L-stable.
    rates = -np.geomspace(1e-2, 1e8, 11)
    y1, _, _, _, _ = one_step(
        linear, jnp.ones(11), jnp.asarray(1.0), jnp.asarray(np.diag(rates))
    )  # fmt: skip
    g = 1 / (2 + np.sqrt(2))
    expected = (1 + (1 - 2 * g) * rates) / (1 - g * rates) ** 2
    np.testing.assert_allclose(y1, expected, rtol=1e-8, atol=1e-14)
    assert np.abs(y1)[-1] < 1e-7
    ahead = np.linspace(-1e3, 0, 9999)
    assert np.abs((1 + (1 - 2 * g) * ahead) / (1 - g * ahead) ** 2).max() <= 1


def test_large_steps_on_a_stiff_problem_stay_stable():
    values = -np.array([0.1, 1.0, 1e3, 1e6, 1e9])
    matrix, start = jnp.asarray(symmetric(values)), jnp.ones(5)
    constant = diffrax.ConstantStepSize()
    found = integrate(linear, start, jnp.asarray(10.0), jnp.asarray(10 / 64), constant, matrix)
    basis = np.linalg.eigh(symmetric(values))[1][:, ::-1]
    exact = basis * np.exp(10 * values) @ basis.T @ np.ones(5)
    np.testing.assert_allclose(found.ys[0], exact, atol=1e-3)


def test_the_error_follows_the_tolerance():
    exact, errors = exact_oscillator(6.0), []
    for tolerance in (1e-3, 1e-5, 1e-7):
        controller = diffrax.PIDController(rtol=jnp.asarray(tolerance), atol=jnp.asarray(tolerance))
        start = tuple(map(jnp.asarray, START))
        found = integrate(oscillator, start, jnp.asarray(6.0), None, controller)
        errors.append(np.linalg.norm(np.ravel(found.ys) - exact))
    assert errors[0] < 0.2
    assert errors[1] < errors[0] / 5
    assert errors[2] < errors[1] / 5


def test_the_interpolant_joins_both_ends_with_the_slopes_of_the_field():
    start, h = tuple(map(jnp.asarray, START)), jnp.asarray(0.3)
    y1, _, dense, state, _ = one_step(oscillator, start, h)
    path = SOLVER.interpolation_cls(t0=jnp.zeros(()), t1=h, **dense)
    for time, y in ((jnp.zeros(()), start), (h, y1)):
        found, slope = jax.jvp(path.evaluate, (time,), (jnp.ones(()),))
        np.testing.assert_allclose(found, y, rtol=1e-12)
        np.testing.assert_allclose(slope, oscillator(time, y, None), rtol=1e-10)
    np.testing.assert_allclose(state.slope, oscillator(h, y1, None), rtol=1e-12)


class Counted(eqx.Module):
    """A field that counts on the host how many points and directions it is asked for."""

    field: Callable
    count: list = eqx.field(static=True)

    def __call__(self, t, y, args):
        return self._evaluated(y)

    def _evaluated(self, y):
        field, count = self.field, self.count

        @jax.custom_jvp
        def evaluated(y):
            jax.debug.callback(lambda: count.append(1))
            return field(0.0, y, None)

        @evaluated.defjvp
        def derivative(primals, tangents):
            (y,), (v,) = primals, tangents
            value, slope = jax.jvp(lambda y: field(0.0, y, None), (y,), (v,))
            jax.debug.callback(lambda _: count.append(1), v)  # once for each direction
            return value, slope

        return evaluated(y)


def test_n_evaluations_counts_points_and_directions():
    field = Counted(lambda t, y, args: -jnp.geomspace(1.0, 1e3, 4) * (y**3 + y), [])
    constant = diffrax.ConstantStepSize()
    found = integrate(field, jnp.ones(4), jnp.asarray(1.0), jnp.asarray(1 / 8), constant)
    jax.effects_barrier()
    assert int(found.stats["num_steps"]) == 8
    assert int(found.solver_state.n_evaluations) == 1 + 8 * (2 + 4) == len(field.count)


TIGHT = {"stop": Stop(train_error=None, n_gradients=None, time=20.0), "record": Record([])}


def test_the_layerwise_flow_runs_on_it():
    ours = solve(
        PROBLEM, DeepLinear(2), GradientFlow(Rosenbrock(), rtol=1e-6), init=Gaussian(0.3), **TIGHT
    )
    flow = GradientFlow(diffrax.Tsit5(), rtol=1e-9)
    reference = solve(PROBLEM, DeepLinear(2), flow, init=Gaussian(0.3), **TIGHT)
    np.testing.assert_allclose(ours.matrix, reference.matrix, atol=3e-4)
    # Two evaluations and one for each of the 6 5 + 5 5 numbers of the factors, and the start.
    assert (ours.n_gradients - 2) % 57 == 0
    assert ours.n_gradients >= 2 + 57 * ours.n_steps


def test_the_end_to_end_flow_of_the_matrix_runs_on_it_to_a_tiny_loss():
    target = np.diag([2.0, 1.0, 0.5])
    problem = FunctionProblem((3, 3), lambda W: 0.5 * jnp.sum((W - target) ** 2))
    solution = solve(
        problem, DeepLinear(1), EndToEndFlow(3, Rosenbrock(), rtol=1e-4), init=Gaussian(0.3),
        stop=Stop(train_error=1e-16), record=Record([]),
    )  # fmt: skip
    assert solution.status is Status.TRAIN_ERROR
    np.testing.assert_allclose(solution.matrix, target, atol=1e-7)
