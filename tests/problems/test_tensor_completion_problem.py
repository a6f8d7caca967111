"""Observed entries of a tensor: one problem in every form, and its loss by two routes."""

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from factorflow import (
    CP,
    Completion,
    DeepLinear,
    HierarchicalTucker,
    InputError,
    RobustCompletion,
    nuclear_norm,
)
from factorflow._x64 import double_precision
from factorflow.problems import EntriesLoss

SHAPE = (3, 4, 2, 3)
T = np.random.default_rng(0).normal(size=SHAPE)
PROBLEM = Completion.sample(T, 40, seed=1)


value_and_gradient = jax.jit(lambda loss, factors: loss.value_and_gradient(factors))


@st.composite
def observed_tensors(draw):
    shape = draw(st.lists(st.integers(1, 3), min_size=2, max_size=5))
    X = draw(hnp.arrays(np.float64, shape, elements=st.floats(-1e6, 1e6)))
    observed = draw(hnp.arrays(bool, shape))
    observed.flat[draw(st.integers(0, X.size - 1))] = True
    return X, observed


@given(observed_tensors())
def test_all_forms_are_one_problem(tensor):
    X, observed = tensor
    indices, order = np.nonzero(observed), np.random.default_rng(0).permutation(observed.sum())
    shuffled = tuple(axis[order] for axis in indices)
    given_as = {
        "nan": Completion.of(np.where(observed, X, np.nan)),
        "observed": Completion.from_array(X, observed),
        "masked": Completion.of(np.ma.masked_array(X, ~observed)),
        "tuple": Completion.from_tuples(shuffled, X[shuffled], X.shape),
        "table": Completion.from_tuples(np.stack(shuffled, 1), X[shuffled], X.shape),
    }
    for form, problem in given_as.items():
        assert problem.content_hash == given_as["nan"].content_hash, form
        np.testing.assert_array_equal(problem.to_array(), np.where(observed, X, np.nan))
        np.testing.assert_array_equal(problem.observed, observed)
        assert problem.order == X.ndim


def test_index_columns_of_a_frame_become_axes_with_labels():
    cells = [("b", 2, "y", 1.0), ("a", 10, "x", 2.0), ("b", 10, "x", np.nan), ("a", 2, "y", 3.0)]
    frame = pd.DataFrame(cells, columns=["user", "week", "place", "value"])
    problem = Completion.from_long_frame(frame, "user", "week", "place", "value")
    assert problem.shape == (2, 2, 2)
    assert [list(labels) for labels in problem.labels] == [["a", "b"], [2, 10], ["x", "y"]]
    expected = np.full((2, 2, 2), np.nan)
    expected[0, 1, 0], expected[0, 0, 1], expected[1, 0, 1] = 2.0, 3.0, 1.0
    np.testing.assert_array_equal(problem.to_array(), expected)
    again = pd.concat([frame, frame.assign(value=frame["value"] + 2)])
    with pytest.raises(InputError, match=r"index \('a', 2, 'y'\) is given more than once"):
        Completion.from_long_frame(again, "user", "week", "place", "value")
    mean = Completion.from_long_frame(again, "user", "week", "place", "value", duplicates="mean")
    np.testing.assert_array_equal(mean.values, problem.values + 1)


def test_samples_and_splits_are_of_the_truth():
    np.testing.assert_array_equal(PROBLEM.values, T[PROBLEM.indices])
    train, held_out = PROBLEM.split(0.25, seed=0)
    assert not (train.observed & held_out.observed).any()
    np.testing.assert_array_equal(train.observed | held_out.observed, PROBLEM.observed)
    np.testing.assert_array_equal(PROBLEM.with_values(-PROBLEM.values).values, -PROBLEM.values)
    counted = [PROBLEM.observed.sum(axis=tuple({0, 1, 2, 3} - {axis})) for axis in range(4)]
    for axis, counts in enumerate(counted):
        np.testing.assert_array_equal(PROBLEM.empty_slices(axis), np.flatnonzero(counts == 0))


