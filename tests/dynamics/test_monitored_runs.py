"""Monitors in runs: where a bound breaks is known in closed form."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest
from diffrax import Tsit5
from small_problem import PROBLEM, start_at, steps

from factorflow import (
    DeepLinear,
    EarlyStopping,
    FactorflowWarning,
    FunctionProblem,
    Gaussian,
    GradientDescent,
    GradientFlow,
    InputError,
    Monitor,
    Stop,
    solve,
    solve_many,
)

RATE, START, BOUND = 0.1, 3.0, 1.0


def _half_square(matrix):
    return 0.5 * jnp.sum(matrix**2)


def _entry(snapshot):
    return snapshot.matrix[0, 0]


def _above(snapshot):
    return _entry(snapshot) - BOUND


def _always(snapshot):
    return START - _entry(snapshot)


SHRINKING = FunctionProblem((1, 1), _half_square)  # descent: w_k = 3 (1 - RATE)^k
ABOVE = Monitor("above one", _above, description="the entry stays above 1")
ALWAYS = Monitor("below the start", _always, tolerance=1e-12)
ONE = DeepLinear(1)


def descend(n, monitors, start=START, **parts):
    return solve(
        SHRINKING,
        ONE,
        GradientDescent(RATE),
        init=start_at([np.array([[start]])]),
        stop=steps(n),
        monitors=monitors,
        **parts,
    )


def first_below(start=START):
    path = start * (1 - RATE) ** np.arange(100)
    return int(np.argmax(path < BOUND)), path


def test_a_violation_is_found_at_its_step():
    step, path = first_below()
    with pytest.warns(
        FactorflowWarning, match=rf"above one.*stays above 1.*step {step}, time 1\.1"
    ):
        report, held = descend(20, [ABOVE, ALWAYS]).monitors
    assert not report.holds
    assert report.first_violation.step == step == 11
    np.testing.assert_allclose(report.first_violation.time, step * RATE, rtol=1e-12)
    np.testing.assert_allclose(report.first_violation.margin, path[step] - BOUND, rtol=1e-12)
    np.testing.assert_allclose(report.least_margin, path[20] - BOUND, rtol=1e-12)
    assert report.n_checked == 21
    assert held.holds
    assert held.first_violation is None
    assert held.n_checked == 21
    assert held.least_margin == pytest.approx(0, abs=1e-12)


def test_nothing_is_said_where_the_bounds_hold():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solution = descend(5, [ABOVE, ALWAYS])
        assert descend(5, ()).monitors == ()
    assert all(report.holds for report in solution.monitors)
    assert "held at all 6 points" in solution.monitors[0].sentence


def test_monitors_do_not_change_the_run():
    plain, watched = descend(7, ()), descend(7, [ALWAYS])
    np.testing.assert_array_equal(plain.matrix, watched.matrix)
    assert plain.n_gradients == watched.n_gradients


def test_a_violation_at_the_start():
    with pytest.warns(FactorflowWarning, match="step 0"):
        report = descend(3, [ABOVE], start=0.5).monitors[0]
    assert report.first_violation == (0, 0.0, -0.5)


def test_the_tolerance_is_room_below_zero():
    _, path = first_below()
    enough = BOUND - path[12] + 1e-12
    report = descend(12, [Monitor("loose", _above, enough)]).monitors[0]
    assert report.holds
    assert report.least_margin < 0
    with pytest.warns(FactorflowWarning, match="loose"):
        late = descend(13, [Monitor("loose", _above, enough)]).monitors[0]
    assert late.first_violation.step == 13


def _nan_below(snapshot):
    return jnp.where(_entry(snapshot) > BOUND, 1.0, jnp.nan)


def test_not_a_number_is_a_violation():
    with pytest.warns(FactorflowWarning, match="nan"):
        report = descend(20, [Monitor("nan", _nan_below)]).monitors[0]
    assert report.first_violation.step == 11
    assert np.isnan(report.first_violation.margin)
    assert np.isnan(report.least_margin)


def _late(snapshot):
    return jnp.where(snapshot.step < 4, jnp.inf, snapshot.step)


def _never(snapshot):
    return jnp.inf


def test_infinity_says_that_a_bound_does_not_apply():
    late, never = descend(9, [Monitor("late", _late), Monitor("never", _never)]).monitors
    assert (late.holds, late.n_checked, late.least_margin) == (True, 6, 4)
    assert (never.holds, never.n_checked, never.least_margin) == (True, 0, np.inf)
    assert "never applied" in never.sentence


DESCENT, FLOW = GradientDescent(0.5), GradientFlow()


@pytest.mark.parametrize(
    ("dynamics", "how"),
    [(DESCENT, "batch"), (DESCENT, "threads"), (FLOW, "batch"), (FLOW, "loop")],
)
def test_many_runs_report_as_single_runs_do(dynamics, how):
    # Some seeds rise above the bound within the run and some do not.
    settings = {"init": Gaussian(0.3), "stop": Stop(train_error=None, n_gradients=150)}
    largest = Monitor("largest", _largest_below)
    seeds = [0, 1, 2, 3]
    alone = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FactorflowWarning)
        for seed in seeds:
            solution = solve(
                PROBLEM, DeepLinear(2), dynamics, seed=seed, monitors=[largest], **settings
            )
            alone.append(solution)
    violating = [k for k, solution in enumerate(alone) if not solution.monitors[0].holds]
    assert violating
    with pytest.warns(
        FactorflowWarning, match=f"run {violating[0]}; {len(violating)} of 4"
    ) as told:
        together = solve_many(
            PROBLEM, DeepLinear(2), dynamics, seeds=seeds, monitors=[largest], how=how, **settings
        )
    assert len(told) == 1
    for one, other in zip(alone, together, strict=True):
        a, b = one.monitors[0], other.monitors[0]
        assert (a.holds, a.n_checked) == (b.holds, b.n_checked)
        assert a.n_checked == one.n_steps + 1
        np.testing.assert_allclose(b.least_margin, a.least_margin, rtol=1e-6)
        if not a.holds:
            assert b.first_violation.step == a.first_violation.step
            np.testing.assert_allclose(b.first_violation, a.first_violation, rtol=1e-5)


def _largest_below(snapshot):
    return 2.0 - snapshot.singular_values[0]


def test_a_flow_is_checked_at_accepted_steps_only():
    # Tsit5 spends six gradients on an attempt, and has some refused at its limit of stability.
    stop = Stop(train_error=1e-5, n_gradients=3000)
    flow = solve(
        PROBLEM, DeepLinear(2), GradientFlow(Tsit5()), stop=stop, monitors=[Monitor("any", _zero)]
    )
    assert flow.n_gradients / 6 > flow.n_steps + 2
    assert flow.monitors[0].n_checked == flow.n_steps + 1


def _zero(snapshot):
    return 0.0 * snapshot.train_loss


def _time_below(snapshot):
    return 1.0 - snapshot.time


def test_a_flow_tells_the_time_of_its_first_violation():
    with pytest.warns(FactorflowWarning, match="early"):
        solution = solve(
            SHRINKING,
            ONE,
            GradientFlow(rtol=1e-6),
            init=start_at([np.array([[START]])]),
            stop=Stop(train_error=None, time=3.0),
            monitors=[Monitor("early", _time_below)],
        )
    first = solution.monitors[0].first_violation
    assert first.time > 1
    np.testing.assert_allclose(first.margin, 1 - first.time, rtol=1e-12)
    assert solution.monitors[0].least_margin == pytest.approx(-2)


@pytest.mark.parametrize("stops", [(4, 20), (12, 15), (3, 6, 14)])
def test_a_resumed_run_goes_on_with_what_its_monitors_saw(stops):
    watched = [ABOVE, ALWAYS, Monitor("late", _late), Monitor("never", _never)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FactorflowWarning)
        part = descend(stops[0], watched)
        for stop in stops[1:]:
            part = descend(stop, watched, resume=part)
        whole = descend(stops[-1], watched)
    assert part.monitors == whole.monitors
    assert part.monitors[0].n_checked == stops[-1] + 1
    assert part.monitors[0].first_violation.step == 11


def test_a_resumed_run_warns_of_a_violation_in_the_run_before():
    with pytest.warns(FactorflowWarning):
        first = descend(12, [ABOVE])
    with pytest.warns(FactorflowWarning, match="step 11"):
        descend(15, [ABOVE], resume=first)


def test_a_resumed_run_keeps_not_a_number():
    with pytest.warns(FactorflowWarning):
        first = descend(12, [Monitor("nan", _nan_below)])
    with pytest.warns(FactorflowWarning, match="nan"):
        later = descend(15, [Monitor("nan", _nan_below)], resume=first).monitors[0]
    assert np.isnan(later.least_margin)
    assert later.first_violation.step == 11


def test_another_monitor_begins_where_the_run_was_resumed():
    first = descend(4, [ALWAYS])
    other = Monitor(ALWAYS.name, _always, 1e-12, description="another bound")
    later = descend(9, [other, Monitor("any", _zero)], resume=first).monitors
    assert [report.n_checked for report in later] == [6, 6]
    assert descend(9, (), resume=first).monitors == ()


def test_after_early_stopping_monitors_begin_at_the_point_that_was_kept():
    train, held_out = PROBLEM.split(0.2, seed=0)
    parts = {"early_stopping": EarlyStopping(held_out), "monitors": [Monitor("any", _zero)]}
    first = solve(train, DeepLinear(2), **parts)
    kept = int(first.state.step)
    assert kept < first.n_steps  # the monitors saw points beyond it
    limit = Stop(train_error=None, n_gradients=first.n_gradients)
    later = solve(train, DeepLinear(2), stop=limit, resume=first, monitors=parts["monitors"])
    assert later.monitors[0].n_checked == later.n_steps - kept + 1


def test_early_stopping_keeps_a_point_and_the_monitors_see_the_whole_run():
    train, held_out = PROBLEM.split(0.2, seed=0)
    count = Monitor("any", _zero)
    solution = solve(train, DeepLinear(2), early_stopping=EarlyStopping(held_out), monitors=[count])
    assert solution.monitors[0].n_checked == solution.n_steps + 1


def _array(snapshot):
    return snapshot.singular_values


def _misspelt(snapshot):
    return snapshot.nope


def _branching(snapshot):
    return 1.0 if snapshot.time > 2 else 2.0


def _nothing(snapshot):
    pass


def _whether(snapshot):
    return _entry(snapshot) > BOUND


def _complex(snapshot):
    return 1j * snapshot.time


def _refusing(snapshot):
    raise InputError("this run has no such thing.")


@pytest.mark.parametrize(
    ("monitors", "words"),
    [
        (ABOVE, "sequence of Monitor"),
        ([_above], "Monitor.*got function"),
        ([ABOVE, ABOVE], "Two monitors are named 'above one'"),
        ([Monitor("array", _array)], r"'array' must be one number.*\(1,\)"),
        ([Monitor("typo", _misspelt)], "'typo' failed with AttributeError: .*'nope'. A margin is"),
        ([Monitor("if", _branching)], "'if' failed with .*BoolConv.*without Python `if` on values"),
        ([Monitor("none", _nothing)], "'none' failed with .*None.*one number computed with jax"),
        ([Monitor("bool", _whether)], "'bool' gave .* bool; a margin is a number, negative where"),
        ([Monitor("complex", _complex)], "'complex' gave .* complex128; a margin is a number"),
        ([Monitor("own", _refusing)], "^this run has no such thing"),
    ],
)
def test_unusable_monitors_are_refused(monitors, words):
    with pytest.raises(InputError, match=words):
        descend(2, monitors)
