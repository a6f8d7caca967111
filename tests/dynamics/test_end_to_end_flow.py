"""The closed flow of the matrix against the flow of the layers."""

from functools import cache

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from small_problem import MATRIX, PROBLEM, SHAPE, gradient_by_hand, loss_by_hand, norm, product

from factorflow import (
    AtTimes,
    DeepLinear,
    EndToEndFlow,
    EverySteps,
    GradientDescent,
    GradientFlow,
    InputError,
    LogSVD,
    Record,
    StartAt,
    Stop,
    solve,
)
from factorflow._x64 import double_precision
from factorflow.dynamics._generator import Sides
from factorflow.dynamics._moving_frame import MovingFrameFlow
from factorflow.dynamics._preconditioned import PreconditionedLoss
from factorflow.factorizations import preconditioner_eigenvalues
from factorflow.initializers import balanced_factors
from factorflow.theory import end_to_end_velocity
from factorflow.trajectories import gradient_norm, train_loss

DEPTHS = [2, 3]
N_RECORDS = 20
TIGHT = {"solver": diffrax.Dopri8(), "rtol": 1e-10}

_RNG = np.random.default_rng(1)
STARTS = {
    "full rank": 0.3 * _RNG.normal(size=SHAPE),
    "rank 2": 0.3 * _RNG.normal(size=(6, 2)) @ _RNG.normal(size=(2, 5)),
}
# What the solver leaves of rank 3 grows by itself: a mode like any other, at depth 2 e-fold by
# e-fold. LogSVD(rank=2) has none.
ENDS = {"full rank": 100.0, "rank 2": 20.0}
depths = pytest.mark.parametrize("depth", DEPTHS)
starts = pytest.mark.parametrize("start", STARTS)


def times(start):
    return np.geomspace(0.5, ENDS[start], N_RECORDS - 1)


def run(network, dynamics, start):
    stop = Stop(train_error=None, n_gradients=None, time=ENDS[start])
    schedule = AtTimes(times(start)[:-1])
    record = Record([train_loss(), gradient_norm(), MATRIX], schedule=schedule)
    init = StartAt(STARTS[start])
    return solve(PROBLEM, network, dynamics, init=init, stop=stop, record=record)


@cache
def end_to_end(depth, start):
    return run(DeepLinear(1), EndToEndFlow(depth, **TIGHT), start)


def layers(depth, matrix):
    return balanced_factors(matrix, DeepLinear(depth).shapes(SHAPE))


@cache
def layerwise(depth, start):
    """Matrices of the layer-wise flow at all records, by SciPy and a gradient by hand."""
    factors = layers(depth, STARTS[start])
    cuts = np.cumsum([factor.size for factor in factors])[:-1]

    def unpacked(y):
        parts = zip(np.split(y, cuts), factors, strict=True)
        return [part.reshape(factor.shape) for part, factor in parts]

    def slope(t, y):
        return -np.concatenate([np.ravel(g) for g in gradient_by_hand(PROBLEM, unpacked(y))])

    y0 = np.concatenate([np.ravel(factor) for factor in factors])
    moments = (0, *times(start))
    found = solve_ivp(slope, (0, moments[-1]), y0, "DOP853", moments, rtol=1e-11, atol=1e-13)
    return np.stack([product(unpacked(y)) for y in found.y.T])


def assert_near(found, expected, share):
    gaps = np.linalg.norm(found - expected, axis=(1, 2)) / np.linalg.norm(expected, axis=(1, 2))
    assert gaps.max() < share


@depths
@starts
def test_the_product_of_the_layers_follows_it(depth, start):
    found = end_to_end(depth, start).trajectory["matrix"].values
    assert len(found) == N_RECORDS
    assert_near(found, layerwise(depth, start), 1e-6)


def test_so_does_the_gradient_flow_of_a_network():
    network = run(DeepLinear(3), GradientFlow(**TIGHT), "full rank").trajectory["matrix"].values
    assert_near(end_to_end(3, "full rank").trajectory["matrix"].values, network, 1e-7)


@depths
def test_the_rank_stays_what_it_is(depth):
    values = np.linalg.svd(end_to_end(depth, "rank 2").trajectory["matrix"], compute_uv=False)
    assert values[:, 2].max() < (1e-6 if depth == 2 else 1e-10)
    assert values[:, 1].min() > 0.05


@depths
def test_the_norm_of_the_gradient_is_that_of_balanced_layers(depth):
    trajectory = solve(
        PROBLEM, DeepLinear(1), EndToEndFlow(depth), init=StartAt(STARTS["full rank"]),
        stop=Stop(train_error=None, n_gradients=None, time=20.0),
        record=Record([gradient_norm(), MATRIX], schedule=EverySteps(1)),
    ).trajectory  # fmt: skip
    assert len(trajectory["matrix"]) > 10
    for matrix, found in zip(
        trajectory["matrix"].values, trajectory["gradient_norm"].values, strict=True
    ):
        expected = norm(gradient_by_hand(PROBLEM, layers(depth, matrix)))
        np.testing.assert_allclose(found, expected, rtol=1e-7)


