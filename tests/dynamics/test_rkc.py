"""RKC as a Diffrax solver: its polynomial, its order, its stability and its counts."""

from collections.abc import Callable

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
import pytest
from numpy.polynomial import chebyshev
from scipy.integrate import solve_ivp

from factorflow import RKC, InputError
from factorflow._x64 import double_precision


@pytest.fixture(autouse=True)
def x64():
    with double_precision():
        yield


def rkc(**settings):
    return RKC(**settings).for_diffrax()


def pendulum(t, y, args):
    """Nonlinear, time-dependent, on a pytree."""
    angle, speed = y
    return speed, -jnp.sin(angle) - 0.3 * speed + 0.5 * jnp.cos(2 * t)


PENDULUM_START = (1.0, 0.0)


def pendulum_reference(times):
    def field(t, y):
        return [float(leaf) for leaf in pendulum(t, y, None)]

    found = solve_ivp(
        field, (0, times[-1]), PENDULUM_START, "DOP853", times, rtol=1e-11, atol=1e-12
    )
    return found.y


def linear(t, y, matrix):
    return matrix @ y


def diagonal(t, y, rates):
    return rates * y


@eqx.filter_jit
def _integrate(field, solver, y0, t1, args, rtol, dt0, settings):
    return diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        solver,
        0.0,
        t1,
        dt0,
        y0,
        args,
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol),
        max_steps=200_000,
        **settings,
    )


AT_END = diffrax.SaveAt(t1=True, solver_state=True)


def integrate(field, y0, t1, args=None, *, rtol, solver=None, dt0=None, saveat=AT_END, **settings):
    """Integrate from 0 to t1; numbers go in as arrays, so that few programs are compiled."""
    y0, t1, args, rtol = jax.tree.map(jnp.asarray, (y0, t1, args, rtol))
    settings["saveat"] = saveat
    return _integrate(field, solver or rkc(), y0, t1, args, rtol, dt0, settings)


class Counted(eqx.Module):
    """A field that counts its true calls on the host."""

    field: Callable
    count: list = eqx.field(static=True)

    def __call__(self, t, y, args):
        jax.debug.callback(lambda: self.count.append(1))
        return self.field(t, y, args)

    def total(self):
        jax.effects_barrier()
        return len(self.count)


def stiff(t, y, args):
    return -jnp.geomspace(1.0, 1e3, 4) * (y**3 + y) + jnp.sin(t)


def symmetric(values, seed=0):
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values),) * 2))[0]
    return basis * np.asarray(values) @ basis.T


@eqx.filter_jit
def one_step(solver, field, y0, h, args=None):
    terms, start = diffrax.ODETerm(field), jnp.zeros(())
    state = solver.init(terms, start, h, y0, args)
    return solver.step(terms, start, h, y0, args, state, False)


def stability_polynomial(s, z):
    """R_s(z) of the second-order method, from NumPy's Chebyshev series."""
    T = chebyshev.Chebyshev.basis(s)
    w0 = 1 + 2 / 13 / s**2
    first, second = T.deriv(1)(w0), T.deriv(2)(w0)
    b = second / first**2
    return 1 - b * T(w0) + b * T(w0 + first / second * z)


@pytest.mark.parametrize("stiffness", [0.1, 8.0, 300.0, 2e4])
def test_a_step_on_a_linear_problem_is_the_stability_polynomial(stiffness):
    rates = -np.geomspace(1e-3, 1, 12) * stiffness
    # A long power iteration, so that the estimate of the radius is exact.
    solver = rkc(first_power_iterations=200, safety=1.05)
    y1, _, _, state, _ = one_step(
        solver, diagonal, jnp.ones(12), jnp.asarray(1.0), jnp.asarray(rates)
    )
    s = int(state.n_stages)
    np.testing.assert_allclose(y1, stability_polynomial(s, rates), rtol=1e-10, atol=1e-12)
    # The fewest stages whose stability interval 0.65 (s^2 - 1) holds the spectrum.
    reach = 1.05 * stiffness * (1 - 1e-7)
    assert 0.65 * (s**2 - 1) >= reach
    assert s == 2 or 0.65 * ((s - 1) ** 2 - 1) < 1.05 * stiffness * (1 + 1e-7)
    assert np.abs(stability_polynomial(s, np.linspace(-stiffness, 0, 999))).max() <= 1


