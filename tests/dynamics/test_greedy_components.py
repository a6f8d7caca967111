"""Greedy learning of tensors, component by component, by what is derived of it."""

from functools import cache

import jax
import numpy as np
import pytest

from factorflow import (
    CP,
    Completion,
    DampedNewton,
    GreedyLowRank,
    HierarchicalTucker,
    InputError,
    MultilinearRegression,
    Record,
    Status,
    Stop,
    datasets,
    solve,
)
from factorflow._x64 import double_precision
from factorflow.dynamics import PhaseEnd
from factorflow.dynamics._component_escape import outer, strongest_component
from factorflow.dynamics._component_hessian import slope_and_hessian

SHAPE = (4, 5, 6)
SIZES = np.array([3.0, 2.0, 1.0])
VECTORS = [np.linalg.qr(np.random.default_rng(d).normal(size=(d, 3)))[0] for d in SHAPE]
ORTHOGONAL = np.einsum("ar,br,cr,r->abc", *VECTORS, SIZES)
RANDOM = datasets.low_rank_tensor(SHAPE, 2, norm=10.0, seed=3)
SOME = Completion.sample(RANDOM, 80, seed=0)
ENTRIES = ORTHOGONAL.size


@cache
def learn(problem, seed=0):
    # Of one kind, so that one program serves all.
    return solve(
        problem, CP(4), GreedyLowRank(), seed=seed, record=Record([]), route="dense", throw=False
    )


def test_orthogonal_components_are_learned_largest_first():
    solution = learn(Completion.from_array(ORTHOGONAL))
    assert solution.status is Status.CERTIFIED
    assert [point.rank for point in solution.path.points] == [0, 1, 2, 3]
    for k, point in enumerate(solution.path.points):
        truncated = np.einsum("ar,br,cr,r->abc", *VECTORS, np.where(np.arange(3) < k, SIZES, 0))
        np.testing.assert_allclose(solution.path.matrices[k], truncated, atol=1e-8)
        left = [*SIZES[k:], 0.0, 0.0][:2]  # of the target, the largest two components
        np.testing.assert_allclose(point.escape, left[0] / ENTRIES, atol=1e-10)
        assert point.train_loss == pytest.approx(np.sum(SIZES[k:] ** 2) / 2 / ENTRIES, abs=1e-12)
        assert point.end is PhaseEnd.STATIONARY
    norms = solution.component_norms[0]
    np.testing.assert_allclose(norms, [*SIZES, 0.0], atol=1e-8)


def test_some_entries_give_the_tensor_back_and_the_end_is_stationary():
    solution = learn(SOME)
    assert solution.status is Status.CERTIFIED
    assert solution.path.last.rank == 2
    np.testing.assert_allclose(solution.tensor, RANDOM, atol=1e-6)
    losses = [point.train_loss for point in solution.path.points]
    assert sorted(losses, reverse=True) == losses
    loss = SOME.loss(CP(4), route="dense")
    for point in solution.path.points[1:]:
        with double_precision():
            gradient = loss.gradient(point.factors)
        largest = max(float(np.abs(leaf).max()) for leaf in gradient)
        assert largest < 1e-7 * solution.path.points[0].escape
        norms = [np.linalg.norm(factor, axis=0) for factor in point.factors]
        np.testing.assert_allclose(norms[0], norms[1], rtol=1e-12)  # balanced
        np.testing.assert_allclose(norms[0], norms[2], rtol=1e-12)


def test_start_and_seed_have_no_effect():
    np.testing.assert_array_equal(learn(SOME).tensor, learn(SOME, seed=7).tensor)


def test_a_larger_tensor_is_learned_alike():
    times = 1000.0
    scaled = Completion.from_tuples(SOME.indices, times * SOME.values, SHAPE)
    one, other = learn(SOME), learn(scaled)
    assert other.n_gradients == one.n_gradients
    np.testing.assert_allclose(other.tensor, times * one.tensor, rtol=1e-6, atol=1e-3)
    assert other.path.points[0].escape == pytest.approx(times * one.path.points[0].escape)


