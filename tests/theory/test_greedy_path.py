"""Comparisons of a trajectory with a path of critical points."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from factorflow._errors import InputError
from factorflow.theory import (
    SaddleVisit,
    aligned_distance,
    distance_to_points,
    escape_time,
    mode_size,
    present_rank,
    saddle_visits,
)

TARGET = np.array([2.0, 1.0])
POINTS = np.array([np.zeros((2, 2)), np.diag([2.0, 0.0]), np.diag([2.0, 1.0])])


def recorded(matrices, times=None):
    matrices = np.asarray(matrices, float)
    times = np.arange(len(matrices), dtype=float) if times is None else times
    variables = {"matrix": (("record", "row", "column"), matrices)}
    return xr.Dataset(variables, {"time": ("record", times)})


def learning(scale, depth=3, n=400):
    """Two modes that are learned one after the other."""
    ends = escape_time(scale, TARGET, depth)
    whole = np.linspace(0, 2 * ends[1], n // 2)
    escapes = [end * np.linspace(0.9, 1.2, n // 4) for end in ends]
    times = np.sort(np.concatenate([whole, *escapes]))
    sizes = mode_size(times[:, None], scale, TARGET, depth)
    return recorded(sizes[:, :, None] * np.eye(2), times)


def drawn(seed, n, shape=(2, 2)):
    return np.random.default_rng(seed).normal(size=(n, *shape))


def run_through(vertices, rng, more):
    """Other records of the same polyline: all vertices, and points between them."""
    places = np.sort(
        np.concatenate([np.arange(len(vertices)), rng.uniform(0, len(vertices) - 1, more)])
    )
    low = np.minimum(places.astype(int), len(vertices) - 2)
    share = (places - low)[:, None, None]
    return (1 - share) * vertices[low] + share * vertices[low + 1]


def distances(left, right):
    return np.linalg.norm(left[:, None] - right[None], axis=(2, 3))


def discrete_frechet(left, right):
    """Over vertices only, cell by cell."""
    gaps = distances(left, right)
    best = np.full((len(left) + 1, len(right) + 1), np.inf)
    best[0, 0] = 0
    for i, row in enumerate(gaps):
        for j, gap in enumerate(row):
            best[i + 1, j + 1] = max(gap, min(best[i, j], best[i, j + 1], best[i + 1, j]))
    return best[-1, -1]


def discrete_ordered(reference, path):
    """Over vertices only: each record of the reference at or after the place of the last."""
    best = np.zeros(len(path))
    for row in distances(reference, path):
        best = np.maximum(row, np.minimum.accumulate(best))
    return best.min()


seeds, counts = st.integers(0, 2**31), st.integers(2, 6)


@given(seeds, counts, counts)
def test_distances_are_the_limit_of_fine_polylines(seed, p, q):
    """With records added between, matching vertices is no nearer and at most a step farther."""
    path, other = drawn(seed, p), drawn(seed + 1, q)
    fine = [
        run_through(each, np.random.default_rng(seed), 60 * len(each)) for each in (path, other)
    ]
    step = max(np.linalg.norm(np.diff(each, axis=0), axis=(1, 2)).max() for each in fine)
    exact = aligned_distance(recorded(path), other, symmetric=True, relative=False)
    assert exact * (1 - 1e-9) <= discrete_frechet(*fine) <= exact + step
    directed = aligned_distance(recorded(path), other, relative=False)
    assert directed * (1 - 1e-9) <= discrete_ordered(other, fine[0]) <= directed + step
    nearest = distances(other, fine[0]).min(axis=1).max()
    assert nearest - step <= directed <= exact * (1 + 1e-9)


@given(seeds, counts, st.integers(0, 30))
def test_speed_does_not_matter(seed, n, more):
    path = drawn(seed, n, (3, 2))
    again = run_through(path, np.random.default_rng(seed), more)
    for symmetric in (False, True):
        assert aligned_distance(recorded(path), again, symmetric=symmetric) <= 1e-13
        assert aligned_distance(recorded(again), recorded(path), symmetric=symmetric) <= 1e-13


@given(seeds, counts, counts, counts)
def test_the_symmetric_distance_is_one(seed, p, q, r):
    a, b, c = drawn(seed, p), drawn(seed + 1, q), drawn(seed + 2, r)

    def gap(left, right):
        return aligned_distance(recorded(left), right, symmetric=True, relative=False)

    assert gap(a, b) == pytest.approx(gap(b, a), rel=1e-9)
    assert gap(a, c) <= (gap(a, b) + gap(b, c)) * (1 + 1e-9)


@given(seeds, st.integers(1, 6), st.floats(0.01, 10))
def test_a_constant_shift_and_the_unit(seed, n, size):
    """Two parallel trajectories are as far apart as their shift; relative has no unit."""
    path = np.cumsum(np.abs(drawn(seed, n)), axis=0)  # never back: nothing is gained by waiting
    shift = np.array([[0.0, size], [-size, 0.0]])
    left = np.concatenate([path, np.zeros_like(path)], axis=1)
    right = np.concatenate([path, np.broadcast_to(shift, path.shape)], axis=1)
    norm = np.linalg.norm(right, axis=(1, 2)).max()
    for symmetric in (False, True):
        found = aligned_distance(recorded(left), right, symmetric=symmetric)
        assert found == pytest.approx(np.sqrt(2) * size / norm, rel=1e-9)
        scaled = aligned_distance(recorded(7 * left), 7 * right, symmetric=symmetric)
        assert scaled == pytest.approx(found, rel=1e-9)


def line(*numbers):
    return np.array(numbers, float)[:, None, None]


def test_order_and_detours():
    there = recorded(line(0, 1, 2, 3))
    assert aligned_distance(there, line(3, 0), relative=False) == 1.5  # both at the middle
    assert aligned_distance(there, line(2, 1.5), relative=False) == 0.25  # within a segment
    around = recorded(line(0, 1, 5, 1, 2))  # a detour, and more before and after
    assert aligned_distance(around, line(0.5, 1, 1.5), relative=False) == 0
    assert aligned_distance(around, line(0, 2), symmetric=True, relative=False) == pytest.approx(3)


def test_long_records_of_large_matrices():
    """More entries than records: coordinates in their span."""
    path = np.cumsum(drawn(0, 40, (9, 8)), axis=0)
    found = aligned_distance(recorded(path[::2]), path[1::2], relative=False)
    few = np.linalg.svd(path.reshape(40, -1), full_matrices=False)
    coordinates = (few[0] * few[1])[:, None, :]
    again = aligned_distance(recorded(coordinates[::2]), coordinates[1::2], relative=False)
    assert found == pytest.approx(again, rel=1e-10)


def test_flows_approach_the_path_as_they_start_smaller():
    reference = [POINTS[0] * (1 - s) + POINTS[1] * s for s in np.linspace(0, 1, 9)]
    reference += [POINTS[1] * (1 - s) + POINTS[2] * s for s in np.linspace(0, 1, 9)]
    gaps = [
        aligned_distance(learning(scale), np.array(reference), symmetric=True)
        for scale in (1e-2, 1e-4, 1e-6)
    ]
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2]
    nearest = [distance_to_points(learning(scale), POINTS).distances for scale in (1e-2, 1e-4)]
    assert np.all(nearest[1] < nearest[0])


def test_distance_to_points_by_hand():
    path = [np.diag([0.0, 0.0]), np.diag([1.5, 0.1]), np.diag([2.0, 0.5])]
    found = distance_to_points(recorded(path), POINTS)
    np.testing.assert_allclose(found.distances, [0, 0.5, 0.5], rtol=1e-12)
    np.testing.assert_array_equal(found.records, [0, 2, 2])


def test_rank_that_is_present():
    seen = learning(1e-4)
    ranks = present_rank(seen, 0.05)
    values = np.diagonal(seen["matrix"].values, axis1=1, axis2=2)
    np.testing.assert_array_equal(ranks, (values > 0.05 * values.max()).sum(axis=1))
    assert sorted(set(ranks.tolist())) == [0, 1, 2]
    assert np.all(np.diff(ranks) >= 0)
    np.testing.assert_array_equal(present_rank(recorded(np.zeros((2, 3, 2)))), [0, 0])


def test_visits_of_the_saddles():
    """One stay each, in order, as long as the theory of the escapes says."""
    scale, depth, radius = 1e-4, 3, 0.05
    seen = learning(scale, depth)
    visits = saddle_visits(seen, POINTS, radius)
    times, size = seen["time"].values, np.linalg.norm(POINTS[2])
    assert [visit.which for visit in visits] == [0, 1, 2]
    ends = escape_time(scale, TARGET, depth)
    assert visits[0].first == 0
    assert visits[0].left == pytest.approx(ends[0], rel=0.1)
    assert visits[1].left == pytest.approx(ends[1], rel=0.1)
    assert visits[2].last == len(times) - 1
    for visit in visits:
        inside = seen["matrix"].values[visit.first : visit.last + 1] - POINTS[visit.which]
        gaps = np.linalg.norm(inside, axis=(1, 2)) / size
        assert gaps.max() <= radius
        assert visit.closest == gaps.min()
        assert (visit.entered, visit.left) == (times[visit.first], times[visit.last])


def test_a_saddle_visited_twice():
    path = line(0, 0.1, 1, 0, 0.95, 1)
    found = saddle_visits(recorded(path, np.arange(6) * 2.0), line(0, 1), 0.1)
    expected = [(0, 0, 1, 0, 2, 0), (1, 2, 2, 4, 4, 0), (0, 3, 3, 6, 6, 0), (1, 4, 5, 8, 10, 0)]
    assert found == [SaddleVisit(*each) for each in expected]
    assert saddle_visits(recorded(line(5, 6)), line(0, 1), 0.1) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: present_rank(t.drop_vars("matrix")), r"extra=\[trajectories.matrix\(\)\]"),
        (lambda t: present_rank(t["matrix"].values), "must be an xarray Dataset"),
        (lambda t: present_rank(t, 1.0), "threshold must be a share below 1"),
        (lambda t: present_rank(t, 0), "threshold must be a positive"),
        (lambda t: present_rank(t * np.nan), "trajectory has entries that are not finite"),
        (lambda t: distance_to_points(t, np.ones((2, 3, 3))), "must be the same"),
        (lambda t: distance_to_points(t, np.ones((2, 2))), r"points must be matrices, shape"),
        (lambda t: aligned_distance(t, t.drop_vars("matrix")), "The reference has no matrices"),
        (lambda t: aligned_distance(t, np.zeros((3, 2, 2))), "zero everywhere"),
        (lambda t: saddle_visits(t, np.zeros((3, 2, 2)), 0.1), "points are all zero"),
        (lambda t: saddle_visits(t, POINTS, -1), "radius must be a positive"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call(recorded(POINTS))
