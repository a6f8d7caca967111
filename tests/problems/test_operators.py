"""Every set of linear measurements against its own matrices written out."""

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factorflow._errors import InputError
from factorflow.problems import Completion, DenseOperator, EntryOperator, RankOneOperator, Sensing
from factorflow.problems._operator import AbstractOperator

RNG = np.random.default_rng(0)


def matrices(*shape, dtype=np.float64):
    return RNG.standard_normal(shape).astype(dtype)


def random(kind, shape, count, symmetric=False):
    return getattr(Sensing, kind)(np.zeros(shape), count, symmetric=symmetric, seed=1).operator


def many_rows(dtype):
    """As many measurements as are shared out in ranges, with a rest in each."""
    return DenseOperator(matrices(337, 5, 11, dtype=dtype))


# An operator is entered here; it must be linearly independent.
OPERATORS = {
    "dense": DenseOperator(matrices(9, 3, 4)),
    "dense float32": DenseOperator(matrices(9, 3, 4, dtype=np.float32)),
    "dense integers": DenseOperator(np.arange(16).reshape(2, 2, 4) % 7),
    "dense, one": DenseOperator(matrices(1, 6, 1)),
    "dense, large": random("gaussian", (40, 50), 700),
    "rank one": RankOneOperator(matrices(10, 5), matrices(10, 7)),
    "entries": EntryOperator((4, 6), [3, 0, 0], [5, 2, 1]),
    "entries, unsorted pairs": EntryOperator((4, 4), [3, 0, 2], [1, 2, 2], symmetric=True),
    "of a completion": Completion.from_array([[1.0, np.nan], [np.nan, 2.0]]).operator,
    "gaussian": random("gaussian", (6, 5), 12),
    "gaussian, symmetric": random("gaussian", (6, 6), 12, symmetric=True),
    "gaussian, rank one": random("rank_one", (6, 5), 12),
    "gaussian, rank one, symmetric": random("rank_one", (6, 6), 12, symmetric=True),
    "sampled entries": random("entries", (6, 5), 12),
    "sampled entries, symmetric": random("entries", (6, 6), 12, symmetric=True),
}
DEPENDENT = {
    "dense": DenseOperator(np.concatenate([m := matrices(4, 3, 3), 2 * m, m[:1] - m[1:2]])),
    "more than entries": many_rows(np.float32),
    "more than entries, float64": many_rows(np.float64),
    "rank one": RankOneOperator(matrices(20, 3), matrices(20, 4)),
    "zero": DenseOperator(np.zeros((2, 2, 2))),
}
EVERY = {**OPERATORS, **{f"dependent {name}": each for name, each in DEPENDENT.items()}}
every = pytest.mark.parametrize("operator", EVERY.values(), ids=EVERY.keys())
seeds = st.integers(0, 2**32)
few = settings(max_examples=8)


def written_out(operator: AbstractOperator) -> np.ndarray:
    """The matrices ``A_i``, ``(p, m, n)``, from the fields of each kind."""
    if isinstance(operator, DenseOperator):
        return operator.matrices.astype(np.float64)
    if isinstance(operator, RankOneOperator):
        return np.einsum("pm,pn->pmn", operator.left, operator.right)
    assert isinstance(operator, EntryOperator)
    result = np.zeros((operator.count, *operator.shape))
    result[np.arange(operator.count), operator.rows, operator.columns] = 1
    return (result + result.transpose(0, 2, 1)) / 2 if operator.symmetric else result


def draws(operator, seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(operator.shape), rng.standard_normal(operator.count)


def assert_close(actual, expected, rtol=1e-12):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * (1 + np.abs(expected).max()))


@every
@few
@given(seed=seeds)
def test_forward_and_adjoint_are_those_of_the_matrices(operator, seed):
    matrix, values = draws(operator, seed)
    stack = written_out(operator)
    assert (operator.count, *operator.shape) == stack.shape
    assert_close(operator.forward(matrix), np.einsum("pmn,mn->p", stack, matrix))
    assert_close(operator.adjoint(values), np.einsum("p,pmn->mn", values, stack))
    assert operator.forward(matrix).dtype == operator.adjoint(values).dtype == np.float64


@every
@few
@given(seed=seeds)
def test_the_adjoint_is_the_adjoint(operator, seed):
    matrix, values = draws(operator, seed)
    left, right = operator.forward(matrix) @ values, np.vdot(matrix, operator.adjoint(values))
    scale = np.linalg.norm(operator.forward(matrix)) * np.linalg.norm(values)
    assert abs(left - right) <= 1e-12 * (1 + scale)


@every
@few
@given(seed=seeds, factor=st.floats(-10, 10))
def test_both_directions_are_linear(operator, seed, factor):
    (one, u), (other, v) = draws(operator, seed), draws(operator, seed + 1)
    along = operator.forward(one) + factor * operator.forward(other)
    assert_close(operator.forward(one + factor * other), along, 1e-11)
    back = operator.adjoint(u) + factor * operator.adjoint(v)
    assert_close(operator.adjoint(u + factor * v), back, 1e-11)


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS.keys())
@few
@given(seed=seeds)
def test_the_gram_matrix_is_solved(operator, seed):
    _, values = draws(operator, seed)
    gram_values = operator.forward(operator.adjoint(values))
    assert_close(operator.solve_gram(gram_values), values, 1e-8)


