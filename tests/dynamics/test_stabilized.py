"""The stabilized methods as Diffrax solvers: polynomial, order, stability and counts of each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
import pytest
from numpy.polynomial import chebyshev
from scipy.integrate import solve_ivp

from factorflow import RKC, ROCK4, InputError
from factorflow._x64 import double_precision
from factorflow.dynamics._rock4_table import schemes
from factorflow.dynamics._stabilized import AbstractStabilized


@dataclass(frozen=True)
class Member:
    """One method, with what the mathematics says of it and of no other."""

    method: type[AbstractStabilized]
    order: int
    exponent: float  # of the tolerance, in the error at the end
    polynomial: Callable  # R_s(z)
    intervals: dict[int, float]  # number of stages: length of the stability interval
    steps: tuple[int, ...]  # where the error is that of the order and not yet of rounding

    def solver(self, **settings):
        """Its settings are arrays, so that few programs are compiled."""
        return jax.tree.map(jnp.asarray, self.method(**settings).for_diffrax())


def rkc_polynomial(s, z):
    """R_s(z) of the second-order method, from NumPy's Chebyshev series."""
    T = chebyshev.Chebyshev.basis(s)
    w0 = 1 + 2 / 13 / s**2
    first, second = T.deriv(1)(w0), T.deriv(2)(w0)
    b = second / first**2
    return 1 - b * T(w0) + b * T(w0 + first / second * z)


def rock4_polynomial(s, z):
    """R_s(z) of the fourth-order method, by its roots and the orthogonal polynomial."""
    return next(each for each in schemes() if each.stages == s).stability(z)


# A member is entered here. Its error is that of the order, and its estimate of the error order:
# the error of all steps goes as the quotient of the two.
MEMBERS = {
    "RKC": Member(
        RKC,
        order=2,
        exponent=2 / 3,
        polynomial=rkc_polynomial,
        intervals={s: 0.65 * (s**2 - 1) for s in range(2, 501)},
        steps=(50, 100, 200),
    ),
    "ROCK4": Member(
        ROCK4,
        order=4,
        exponent=4 / 4,
        polynomial=rock4_polynomial,
        intervals={each.stages: each.length for each in schemes()},
        steps=(32, 64, 128),
    ),
}
members = pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)


@pytest.fixture(autouse=True)
def x64():
    with double_precision():
        yield


def pendulum(t, y, args):
    """Nonlinear, time-dependent, on a pytree."""
    angle, speed = y
    return speed, -jnp.sin(angle) - 0.3 * speed + 0.5 * jnp.cos(2 * t)


PENDULUM_START = (1.0, 0.0)


def pendulum_slope(t, y):
    return [y[1], -np.sin(y[0]) - 0.3 * y[1] + 0.5 * np.cos(2 * t)]


def pendulum_path(end, **settings):
    return solve_ivp(
        pendulum_slope, (0, end), PENDULUM_START, "DOP853", rtol=1e-13, atol=1e-14, **settings
    )


@cache
def pendulum_reference(*times):
    return pendulum_path(times[-1], t_eval=times).y


SIZE = 12
CALLS = []  # of the linear and of the cubic field


def linear(t, y, args):
    """Where ``pull`` is 1, y follows t^2; where it is 0, it is free."""
    matrix, pull = args
    jax.debug.callback(lambda: CALLS.append(1))
    return matrix @ (y - pull * t**2)


def cubic(t, y, args):
    """Stiff, nonlinear and time-dependent."""
    jax.debug.callback(lambda: CALLS.append(1))
    return args * (-jnp.geomspace(1.0, 1e3, 4) * (y**3 + y) + jnp.sin(t))


def calls_of(run):
    """What it gives, and how often it calls the field on the host."""
    jax.effects_barrier()
    CALLS.clear()
    found = run()
    jax.effects_barrier()
    return found, len(CALLS)


def symmetric(values, seed=0):
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values),) * 2))[0]
    return basis * np.asarray(values) @ basis.T


