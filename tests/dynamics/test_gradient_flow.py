"""The gradient flow against other integrators, closed forms and its own invariants."""

from functools import cache

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from small_problem import (
    MATRIX,
    PROBLEM,
    SHAPE,
    gradient_by_hand,
    loss_by_hand,
    norm,
    product,
    start_at,
)

from factorflow import (
    RKC,
    ROCK4,
    AtTimes,
    Completion,
    DeepLinear,
    FunctionProblem,
    Gaussian,
    GradientDescent,
    GradientFlow,
    Identity,
    InputError,
    Observable,
    Record,
    Status,
    Stop,
    solve,
)
from factorflow.dynamics._stepper import AbstractStepper
from factorflow.trajectories import gradient_norm, singular_values, train_loss

# A flow is entered here: its solver with a tolerance, and the error that it is allowed.
FLOWS = {
    "RKC": (GradientFlow(RKC(), rtol=1e-7), 1e-4),
    "ROCK4": (GradientFlow(ROCK4(), rtol=1e-7), 1e-6),
    "Tsit5": (GradientFlow(diffrax.Tsit5(), rtol=1e-8), 1e-5),
    "Dopri8": (GradientFlow(diffrax.Dopri8(), rtol=1e-8), 1e-5),
    "Kvaerno5": (GradientFlow(diffrax.Kvaerno5(), rtol=1e-8), 1e-5),
}
CASES = [
    *(("RKC", depth) for depth in (1, 2, 3)),
    *((name, 3) for name in ("ROCK4", "Tsit5", "Dopri8", "Kvaerno5")),
]
cases = pytest.mark.parametrize(("name", "depth"), CASES)

END = 200.0
TIMES = tuple(np.geomspace(0.5, END, 40)[:-1])


def _conserved(snapshot):
    pairs = zip(snapshot.factors, snapshot.factors[1:], strict=False)
    gaps = [jnp.ravel(after.T @ after - before @ before.T) for before, after in pairs]
    return jnp.concatenate([jnp.zeros(1), *gaps])


RECORD = Record(
    [train_loss(), gradient_norm(), singular_values(), MATRIX],
    extra=[Observable("conserved", _conserved, ("entry",))],
    schedule=AtTimes(TIMES),
)


def flow(problem, name, depth, init, times=TIMES, end=END):
    record = Record(RECORD.observables, extra=RECORD.extra, schedule=AtTimes(times))
    stop = Stop(train_error=None, n_gradients=None, time=end)
    return solve(problem, DeepLinear(depth), FLOWS[name][0], init=init, stop=stop, record=record)


@cache
def completed(name, depth):
    return flow(PROBLEM, name, depth, Gaussian(0.3))


@cache
def reference(depth):
    """Matrices at all records of the run above, by SciPy and a gradient by hand."""
    network = DeepLinear(depth)
    start = Gaussian(0.3)(network, SHAPE, 0)
    cuts = np.cumsum([factor.size for factor in start])[:-1]

    def unpacked(y):
        parts = zip(np.split(y, cuts), start, strict=True)
        return [part.reshape(factor.shape) for part, factor in parts]

    def slope(t, y):
        return -np.concatenate([np.ravel(g) for g in gradient_by_hand(PROBLEM, unpacked(y))])

    y0 = np.concatenate([np.ravel(factor) for factor in start])
    found = solve_ivp(slope, (0, END), y0, "DOP853", (0, *TIMES, END), rtol=1e-10, atol=1e-12)
    return np.stack([product(unpacked(y)) for y in found.y.T])


@cases
def test_the_flow_is_that_of_scipy(name, depth):
    trajectory, expected = completed(name, depth).trajectory, reference(depth)
    np.testing.assert_array_equal(trajectory.time, (0, *TIMES, END))
    allowed = FLOWS[name][1]
    np.testing.assert_allclose(trajectory["matrix"], expected, atol=allowed)
    np.testing.assert_allclose(
        trajectory["singular_values"],
        np.linalg.svd(expected, compute_uv=False),
        atol=10 * allowed,
    )


@cases
def test_the_loss_never_rises(name, depth):
    losses = completed(name, depth).trajectory["train_loss"].values
    assert np.all(np.diff(losses) < 0)
    assert losses[-1] < 0.05 * losses[0]