@pytest.mark.parametrize(
    "factorization", [CP(5), HierarchicalTucker(3), HierarchicalTucker(2, arity=3)], ids=repr
)
def test_both_routes_are_the_mean_of_half_the_squared_residuals(factorization):
    rng = np.random.default_rng(2)
    factors = tuple(rng.normal(size=s) for s in factorization.shapes(SHAPE))
    dense = PROBLEM.loss(factorization, "dense")
    entries = [
        EntriesLoss(factorization, SHAPE, PROBLEM.indices, PROBLEM.values, kernel=kernel)
        for kernel in ("numba", "gather")
    ]
    with double_precision():
        residuals = np.asarray(factorization.tensor(factors))[PROBLEM.indices] - PROBLEM.values
        value, gradient = value_and_gradient(dense, factors)
        np.testing.assert_allclose(value, 0.5 * np.mean(residuals**2), rtol=1e-12)
        for loss in entries:
            other, slopes = value_and_gradient(loss, factors)
            np.testing.assert_allclose(other, value, rtol=1e-12)
            for one, two in zip(slopes, gradient, strict=True):
                np.testing.assert_allclose(one, two, atol=1e-12 * np.abs(two).max())


def test_the_route_by_entries_is_for_large_sparse_tensors():
    sparse = Completion.from_tuples(
        np.random.default_rng(0).integers(200, size=(1000, 3)), np.ones(1000), (200, 200, 200),
        duplicates="mean",
    )  # fmt: skip
    assert sparse.loss(CP(4)).route == "entries"
    assert PROBLEM.loss(CP(4)).route == "dense"


def test_a_loss_by_entries_has_a_dense_twin_and_wants_sorted_cells():
    factors = tuple(np.random.default_rng(3).normal(size=(size, 2)) for size in SHAPE)
    entries = PROBLEM.loss(CP(2), "entries")
    np.testing.assert_allclose(entries.dense()(factors), entries(factors), rtol=1e-12)
    order = np.lexsort((PROBLEM.indices[2], PROBLEM.indices[0]))  # by the first, not the second
    unsorted = tuple(axis[order] for axis in PROBLEM.indices)
    with pytest.raises(InputError, match="cells must be sorted"):
        EntriesLoss(CP(2), SHAPE, unsorted, PROBLEM.values[order])


def test_a_robust_loss_counts_the_entries_of_a_tensor():
    problem = RobustCompletion(PROBLEM, threshold=0.5)
    factors = tuple(np.ones((size, 1)) for size in SHAPE)
    residuals = 1 - PROBLEM.values
    expected = np.mean(0.25 * (np.sqrt(1 + (residuals / 0.5) ** 2) - 1))
    np.testing.assert_allclose(problem.loss(CP(1))(factors), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: PROBLEM.rows, "Only a matrix has rows and columns"),
        (lambda: PROBLEM.operator, "Only a matrix has rows and columns"),
        (lambda: nuclear_norm(PROBLEM), "Only a matrix"),
        (lambda: PROBLEM.loss(DeepLinear(2)), r"DeepLinear.* writes a matrix"),
        (lambda: Completion.of(np.ones(3)), "two axes"),
        (lambda: Completion.from_tuples(([0], [0], [5]), [1.0], (2, 2, 2)), r"indices\[2\] must"),
        (
            lambda: Completion.from_tuples(([0], [0], [1]), [1.0], (2, 2)),
            "as many columns of indices; got 3",
        ),
        (lambda: Completion.from_tuples([[0], [1]], [1.0, 2.0]), "two or more"),
        (lambda: Completion.from_tuples(([0], [0, 1], [1]), [1.0]), "of one length"),
        (lambda: Completion.of(np.full((2, 2, 2), np.inf)), r"index \(0, 0, 0\) is infinite"),
        (lambda: Completion((2, 2), ([0], [0]), [1.0], (None,)), "labels must be 2"),
        (lambda: Completion.from_long_frame(pd.DataFrame(), "a", "b"), "two columns of labels"),
        (lambda: PROBLEM.loss(CP(2))((np.ones((2, 2)),) * 4), "problem is of shape"),
        (lambda: PROBLEM.loss(CP(2), "entries")((np.ones((2, 2)),) * 4), "problem is of shape"),
    ],
)
def test_what_is_refused(act, said):
    with pytest.raises(InputError, match=said):
        act()