def spectrum(*values, between=(-1.0, -0.5)):
    """These eigenvalues and others, that make a matrix of the size of all."""
    return symmetric([*values, *np.linspace(*between, SIZE - len(values))])


def exact_linear(matrix, start, time):
    values, basis = np.linalg.eigh(matrix)
    return basis * np.exp(time * values) @ basis.T @ start


AT_END = diffrax.SaveAt(t1=True, solver_state=True)


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


def integrate(field, solver, y0, t1, args=None, *, rtol, dt0=None, saveat=AT_END, **settings):
    """Integrate from 0 to t1; numbers go in as arrays, so that few programs are compiled."""
    y0, t1, args, rtol, dt0 = jax.tree.map(jnp.asarray, (y0, t1, args, rtol, dt0))
    return _integrate(field, solver, y0, t1, args, rtol, dt0, {"saveat": saveat, **settings})


def integrate_linear(solver, matrix, start, end, *, rtol, pull=0.0, dt0=1e-3):
    return integrate(linear, solver, start, end, (matrix, pull), rtol=rtol, dt0=dt0)


@eqx.filter_jit
def begin(solver, field, y0, args=None):
    return solver.init(diffrax.ODETerm(field), jnp.zeros(()), jnp.ones(()), y0, args)


@eqx.filter_jit
def step(solver, field, y0, h, args, state, made_jump):
    terms = diffrax.ODETerm(field)
    return solver.step(terms, jnp.zeros(()), h, y0, args, state, made_jump)


def one_step(solver, field, y0, h, args=None):
    y0, h, args = jax.tree.map(jnp.asarray, (y0, h, args))
    return step(solver, field, y0, h, args, begin(solver, field, y0, args), False)


@members
@pytest.mark.parametrize("stiffness", [0.1, 8.0, 300.0, 2e4])
def test_a_step_on_a_linear_problem_is_the_stability_polynomial(member, stiffness):
    rates = -np.geomspace(1e-3, 1, SIZE) * stiffness
    # A long power iteration, so that the estimate of the radius is exact.
    solver = member.solver(first_power_iterations=200, safety=1.05)
    y1, _, _, state, _ = one_step(solver, linear, np.ones(SIZE), 1.0, (np.diag(rates), 0.0))
    s = int(state.n_stages)
    np.testing.assert_allclose(y1, member.polynomial(s, rates), rtol=1e-10, atol=1e-12)
    # The fewest stages whose stability interval holds the spectrum.
    assert member.intervals[s] >= 1.05 * stiffness * (1 - 1e-7)
    fewer = [length for stages, length in member.intervals.items() if stages < s]
    assert max(fewer, default=0) < 1.05 * stiffness * (1 + 1e-7)
    assert np.abs(member.polynomial(s, np.linspace(-stiffness, 0, 999))).max() <= 1 + 1e-12


@members
def test_at_the_end_of_an_interval_begins_the_next(member):
    method = member.method()
    stages = np.array(list(member.intervals))
    lengths = np.array(list(member.intervals.values()))
    within, past = (
        np.asarray(jax.vmap(method.stages_for)(jnp.asarray(share * lengths)))
        for share in (1 - 1e-9, 1 + 1e-9)
    )
    np.testing.assert_array_equal(within, stages)
    np.testing.assert_array_equal(past[:-1], stages[1:])
    assert method.stages_for(jnp.asarray(0.0)) == stages[0] == method.least_stages
    # Past the last one a step is refused; so is one whose length or radius is no number.
    broken = [method.stages_for(jnp.asarray(z)) for z in (np.nan, np.inf)]
    assert min(past[-1], *broken) > method.max_stages == stages[-1]


@members
def test_diffrax_is_told_the_order(member):
    assert member.solver().order(None) == member.order


@eqx.filter_jit
def by_constant_steps(field, solver, y0, t1, h, args=None):
    return diffrax.diffeqsolve(
        diffrax.ODETerm(field), solver, 0.0, t1, h, y0, args, saveat=AT_END, max_steps=10_000
    )