@cases
def test_the_unbalancedness_of_neighbours_is_conserved(name, depth):
    conserved = completed(name, depth).trajectory["conserved"].values
    size = np.abs(conserved[0]).max()
    assert depth == 1 or size > 0.1
    np.testing.assert_allclose(conserved, conserved[:1] + 0 * conserved, atol=FLOWS[name][1])


@cases
def test_what_is_recorded_belongs_to_the_factors(name, depth):
    solution = completed(name, depth)
    last = solution.trajectory.isel(record=-1)
    assert solution.status is Status.TIME
    assert solution.time == END == float(last.time)
    assert solution.n_steps == int(last.step)
    np.testing.assert_allclose(last["matrix"], product(solution.factors), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(solution.matrix, product(solution.factors), rtol=1e-12, atol=1e-14)
    expected = loss_by_hand(PROBLEM, solution.factors)
    np.testing.assert_allclose(last["train_loss"], expected, rtol=1e-9)
    np.testing.assert_allclose(solution.train_error, 2 * expected, rtol=1e-9)
    slope = norm(gradient_by_hand(PROBLEM, solution.factors))
    # Exact with ours; with another solver the mean slope of the last step.
    tolerance = 1e-9 if isinstance(FLOWS[name][0].solver, AbstractStepper) else 0.2
    np.testing.assert_allclose(last["gradient_norm"], slope, rtol=tolerance)


@cases
def test_gradients_and_steps_only_add_up(name, depth):
    trajectory = completed(name, depth).trajectory
    assert np.all(np.diff(trajectory.step) >= 0)
    assert trajectory.step[0] == 0
    assert np.all(np.diff(trajectory.n_gradients) >= 0)
    counted = FLOWS[name][0].counts_gradients
    assert counted == (name != "Kvaerno5")
    n_gradients = completed(name, depth).n_gradients
    assert n_gradients == (int(trajectory.n_gradients[-1]) if counted else None)


def test_at_depth_1_observed_entries_decay_and_the_others_rest():
    trajectory = completed("RKC", 1).trajectory
    start = Gaussian(0.3)(DeepLinear(1), SHAPE, 0)[0]
    decay = np.exp(-trajectory.time.values / PROBLEM.n_observed)[:, None, None]
    values = np.where(PROBLEM.observed, PROBLEM.to_array(), start)
    expected = values + (start - values) * decay
    np.testing.assert_allclose(trajectory["matrix"], expected, atol=3e-5)
    hidden = ~PROBLEM.observed
    assert np.abs(trajectory["matrix"].values[:, hidden] - start[hidden]).max() < 1e-14


TARGETS = np.array([3.0, 2.0, 1.0, 0.5, 0.25])
DIAGONAL = Completion.from_array(np.eye(*SHAPE) * TARGETS)


@pytest.mark.parametrize("scale", [1e-1, 1e-6])
def test_modes_of_a_balanced_depth_2_flow_are_logistic(scale):
    # The mean over mn entries of half the squared residual slows time by mn.
    rates = 2 * TARGETS / DIAGONAL.n_observed
    times = np.sort(np.log(TARGETS / scale) / rates)  # where each mode is at half of its target
    found = flow(DIAGONAL, "RKC", 2, Identity(scale), times, 1.2 * times[-1]).trajectory
    t = found.time.values[:, None]
    with np.errstate(over="ignore"):
        expected = TARGETS / (1 + np.exp(-rates * t) * (TARGETS / scale - 1))
    found = np.diagonal(found["matrix"], axis1=1, axis2=2)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize("depth", [1, 3])
def test_modes_take_the_time_of_their_separated_equation(depth):
    # ds/dt = N s^(2 - 2/N) (s* - s) / p for every mode of a balanced start.
    scale, p = 1e-2, DIAGONAL.n_observed

    def time_until(s, target):
        return quad(lambda x: p / (depth * x ** (2 - 2 / depth) * (target - x)), scale, s)[0]

    half = sorted(time_until(target / 2, target) for target in TARGETS)
    found = flow(DIAGONAL, "RKC", depth, Identity(scale), half, 1.01 * half[-1]).trajectory
    modes = np.diagonal(found["matrix"], axis1=1, axis2=2)
    for k, target in enumerate(TARGETS):
        record = 1 + half.index(time_until(target / 2, target))
        np.testing.assert_allclose(modes[record, k], target / 2, rtol=1e-3)


def test_depth_completes_what_depth_1_leaves_as_it_started():
    truth = np.outer(np.arange(1.0, 7.0), [1.0, -1.0, 2.0, 0.5, 1.0])
    problem = Completion.sample(truth / 10, 20, seed=3)
    assert not len(problem.empty_rows)
    assert not len(problem.empty_columns)
    hidden = ~problem.observed
    rkc = FLOWS["RKC"][0]
    shallow, deep = (solve(problem, DeepLinear(depth), rkc, record=RECORD) for depth in (1, 3))
    assert shallow.status is deep.status is Status.TRAIN_ERROR
    assert np.abs(shallow.matrix[hidden]).max() < 0.01
    np.testing.assert_allclose(deep.matrix[hidden], problem.truth[hidden], atol=0.02)
    assert deep.effective_rank < 1.1 < 2 < shallow.effective_rank


def counted_problem(calls):
    """A quadratic loss that counts its true gradients on the host."""
    target = jnp.asarray(np.random.default_rng(5).normal(size=(4, 4)).astype(np.float32))

    @jax.custom_vjp
    def half_square(matrix):
        return 0.5 * jnp.sum((matrix - target) ** 2)

    def forward(matrix):
        return half_square(matrix), matrix

    def backward(matrix, cotangent):
        jax.debug.callback(lambda: calls.append(1))
        return (cotangent * (matrix - target),)

    half_square.defvjp(forward, backward)
    return FunctionProblem((4, 4), half_square)


@pytest.mark.parametrize(
    "dynamics",
    [
        GradientFlow(),
        GradientFlow(RKC(power_iterations=2, first_power_iterations=3)),
        GradientFlow(ROCK4(power_iterations=2, first_power_iterations=3)),
        GradientFlow(diffrax.Tsit5(), rtol=1e-6),
        GradientFlow(diffrax.Dopri8(), rtol=1e-6),
        GradientDescent(0.1),
    ],
    ids=["RKC", "RKC 2 3", "ROCK4 2 3", "Tsit5", "Dopri8", "descent"],
)
def test_n_gradients_is_the_number_of_gradients(dynamics):
    calls = []
    solution = solve(
        counted_problem(calls), DeepLinear(2), dynamics, init=Gaussian(0.1), record=Record([])
    )
    jax.effects_barrier()
    assert solution.status is Status.TRAIN_ERROR
    assert solution.n_steps > 10
    assert solution.n_gradients == len(calls)


def test_the_limit_on_gradients_ends_a_run_within_a_step():
    limit = 60
    stop = Stop(train_error=None, n_gradients=limit)
    rkc = FLOWS["RKC"][0]
    solution = solve(PROBLEM, DeepLinear(2), rkc, init=Gaussian(0.3), stop=stop, record=RECORD)
    assert solution.status is Status.GRADIENT_LIMIT
    assert not solution.successful
    assert limit <= solution.n_gradients < limit + 30


def test_implicit_solvers_tell_no_number_of_gradients():
    flow = FLOWS["Kvaerno5"][0]
    with pytest.raises(InputError, match="needs a solver that counts its gradients"):
        solve(PROBLEM, DeepLinear(3), flow, stop=Stop(n_gradients=50))


@pytest.mark.parametrize("rtol", [0, -1e-3, np.nan])
def test_tolerances_that_cannot_be(rtol):
    with pytest.raises(InputError, match="rtol and atol must be positive"):
        GradientFlow(rtol=rtol)
    with pytest.raises(InputError, match="rtol and atol must be positive"):
        GradientFlow(atol=rtol)


@pytest.mark.parametrize("solver", [diffrax.Euler(), "RKC", None])
def test_a_solver_without_an_error_estimate(solver):
    with pytest.raises(InputError, match="or an adaptive Diffrax solver"):
        GradientFlow(solver)


def test_a_flow_that_ends_in_a_wall_stalls_there():
    # dw/dt = -1/(2 sqrt(w)) from w = 1 reaches zero, where the slope is infinite, at t = 4/3.
    problem = FunctionProblem((2, 2), lambda matrix: jnp.sum(jnp.sqrt(matrix)))
    solution = solve(
        problem, DeepLinear(1), init=start_at([np.ones((2, 2))]), throw=False,
        stop=Stop(train_error=None), record=Record([]),
    )  # fmt: skip
    assert solution.status is Status.STALLED
    assert not solution.successful
    np.testing.assert_allclose(solution.time, 4 / 3, rtol=1e-2)
    assert np.isfinite(solution.matrix).all()