@eqx.filter_jit
def by_constant_steps(solver, dt0):
    return diffrax.diffeqsolve(
        diffrax.ODETerm(pendulum), solver, 0.0, 4.0, dt0,
        tuple(map(jnp.asarray, PENDULUM_START)), max_steps=10_000,
    )  # fmt: skip


@pytest.mark.parametrize("safety", [1.2, 4e3], ids=["few stages", "many stages"])
def test_the_error_of_constant_steps_falls_with_the_square_of_the_step(safety):
    exact = pendulum_reference(np.array([4.0]))[:, 0]
    errors = []
    for steps in (50, 100, 200):
        found = by_constant_steps(rkc(safety=jnp.asarray(safety)), jnp.asarray(4.0 / steps))
        assert int(found.stats["num_steps"]) in (steps, steps + 1)  # times add up with rounding
        errors.append(np.linalg.norm(np.ravel(found.ys) - exact))
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all(np.abs(orders - 2) < 0.15), orders


def test_other_solvers_and_rkc_meet_within_tolerance():
    times, between = np.linspace(0.3, 9.7, 7), np.random.default_rng(0).uniform(0, 10, 50)
    saveat = diffrax.SaveAt(ts=jnp.asarray(times), dense=True)

    def solution(rtol, solver):
        found = integrate(pendulum, PENDULUM_START, 10.0, rtol=rtol, solver=solver, saveat=saveat)
        # Between the steps too, where the interpolant answers.
        dense = jax.vmap(found.evaluate)(jnp.asarray(between))
        return np.stack(found.ys), np.stack(dense)

    ours = solution(1e-6, rkc())
    for found, exact in zip(ours, solution(1e-10, diffrax.Tsit5()), strict=True):
        np.testing.assert_allclose(found, exact, atol=3e-4)
    np.testing.assert_allclose(
        ours[0], pendulum_reference(np.append(times, 10.0))[:, :-1], atol=3e-4
    )


