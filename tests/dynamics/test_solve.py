"""One run: determinism, resuming, interrupts, routes and inputs that do not fit."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from small_problem import PROBLEM, SHAPE, TRUTH, product, start_at, steps

from factorflow import (
    AtTimes,
    Balanced,
    Completion,
    DeepLinear,
    EverySteps,
    FlowError,
    FunctionProblem,
    Gaussian,
    GradientDescent,
    GradientFlow,
    Identity,
    InputError,
    Orthogonal,
    Record,
    Status,
    Stop,
    load_trajectory,
    save_trajectory,
    solve,
)

# A dynamics is entered here.
DYNAMICS = {"flow": GradientFlow(), "descent": GradientDescent(0.25)}
every_dynamics = pytest.mark.parametrize("name", DYNAMICS)
NETWORK = DeepLinear(3)


def run(name, stop, **settings):
    return solve(PROBLEM, NETWORK, DYNAMICS[name], **{"init": Gaussian(0.5), **settings}, stop=stop)


def same_factors(a, b):
    assert len(a.factors) == len(b.factors)
    for x, y in zip(a.factors, b.factors, strict=True):
        np.testing.assert_array_equal(x, y)


def costs(solution):
    return solution.n_steps, solution.n_gradients, solution.time, solution.train_error


@every_dynamics
@pytest.mark.parametrize("init", [Gaussian(0.5), Balanced(0.5), Orthogonal(0.5), Identity(0.5)])
def test_the_same_seed_gives_the_same_run(name, init):
    first, second = (run(name, Stop(train_error=0.01), init=init, seed=3) for _ in range(2))
    assert first.status is Status.TRAIN_ERROR
    assert first.seed == 3
    same_factors(first, second)
    assert costs(first) == costs(second)
    xr.testing.assert_identical(first.trajectory, second.trajectory)
    other = run(name, Stop(train_error=0.01), init=init, seed=4)
    assert np.array_equal(first.matrix, other.matrix) == isinstance(init, Identity)


@every_dynamics
def test_a_solution_holds_float64_numpy(name):
    solution = run(name, Stop(train_error=0.01))
    for array in (*solution.factors, solution.matrix, solution.singular_values):
        assert type(array) is np.ndarray
        assert array.dtype == np.float64
    assert solution.shape == SHAPE == solution.matrix.shape
    np.testing.assert_allclose(solution.matrix, product(solution.factors), rtol=1e-12, atol=1e-14)
    values = np.linalg.svd(solution.matrix, compute_uv=False)
    np.testing.assert_allclose(solution.singular_values, values, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(solution.nuclear_norm, values.sum(), rtol=1e-10)
    last = solution.trajectory.isel(record=-1)
    np.testing.assert_allclose(solution.effective_rank, last["effective_rank"], rtol=1e-9)
    np.testing.assert_allclose(
        last["reconstruction_error"],
        np.linalg.norm(solution.matrix - TRUTH) / np.linalg.norm(TRUTH),
        rtol=1e-9,
    )
    assert solution.seconds > 0
    assert solution.status.sentence in repr(solution)


@every_dynamics
def test_the_routes_lead_to_the_same_end(name):
    dense, entries = (run(name, Stop(train_error=0.01), route=r) for r in ("dense", "entries"))
    assert (dense.route, entries.route) == ("dense", "entries")
    assert entries.trajectory.attrs["route"] == "entries"
    np.testing.assert_allclose(entries.matrix, dense.matrix, rtol=1e-7, atol=1e-9)
    assert costs(dense)[:2] == costs(entries)[:2]


@every_dynamics
def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(name):
    whole = run(name, Stop(train_error=1e-3))
    half = run(name, Stop(train_error=0.1))
    rest = run(name, Stop(train_error=1e-3), resume=half)
    assert 0 < half.n_steps < rest.n_steps
    same_factors(whole, rest)
    assert costs(whole) == costs(rest)
    assert rest.trajectory.time[0] == half.time
    assert rest.trajectory.step[0] == half.n_steps
    assert rest.trajectory.n_gradients[0] == half.n_gradients


def test_a_flow_resumed_from_a_time_keeps_to_its_tolerance():
    fine = GradientFlow(rtol=1e-6)
    stop = [Stop(train_error=None, time=t) for t in (40.0, 17.3)]
    whole = solve(PROBLEM, NETWORK, fine, init=Gaussian(0.5), stop=stop[0])
    half = solve(PROBLEM, NETWORK, fine, init=Gaussian(0.5), stop=stop[1])
    rest = solve(PROBLEM, NETWORK, fine, stop=stop[0], resume=half)
    assert (half.time, rest.time) == (17.3, 40.0)
    np.testing.assert_allclose(rest.matrix, whole.matrix, atol=1e-4)


@every_dynamics
def test_resuming_where_the_stop_already_holds(name):
    done = run(name, Stop(train_error=0.01))
    again = run(name, Stop(train_error=0.01), resume=done, seed=9)
    assert again.status is Status.TRAIN_ERROR
    assert again.seed == done.seed == 0
    same_factors(done, again)
    assert again.trajectory.sizes["record"] == 1


def other_problem():
    return Completion.sample(np.ones((4, 4)), 10)


@pytest.mark.parametrize(
    "parts",
    [
        (PROBLEM, DeepLinear(2), GradientDescent(0.25)),
        (PROBLEM, DeepLinear(3, (2, 2)), GradientDescent(0.25)),
        (other_problem(), NETWORK, GradientDescent(0.25)),
        (PROBLEM, NETWORK, GradientFlow()),
        (PROBLEM, NETWORK, GradientDescent(0.5)),
        (PROBLEM.with_values(5 * PROBLEM.values), NETWORK, GradientDescent(0.25)),
    ],
    ids=["depth", "widths", "shape", "dynamics", "learning rate", "values"],
)
def test_a_solution_of_something_else_is_not_resumed(parts):
    done = run("descent", steps(5))
    with pytest.raises(InputError, match="resume"):
        solve(*parts, stop=steps(9), resume=done)


def test_a_flow_of_another_tolerance_or_without_its_last_step_is_not_resumed():
    done = run("flow", steps(5))
    record = Record(schedule=AtTimes([100.0]))
    for flow, recorded in ((GradientFlow(rtol=1e-4), Record()), (GradientFlow(), record)):
        with pytest.raises(InputError, match="resume"):
            solve(PROBLEM, NETWORK, flow, stop=steps(9), resume=done, record=recorded)


@every_dynamics
@pytest.mark.parametrize("call", [1, 2, 4])
def test_an_interrupt_keeps_what_there_is(name, call):
    calls = []

    def progress(outline):
        calls.append(outline)
        if len(calls) == call:
            raise KeyboardInterrupt

    record = Record(schedule=EverySteps(2))
    solution = run(name, Stop(train_error=1e-4), record=record, progress=progress)
    assert solution.status is Status.INTERRUPTED
    assert not solution.successful
    assert solution.trajectory.attrs["status"] == "INTERRUPTED"
    assert solution.n_steps == calls[-1]["step"] == solution.trajectory.step[-1]
    assert np.isfinite(solution.matrix).all()
    # It can be gone on from, to the same end.
    rest = run(name, Stop(train_error=1e-4), record=record, resume=solution)
    same_factors(rest, run(name, Stop(train_error=1e-4), record=record))


def test_an_interrupt_before_anything_was_recorded():
    interrupted = []

    def pressing(snapshot):  # while the observables are compiled
        if not interrupted:
            interrupted.append(1)
            raise KeyboardInterrupt
        return snapshot.train_loss

    try:
        solution = run("descent", steps(5), record=Record([pressing]))
    except KeyboardInterrupt:
        return
    assert solution.status is Status.INTERRUPTED


def test_an_interrupt_between_records_keeps_the_end(monkeypatch):
    # The shortest stretches between two looks at the run, however fast the machine.
    monkeypatch.setattr("factorflow.dynamics._loop._STRETCH_SECONDS", 0.0)
    calls = []

    def progress(outline):
        calls.append(outline["step"])
        if outline["step"] > 200 and "train_loss" not in outline:
            raise KeyboardInterrupt

    record = Record(schedule=EverySteps(100, 4))
    solution = run("descent", steps(10_000), record=record, progress=progress)
    assert solution.status is Status.INTERRUPTED
    assert 200 < calls[-1] < 300
    assert solution.n_steps == calls[-1] == solution.trajectory.step[-1]


@every_dynamics
def test_progress_tells_how_far_a_run_has_come(name):
    calls = []
    record = Record(schedule=EverySteps(1))
    solution = run(name, Stop(train_error=0.01), record=record, progress=calls.append)
    assert len(calls) >= 3
    for outline in calls:
        assert {"step", "time", "n_gradients", "train_error", "n_running"} <= set(outline)
    assert [c["step"] for c in calls] == sorted(c["step"] for c in calls)
    assert calls[0]["n_running"] == 1
    assert calls[-1]["n_running"] == 0
    assert calls[-1]["train_error"] == solution.train_error
    same_factors(solution, run(name, Stop(train_error=0.01)))


def test_a_trajectory_of_a_run_comes_back_from_disk(tmp_path):
    trajectory = run("flow", Stop(train_error=0.01)).trajectory
    save_trajectory(trajectory, tmp_path / "run.nc")
    xr.testing.assert_identical(load_trajectory(tmp_path / "run.nc"), trajectory)


def test_a_function_of_the_matrix_is_a_problem():
    target = np.diag([1.0, 2.0, 3.0])
    problem = FunctionProblem((3, 3), lambda W: jnp.sum((W - target) ** 4) + jnp.sum((W - 2) ** 2))
    stop = Stop(train_error=None, gradient_norm=1e-6)
    solution = solve(problem, DeepLinear(2), init=Gaussian(1.0), stop=stop)
    assert solution.status is Status.STATIONARY
    assert solution.route == "function"
    # Stationary in every entry by itself: 4 (w - t)^3 + 2 (w - 2) = 0.
    W = solution.matrix
    np.testing.assert_allclose(4 * (W - target) ** 3 + 2 * (W - 2), 0, atol=1e-4)


def test_throw_raises_for_failures_alone():
    cut_short = run("descent", steps(3))
    assert not cut_short.successful
    with pytest.raises(FlowError):
        solve(PROBLEM, NETWORK, GradientDescent(1e4), init=Gaussian(0.5))


def test_an_initializer_of_wrong_shapes():
    with pytest.raises(InputError, match="gave factors of shapes"):
        solve(PROBLEM, NETWORK, init=start_at([np.ones((6, 5))]))


@pytest.mark.parametrize("seed", [-1, 1.5, None])
def test_a_seed_that_cannot_be(seed):
    with pytest.raises(InputError, match="seed"):
        solve(PROBLEM, NETWORK, seed=seed)


@pytest.mark.parametrize("route", ["sparse", None])
def test_a_route_that_cannot_be(route):
    with pytest.raises(InputError, match="route"):
        solve(PROBLEM, NETWORK, route=route)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((TRUTH, NETWORK), "problem"),
        ((PROBLEM, 3), "factorization"),
        ((PROBLEM, NETWORK, GradientDescent), "dynamics"),
        ((PROBLEM, NETWORK, 0.1), "dynamics"),
    ],
)
def test_a_part_of_the_wrong_kind_is_named(arguments, word):
    with pytest.raises(InputError, match=word):
        solve(*arguments)


@pytest.mark.parametrize(
    ("part", "given"), [("resume", 3), ("early_stopping", 0.1), ("record", "all"), ("stop", 1e-6)]
)
def test_a_part_of_another_kind_is_named(part, given):
    with pytest.raises(InputError, match=part):
        solve(PROBLEM, NETWORK, GradientDescent(0.25), **{part: given})
