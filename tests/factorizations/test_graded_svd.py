"""The decomposition of graded matrices against exact arithmetic and its own invariants."""

from decimal import Decimal, localcontext

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow._x64 import double_precision
from factorflow.factorizations import graded_svd

SHAPES = [(4, 4, 4), (6, 5, 4), (3, 7, 2), (5, 1, 1), (1, 1, 1), (8, 8, 8)]
shapes = pytest.mark.parametrize(("m", "n", "k"), SHAPES)
seeds = st.integers(0, 2**31)


@jax.jit
def _compiled(left, logs, right):
    return graded_svd(left, logs, right)


def decomposed(left, logs, right):
    with double_precision():
        return tuple(map(np.asarray, _compiled(left, logs, right)))


def well_conditioned(rng, rows, columns):
    """Orthonormal columns, mixed by a matrix near the identity, in any directions."""
    basis = np.linalg.qr(rng.normal(size=(rows, columns)))[0]
    mixing = np.eye(columns) + 0.4 * rng.uniform(-1, 1, (columns, columns)) / np.sqrt(columns)
    return basis @ mixing * rng.choice([-1.0, 1.0], columns)


def drawn(seed, m, n, k, lowest):
    rng = np.random.default_rng(seed)
    left, right = well_conditioned(rng, m, k), well_conditioned(rng, n, k)
    return left, rng.uniform(lowest, 0, k), right


def exact_log_values(left, logs, right):
    """Logarithms of the singular values of a 2 x 2 product, in 80 digits."""
    with localcontext(prec=80):
        P, Q = ([[Decimal(float(x)) for x in row] for row in matrix] for matrix in (left, right))
        scale = [Decimal(float(s)).exp() for s in logs]
        A = [
            [sum(P[i][r] * scale[r] * Q[j][r] for r in range(2)) for j in range(2)]
            for i in range(2)
        ]
        total = sum(entry**2 for row in A for entry in row)
        determinant = scale[0] * scale[1]
        for matrix in (P, Q):
            determinant *= abs(matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0])
        apart = (total**2 - 4 * determinant**2).sqrt()
        largest = ((total + apart) / 2).sqrt()
        return [float(largest.ln()), float((determinant / largest).ln())]


@given(seed=seeds, lowest=st.sampled_from([-1e-3, -1.0, -40.0, -700.0, -1e5]))
def test_values_of_2x2_products_are_those_of_exact_arithmetic(seed, lowest):
    left, logs, right = drawn(seed, 2, 2, 2, lowest)
    found = decomposed(left, logs, right)[1]
    # An error of the logarithm is a relative error of the value.
    np.testing.assert_allclose(found, exact_log_values(left, logs, right), rtol=1e-15, atol=4e-15)


@shapes
@given(seed=seeds)
def test_at_common_scales_it_is_the_decomposition_of_numpy(m, n, k, seed):
    left, logs, right = drawn(seed, m, n, k, -3.0)
    matrix = (left * np.exp(logs)) @ right.T
    u, s, v = decomposed(left, logs, right)
    np.testing.assert_allclose((u * np.exp(s)) @ v.T, matrix, atol=1e-14)
    expected = np.linalg.svd(matrix, compute_uv=False)[:k]
    np.testing.assert_allclose(np.exp(s), expected, rtol=1e-12)


@shapes
@given(seed=seeds)
def test_known_factors_of_any_scale_come_back(m, n, k, seed):
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.normal(size=(m, k)))[0]
    right = np.linalg.qr(rng.normal(size=(n, k)))[0]
    logs = rng.permutation(-300.0 * np.arange(k) - rng.uniform(0, 1, k))
    u, s, v = decomposed(left, logs, right)
    order = np.argsort(-logs)
    np.testing.assert_allclose(s, logs[order], rtol=1e-15, atol=1e-14)
    np.testing.assert_allclose(np.abs(np.sum(u * left[:, order], axis=0)), 1, rtol=1e-13)
    np.testing.assert_allclose(np.abs(np.sum(v * right[:, order], axis=0)), 1, rtol=1e-13)
    # Either both vectors of a mode are turned over or neither.
    signs = np.sum(u * left[:, order], axis=0) * np.sum(v * right[:, order], axis=0)
    np.testing.assert_allclose(signs, 1, rtol=1e-13)


@given(seed=seeds, k=st.integers(1, 6), lowest=st.sampled_from([-5.0, -100.0, -700.0, -3000.0]))
def test_the_inverse_has_the_inverse_values_and_the_same_vectors(seed, k, lowest):
    left, logs, right = drawn(seed, k, k, k, lowest)
    u, s, v = decomposed(left, logs, right)
    back, t, forth = decomposed(np.linalg.inv(right).T, -logs, np.linalg.inv(left).T)
    # The smallest value here is the largest there, which any decomposition finds.
    np.testing.assert_allclose(s, -t[::-1], rtol=1e-14, atol=1e-13)
    apart = np.diff(s, prepend=np.inf, append=-np.inf)
    clear = np.minimum(-apart[:-1], -apart[1:]) > 0.1
    for one, other in ((u, forth), (v, back)):
        same = np.abs(np.sum(one * other[:, ::-1], axis=0))
        np.testing.assert_allclose(same[clear], 1, atol=1e-12)


@shapes
@given(seed=seeds, lowest=st.sampled_from([0.0, -30.0, -700.0]))
def test_the_invariants(m, n, k, seed, lowest):
    left, logs, right = drawn(seed, m, n, k, lowest)
    u, s, v = decomposed(left, logs, right)
    for vectors, given_ones in ((u, left), (v, right)):
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(k), atol=2e-15 * (k + 4))
        # The columns span what they spanned.
        np.testing.assert_allclose(vectors @ (vectors.T @ given_ones), given_ones, atol=1e-14)
    assert np.all(np.diff(s) <= 0)
    # The product of the values is that of the volumes.
    volumes = [0.5 * np.linalg.slogdet(each.T @ each)[1] for each in (left, right)]
    np.testing.assert_allclose(s.sum(), logs.sum() + sum(volumes), rtol=1e-14, atol=1e-13)
    if m == n == k:
        before = np.linalg.det(left) * np.linalg.det(right)
        assert np.sign(before) == np.sign(np.linalg.det(u) * np.linalg.det(v))


def test_equal_values_need_no_special_care():
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(5, 5)))[0] for _ in range(2))
    u, s, v = decomposed(left, np.full(5, -230.0), right)
    np.testing.assert_allclose(s, -230, rtol=1e-15)
    np.testing.assert_allclose(u @ v.T, left @ right.T, atol=1e-14)


def test_a_batch_is_a_loop():
    parts = [drawn(seed, 5, 4, 3, -700.0) for seed in range(6)]
    stacked = tuple(np.stack(each) for each in zip(*parts, strict=True))
    with double_precision():
        batch = jax.jit(jax.vmap(graded_svd))(*stacked)
    for k, part in enumerate(parts):
        for found, expected in zip(batch, decomposed(*part), strict=True):
            np.testing.assert_allclose(found[k], expected, rtol=1e-14, atol=1e-15)
