"""Singular values of matricizations, computed without the tensor."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factorflow import DeepLinear, InputError
from factorflow.factorizations import CP, HierarchicalTucker
from factorflow.theory import (
    matricization_ranks,
    matricization_singular_values,
    matricization_spectra,
)

SIZES = (3, 2, 4, 2, 3)
FACTORIZATIONS = [
    CP(3),
    CP(20),
    HierarchicalTucker((2, 5, 3)),
    HierarchicalTucker((3, 2), arity=3),
    HierarchicalTucker(None, arity=5),
]


def factors_of(factorization, sizes=SIZES, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(shape) for shape in factorization.shapes(sizes))


def dense_values(tensor, modes):
    others = [n for n in range(tensor.ndim) if n not in modes]
    n_rows = int(np.prod([tensor.shape[n] for n in modes]))
    matrix = tensor.transpose(*modes, *others).reshape(n_rows, -1)
    return np.linalg.svd(matrix, compute_uv=False)


def assert_same(values, dense):
    """The values that are told are right, and those that are not are zero."""
    padded = np.pad(values, (0, len(dense) - len(values)))
    np.testing.assert_allclose(padded, dense, rtol=0, atol=1e-13 * dense[0])


@pytest.mark.parametrize("factorization", FACTORIZATIONS, ids=str)
def test_every_cut_against_the_dense_unfolding(factorization):
    factors = factors_of(factorization)
    tensor = np.asarray(factorization.tensor(factors))
    spectra = matricization_spectra(factorization, factors)
    for modes, values in spectra.items():
        assert_same(values, dense_values(tensor, modes))
    ranks = matricization_ranks(factorization, factors)
    assert ranks == {
        modes: np.linalg.matrix_rank(np.diag(dense_values(tensor, modes)), tol=1e-9)
        for modes in spectra
    }


def test_which_cuts_there_are():
    spectra = matricization_spectra(CP(2), factors_of(CP(2)))
    assert list(spectra) == [(0,), (0, 1), (0, 1, 2), (0, 1, 2, 3)]
    tree = HierarchicalTucker(2)
    # The fifth mode goes up alone, and is what the root cuts from the first four.
    cuts = [(0,), (1,), (2,), (3,), (4,), (0, 1), (2, 3)]
    assert list(matricization_spectra(tree, factors_of(tree))) == cuts


@settings(max_examples=10)
@given(st.sets(st.integers(0, 4), min_size=1, max_size=4))
def test_any_modes_of_cp(modes):
    factors = factors_of(CP(4))
    values = matricization_singular_values(CP(4), factors, modes)
    assert_same(values, dense_values(np.asarray(CP(4).tensor(factors)), sorted(modes)))


@pytest.mark.parametrize("modes", [(0, 1), (2,), (1, 2), (3, 4, 0), (0, 1, 2), (3,)])
def test_some_children_of_a_node(modes):
    factorization = HierarchicalTucker((3, 2), arity=3)
    factors = factors_of(factorization)
    values = matricization_singular_values(factorization, factors, modes)
    assert_same(values, dense_values(np.asarray(factorization.tensor(factors)), sorted(modes)))


@pytest.mark.parametrize("cut", [(0,), (0, 1), (0, 1, 2)])
def test_orthogonal_components_to_full_relative_accuracy(cut):
    """With orthonormal columns the values are the component norms, however small."""
    rng = np.random.default_rng(1)
    norms = np.array([3.0, 1e-5, 1e-40, 1e-200])
    factors = [np.linalg.qr(rng.standard_normal((6, 4)))[0] for _ in range(4)]
    values = matricization_singular_values(CP(4), [factors[0] * norms, *factors[1:]], cut)
    np.testing.assert_allclose(values, norms, rtol=1e-13)


def test_small_values_do_not_depend_on_the_side():
    """Modes and their complement by other products: also of values far below rounding."""
    rng = np.random.default_rng(2)
    factors = [rng.standard_normal((7, 5)) * np.logspace(0, -6, 5) for _ in range(4)]
    one = matricization_singular_values(CP(5), factors, (0, 2))
    other = matricization_singular_values(CP(5), factors, (1, 3))
    assert one[-1] < 1e-20 * one[0]
    np.testing.assert_allclose(one, other, rtol=1e-11)


def test_a_tree_of_graded_components():
    """Diagonal nodes and orthonormal leaves: the values are products along the diagonals."""
    rng = np.random.default_rng(3)
    factorization = HierarchicalTucker(3)
    leaves = [np.linalg.qr(rng.standard_normal((4, 3)))[0] for _ in range(4)]
    scales = np.array([[1.0, 1e-9, 1e-30], [2.0, 1e-7, 1e-12]])
    root = np.array([[1.0], [0.5], [3.0]])
    factors = [*leaves, np.diag(scales[0]), np.diag(scales[1]), root]
    wanted = scales.prod(axis=0) * root[:, 0]
    for modes, values in matricization_spectra(factorization, factors).items():
        np.testing.assert_allclose(values, wanted, rtol=1e-13, err_msg=str(modes))


@pytest.mark.parametrize("factorization", [CP(6), HierarchicalTucker(3)], ids=str)
def test_order_sixteen(factorization):
    """A sum of two products has rank 2 at every cut, though it is written wider."""
    rng = np.random.default_rng(4)
    sizes = (3,) * 16
    factors = [np.zeros(shape) for shape in factorization.shapes(sizes)]
    for factor in factors[:16]:
        factor[:, :2] = rng.standard_normal((3, 2))
    for factor in factors[16:]:
        factor[:2, :2] = np.eye(2)[:, : factor.shape[1]] if factor.shape[1] > 1 else 1.0
    assert set(matricization_ranks(factorization, factors).values()) == {2}


def test_zero_and_scale():
    factors = factors_of(CP(3))
    zero = [np.zeros_like(factors[0]), *factors[1:]]
    assert set(matricization_ranks(CP(3), zero).values()) == {0}
    scaled = [1e-150 * factors[0], 1e-150 * factors[1], *factors[2:]]
    values, of_scaled = (
        matricization_singular_values(CP(3), each, (0, 1)) for each in (factors, scaled)
    )
    np.testing.assert_allclose(of_scaled, 1e-300 * values, rtol=1e-11)


FACTORS = factors_of(HierarchicalTucker(3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: matricization_singular_values(CP(2), factors_of(CP(2)), []), "got none"),
        (lambda: matricization_singular_values(CP(2), factors_of(CP(2)), range(5)), "not all"),
        (lambda: matricization_singular_values(CP(2), factors_of(CP(2)), [5]), "some of 0 to 4"),
        (
            lambda: matricization_singular_values(HierarchicalTucker(3), FACTORS, (0, 2)),
            r"does not cut off the modes 0, 2; its nodes have .*\(0, 1, 2, 3\)",
        ),
        (lambda: matricization_ranks(DeepLinear(2), FACTORS), "CP or HierarchicalTucker"),
        (lambda: matricization_ranks(CP(2), [np.ones(3)] * 2), "must have two dimensions"),
        (lambda: matricization_ranks(CP(2), [np.full((3, 2), np.inf)] * 2), "not finite"),
        (
            lambda: matricization_ranks(CP(2), [np.ones((3, 2)), np.ones((3, 4))]),
            "a column for each component",
        ),
        (
            lambda: matricization_ranks(HierarchicalTucker(3), [np.ones((2, 5)), *FACTORS[1:]]),
            "must have a row for each column",
        ),
        (lambda: matricization_singular_values(CP(2), factors_of(CP(2)), 0), "whole numbers"),
        (lambda: matricization_singular_values(CP(2), factors_of(CP(2)), [0.5]), "whole numbers"),
        (lambda: matricization_ranks(CP(2), factors_of(CP(2)), "a"), "tolerance must be"),
        (lambda: matricization_ranks(CP(2), factors_of(CP(2)), 1.5), "tolerance must be"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