@members
@pytest.mark.parametrize("reach", [0.1, 300.0], ids=["few stages", "many stages"])
def test_the_error_of_constant_steps_falls_with_the_order(member, reach):
    exact = pendulum_reference(4.0)[:, 0]
    start, end, errors = *jax.tree.map(jnp.asarray, (PENDULUM_START, 4.0)), []
    for steps in member.steps:
        # The same stages at each length of the steps, as far as the spectral radius is the same.
        solver = member.solver(safety=reach * steps / 4)
        found = by_constant_steps(pendulum, solver, start, end, end / steps)
        assert int(found.stats["num_steps"]) in (steps, steps + 1)  # times add up with rounding
        errors.append(np.linalg.norm(np.ravel(found.ys) - exact))
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all(np.abs(orders - member.order) < 0.1), orders


@members
def test_the_path_is_that_of_scipy_at_and_between_the_steps(member):
    times, between = np.linspace(0.3, 9.7, 7), np.random.default_rng(0).uniform(0, 10, 50)
    found = integrate(
        pendulum, member.solver(), PENDULUM_START, 10.0, rtol=1e-6,
        saveat=diffrax.SaveAt(ts=jnp.asarray(times), dense=True),
    )  # fmt: skip
    dense = jax.vmap(found.evaluate)(jnp.asarray(np.sort(between)))
    for ours, when in ((found.ys, times), (dense, np.sort(between))):
        np.testing.assert_allclose(ours, pendulum_reference(*when, 10.0)[:, :-1], atol=3e-4)


