"""New rows against a column space, by the minimization that defines them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow.estimators import ColumnSpace, Effects, _fold_in, fit_effects
from factorflow.estimators._forms import Cells
from factorflow.problems import Completion

seeds = st.integers(0, 10_000)


def low_rank(seed, shape=(12, 9), rank=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(shape[0], rank)), rng.normal(size=(rank, shape[1]))


def no_biases(n_columns):
    return Effects(0.0, np.zeros(0), np.zeros(n_columns), (np.inf, np.inf))


def cells_of(X):
    rows, columns = np.nonzero(~np.isnan(X))
    return Cells(X.shape, rows, columns, X[rows, columns], X.dtype)


def with_gaps(X, seed, share=0.5):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, X, np.nan)


def by_definition(left, right, noise, columns, values):
    """``c V`` with ``V`` orthonormal and ``c`` from the normal equations of the definition."""
    _, _, directions = np.linalg.svd(left @ right)
    V = directions[: left.shape[1]]
    L = left @ right @ V.T
    precision = np.linalg.inv(L.T @ L / len(L))
    seen = V[:, columns]
    c = np.linalg.solve(seen @ seen.T / noise + precision, seen @ values / noise)
    return c @ V


@given(seed=seeds, noise=st.sampled_from([1e-4, 1e-2, 1.0, 100.0]), n_seen=st.integers(1, 9))
def test_a_row_is_the_minimizer_of_its_definition(seed, noise, n_seen):
    left, right = low_rank(seed)
    rng = np.random.default_rng(seed)
    columns, values = np.sort(rng.permutation(9)[:n_seen]), rng.normal(size=n_seen)
    row = ColumnSpace(left, right, noise).complete(columns, values)
    wanted = by_definition(left, right, noise, columns, values)
    np.testing.assert_allclose(row, wanted, atol=1e-6 * np.abs(wanted).max())


@given(seed=seeds)
def test_rows_together_are_the_rows_alone(seed):
    left, right = low_rank(seed)
    X = with_gaps(np.random.default_rng(seed).normal(size=(8, 9)), seed)
    space = ColumnSpace(left, right, 0.1)
    together = space.fold_in(no_biases(9), cells_of(X)).matrix()
    for row, completed in zip(X, together, strict=True):
        seen = np.flatnonzero(~np.isnan(row))
        np.testing.assert_allclose(completed, space.complete(seen, row[seen]), atol=1e-12)


@given(seed=seeds)
def test_how_the_low_rank_part_is_written_has_no_influence(seed):
    left, right = low_rank(seed)
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(3, 3)) + 4 * np.eye(3)
    columns, values = np.arange(5), rng.normal(size=5)
    plain = ColumnSpace(left, right, 0.1).complete(columns, values)
    mixed = ColumnSpace(left @ mixing, np.linalg.solve(mixing, right), 0.1)
    np.testing.assert_allclose(mixed.complete(columns, values), plain, atol=1e-8)


@given(seed=seeds)
def test_without_noise_a_row_of_the_space_is_recovered_from_enough_entries(seed):
    left, right = low_rank(seed)
    row = np.random.default_rng(seed).normal(size=3) @ right
    seen = np.arange(6)
    found = ColumnSpace(left, right, 0.0).complete(seen, row[seen])
    np.testing.assert_allclose(found, row, atol=1e-3 * np.abs(row).max())


@given(seed=seeds)
def test_without_noise_too_few_entries_are_interpolated(seed):
    left, right = low_rank(seed)
    values = np.random.default_rng(seed).normal(size=2)
    row = ColumnSpace(left, right, 0.0).complete(np.array([2, 6]), values)
    np.testing.assert_allclose(row[[2, 6]], values, atol=1e-3 * np.abs(values).max())


@given(seed=seeds)
def test_with_much_noise_a_row_shrinks_to_nothing(seed):
    left, right = low_rank(seed)
    row = ColumnSpace(left, right, 1e12).complete(np.arange(9), right[0])
    assert np.abs(row).max() < 1e-6 * np.abs(right).max()


def test_a_row_without_entries_is_zero_and_a_space_may_be_empty():
    left, right = low_rank(0)
    nothing = np.full((2, 9), np.nan)
    folded = ColumnSpace(left, right, 0.1).fold_in(no_biases(9), cells_of(nothing))
    np.testing.assert_array_equal(folded.matrix(), 0)
    empty = ColumnSpace(np.zeros((12, 1)), np.zeros((1, 9)), 0.0)
    assert empty.basis.shape == (0, 9)
    np.testing.assert_array_equal(empty.complete(np.array([1]), np.array([2.0])), 0)


def test_directions_that_are_noise_of_the_start_are_left_out():
    left, right = low_rank(0)
    wide = np.hstack([left, 1e-9 * np.ones((12, 1))]), np.vstack([right, np.ones((1, 9))])
    assert ColumnSpace(*wide, 0.1).basis.shape == (3, 9)


@given(seed=seeds)
def test_biases_are_taken_off_and_put_back(seed):
    left, right = low_rank(seed)
    X = left @ right + 5 + 2 * np.random.default_rng(seed).normal(size=9)
    problem = Completion.from_array(with_gaps(X, seed, share=0.9))
    effects = fit_effects(problem, "rows+columns", (1.0, 1.0))
    folded = ColumnSpace(left, right, 0.1).fold_in(effects, problem)
    np.testing.assert_allclose(folded.effects.rows, effects.rows, atol=1e-12)
    bare = problem.with_values(problem.values - effects.at(problem.rows, problem.columns))
    alone = ColumnSpace(left, right, 0.1).fold_in(no_biases(9), bare)
    np.testing.assert_allclose(folded.matrix(), effects.matrix() + alone.matrix(), atol=1e-10)


@pytest.mark.parametrize("module", ["fold_in", "table"])
def test_work_in_parts_gives_the_same(module, monkeypatch):
    from factorflow.estimators import _table

    left, right = low_rank(0)
    X = with_gaps(np.random.default_rng(0).normal(size=(30, 9)), 0)
    rows, columns = np.indices(X.shape)

    def answers():
        table = ColumnSpace(left, right, 0.1).fold_in(no_biases(9), cells_of(X))
        return table.matrix(), table.at(rows, columns)

    whole = answers()
    monkeypatch.setattr({"fold_in": _fold_in, "table": _table}[module], "_NUMBERS_AT_ONCE", 20)
    for part, one in zip(answers(), whole, strict=True):
        np.testing.assert_allclose(part, one, atol=1e-13)
    np.testing.assert_allclose(whole[0], whole[1], atol=1e-13)