def test_the_interpolant_joins_both_ends_with_the_slopes_of_the_field():
    start, h = tuple(map(jnp.asarray, PENDULUM_START)), jnp.asarray(0.7)
    y1, _, dense, state, _ = one_step(rkc(), pendulum, start, h)
    path = rkc().interpolation_cls(t0=jnp.zeros(()), t1=h, **dense)
    for time, y in ((jnp.zeros(()), start), (h, y1)):
        found, slope = jax.jvp(path.evaluate, (time,), (jnp.ones(()),))
        np.testing.assert_allclose(found, y, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(slope, pendulum(time, y, None), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(state.slope, pendulum(h, y1, None), rtol=1e-12)


def test_after_a_jump_the_slope_is_taken_anew():
    start, h = jnp.ones(4), jnp.asarray(1e-2)
    before, after = (diffrax.ODETerm(lambda t, y, args, c=c: c * stiff(t, y, args)) for c in (1, 3))
    stale, fresh = (rkc().init(terms, 0.0, h, start, None) for terms in (before, after))
    jumped = rkc().step(after, jnp.zeros(()), h, start, None, stale, jnp.asarray(True))
    # The direction of the power iteration is carried; only the slope is stale.
    kept = eqx.tree_at(lambda state: state.slope, stale, fresh.slope)
    plain = rkc().step(after, jnp.zeros(()), h, start, None, kept, jnp.asarray(False))
    np.testing.assert_allclose(jumped[0], plain[0], rtol=1e-12)
    assert int(jumped[3].n_evaluations) == int(plain[3].n_evaluations) + 1


def test_the_error_follows_the_tolerance():
    exact = pendulum_reference(np.array([10.0]))[:, 0]
    errors = [
        np.linalg.norm(np.ravel(integrate(pendulum, PENDULUM_START, 10.0, rtol=tol).ys) - exact)
        for tol in (1e-3, 1e-5, 1e-7)
    ]
    assert errors[0] < 0.1
    # The estimate is of third order, so that the error goes as the power 2/3 of the tolerance.
    assert errors[1] < errors[0] / 5
    assert errors[2] < errors[1] / 5


def test_an_event_is_found_where_it_happens():
    found = integrate(
        pendulum,
        PENDULUM_START,
        10.0,
        rtol=1e-8,
        saveat=diffrax.SaveAt(t1=True),
        event=diffrax.Event(
            lambda t, y, args, **_: y[0], optimistix.Newton(rtol=1e-10, atol=1e-10)
        ),
    )

    def crossing(t, y):
        return y[0]

    crossing.terminal = True
    exact = solve_ivp(
        lambda t, y: [float(leaf) for leaf in pendulum(t, y, None)],
        (0, 10), PENDULUM_START, "DOP853", events=crossing, rtol=1e-11, atol=1e-12,
    )  # fmt: skip
    assert found.result == diffrax.RESULTS.event_occurred
    np.testing.assert_allclose(found.ts[0], exact.t_events[0][0], atol=1e-5)
    np.testing.assert_allclose(found.ys[0][0], 0, atol=1e-5)


def test_a_stiff_linear_problem_is_stable_and_cheap():
    rates = -np.concatenate([[0], np.geomspace(1e-2, 1e5, 39)])
    matrix, start = symmetric(rates), np.ones(40)
    field = Counted(linear, [])
    ours = integrate(field, start, 0.1, matrix, rtol=1e-4)
    theirs = integrate(linear, start, 0.1, matrix, rtol=1e-4, solver=diffrax.Tsit5())
    values, basis = np.linalg.eigh(matrix)
    exact = basis * np.exp(0.1 * values) @ basis.T @ start
    np.testing.assert_allclose(ours.ys[0], exact, atol=1e-3)
    np.testing.assert_allclose(theirs.ys[0], exact, atol=1e-3)
    assert field.total() < 6 * int(theirs.stats["num_steps"]) / 10


def test_growing_modes_are_followed():
    # A saddle, as every run starts near one: eigenvalues of both signs.
    matrix, start = symmetric([2.0, 1.0, -3.0, -500.0]), np.full(4, 1e-3)
    found = integrate(linear, start, 3.0, matrix, rtol=1e-7)
    values, basis = np.linalg.eigh(matrix)
    exact = basis * np.exp(3 * values) @ basis.T @ start
    np.testing.assert_allclose(found.ys[0], exact, rtol=1e-3)


def test_a_step_that_needs_too_many_stages_is_refused():
    matrix, start = symmetric([-1.0, -2.0, -3.0, -1e4]), np.ones(4)
    solver = rkc(max_stages=6)
    _, error, _, state, _ = one_step(
        solver, linear, jnp.asarray(start), jnp.asarray(1.0), jnp.asarray(matrix)
    )
    assert np.isposinf(np.asarray(error)).all()
    assert int(state.n_stages) == 2  # what is thrown away is kept cheap
    found = integrate(linear, start, 0.5, matrix, rtol=1e-4, solver=solver)
    assert int(found.stats["num_rejected_steps"]) > 0
    values, basis = np.linalg.eigh(matrix)
    exact = basis * np.exp(0.5 * values) @ basis.T @ start
    np.testing.assert_allclose(found.ys[0], exact, atol=1e-3)


def test_n_evaluations_is_the_number_of_calls_of_the_field():
    solver = rkc(power_iterations=3, first_power_iterations=4)
    field = Counted(stiff, [])
    found = integrate(field, np.ones(4), 1.0, rtol=1e-4, solver=solver, dt0=1e-5)
    assert int(found.stats["num_accepted_steps"]) > 10
    # Diffrax forgets the state of a refused step, and its count with it.
    assert int(found.stats["num_rejected_steps"]) == 0
    assert int(found.solver_state.n_evaluations) == field.total()


def test_an_estimate_is_kept_while_the_spectrum_stands_still():
    matrix, start = symmetric([-1.0, -2.0, -30.0, -900.0]), np.ones(4)
    always, patient = (
        integrate(linear, start, 1.0, matrix, rtol=1e-5, solver=rkc(patience=patience))
        for patience in (1, 16)
    )
    # The steps that kept theirs saved an evaluation each.
    steps = int(patient.stats["num_steps"])
    saved = int(always.solver_state.n_evaluations) - int(patient.solver_state.n_evaluations)
    assert 0.7 * steps < saved < steps
    np.testing.assert_allclose(patient.solver_state.radius, 900, rtol=0.05)
    values, basis = np.linalg.eigh(matrix)
    exact = basis * np.exp(values) @ basis.T @ start
    np.testing.assert_allclose(patient.ys[0], exact, atol=1e-4)


def test_a_batch_is_a_loop():
    starts = np.random.default_rng(0).normal(size=(3, 4))
    matrix = symmetric([-1.0, -2.0, -30.0, -900.0])

    def end(start):
        return integrate(linear, start, 1.0, matrix, rtol=1e-5)

    batch = eqx.filter_vmap(end)(jnp.asarray(starts))
    for k, start in enumerate(starts):
        single = end(start)
        np.testing.assert_allclose(batch.ys[k], single.ys, rtol=1e-9, atol=1e-12)
        assert int(batch.stats["num_steps"][k]) == int(single.stats["num_steps"])
        spent = batch.solver_state.n_evaluations[k], single.solver_state.n_evaluations
        assert int(spent[0]) == int(spent[1])


@pytest.mark.parametrize("values", [[-9.0, -5.0, -1.0, 0.0], [7.0, 3.0, -6.5, -1.0]])
def test_the_spectral_radius_is_met_from_below(values):
    matrix = jnp.asarray(symmetric(values))
    start = jnp.asarray(np.random.default_rng(1).normal(size=4))
    radii = []
    for iterations in (1, 4, 16, 400):
        solver = rkc(first_power_iterations=iterations)
        state = solver.init(diffrax.ODETerm(linear), 0.0, 1.0, start, matrix)
        radii.append(float(state.radius))
        assert int(state.n_evaluations) == 1 + iterations
    exact = np.abs(values).max()
    assert radii[0] < 0.99 * exact
    assert np.all(np.diff(radii) > -1e-6 * exact)
    assert radii[-1] <= exact * (1 + 1e-6)
    np.testing.assert_allclose(radii[-1], exact, rtol=1e-6)
    direction = matrix @ state.vector / np.sign(values[0]) / exact
    np.testing.assert_allclose(direction, state.vector, atol=1e-5)


def test_a_start_at_rest_stays_finite_and_exact():
    found = integrate(linear, np.zeros(4), 1.0, symmetric([-1.0, -2.0, -3.0, 4.0]), rtol=1e-4)
    assert np.array_equal(found.ys[0], np.zeros(4))


def test_stiffness_is_found_although_the_field_rests_at_the_start():
    # The first slope is exactly zero, so that it names no direction for the power iteration.
    rates = -jnp.geomspace(1.0, 1e5, 6)

    def driven(t, y, args):
        return rates * (y - t**2)

    found = integrate(driven, np.zeros(6), 1.0, rtol=1e-4, dt0=1e-3)
    r = np.asarray(rates)
    exact = 1 + 2 / r + 2 / r**2 * (1 - np.exp(r))
    np.testing.assert_allclose(found.ys[0], exact, atol=1e-3)
    np.testing.assert_allclose(found.solver_state.radius, 1e5, rtol=0.3)


def test_single_precision_stays_single():
    with jax.enable_x64(False):
        found = integrate(pendulum, PENDULUM_START, 2.0, rtol=1e-3)
        assert found.ys[0].dtype == jnp.float32
    np.testing.assert_allclose(
        np.ravel(found.ys), pendulum_reference(np.array([2.0]))[:, 0], atol=1e-2
    )


@pytest.mark.parametrize(
    "setting",
    [
        {"max_stages": 1},
        {"power_iterations": 0},
        {"first_power_iterations": 0},
        {"safety": 0.0},
        {"patience": 0},
    ],
)
def test_a_setting_that_cannot_be(setting):
    with pytest.raises(InputError, match=next(iter(setting)).split("_")[-1]):
        RKC(**setting)