@pytest.mark.parametrize("operator", DEPENDENT.values(), ids=DEPENDENT.keys())
@few
@given(seed=seeds)
def test_dependent_measurements_have_the_solution_of_least_norm(operator, seed):
    matrix, _ = draws(operator, seed)
    values = operator.forward(matrix)
    found = operator.adjoint(operator.solve_gram(values))
    stack = written_out(operator).reshape(operator.count, -1)
    least = np.linalg.lstsq(stack, values, rcond=None)[0]
    assert_close(found.ravel(), least, 1e-8)
    assert_close(operator.forward(found), values, 1e-8)


@pytest.mark.parametrize("name", [name for name in OPERATORS if "symmetric" in name])
def test_symmetric_operators_are_symmetric(name):
    stack = written_out(OPERATORS[name])
    np.testing.assert_array_equal(stack, stack.transpose(0, 2, 1))
    values = RNG.standard_normal(len(stack))
    assert_close(OPERATORS[name].adjoint(values), OPERATORS[name].adjoint(values).T)


@every
@few
@given(data=st.data())
def test_a_subset_has_the_measurements_chosen(operator, data):
    indices = st.lists(st.integers(0, operator.count - 1), min_size=1, unique=True)
    chosen = np.array(data.draw(indices))
    part = operator.subset(chosen)
    assert type(part) is type(operator)
    np.testing.assert_array_equal(written_out(part), written_out(operator)[chosen])


@every
def test_operators_are_values(operator):
    with pytest.raises(FrozenInstanceError):
        operator.shape = (1, 1)
    operator.solve_gram(np.ones(operator.count))
    again = pickle.loads(pickle.dumps(operator))
    assert again.content_hash == operator.content_hash
    np.testing.assert_array_equal(written_out(again), written_out(operator))
    matrix, _ = draws(operator, 0)
    np.testing.assert_array_equal(again.forward(matrix), operator.forward(matrix))
    for array in vars(operator).values():
        assert not isinstance(array, np.ndarray) or not array.flags.writeable


def test_the_content_tells_operators_apart():
    hashes = [operator.content_hash for operator in EVERY.values()]
    assert len(set(hashes)) == len(hashes)
    single = DenseOperator(matrices(2, 3, 3, dtype=np.float32))
    double = DenseOperator(single.matrices.astype(np.float64))
    assert single.content_hash == double.content_hash


def test_an_operator_has_arrays_of_its_own():
    given_matrices = np.ones((2, 3, 3))
    operator = DenseOperator(given_matrices)
    given_matrices[:] = 7
    np.testing.assert_array_equal(operator.matrices, np.ones((2, 3, 3)))


def test_float32_is_kept_and_summed_in_float64():
    operator = DenseOperator(np.full((1, 1, 10**6), 0.1, np.float32))
    assert operator.matrices.dtype == np.float32
    exact = 1e6 * float(np.float32(0.1))
    assert operator.forward(np.ones((1, 10**6)))[0] == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_number_of_threads_changes_nothing(dtype, monkeypatch):
    from factorflow.problems import _stack_kernels, _threads

    operator = many_rows(dtype)
    matrix, values = draws(operator, 0)
    w = matrix.ravel()
    answers = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(_threads, "N_THREADS", threads)
        monkeypatch.setattr(_stack_kernels, "_WORTH_A_THREAD", 1)
        fused = _stack_kernels._residuals_and_gradient(operator.stack, w, values)
        answers.append((operator.forward(matrix), operator.adjoint(values), *fused))
    for answer in answers[1:]:
        for a, b in zip(answer, answers[0], strict=True):
            np.testing.assert_array_equal(a, b)


WRONG = {
    "flat": (lambda: DenseOperator(np.ones((2, 9))), "3 axes"),
    "empty": (lambda: DenseOperator(np.ones((0, 2, 2))), "none of them empty"),
    "ragged": (lambda: DenseOperator([[[1.0], [2.0, 3.0]]]), "different lengths"),
    "complex": (lambda: DenseOperator(np.ones((1, 2, 2)) * 1j), "real numbers"),
    "infinite": (
        lambda: DenseOperator(np.stack([np.eye(2), np.full((2, 2), np.inf)])),
        "measurement 1",
    ),
    "unequal": (lambda: RankOneOperator(np.ones((3, 2)), np.ones((2, 2))), "3 and 2"),
    "outside": (lambda: EntryOperator((2, 2), [0, 2], [0, 0]), "0..1"),
    "odd": (lambda: EntryOperator((2, 2), [0, 1], [0]), "2 and 1"),
    "none": (lambda: EntryOperator((2, 2), [], []), "observed"),
    "twice": (lambda: EntryOperator((2, 3), [0, 1, 0], [1, 1, 1]), "cell .* row 0, column 1"),
    "pair twice": (
        lambda: EntryOperator((2, 2), [0, 1], [1, 0], symmetric=True),
        "pair .* row 1, column 0",
    ),
    "not square": (lambda: EntryOperator((2, 3), [0], [1], symmetric=True), r"\(2, 3\)"),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_operator_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@every
def test_arguments_of_another_shape_are_refused(operator):
    m, n = operator.shape
    with pytest.raises(InputError, match=rf"\({m}, {n}\)"):
        operator.forward(np.zeros((m, n + 1)))
    for method in (operator.adjoint, operator.solve_gram):
        with pytest.raises(InputError, match=f"{operator.count}, one for each"):
            method(np.zeros(operator.count + 1))