@members
def test_the_interpolant_joins_both_ends_with_the_slopes_of_the_field(member):
    start, h, solver = tuple(map(jnp.asarray, PENDULUM_START)), jnp.asarray(0.7), member.solver()
    y1, _, dense, state, _ = one_step(solver, pendulum, start, h)
    path = solver.interpolation_cls(t0=jnp.zeros(()), t1=h, **dense)
    for time, y in ((jnp.zeros(()), start), (h, y1)):
        found, slope = jax.jvp(path.evaluate, (time,), (jnp.ones(()),))
        np.testing.assert_allclose(found, y, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(slope, pendulum(time, y, None), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(state.slope, pendulum(h, y1, None), rtol=1e-12)


@members
def test_after_a_jump_the_slope_is_taken_anew(member):
    solver, start, h = member.solver(), jnp.ones(4), jnp.asarray(1e-2)
    before, after = jnp.asarray(1.0), jnp.asarray(3.0)
    stale, fresh = (begin(solver, cubic, start, factor) for factor in (before, after))
    jumped = step(solver, cubic, start, h, after, stale, jnp.asarray(True))
    # The direction of the power iteration is carried; only the slope is stale.
    kept = eqx.tree_at(lambda state: state.slope, stale, fresh.slope)
    plain = step(solver, cubic, start, h, after, kept, jnp.asarray(False))
    np.testing.assert_allclose(jumped[0], plain[0], rtol=1e-12)
    assert int(jumped[3].n_evaluations) == int(plain[3].n_evaluations) + 1


@members
def test_the_error_follows_the_tolerance(member):
    exact = pendulum_reference(10.0)[:, 0]
    tolerances = (1e-3, 1e-5, 1e-7)
    ends = [
        integrate(pendulum, member.solver(), PENDULUM_START, 10.0, rtol=tolerance).ys
        for tolerance in tolerances
    ]
    errors = [np.linalg.norm(np.ravel(end) - exact) for end in ends]
    assert errors[0] < 0.1
    exponents = np.diff(np.log(errors)) / np.diff(np.log(tolerances))
    np.testing.assert_allclose(exponents, member.exponent, atol=0.15)


@members
def test_an_event_is_found_where_it_happens(member):
    found = integrate(
        pendulum,
        member.solver(),
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
    exact = pendulum_path(10.0, events=crossing)
    assert found.result == diffrax.RESULTS.event_occurred
    np.testing.assert_allclose(found.ts[0], exact.t_events[0][0], atol=1e-5)
    np.testing.assert_allclose(found.ys[0][0], 0, atol=1e-5)


@cache
def calls_of_tsit5(rates, end):
    matrix = symmetric(rates)
    found, calls = calls_of(
        lambda: integrate_linear(diffrax.Tsit5(), matrix, np.ones(SIZE), end, rtol=1e-4)
    )
    np.testing.assert_allclose(found.ys[0], exact_linear(matrix, np.ones(SIZE), end), atol=1e-3)
    return calls


@members
def test_a_stiff_linear_problem_is_stable_and_cheap(member):
    rates, end = (0.0, *-np.geomspace(1e-2, 1e5, SIZE - 1)), 0.1
    matrix, start = symmetric(rates), np.ones(SIZE)
    found, calls = calls_of(
        lambda: integrate_linear(member.solver(), matrix, start, end, rtol=1e-4)
    )
    np.testing.assert_allclose(found.ys[0], exact_linear(matrix, start, end), atol=1e-3)
    assert calls < calls_of_tsit5(rates, end) / 10


@members
def test_growing_modes_are_followed(member):
    # A saddle, as every run starts near one: eigenvalues of both signs.
    matrix, start = spectrum(2.0, 1.0, -3.0, -500.0), np.full(SIZE, 1e-3)
    found = integrate_linear(member.solver(), matrix, start, 3.0, rtol=1e-8)
    exact = exact_linear(matrix, start, 3.0)
    np.testing.assert_allclose(found.ys[0], exact, atol=1e-3 * np.abs(exact).max())


@members
def test_a_step_that_needs_too_many_stages_is_refused(member):
    matrix, start = spectrum(-1.0, -2.0, -3.0, -1e4), np.ones(SIZE)
    solver = member.solver(max_stages=6)
    _, error, _, state, _ = one_step(solver, linear, start, 1.0, (matrix, 0.0))
    assert np.isposinf(np.asarray(error)).all()
    assert int(state.n_stages) == member.method.least_stages  # what is thrown away is kept cheap
    found = integrate_linear(solver, matrix, start, 0.5, rtol=1e-4)
    assert int(found.stats["num_rejected_steps"]) > 0
    np.testing.assert_allclose(found.ys[0], exact_linear(matrix, start, 0.5), atol=1e-3)


@members
def test_n_evaluations_is_the_number_of_calls_of_the_field(member):
    solver = member.solver(power_iterations=3, first_power_iterations=4)
    one = jnp.ones(())
    # No step is refused: Diffrax forgets its state, and its count with it.
    found, calls = calls_of(
        lambda: by_constant_steps(cubic, solver, jnp.ones(4), one, one / 40, one)
    )
    assert int(found.solver_state.n_evaluations) == calls


@members
def test_an_estimate_is_kept_while_the_spectrum_stands_still(member):
    matrix, start = spectrum(-1.0, -2.0, -30.0, -900.0), np.ones(SIZE)
    always, patient = (
        integrate_linear(member.solver(patience=patience), matrix, start, 1.0, rtol=1e-5)
        for patience in (1, 16)
    )
    # The steps that kept theirs saved an evaluation each.
    steps = int(patient.stats["num_steps"])
    saved = int(always.solver_state.n_evaluations) - int(patient.solver_state.n_evaluations)
    assert 0.7 * steps < saved < steps
    np.testing.assert_allclose(patient.solver_state.radius, 900, rtol=0.05)
    np.testing.assert_allclose(patient.ys[0], exact_linear(matrix, start, 1.0), atol=1e-4)


@members
def test_a_batch_is_a_loop(member):
    starts = np.random.default_rng(0).normal(size=(3, SIZE))
    matrix = spectrum(-1.0, -2.0, -30.0, -900.0)

    def end(start):
        return integrate_linear(member.solver(), matrix, start, 1.0, rtol=1e-5)

    batch = eqx.filter_vmap(end)(jnp.asarray(starts))
    for k, start in enumerate(starts):
        single = end(start)
        np.testing.assert_allclose(batch.ys[k], single.ys, rtol=1e-7, atol=1e-10)
        assert int(batch.stats["num_steps"][k]) == int(single.stats["num_steps"])
        spent = batch.solver_state.n_evaluations[k], single.solver_state.n_evaluations
        assert int(spent[0]) == int(spent[1])


@members
@pytest.mark.parametrize("values", [[-9.0, -5.0, -1.0, 0.0], [7.0, 3.0, -6.5, -1.0]])
def test_the_spectral_radius_is_met_from_below(member, values):
    matrix = spectrum(*values)
    start = jnp.asarray(np.random.default_rng(1).normal(size=SIZE))
    radii = []
    for iterations in (1, 4, 16, 400):
        solver = member.solver(first_power_iterations=iterations)
        state = begin(solver, linear, start, jax.tree.map(jnp.asarray, (matrix, 0.0)))
        radii.append(float(state.radius))
        assert int(state.n_evaluations) == 1 + iterations
    exact = np.abs(values).max()
    assert radii[0] < 0.99 * exact
    assert np.all(np.diff(radii) > -1e-6 * exact)
    assert radii[-1] <= exact * (1 + 1e-6)
    np.testing.assert_allclose(radii[-1], exact, rtol=1e-6)
    direction = matrix @ state.vector / np.sign(values[0]) / exact
    np.testing.assert_allclose(direction, state.vector, atol=1e-5)


@members
def test_a_start_at_rest_stays_finite_and_exact(member):
    matrix = spectrum(-1.0, -2.0, -3.0, 4.0)
    found = integrate_linear(member.solver(), matrix, np.zeros(SIZE), 1.0, rtol=1e-4)
    assert np.array_equal(found.ys[0], np.zeros(SIZE))


@members
def test_stiffness_is_found_although_the_field_rests_at_the_start(member):
    # The first slope is exactly zero, so that it names no direction for the power iteration.
    r = -np.geomspace(1.0, 1e5, SIZE)
    found = integrate_linear(member.solver(), np.diag(r), np.zeros(SIZE), 1.0, rtol=1e-4, pull=1.0)
    exact = 1 + 2 / r + 2 / r**2 * (1 - np.exp(r))
    np.testing.assert_allclose(found.ys[0], exact, atol=1e-3)
    np.testing.assert_allclose(found.solver_state.radius, 1e5, rtol=0.3)


@members
def test_single_precision_stays_single(member):
    with jax.enable_x64(False):
        found = integrate(pendulum, member.solver(), PENDULUM_START, 2.0, rtol=1e-3)
        assert found.ys[0].dtype == jnp.float32
    np.testing.assert_allclose(np.ravel(found.ys), pendulum_reference(2.0)[:, 0], atol=1e-2)


@members
@pytest.mark.parametrize(
    "setting", ["max_stages", "power_iterations", "first_power_iterations", "safety", "patience"]
)
def test_a_setting_that_cannot_be(member, setting):
    value = member.method.least_stages - 1 if setting == "max_stages" else 0
    with pytest.raises(InputError, match=setting.split("_")[-1]):
        member.method(**{setting: value})


@members
def test_a_refused_step_is_tried_again_with_a_new_radius(member):
    """It may have been refused because the problem had become stiffer than the estimate says."""

    def field(t, y):
        return -jnp.linspace(1.0, 50.0, SIZE) * y, ()

    method, y0, zero = member.method(), jnp.ones(SIZE), jnp.zeros(())
    slope = field(zero, y0)[0]
    settled = eqx.tree_at(
        lambda state: (state.radius, state.age, state.patience),
        method.init(field, zero, zero, y0, slope),
        (jnp.asarray(1.0), jnp.asarray(1), jnp.asarray(9)),
    )

    def tried(carried):
        return method.step(field, zero, zero + 0.01, y0, carried).carried

    def iterations(found):
        return found.n_evaluations - settled.n_evaluations - found.n_stages

    first = tried(settled)
    assert (first.radius, iterations(first)) == (1, 0)
    second = tried(method.refused(settled, first))
    assert 40 < second.radius < 51
    assert iterations(second) == method.power_iterations
    # At the same point it would find the same once more.
    third = tried(method.refused(method.refused(settled, first), second))
    assert (third.radius, iterations(third)) == (second.radius, 0)
