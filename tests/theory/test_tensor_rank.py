"""Rank of exact tensors recovered, bounds that are certain, and what rank within a tolerance is."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factorflow import InputError
from factorflow.problems import Completion
from factorflow.theory import estimate_tensor_rank


def outer_sum(sizes, rank, seed=0):
    """A tensor of that rank with Frobenius norm 1."""
    rng = np.random.default_rng(seed)
    total = np.zeros(sizes)
    for _ in range(rank):
        part = np.ones(())
        for size in sizes:
            part = np.multiply.outer(part, rng.normal(size=size))
        total += part
    return total / np.linalg.norm(total)


def least_by_unfoldings(tensor, tolerance):
    """From the definition, over the unfoldings with one mode for rows."""
    needed = []
    for mode in range(tensor.ndim):
        matrix = np.moveaxis(tensor, mode, 0).reshape(tensor.shape[mode], -1)
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
        for rank in range(len(values) + 1):
            best = (left[:, :rank] * values[:rank]) @ right[:rank]
            if np.mean((matrix - best) ** 2) <= tolerance:
                needed.append(rank)
                break
    return max(needed)


@pytest.mark.parametrize("rank", range(1, 6))
@pytest.mark.parametrize("seed", range(3))
def test_exact_rank_is_recovered_and_certain(rank, seed):
    tensor = outer_sum((6, 6, 6), rank, seed)
    found = estimate_tensor_rank(tensor, 1e-12, relative=True)
    assert found.rank == found.lower_bound == rank
    assert found.certain
    assert found.confidence == "certain"
    assert found.errors[rank] <= found.tolerance == pytest.approx(1e-12 / 216)


@pytest.mark.parametrize(("sizes", "rank"), [((4, 3), 2), ((5, 1, 4), 3), ((3, 3, 3, 3), 5)])
def test_other_orders(sizes, rank):
    """Of a matrix the ordinary rank; at order 4 unfoldings by pairs of modes see beyond 3."""
    found = estimate_tensor_rank(outer_sum(sizes, rank), 1e-12, relative=True)
    assert (found.rank, found.certain) == (rank, True)


def test_rank_beyond_the_unfoldings():
    """Two slices that no real basis makes diagonal together: rank 3, with unfoldings of rank 2."""
    turn = np.array([np.eye(2), [[0.0, -1.0], [1.0, 0.0]]])
    found = estimate_tensor_rank(turn)
    assert (found.rank, found.lower_bound, found.certain) == (3, 2, False)
    assert found.errors[2] > 0.1  # no border: nothing of rank 2 comes near
    assert found.agreement > 0
    assert "none of 4 rank 2; at least 2 by unfoldings" in found.confidence


def test_generic_tensors_of_eight_entries():
    """Rank 2 or 3 by the sign of the discriminant of the two slices (Cayley)."""
    for seed in range(8):
        one, two = tensor = np.random.default_rng(seed).normal(size=(2, 2, 2))
        complex_pair = np.iscomplexobj(np.linalg.eigvals(np.linalg.solve(one, two)))
        assert estimate_tensor_rank(tensor, 1e-5).rank == (3 if complex_pair else 2)


def test_within_a_tolerance_it_is_border_rank():
    """Rank 3, but the limit of tensors of rank 2."""
    tensor = np.zeros((2, 2, 2))
    tensor[0, 0, 1] = tensor[0, 1, 0] = tensor[1, 0, 0] = 1
    found = estimate_tensor_rank(tensor, 1e-4)
    assert (found.rank, found.certain) == (2, True)


def test_rank_above_every_dimension():
    tensor = outer_sum((3, 3, 3), 4)
    found = estimate_tensor_rank(tensor, 1e-10, relative=True)
    assert (found.rank, found.lower_bound) == (4, 3)
    assert sorted(found.errors) == [3, 4]
    assert found.errors[3] > found.tolerance >= found.errors[4]


@pytest.mark.parametrize("tensor", [np.zeros((3, 3, 3)), np.full((3, 3, 3), 1e-4)])
def test_what_is_within_the_tolerance_of_zero(tensor):
    found = estimate_tensor_rank(tensor)
    assert (found.rank, found.lower_bound, found.certain) == (0, 0, True)
    assert found.errors == {0: pytest.approx(np.mean(tensor**2))}


def test_noise_within_the_tolerance():
    tensor = outer_sum((4, 4, 4), 2)
    noisy = tensor + 1e-4 * np.random.default_rng(1).normal(size=tensor.shape)
    assert estimate_tensor_rank(noisy).rank == 2
    beneath = estimate_tensor_rank(noisy, 1e-10, max_rank=5, restarts=1)
    assert beneath.lower_bound == 4
    assert beneath.rank is None


@pytest.mark.parametrize("scale", [1e-100, 1e-4, 1e6])
def test_relative_tolerance_is_blind_to_scale(scale):
    tensor = outer_sum((4, 4, 4), 3)
    found = estimate_tensor_rank(scale * tensor, 1e-8, relative=True)
    assert (found.rank, found.certain) == (3, True)
    assert found.tolerance == pytest.approx(1e-8 * scale**2 / 64, rel=1e-12)


@given(st.integers(0, 2**31), st.floats(-8, -2))
@settings(max_examples=15)
def test_the_lower_bound(seed, exponent):
    """Any fit that is found is at or above it, and it is at least what one mode's rows show."""
    rng = np.random.default_rng(seed)
    tensor = outer_sum((3, 3, 3), 3, seed) + 1e-2 * rng.normal(size=(3, 3, 3))
    tolerance = 10**exponent
    found = estimate_tensor_rank(tensor, tolerance, restarts=1, max_rank=3)
    assert found.lower_bound == least_by_unfoldings(tensor, tolerance)
    for rank, error in found.errors.items():
        assert rank >= found.lower_bound or error > tolerance
    if found.rank is not None:
        assert found.errors[found.rank] <= tolerance


