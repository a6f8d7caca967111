"""All forms of one matrix are one problem; hidden cells and inputs are left alone."""

import copy

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from factorflow._errors import InputError
from factorflow.problems import Completion

finite = st.floats(-1e6, 1e6, allow_subnormal=False)


@st.composite
def observed_matrices(draw):
    """A finite matrix and which of its cells are observed, at least one."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    X = draw(hnp.arrays(np.float64, shape, elements=finite))
    observed = draw(hnp.arrays(bool, shape))
    observed.flat[draw(st.integers(0, X.size - 1))] = True
    return X, observed


def with_nan(X, observed):
    return np.where(observed, X, np.nan)


def shuffled_cells(X, observed):
    rows, columns = np.nonzero(observed)
    order = np.random.default_rng(0).permutation(len(rows))
    return rows[order], columns[order], X[rows, columns][order]


def coo(X, observed, kind=scipy.sparse.coo_array):
    rows, columns, values = shuffled_cells(X, observed)
    return kind((values, (rows, columns)), X.shape)


def long_frame(X, observed, label=int, value="float64"):
    rows, columns = np.indices(X.shape).reshape(2, -1)
    frame = pd.DataFrame(
        {
            "user": [label(i) for i in rows],
            "item": [label(j) for j in columns],
            "rating": with_nan(X, observed).ravel(),
        }
    )
    frame = frame.sample(frac=1, random_state=0)
    return frame.assign(rating=frame["rating"].astype(value))


def from_long(frame):
    return Completion.from_long_frame(frame, "user", "item", "rating")


def objects(X, observed):
    array = X.astype(object)
    array[~observed] = None
    return array


# Name of the form: (make the input, make the problem of the input).
FORMS = {
    "array": (with_nan, Completion.from_array),
    "array of objects": (objects, Completion.from_array),
    "lists": (lambda X, o: with_nan(X, o).tolist(), Completion.of),
    "array and observed": (lambda X, o: (X, o), lambda both: Completion.from_array(*both)),
    "masked array": (lambda X, o: np.ma.array(X, mask=~o), Completion.of),
    "column-major": (lambda X, o: np.asfortranarray(with_nan(X, o)), Completion.of),
    "triples": (
        lambda X, o: (*shuffled_cells(X, o), X.shape),
        lambda triples: Completion.from_triples(*triples),
    ),
    "coo array": (coo, Completion.of),
    "csr array": (lambda X, o: coo(X, o).tocsr(), Completion.of),
    "csc matrix": (lambda X, o: coo(X, o, scipy.sparse.coo_matrix).tocsc(), Completion.from_sparse),
    "lil array": (lambda X, o: with_zeros_lil(X, o), Completion.of),
    "wide frame": (lambda X, o: pd.DataFrame(with_nan(X, o)), Completion.of),
    "nullable wide frame": (
        lambda X, o: pd.DataFrame(with_nan(X, o)).astype("Float64"),
        Completion.from_frame,
    ),
    "frame and observed": (
        lambda X, o: (pd.DataFrame(X), o),
        lambda both: Completion.of(*both),
    ),
    "long frame": (long_frame, from_long),
    "nullable long frame": (lambda X, o: long_frame(X, o, value="Float64"), from_long),
    "long frame of objects": (lambda X, o: long_frame(X, o, value="object"), from_long),
    "long frame of categories": (
        lambda X, o: long_frame(X, o).astype({"user": "category", "item": "category"}),
        from_long,
    ),
    "long frame of tuples": (lambda X, o: long_frame(X, o, lambda k: ("id", k)), from_long),
    "long frame of text": (lambda X, o: long_frame(X, o, lambda k: f"id{k:02}"), from_long),
    "itself": (lambda X, o: Completion.from_array(X, o), Completion.of),
}


def with_zeros_lil(X, observed):
    # A list of lists stores what it is given, zeros included, only through its lists.
    lil = scipy.sparse.lil_array(X.shape)
    for i, row in enumerate(observed):
        lil.rows[i] = np.flatnonzero(row).tolist()
        lil.data[i] = X[i, row].tolist()
    return lil


def cells(problem):
    return problem.shape, problem.rows.tolist(), problem.columns.tolist(), problem.values.tolist()


@given(observed_matrices())
def test_all_forms_are_one_problem(matrix):
    X, observed = matrix
    expected = (X.shape, *(part.tolist() for part in np.nonzero(observed)), X[observed].tolist())
    for name, (form, build) in FORMS.items():
        given_form = form(X, observed)
        before = copy.deepcopy(given_form)
        problem = build(given_form)
        assert cells(problem) == expected, name
        assert problem.content_hash == Completion.from_array(X, observed).content_hash, name
        assert same(before, given_form), f"{name}: the input was changed"


def same(a, b):
    if isinstance(a, tuple):
        return all(map(same, a, b))
    if isinstance(a, pd.DataFrame):
        return a.equals(b) and bool((a.dtypes == b.dtypes).all())
    if scipy.sparse.issparse(a):
        return same(a.tocoo().data, b.tocoo().data)
    if isinstance(a, Completion):
        return a is b or cells(a) == cells(b)
    if isinstance(a, np.ma.MaskedArray):
        return same(a.data, b.data) and same(a.mask, b.mask)
    return repr(np.asarray(a).tolist()) == repr(np.asarray(b).tolist())


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e300, "text", None, 3 + 4j])
@given(matrix=observed_matrices())
def test_hidden_values_have_no_influence(poison, matrix):
    X, observed = matrix
    poisoned = X.astype(object if isinstance(poison, str | complex | None) else float)
    poisoned[~observed] = poison
    masked = np.ma.array(poisoned, mask=~observed)
    clean = Completion.from_array(X, observed)
    for problem in (
        Completion.from_array(poisoned, observed),
        Completion.of(masked),
        Completion.of(pd.DataFrame(poisoned), observed),
    ):
        assert cells(problem) == cells(clean)
        assert problem.content_hash == clean.content_hash


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint16", "int64", "bool"])
def test_numbers_of_any_kind_become_float64(dtype):
    X = np.array([[1, 0], [0, 1]]).astype(dtype)
    problem = Completion.from_array(X)
    assert problem.values.dtype == np.float64
    assert problem.values.tolist() == [1.0, 0.0, 0.0, 1.0]


@given(observed_matrices())
def test_arrays_and_statistics_follow_from_the_cells(matrix):
    X, observed = matrix
    problem = Completion.from_array(X, observed)
    np.testing.assert_array_equal(problem.observed, observed)
    np.testing.assert_array_equal(problem.to_array(), with_nan(X, observed))
    np.testing.assert_array_equal(problem.empty_rows, np.flatnonzero(~observed.any(axis=1)))
    np.testing.assert_array_equal(problem.empty_columns, np.flatnonzero(~observed.any(axis=0)))
    assert problem.n_observed == observed.sum()
    doubled = problem.with_values(2 * problem.values)
    np.testing.assert_array_equal(doubled.to_array(), 2 * problem.to_array())
    if X[observed].any():
        assert doubled.content_hash != problem.content_hash


def test_arrays_belong_to_the_problem_and_cannot_be_written():
    X = np.eye(3)
    problem = Completion.sample(X, 5)
    X[:] = 7
    assert problem.truth is not None
    np.testing.assert_array_equal(problem.truth, np.eye(3))
    for array in (problem.rows, problem.columns, problem.values, problem.truth):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@given(observed_matrices(), st.floats(0.01, 0.99), st.integers(0, 5))
def test_split_parts_the_cells(matrix, fraction, seed):
    X, observed = matrix
    problem = Completion.from_frame(pd.DataFrame(with_nan(X, observed)))
    if problem.n_observed < 2:
        with pytest.raises(InputError, match="one observation"):
            problem.split(fraction, seed)
        return
    parts = problem.split(fraction, seed)
    assert min(part.n_observed for part in parts) >= 1
    assert abs(parts[1].n_observed - fraction * problem.n_observed) <= 1
    np.testing.assert_array_equal(parts[0].observed ^ parts[1].observed, observed)
    for part, again in zip(parts, problem.split(fraction, seed), strict=True):
        assert part.shape == problem.shape
        assert part.content_hash == again.content_hash
        np.testing.assert_array_equal(part.values, X[part.rows, part.columns])
        np.testing.assert_array_equal(part.row_labels, problem.row_labels)


@given(st.integers(1, 30), st.integers(0, 100))
def test_sample_draws_cells_of_the_truth(n_observed, seed):
    truth = np.arange(30.0).reshape(5, 6)
    problem = Completion.sample(truth, n_observed, seed=seed)
    assert problem.n_observed == n_observed
    np.testing.assert_array_equal(problem.values, truth[problem.rows, problem.columns])
    noisy = Completion.sample(truth, n_observed, noise=1.0, seed=seed)
    np.testing.assert_array_equal(noisy.observed, problem.observed)
    assert np.all(noisy.values != problem.values)


def test_sample_is_uniform_and_its_noise_has_the_given_deviation():
    truth = np.zeros((20, 20))
    draws = [Completion.sample(truth, 100, noise=0.5, seed=seed) for seed in range(200)]
    frequency = np.mean([draw.observed for draw in draws], axis=0)
    # Each frequency is binomial with deviation 0.031; 400 of them stay within 5 deviations.
    assert np.abs(frequency - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 200)
    values = np.concatenate([draw.values for draw in draws])
    assert np.std(values) == pytest.approx(0.5, rel=0.02)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), finite), min_size=1))
def test_duplicates_are_averaged_whatever_their_order(triples):
    frame = pd.DataFrame(triples, columns=["row", "column", "value"])
    means = frame.groupby(["row", "column"])["value"].mean()
    forward = Completion.from_triples(*zip(*triples, strict=True), duplicates="mean")
    backward = Completion.from_triples(*zip(*triples[::-1], strict=True), duplicates="mean")
    sparse = scipy.sparse.coo_array((frame["value"], (frame["row"], frame["column"])))
    np.testing.assert_allclose(forward.values, means.to_numpy(), rtol=1e-12, atol=1e-9)
    for other in (backward, Completion.from_sparse(sparse, duplicates="mean")):
        assert other.content_hash == forward.content_hash


@given(observed_matrices())
def test_a_problem_survives_its_own_long_form(matrix):
    problem = Completion.from_array(*matrix)
    again = Completion.from_triples(problem.rows, problem.columns, problem.values, problem.shape)
    assert again.content_hash == problem.content_hash


def test_zeros_of_either_sign_are_one_content():
    positive = Completion.from_array([[0.0, 1.0]])
    negative = Completion.from_array([[-0.0, 1.0]])
    assert positive.content_hash == negative.content_hash
