"""How many gradients a precision costs, from runs at several tolerances."""

import math

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.work_precision import Point, gradients_at


def runs(errors, n_gradients):
    """Tighter tolerances first come last: the order of the points must not matter."""
    return [
        Point("solver", 10.0**-k, spent, error, 0.0)
        for k, (error, spent) in enumerate(zip(errors, n_gradients, strict=True))
    ]


@given(st.floats(1e-6, 1e-1), st.permutations(range(4)))
def test_between_two_runs_it_is_the_line_in_logarithms(precision, order):
    """A solver of second order: an error of a hundredth for ten times the gradients."""
    points = runs([1e-1, 1e-3, 1e-5, 1e-7], [10, 100, 1000, 10_000])
    expected = 10 * math.sqrt(1e-1 / precision)
    found = gradients_at([points[k] for k in order], precision)
    assert math.isclose(found, expected, rel_tol=1e-9)


def test_a_lucky_run_at_a_loose_tolerance_counts_for_nothing():
    points = runs([1e-4, 1e-2, 1e-4], [10, 20, 40])
    assert 20 < gradients_at(points, 1e-3) < 40


def test_what_is_precise_at_its_loosest_tolerance_costs_that_run():
    assert gradients_at(runs([1e-4, 1e-6], [50, 80]), 1e-2) == 50


def test_a_precision_that_no_run_keeps_has_no_price():
    assert gradients_at(runs([1e-1, 1e-2], [50, 80]), 1e-3) is None
    assert gradients_at(runs([1e-5, 1e-2], [50, 80]), 1e-3) is None


def test_a_run_that_did_not_arrive_keeps_no_precision():
    assert gradients_at(runs([math.inf, 1e-4], [20, 40]), 1e-3) == 40
    assert gradients_at(runs([1e-4, math.inf], [20, 40]), 1e-3) is None