def test_a_run_that_was_cut_short_goes_on():
    def until(n, resume=None):
        stop = Stop(train_error=None, n_gradients=n)
        return solve(
            SOME, CP(4), GreedyLowRank(), stop=stop, record=Record([]), route="dense",
            resume=resume, throw=False,
        )  # fmt: skip

    short = until(20)
    assert short.status is Status.GRADIENT_LIMIT
    assert len(short.path.points) < 3
    np.testing.assert_array_equal(until(10_000, short).tensor, learn(SOME).tensor)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 2)], ids=str)
def test_hessian_is_that_of_differences(shape):
    rng = np.random.default_rng(0)
    target, weights = rng.normal(size=shape), rng.random(shape)
    cuts = np.cumsum([2 * size for size in shape])[:-1]
    start = rng.normal(size=2 * sum(shape))

    def factors(flat):
        return tuple(each.reshape(-1, 2) for each in np.split(flat, cuts))

    def left(flat):
        axes = "abc"[: len(shape)]
        terms = ",".join(axis + "r" for axis in axes)
        return np.einsum(f"{terms}->{axes}", *factors(flat)) - target

    def loss(flat):
        return np.sum(weights * left(flat) ** 4)

    gradient, curvature = 4 * weights * left(start) ** 3, 12 * weights * left(start) ** 2
    with double_precision():
        arrays = tuple(map(jax.numpy.asarray, (gradient, curvature)))
        slope, hessian = map(np.asarray, jax.jit(slope_and_hessian)(*arrays, factors(start)))
    steps = 1e-3 * np.eye(len(start))
    rise = [loss(start + a) - loss(start - a) for a in steps]
    np.testing.assert_allclose(slope, np.array(rise) / 2e-3, rtol=1e-3, atol=1e-3)
    bends = [
        [
            loss(start + a + b) - loss(start + a - b) - loss(start - a + b) + loss(start - a - b)
            for a in steps
        ]
        for b in steps
    ]
    np.testing.assert_allclose(hessian, np.array(bends) / 4e-6, rtol=1e-3, atol=1e-3)


def independent_search(field, starts=200, sweeps=60):
    rng, best = np.random.default_rng(1), 0.0
    for _ in range(starts):
        u, v, w = (rng.normal(size=size) for size in field.shape)
        for _ in range(sweeps):
            u = np.einsum("abc,b,c->a", field, v, w)
            u /= np.linalg.norm(u)
            v = np.einsum("abc,a,c->b", field, u, w)
            v /= np.linalg.norm(v)
            w = np.einsum("abc,a,b->c", field, u, v)
            value = np.linalg.norm(w)
            w /= value
        best = max(best, value)
    return best


@pytest.mark.parametrize("seed", range(3))
def test_strongest_component(seed):
    rng = np.random.default_rng(seed)
    field = rng.normal(size=SHAPE) * (rng.random(SHAPE) < 0.5)
    with double_precision():
        value, second, vectors, _ = jax.jit(strongest_component)(jax.numpy.asarray(field))
        reached = np.vdot(field, outer(vectors))
        value, second = float(value), float(second)
    np.testing.assert_allclose([np.linalg.norm(each) for each in vectors], 1.0)
    assert reached == pytest.approx(value)
    assert second <= value
    n_fibres = 4 * 5
    assert value >= np.linalg.norm(field, axis=2).max()
    assert value >= np.linalg.norm(field) / np.sqrt(n_fibres)
    best = independent_search(field)
    assert 0.98 * best <= value <= best * (1 + 1e-9)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: solve(SOME, HierarchicalTucker([2]), GreedyLowRank()), r"or CP\(largest"),
        (
            lambda: solve(
                MultilinearRegression([np.eye(3)] * 3, np.ones(3)), CP(2), GreedyLowRank()
            ),
            "loss by the entries",
        ),
        (lambda: solve(SOME, HierarchicalTucker([2]), DampedNewton()), r"or CP\(\)"),
        (lambda: solve(SOME, CP(400), GreedyLowRank()), "name fewer components"),
    ],
)
def test_what_cannot_be_moved_is_refused(act, said):
    with pytest.raises(InputError, match=said):
        act()
