"""Many runs at once are the same runs one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from small_problem import PROBLEM, TRUTH

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
    InputError,
    Orthogonal,
    Record,
    Status,
    Stop,
    solve,
    solve_many,
)
from factorflow._cores import usable_cores

NETWORK = DeepLinear(3)
FLOW, DESCENT = GradientFlow(), GradientDescent(0.25)
HOWS = ["auto", "batch", "threads", "loop"]
hows = pytest.mark.parametrize("how", HOWS)
START = Gaussian(0.5)
UNTIL = Stop(train_error=1e-3)
RECORD = Record(schedule=EverySteps(2, 1000))

FEWER = Completion.sample(TRUTH, 15, seed=1)  # of as many rows and columns, not of entries
OTHER = Completion.sample(2 * TRUTH, 20, seed=2)

# A batch is entered here: problems, inits, seeds as given, and the runs that they stand for.
BATCHES = {
    "seeds": ((PROBLEM, START, [0, 1, 2]), [(PROBLEM, START, seed) for seed in range(3)]),
    "problems": (
        ([PROBLEM, FEWER, OTHER], START, [4]),
        [(PROBLEM, START, 4), (FEWER, START, 4), (OTHER, START, 4)],
    ),
    "inits": (
        (PROBLEM, [Gaussian(0.1), Balanced(0.5), Orthogonal(1.0)], range(1)),
        [(PROBLEM, Gaussian(0.1), 0), (PROBLEM, Balanced(0.5), 0), (PROBLEM, Orthogonal(1.0), 0)],
    ),
    "all": (
        ((PROBLEM, OTHER, OTHER), (START, Balanced(0.5), START), np.array([7, 8, 7])),
        [(PROBLEM, START, 7), (OTHER, Balanced(0.5), 8), (OTHER, START, 7)],
    ),
}


def alone(parts, dynamics=FLOW, stop=UNTIL, record=RECORD, **settings):
    problem, init, seed = parts
    return solve(
        problem, NETWORK, dynamics, init=init, seed=seed, stop=stop, record=record, **settings
    )


def together(given, dynamics=FLOW, stop=UNTIL, record=RECORD, **settings):
    problem, init, seeds = given
    return solve_many(
        problem, NETWORK, dynamics, init=init, seeds=seeds, stop=stop, record=record, **settings
    )


def assert_same(found, expected):
    assert found.status is expected.status
    assert found.seed == expected.seed
    assert found.route == expected.route
    assert (found.n_steps, found.n_gradients) == (expected.n_steps, expected.n_gradients)
    np.testing.assert_allclose(found.time, expected.time, rtol=1e-8)
    np.testing.assert_allclose(found.train_error, expected.train_error, rtol=1e-6)
    for a, b in zip(found.factors, expected.factors, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-8 * np.abs(b).max())
    xr.testing.assert_allclose(found.trajectory, expected.trajectory, rtol=1e-6, atol=1e-9)
    assert found.trajectory.attrs == expected.trajectory.attrs


@hows
@pytest.mark.parametrize("name", BATCHES)
def test_a_run_of_many_is_a_run_alone(how, name):
    given, runs = BATCHES[name]
    solutions = together(given, how=how)
    assert len(solutions) == len(runs)
    for found, parts in zip(solutions, runs, strict=True):
        assert_same(found, alone(parts))
        assert found.seconds > 0


@pytest.mark.parametrize("how", ["auto", "loop"])
def test_one_run_is_a_list_of_one(how):
    (solution,) = together((PROBLEM, START, 5), how=how)
    assert_same(solution, alone((PROBLEM, START, 5)))


@pytest.mark.parametrize("how", ["batch", "threads"])
def test_descents_too(how):
    given, runs = BATCHES["seeds"]
    for found, parts in zip(together(given, DESCENT, how=how), runs, strict=True):
        assert_same(found, alone(parts, DESCENT))


def bounded(calls=1000):
    """A progress that ends a run which would go on for ever."""

    seen = []

    def progress(outline):
        seen.append(outline)
        assert len(seen) < calls, "the run does not end"

    return progress


SCHEDULES = [EverySteps(2, 1000), AtTimes.geometric(1.0, 1e5, 30), AtTimes((1e-3, 5.0))]


@pytest.mark.parametrize("how", ["batch", "threads"])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=["steps", "times", "early times"])
def test_each_trajectory_ends_at_its_own_end(how, schedule):
    given, runs = BATCHES["problems"]
    record = Record(schedule=schedule)
    solutions = together(given, how=how, record=record, progress=bounded())
    assert len({solution.time for solution in solutions}) == len(runs)
    for solution, parts in zip(solutions, runs, strict=True):
        trajectory = solution.trajectory
        assert trajectory.time[-1] == solution.time
        assert np.all(np.diff(trajectory.time) > 0)
        assert trajectory["train_error"][-1] <= 1e-3
        # The last step may have passed it before its end.
        assert np.all(trajectory["train_error"][:-1] > trajectory["train_error"][-1])
        assert trajectory["train_error"][-1] > 1e-4
        assert_same(solution, alone(parts, record=record))


@pytest.mark.parametrize("how", ["batch", "loop"])
def test_a_run_of_many_can_be_resumed(how):
    given, runs = BATCHES["seeds"]
    half = together(given, how=how, stop=Stop(train_error=0.1))
    whole = alone(runs[1])
    rest = solve(PROBLEM, NETWORK, FLOW, resume=half[1], stop=UNTIL)
    assert rest.n_steps == whole.n_steps
    assert rest.seed == 1
    np.testing.assert_allclose(rest.matrix, whole.matrix, atol=1e-8)


def quarter(W):
    return jnp.sum((W - 1) ** 2)


def double(W):
    return jnp.sum((W - 2) ** 2)


# Runs that differ in structure, which one vectorized program cannot hold.
UNLIKE = {
    "numbers of entries": ([PROBLEM, FEWER], "entries"),
    "truth or none": ([PROBLEM, Completion.from_array(PROBLEM.to_array())], "dense"),
    "functions": ([FunctionProblem((6, 5), quarter), FunctionProblem((6, 5), double)], "auto"),
}


@hows
@pytest.mark.parametrize("name", UNLIKE)
def test_problems_of_different_structure(how, name):
    problems, route = UNLIKE[name]
    dynamics = GradientDescent(0.02) if name == "functions" else DESCENT
    given = (problems, START, 0)
    if how == "batch":
        with pytest.raises(InputError, match=r'cannot be advanced in one batch.*how="threads"'):
            together(given, dynamics, how=how, route=route)
        return
    for found, problem in zip(
        together(given, dynamics, how=how, route=route), problems, strict=True
    ):
        assert_same(found, alone((problem, START, 0), dynamics, route=route))


def test_a_batch_on_the_route_by_entries():
    given, runs = BATCHES["seeds"]
    solutions = together(given, DESCENT, how="batch", route="entries")
    for found, parts in zip(solutions, runs, strict=True):
        assert_same(found, alone(parts, DESCENT, route="entries"))


@hows
def test_a_failure_is_raised_or_returned(how):
    steep = [Gaussian(0.5), Gaussian(1e3)]
    given = (PROBLEM, steep, 0)
    solutions = together(given, DESCENT, how=how, throw=False)
    assert [s.status for s in solutions] == [Status.TRAIN_ERROR, Status.DIVERGED]
    assert_same(solutions[0], alone((PROBLEM, steep[0], 0), DESCENT))
    with pytest.raises(FlowError, match="diverged"):
        together(given, DESCENT, how=how)


@hows
def test_progress_counts_down(how):
    calls = []
    together(BATCHES["seeds"][0], how=how, progress=calls.append)
    left = [call["n_running"] for call in calls]
    assert left[-1] == 0
    assert left == sorted(left, reverse=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": [0, 1], "init": [START] * 3}, "seeds has 2 values for 3 runs"),
        ({"seeds": []}, "seeds"),
        ({"problem": []}, "problem"),
        ({"problem": [PROBLEM, Completion.sample(np.eye(3), 5)]}, "must have one shape"),
        ({"how": "vmap"}, 'how must be "auto", "batch", "threads" or "loop"'),
        ({"seeds": [0, -1]}, "seed must be an integer of zero or more"),
    ],
)
def test_batches_that_cannot_be(settings, message):
    problem = settings.pop("problem", PROBLEM)
    with pytest.raises(InputError, match=message):
        solve_many(problem, NETWORK, FLOW, **settings)


@hows
def test_an_interrupt_ends_all_runs_and_loses_none(how):
    def interrupt(outline):
        raise KeyboardInterrupt

    runs = {"seeds": range(40), "how": how, "record": RECORD, "stop": UNTIL}
    with pytest.MonkeyPatch.context() as patch:
        if how in ("threads", "loop"):
            # There progress comes after a run; the interrupt has to come within one.
            patch.setattr("factorflow.dynamics._loop._reached", _interrupt)
            runs["progress"] = None
        else:
            runs["progress"] = interrupt
        solutions = solve_many(PROBLEM, NETWORK, FLOW, init=START, **runs)
    assert len(solutions) == 40
    assert {solution.status for solution in solutions} == {Status.INTERRUPTED}
    assert all(np.isfinite(solution.matrix).all() for solution in solutions)


def _interrupt(*_):
    raise KeyboardInterrupt


def test_progress_counts_the_runs_of_all_batches():
    told = []
    runs = {"seeds": range(40), "how": "batch", "record": RECORD, "stop": UNTIL}
    solve_many(PROBLEM, NETWORK, FLOW, init=START, progress=told.append, **runs)
    assert told[0]["n_running"] == 40
    assert told[-1]["n_running"] < 40
    assert all(0 <= outline["n_running"] <= 40 for outline in told)


@hows
def test_each_run_is_told_as_it_ends(how):
    told, told_at_end = {}, []

    def finished(k, solution):
        assert k not in told
        told[k] = solution

    steep = [START, Gaussian(1e3), START]
    solutions = together(
        (PROBLEM, steep, [0, 1, 2]),
        DESCENT,
        how=how,
        throw=False,
        finished=finished,
        progress=lambda outline: told_at_end.append((outline["n_running"], len(told))),
    )
    assert sorted(told) == [0, 1, 2]
    assert all(told[k] is solution for k, solution in enumerate(solutions))
    assert told[1].status is Status.DIVERGED
    if how in ("threads", "loop"):  # a run counts as ended once it has been told
        assert all(n_told >= 3 - n_running for n_running, n_told in told_at_end)


@pytest.mark.parametrize("many", [False, True], ids=["a batch a core", "more batches than cores"])
def test_the_numbers_of_runs_go_through_all_batches(many, monkeypatch):
    if many:
        monkeypatch.setattr("factorflow.dynamics._together._BATCH_BYTES", 0)
    told, running = {}, []
    solutions = solve_many(
        PROBLEM, NETWORK, FLOW, init=START, seeds=range(70), how="batch", record=RECORD,
        stop=UNTIL, finished=told.__setitem__,
        progress=lambda outline: running.append(outline["n_running"]),
    )  # fmt: skip
    assert sorted(told) == list(range(70))
    assert all(told[k] is solution for k, solution in enumerate(solutions))
    assert [solution.seed for solution in solutions] == list(range(70))
    n_batches = 4 if many else min(usable_cores(), 4)
    assert len({solution.seconds for solution in solutions}) == n_batches
    assert max(running) <= 70
    assert solutions[69].train_error == pytest.approx(
        alone((PROBLEM, START, 69)).train_error, rel=1e-9
    )


@hows
def test_an_interrupted_run_is_not_told(how):
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("factorflow.dynamics._loop._reached", _interrupt)
        solutions = together(
            BATCHES["seeds"][0], how=how, finished=lambda k, solution: told.append(k)
        )
    assert {solution.status for solution in solutions} == {Status.INTERRUPTED}
    assert told == []


@pytest.mark.parametrize("how", ["batch", "threads"])
def test_what_is_told_of_an_end_may_raise(how):
    def finished(k, solution):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        together(BATCHES["seeds"][0], how=how, finished=finished)


@pytest.mark.parametrize("record", [RECORD, Record(schedule=AtTimes([0.5, 1.0]))])
def test_threads_find_everything_compiled(caplog, record):
    problem = Completion.sample(np.outer(np.arange(1, 8), np.arange(1, 7)) / 20.0, 30, seed=0)

    def compiled():
        caplog.clear()
        with jax.log_compiles():
            solve_many(problem, NETWORK, init=START, stop=UNTIL, record=record, seeds=[0, 1, 2],
                       how="threads")  # fmt: skip
        return [line for line in caplog.messages if "Finished XLA compilation" in line]

    first = compiled()
    assert sum("_advance_one" in line for line in first) == 1
    # What is seen at a step and what between two are two programs.
    between = isinstance(record.schedule, AtTimes)
    assert sum("_observe_one" in line for line in first) == 1 + between
    assert not any("_one" in line for line in compiled())


def test_an_error_in_one_thread_ends_the_others():
    def fails(factorization, shape, seed):
        if seed == 1:
            raise RuntimeError("no start")
        return START(factorization, shape, seed)

    endless = Stop(train_error=None, time=1e12, n_gradients=None)
    with pytest.raises(RuntimeError, match="no start"):
        solve_many(PROBLEM, NETWORK, init=fails, stop=endless, seeds=range(50), how="threads")