@pytest.mark.parametrize("tolerance", [1e-35, 1e-300])
def test_rounding_proves_nothing(tolerance):
    """Below what float64 holds no unfolding shows more than the true rank."""
    found = estimate_tensor_rank(outer_sum((4, 4, 4), 2), tolerance, max_rank=2, restarts=1)
    assert found.lower_bound == 2


def test_no_fit_up_to_the_largest_rank():
    tensor = np.random.default_rng(0).normal(size=(3, 3, 3))
    found = estimate_tensor_rank(tensor, max_rank=3, restarts=2)
    assert (found.rank, found.lower_bound, found.certain, found.agreement) == (None, 3, False, 0)
    assert found.confidence.startswith("none of 2 starts came to a fit")
    hopeless = estimate_tensor_rank(tensor, max_rank=2)
    assert (hopeless.rank, hopeless.lower_bound, hopeless.errors) == (None, 3, {})


def test_enough_components_need_no_fit():
    """As many as the product of the smaller dimensions make any tensor, by unit vectors."""
    tensor = np.random.default_rng(0).normal(size=(2, 2, 3))
    found = estimate_tensor_rank(tensor, 1e-20, sweeps=1, restarts=1)
    assert found.rank == 4
    assert found.errors[4] == 0


def test_the_same_seed_gives_the_same():
    tensor = np.random.default_rng(3).normal(size=(3, 3, 3))
    first, again = (estimate_tensor_rank(tensor, seed=5) for _ in range(2))
    assert first == again
    assert first.errors != estimate_tensor_rank(tensor, seed=6).errors


def test_without_tensorly(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorly.decomposition", None)
    with pytest.raises(InputError, match=r"pip install 'factorflow\[tensors\]'"):
        estimate_tensor_rank(np.ones((2, 2, 2)))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda t: estimate_tensor_rank(t[0, 0]), "two dimensions or more"),
        (lambda t: estimate_tensor_rank(np.zeros((2, 0, 2))), "and entries"),
        (lambda t: estimate_tensor_rank(t * np.nan), "not finite; complete it first"),
        (lambda t: estimate_tensor_rank(t + 1j), "real numbers; got complex128 entries"),
        (lambda t: estimate_tensor_rank(t.astype(str)), "real numbers; got <U"),
        (lambda t: estimate_tensor_rank([t, t[0]]), "parts have different lengths"),
        (lambda t: estimate_tensor_rank(Completion.of(t)), "Completion; complete it first"),
        (lambda t: estimate_tensor_rank(t, relative="yes"), "relative must be True or False"),
        (lambda t: estimate_tensor_rank(t, 0.0), "tolerance must be a positive"),
        (lambda t: estimate_tensor_rank(t, max_rank=0), "max_rank must be a whole number"),
        (lambda t: estimate_tensor_rank(t, restarts=0), "restarts must be a whole number"),
        (lambda t: estimate_tensor_rank(t, sweeps=1.5), "sweeps must be a whole number"),
        (lambda t: estimate_tensor_rank(t, seed=-1), "seed must be an integer"),
    ],
)
def test_unusable_inputs(call, words):
    with pytest.raises(InputError, match=words):
        call(np.ones((2, 2, 2)))
