"""Sizes and times of single modes, against solvers of their equation and of whole matrices."""

import diffrax
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from factorflow import AtTimes, Completion, DeepLinear, GradientFlow, Identity, Record, Stop, solve
from factorflow._errors import InputError
from factorflow.theory import escape_time, mode_size, mode_time
from factorflow.trajectories import matrix

DEPTHS = (2, 2.01, 2.5, 3, 4, 10, np.inf)
STARTS = ((1e-3, 2.0), (0.3, 2.0), (1.2, 2.0), (2.0001, 2.0), (3.0, 2.0), (50.0, 2.0), (5.0, 1e-3),
          (0.1, 1e-12), (0.1, 0.0))  # fmt: skip
depths = st.sampled_from(DEPTHS) | st.floats(2, 20)


def layers_of(depth):
    return depth if np.isfinite(depth) else 1


def solved(times, start, target, depth):
    """By an integrator, in the logarithm."""

    def velocity(_, y):
        return layers_of(depth) * np.exp(y * (1 - 2 / depth)) * (target - np.exp(y))

    settings = {"t_eval": times, "method": "LSODA", "rtol": 1e-12, "atol": 1e-12}
    return np.exp(solve_ivp(velocity, (0, times[-1]), [np.log(start)], **settings).y[0])


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(("start", "target"), STARTS)
def test_size_is_what_an_integrator_finds(start, target, depth):
    small = start < target / 100
    rate = layers_of(depth) * max(start, target) ** (2 - 2 / depth)
    end = 1.2 * float(mode_time(target / 2, start, target, depth)) if small else 10 / rate
    times = np.linspace(0, end, 9)
    # From a small start, rounding of the time is amplified by the steepness of the escape.
    tolerance = 1e-6 if small else 1e-9
    np.testing.assert_allclose(
        mode_size(times, start, target, depth), solved(times, start, target, depth), rtol=tolerance
    )


@pytest.mark.parametrize("time", [0.0, 0.7, 5.0])
def test_closed_form_of_depth_two(time):
    start, target = 1e-4, 1.5
    grown = np.exp(2 * target * time)
    expected = target * grown / (grown - 1 + target / start)
    assert mode_size(time, start, target, 2) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("depth", [2, 2.5, 3, 6, np.inf])
@pytest.mark.parametrize("ends", [(1e-6, 0.3), (0.2, 0.7), (0.4, 0.999), (3.0, 1.2), (1.4, 1.01)])
def test_time_is_the_integral(ends, depth):
    start, size = ends
    target = 1.7
    expected, _ = quad(
        lambda y: 1 / (np.exp(y * (1 - 2 / depth)) * (1 - np.exp(y))),
        np.log(start), np.log(size), epsabs=0, epsrel=1e-12, limit=200,
    )  # fmt: skip
    expected /= layers_of(depth) * target ** (2 - 2 / depth)
    found = mode_time(size * target, start * target, target, depth)
    assert found == pytest.approx(expected, rel=1e-10)


@given(depths, st.floats(-100, 2), st.floats(-3, 3), st.floats(0.001, 0.999))
def test_time_and_size_are_inverse(depth, log_start, log_target, share):
    """Where the moment is asked for, the moment comes back, from 1e-100 on and from above."""
    start, target = 10.0**log_start, 10.0**log_target
    size = start + share * (target - start)
    assume(size != target)  # where start and target are neighbours among floats
    time = mode_time(size, start, target, depth)
    reached = mode_size(time, start, target, depth)
    # Beside a long wait the growth itself may be lost in rounding of the time.
    assume(reached != target)
    again = mode_time(reached, start, target, depth)
    assert again == pytest.approx(float(time), rel=1e-9)


@given(depths, st.floats(1e-8, 3), st.floats(0, 3), st.floats(0.1, 10))
def test_units(depth, start, target, unit):
    """Sizes in other units: time is in the unit to the power -(2 - 2/N)."""
    times = np.linspace(0, 4, 5)
    scaled = mode_size(times / unit ** (2 - 2 / depth), unit * start, unit * target, depth)
    np.testing.assert_allclose(scaled / unit, mode_size(times, start, target, depth), rtol=1e-6)


@given(depths, st.floats(1e-6, 3), st.floats(0, 3))
def test_it_goes_to_the_target_and_never_beyond(depth, start, target):
    sizes = mode_size(np.linspace(0, 30, 40), start, target, depth)
    assert sizes[0] == pytest.approx(start, rel=1e-12)
    rounding = 1e-13 * max(start, target)
    assert np.all(np.diff(sizes) * np.sign(target - start) >= -rounding)
    assert np.all(np.abs(sizes - target) <= abs(start - target) + rounding)


def test_depths_are_continuous():
    times = np.linspace(0, 3, 7)
    close = mode_size(times, 0.05, 1.0, 2 + 1e-9)
    np.testing.assert_allclose(close, mode_size(times, 0.05, 1.0, 2), rtol=1e-7)
    deep = mode_size(times / 1e9, 0.3, 1.0, 1e9)
    np.testing.assert_allclose(deep, mode_size(times, 0.3, 1.0, np.inf), rtol=1e-7)


def symmetric_target(eigenvalues, seed=0):
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(eigenvalues),) * 2))[0]
    return basis * eigenvalues @ basis.T, basis