@pytest.mark.parametrize("depth", [3, 50, np.inf])
def test_so_it_is_where_the_rank_is_deficient(depth):
    """By the definition, from singular values that are zero.

    Those of the matrix are rounding, which counts by its logarithm at large depth.
    """
    left, values, right = np.linalg.svd(STARTS["rank 2"])
    values[2:] = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.asarray(preconditioner_eigenvalues(np.append(values, 0), values, depth))
    core = left.T @ gradient_by_hand(PROBLEM, [STARTS["rank 2"]])[0] @ right.T
    stop = Stop(train_error=1e6)  # a run that ends where it starts is soon compiled
    found = solve(
        PROBLEM, DeepLinear(1), EndToEndFlow(depth), init=StartAt(STARTS["rank 2"]), stop=stop,
        record=Record([gradient_norm()]),
    ).trajectory["gradient_norm"].values[0]  # fmt: skip
    np.testing.assert_allclose(found, np.sqrt(np.sum(size * core**2)), rtol=0.03)


@depths
def test_the_loss_falls_by_the_square_of_that_norm(depth):
    matrix = end_to_end(depth, "full rank").trajectory["matrix"].values[10]
    gradient = gradient_by_hand(PROBLEM, [matrix])[0]
    h = 1e-5
    velocity = end_to_end_velocity(matrix, gradient, depth)
    ends = [loss_by_hand(PROBLEM, [matrix + sign * h * velocity]) for sign in (1, -1)]
    expected = norm(gradient_by_hand(PROBLEM, layers(depth, matrix))) ** 2
    np.testing.assert_allclose((ends[1] - ends[0]) / (2 * h), expected, rtol=1e-7)


@depths
@starts
def test_the_loss_is_that_of_the_matrix_and_never_rises(depth, start):
    trajectory = end_to_end(depth, start).trajectory
    expected = [loss_by_hand(PROBLEM, [matrix]) for matrix in trajectory["matrix"].values]
    np.testing.assert_allclose(trajectory["train_loss"], expected, rtol=1e-10)
    assert np.all(np.diff(expected) < 0)


def cost_of_a_velocity(network, depth):
    """Operations of one velocity, as compiled, and how many matrices it decomposes."""
    loss = PROBLEM.loss(network)
    with double_precision():
        factors = tuple(map(jnp.asarray, StartAt(STARTS["full rank"])(network, SHAPE, 0)))
        program = jax.jit(velocity_of(loss, depth)).lower(factors).compile()
    return program.cost_analysis()["flops"], program.as_text().count("custom-call(")


def velocity_of(loss, depth):
    if isinstance(loss.factorization, DeepLinear):
        return lambda factors: PreconditionedLoss(loss, float(depth)).gradient(factors)

    def velocity(factors):
        field = MovingFrameFlow(float(depth))._field(loss, factors[1])
        return field(0.0, Sides(factors[0], factors[2], 0 * factors[1]))[0]

    return velocity


@pytest.mark.parametrize("network", [DeepLinear(1), LogSVD()])
def test_a_velocity_costs_the_same_at_every_depth(network):
    operations, decompositions = cost_of_a_velocity(network, 3)
    for depth in (100, np.inf):
        more = cost_of_a_velocity(network, depth)
        assert more[0] <= 1.1 * operations
        assert more[1] == decompositions


@pytest.mark.parametrize("network", [DeepLinear(2), DeepLinear(3)])
def test_layers_are_refused(network):
    with pytest.raises(InputError, match=r"write DeepLinear\(1\) or LogSVD\(\) and keep the depth"):
        solve(PROBLEM, network, EndToEndFlow(2))


@pytest.mark.parametrize("depth", [1, 1.5, 1.999])
def test_logarithms_need_depth_2(depth):
    with pytest.raises(InputError, match=r"below depth 2 write DeepLinear\(1\)"):
        solve(PROBLEM, LogSVD(), EndToEndFlow(depth))


@pytest.mark.parametrize("dynamics", [GradientFlow(), GradientDescent(0.1)])
def test_other_dynamics_do_not_move_logarithms(dynamics):
    with pytest.raises(InputError, match=r"give EndToEndFlow\(depth\)"):
        solve(PROBLEM, LogSVD(), dynamics)


@pytest.mark.parametrize("depth", [0.5, 0, -1, np.nan, "3", True, None])
def test_a_depth_that_cannot_be(depth):
    with pytest.raises(InputError, match="depth must be a real number of 1 or more, or infinity"):
        EndToEndFlow(depth)


def test_settings_that_cannot_be():
    with pytest.raises(InputError, match="rtol and atol must be positive"):
        EndToEndFlow(2, rtol=0)
    with pytest.raises(InputError, match="adaptive Diffrax solver"):
        EndToEndFlow(2, diffrax.Euler())
