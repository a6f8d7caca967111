"""The start that observed entries suggest."""

from itertools import pairwise

import numpy as np
import pytest

from factorflow import Completion, DeepLinear, InputError, Spectral

RNG = np.random.default_rng(0)
TRUTH = RNG.standard_normal((7, 2)) @ RNG.standard_normal((2, 5))


def start(init, depth=2, width=4, seed=0, shape=(7, 5)):
    factors = init(DeepLinear(depth, [width] * (depth - 1)), shape, seed)
    return factors, np.linalg.multi_dot(factors[::-1])


@pytest.mark.parametrize("depth", [2, 3])
def test_of_a_matrix_that_is_all_observed_it_is_the_best_approximation(depth):
    problem = Completion.of(TRUTH)
    factors, product = start(Spectral(problem, scale=0.3), depth)
    np.testing.assert_allclose(product, 0.3 * TRUTH, atol=1e-12)
    for first, second in pairwise(factors):
        np.testing.assert_allclose(second.T @ second, first @ first.T, atol=1e-12)
    left, values, right = np.linalg.svd(TRUTH)
    _, product = start(Spectral(problem, rank=1, scale=1.0), depth)
    np.testing.assert_allclose(product, values[0] * np.outer(left[:, 0], right[0]), atol=1e-12)


def test_columns_beyond_the_rank_are_exactly_zero():
    problem = Completion.sample(TRUTH, 25, seed=1)
    for rank in (1, 2, 3):
        (first, second), product = start(Spectral(problem, rank))
        assert np.linalg.matrix_rank(product) == rank
        assert not first[rank:].any()
        assert not second[:, rank:].any()
        assert np.all(np.linalg.norm(second[:, :rank], axis=0) > 0)


def test_the_evened_matrix_is_as_stated():
    problem = Completion.sample(TRUTH, 20, seed=2)
    observed = problem.observed
    by_row, by_column = observed.sum(1, keepdims=True), observed.sum(0, keepdims=True)
    weights = np.sqrt(by_row * by_column / TRUTH.size)
    expected = np.where(observed, TRUTH, 0) / np.where(observed, weights, 1)
    _, product = start(Spectral(problem, scale=1.0), width=5)
    np.testing.assert_allclose(product, expected, atol=1e-12)


def test_entries_drawn_by_rows_and_columns_give_the_matrix_on_average():
    rows, columns = np.linspace(0.3, 1, 40), np.linspace(1, 0.4, 30)
    matrix = np.outer(1 + RNG.random(40), 1 + RNG.random(30))
    starts = []
    for seed in range(10):
        observed = np.random.default_rng(seed).random((40, 30)) < np.outer(rows, columns)
        problem = Completion.of(matrix, observed)
        starts.append(start(Spectral(problem, rank=1, scale=1.0), shape=(40, 30))[1])
    share = np.outer(rows, columns)
    expected = matrix * np.sqrt(share * share.mean())  # the root leaves half of it in
    expected *= np.vdot(starts[0], expected) / np.vdot(expected, expected)
    mean = np.mean(starts, axis=0)
    assert np.linalg.norm(mean - expected) < 0.1 * np.linalg.norm(expected)


def test_a_spread_draws_weights_from_the_seed_and_none_ignores_it():
    problem = Completion.sample(TRUTH, 25, seed=1)
    calm, drawn = Spectral(problem), Spectral(problem, spread=0.5)
    assert np.array_equal(start(calm, seed=0)[1], start(calm, seed=1)[1])
    assert np.array_equal(start(drawn, seed=1)[1], start(drawn, seed=1)[1])
    assert not np.allclose(start(drawn, seed=0)[1], start(drawn, seed=1)[1])
    plain, weighted = (
        start(Spectral(problem, scale=1.0, spread=each), width=5, seed=3)[1] for each in (0.0, 0.5)
    )
    seen = problem.observed
    logs = np.log(np.where(seen, weighted, 1) / np.where(seen, plain, 1))
    design = np.hstack([np.eye(7)[problem.rows], np.eye(5)[problem.columns]])
    sums = logs[problem.rows, problem.columns]
    fitted = design @ np.linalg.lstsq(design, sums, rcond=None)[0]
    np.testing.assert_allclose(fitted, sums, atol=1e-10)  # a weight of rows times one of columns


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"problem": TRUTH}, "Completion"),
        ({"rank": 0}, "rank"),
        ({"rank": 1.5}, "rank"),
        ({"rank": True}, "rank"),
        ({"scale": 0.0}, "scale"),
        ({"scale": np.inf}, "scale"),
        ({"spread": -1.0}, "spread"),
        ({"spread": "much"}, "spread"),
        ({"problem": Completion.of(np.zeros((2, 2)))}, "zero"),
    ],
)
def test_errors_name_what_is_wrong(given, words):
    with pytest.raises(InputError, match=words):
        Spectral(**{"problem": Completion.of(TRUTH), **given})


def test_another_shape_is_refused():
    with pytest.raises(InputError, match=r"\(7, 5\)"):
        start(Spectral(Completion.of(TRUTH)), shape=(5, 7))