def test_modes_of_the_symmetric_flow():
    """W' = -(W grad f + grad f W), f = 1/2 ||W - S||^2: the time as it stands."""
    eigenvalues = np.array([2.0, 1.2, 0.5, 0.0])
    target, basis = symmetric_target(eigenvalues)

    def velocity(_, flat):
        W = flat.reshape(4, 4)
        return (-(W @ (W - target) + (W - target) @ W)).ravel()

    times = np.linspace(0, 5, 6)
    path = solve_ivp(
        velocity, (0, 5), 0.01 * np.eye(4).ravel(), t_eval=times, rtol=1e-11, atol=1e-13
    ).y
    for k, time in enumerate(times):
        rotated = basis.T @ path[:, k].reshape(4, 4) @ basis
        expected = np.diag(mode_size(time, 0.01, eigenvalues, 2))
        np.testing.assert_allclose(rotated, expected, atol=1e-8)


def test_modes_of_a_recorded_run():
    """The loss of a completion is the mean: its time is that of the sum, nine times as long."""
    eigenvalues, depth = np.array([2.0, 1.0, 0.0]), 3
    target, basis = symmetric_target(eigenvalues)
    ends = mode_time(np.array([1.0, 0.5]), 0.01, eigenvalues[:2], depth)
    times = 9 * np.linspace(0, 1.5 * ends.max(), 6)[1:]
    solution = solve(
        Completion.from_array(target),
        DeepLinear(depth),
        GradientFlow(diffrax.Tsit5(), rtol=1e-8),
        init=Identity(0.01),
        stop=Stop(train_error=None, time=times[-1], n_gradients=None),
        record=Record(extra=[matrix()], schedule=AtTimes(times)),
    )
    seen = solution.trajectory
    assert seen["matrix"].dims == ("record", "row", "column")
    for time, W in zip(seen["time"].values, seen["matrix"].values, strict=True):
        expected = np.diag(mode_size(time / 9, 0.01, eigenvalues, depth))
        np.testing.assert_allclose(basis.T @ W @ basis, expected, atol=1e-5)
    np.testing.assert_allclose(seen["matrix"].values[-1], solution.matrix, atol=1e-12)


@pytest.mark.parametrize("depth", [2, 2.3, 3, 5, np.inf])
def test_escape_is_the_mode_while_it_is_small(depth):
    """The law without saturation is exact in the limit of a small size."""
    start, rate = 1e-9, 1.3
    exact = mode_time(1e-6, start, rate, depth)
    assert escape_time(start, rate, depth, 1e-6) == pytest.approx(float(exact), rel=1e-5)
    # Above depth 2 almost all of the time is spent below any fixed size.
    if depth > 2:
        whole = float(mode_time(rate / 2, 1e-30, rate, depth))
        assert escape_time(1e-30, rate, depth) == pytest.approx(whole, rel=1e-3)


@given(st.floats(1e-12, 0.5), st.floats(0.01, 10))
def test_escape_by_hand(start, rate):
    assert escape_time(start, rate, 2) == pytest.approx(np.log(1 / start) / (2 * rate), rel=1e-12)
    for depth in (3, 4, 7):
        m = start ** (2 / depth)
        expected = m ** (1 - depth / 2) / ((depth - 2) * rate)
        assert escape_time(start, rate, depth) == pytest.approx(expected, rel=1e-12)
    assert escape_time(start, rate, np.inf) == pytest.approx(1 / (start * rate), rel=1e-12)


def test_what_never_comes():
    np.testing.assert_array_equal(escape_time(0.1, [0.0, -1.0], 3), np.inf)
    np.testing.assert_array_equal(mode_time([2.0, 3.0, 0.05], 0.1, 2.0, 3), np.inf)
    np.testing.assert_array_equal(mode_time([1.0, 0.5, 4.0], 3.0, [1.0, 1.0, 1.0], 2), np.inf)
    assert mode_time(0.1, 0.1, 2.0, 3) == 0
    np.testing.assert_array_equal(mode_size([0.0, 1.0, 9.0], 2.0, 2.0, 3), 2.0)


def test_shapes():
    assert mode_size(np.zeros((4, 1)), 0.1, np.ones(3), 3).shape == (4, 3)
    assert mode_time(0.5, 0.1, np.ones((2, 3)), 2).shape == (2, 3)
    assert escape_time([0.1, 0.2], 1.0, 2).shape == (2,)
    assert mode_size(1.0, 0.1, 1.0, 2).shape == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mode_size(1, 0.1, 1, 1.5), "depth must be 2 or more"),
        (lambda: mode_size(1, 0.1, 1, "2"), "depth must be a real number"),
        (lambda: mode_size(-1, 0.1, 1, 2), "time must be finite non-negative"),
        (lambda: mode_size(1, 0.0, 1, 2), "start must be finite positive"),
        (lambda: mode_size(1, 0.1, -1e-9, 2), "target must be finite non-negative"),
        (lambda: mode_size([1, 2], 0.1, [1, 2, 3], 2), "do not broadcast: time"),
        (lambda: mode_time(np.nan, 0.1, 1, 2), "size must be finite positive"),
        (lambda: escape_time(0.1, np.inf, 2), "rate must be finite"),
        (lambda: escape_time(0.1, 1, 2, np.inf), "At depth 2 an infinite size"),
        (lambda: escape_time(0.1, 1, 3, 0.01), "size must be no less than any start"),
        (lambda: escape_time(0.1, 1, 3, -1), "size must be a positive number"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
