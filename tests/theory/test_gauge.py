"""Which dynamics make products that do not depend on the hidden bases."""

from itertools import pairwise

import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import factorflow as ff
from factorflow._errors import InputError
from factorflow.theory import gauge_deviation, rotated


def rotation(size, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


@pytest.fixture(scope="module")
def problem():
    truth = ff.datasets.low_rank((12, 10), 2, seed=0)
    return ff.Completion.sample(truth, 70, seed=0)


def deviation(problem, transformation, steps=300, depth=3):
    dynamics = ff.GradientDescent(None, transformation)
    return gauge_deviation(problem, ff.DeepLinear(depth), dynamics, steps=steps)


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize(
    "transformation",
    [optax.sgd(1.0), optax.sgd(0.1, momentum=0.9), ff.group_rmsprop(1e-2)],
    ids=["descent", "momentum", "one-scalar RMSprop"],
)
def test_rules_that_turn_with_the_bases(problem, transformation, depth):
    assert deviation(problem, transformation, depth=depth) <= 1e-12


def test_decay_of_the_layers_turns_with_them(problem):
    decayed = optax.chain(optax.add_decayed_weights(1e-2), optax.sgd(1.0))
    assert deviation(problem, decayed) <= 1e-12


def test_muon_turns_until_it_has_made_rounding_large(problem):
    muon = optax.contrib.muon(1e-2)
    assert deviation(problem, muon, steps=30) <= 1e-12


@pytest.mark.parametrize(
    "transformation",
    [optax.adam(1e-2), optax.rmsprop(3e-3), optax.sign_sgd(3e-3)],
    ids=["Adam", "RMSprop", "sign descent"],
)
def test_rules_by_entries_do_not(problem, transformation):
    assert deviation(problem, transformation) > 1e-2


@given(st.integers(0, 2**20), st.lists(st.integers(1, 6), min_size=2, max_size=5))
def test_rotated_factors_have_the_same_product(seed, sizes):
    rng = np.random.default_rng(seed)
    factors = [rng.standard_normal((b, a)) for a, b in pairwise(sizes)]
    turns = [rotation(size, seed + j) for j, size in enumerate(sizes[1:-1])]
    turned = rotated(factors, turns)
    before, after = np.eye(sizes[0]), np.eye(sizes[0])
    for factor, other in zip(factors, turned, strict=True):
        before, after = factor @ before, other @ after
        np.testing.assert_allclose(
            np.linalg.svd(factor, compute_uv=False),
            np.linalg.svd(other, compute_uv=False),
            atol=1e-12,
        )
    np.testing.assert_allclose(before, after, atol=1e-12 * (1 + abs(before).max()))


def test_rotated_is_written_out():
    w1, w2, w3 = (np.random.default_rng(j).standard_normal((3, 3)) for j in range(3))
    q1, q2 = rotation(3, 7), rotation(3, 8)
    turned = rotated((w1, w2, w3), (q1, q2))
    for found, wanted in zip(turned, (q1 @ w1, q2 @ w2 @ q1.T, w3 @ q2.T), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-14)


def test_what_is_refused_of_rotations():
    w = np.eye(3)
    with pytest.raises(InputError, match="2 factors have 1 hidden bases; got 2"):
        rotated((w, w), (w, w))
    with pytest.raises(InputError, match=r"Rotation 1 .* shape \(3, 3\); got shape \(2, 2\)"):
        rotated((w, w), (np.eye(2),))
    with pytest.raises(InputError, match=r"Rotation 1 .* it is not orthogonal"):
        rotated((w, w), (2 * w,))


def test_what_is_refused_of_runs(problem):
    descent = ff.GradientDescent(0.1)
    with pytest.raises(InputError, match="depth 2 or more"):
        gauge_deviation(problem, ff.DeepLinear(1), descent)
    with pytest.raises(InputError, match=r"steps must be .* got 0\.5"):
        gauge_deviation(problem, ff.DeepLinear(2), descent, steps=0.5)
    with pytest.raises(InputError, match="give a descent rather than a flow"):
        gauge_deviation(problem, ff.DeepLinear(3), ff.GradientFlow(), steps=60)
