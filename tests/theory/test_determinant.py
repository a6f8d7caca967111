"""The bounds by the loss on many random matrices: never violated, and some nearly attained."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow import InputError
from factorflow._x64 import double_precision
from factorflow.theory import (
    QuasiNorm,
    blow_up_sign,
    distance_bound,
    effective_rank_bound,
    larger_entry_bound,
    norm_bound,
    unobserved_entry_bound,
)

COUNT = 200_000
VALUES = [(1.0, 1.0, 0.0), (-2.0, 0.5, 0.0), (-2.0, 0.5, 0.1), (1.5, 3.0, -0.7), (-1.0, -1.0, 0.5)]
ROUND = 1 + 1e-9


class Matrices:
    """Random 2x2 matrices with the sign of the theorem, many near its boundary det = 0."""

    def __init__(self, values, seed=0):
        rng = np.random.default_rng(seed)
        z, other, corner = values
        size = 10 ** rng.uniform(-5, 0.5, (COUNT, 1))
        away = size * rng.normal(size=(COUNT, 3)) * 10 ** rng.uniform(-3, 0, (COUNT, 3))
        self.w12, self.w21, self.w22 = (np.array([z, other, corner]) + away).T
        self.sign = blow_up_sign(values)
        edge = self.w12 * self.w21 / self.w22  # where the determinant is zero
        slack = 10 ** rng.uniform(-8, 2, COUNT) * np.maximum(np.abs(edge), 1)
        self.w11 = edge + self.sign * np.sign(self.w22) * slack
        self.det = self.w11 * self.w22 - self.w12 * self.w21
        kept = np.sign(self.det) == self.sign
        for name in ("w11", "w12", "w21", "w22", "det"):
            setattr(self, name, getattr(self, name)[kept])
        residual = (self.w12 - z, self.w21 - other, self.w22 - corner)
        self.loss = 0.5 * sum(each**2 for each in residual)

    @property
    def singular_values(self):
        square = self.w11**2 + self.w12**2 + self.w21**2 + self.w22**2
        gap = np.sqrt(np.maximum(square**2 - 4 * self.det**2, 0))
        top = np.sqrt((square + gap) / 2)
        return top, np.abs(self.det) / top

    @property
    def effective_rank(self):
        top, second = self.singular_values
        p = second / (top + second)
        return np.exp(-p * np.log(p) - (1 - p) * np.log1p(-p))


@pytest.fixture(scope="module", params=VALUES, ids=str)
def case(request):
    return request.param, Matrices(request.param)


def test_the_unobserved_entry(case):
    values, drawn = case
    bound = unobserved_entry_bound(drawn.loss, values)
    assert np.all(np.abs(drawn.w11) * ROUND >= bound)
    assert np.max(bound / np.abs(drawn.w11)) > 0.99


def test_the_distance_from_rank_one(case):
    values, drawn = case
    _, second = drawn.singular_values
    bound = distance_bound(drawn.loss, values)
    assert np.all(second <= bound * ROUND)
    if values[2] == 0:
        assert np.max(second / bound) > 0.95
        assert np.max(second / np.sqrt(drawn.loss)) < np.sqrt(2) * ROUND


def test_the_effective_rank(case):
    values, drawn = case
    bound = effective_rank_bound(drawn.loss, values)
    assert np.all(drawn.effective_rank <= bound * ROUND)
    assert np.all(bound <= 2 * ROUND)
    assert np.max((drawn.effective_rank - 1) / (bound - 1)) > 0.5


@pytest.mark.parametrize("p", [0.3, 0.5, 1, 2, 7])
def test_norms(case, p):
    values, drawn = case
    top, second = drawn.singular_values
    measured = top * (1 + (second / top) ** p) ** (1 / p)
    norm = QuasiNorm.schatten(p)
    bound = norm_bound(drawn.loss, norm, values)
    assert np.all(measured * ROUND >= bound)
    # It says more and more as the loss falls, if epsilon does not cap it.
    if values[2] == 0:
        assert np.max(bound / measured) > 0.9 / norm.triangle
    matrix = np.array([[3.0, 1.0], [0.5, 2.0]])
    spectrum = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(norm.function(matrix), np.sum(spectrum**p) ** (1 / p), rtol=1e-5)


def test_other_norms():
    drawn = Matrices(VALUES[0], seed=1)
    entries = np.abs([drawn.w11, drawn.w12, drawn.w21, drawn.w22])
    weights = np.array([0.5, 3.0, 2.0, 1.0])[:, None]
    norm = QuasiNorm(np.linalg.norm, corner=0.5, unit=3.0)  # a weighted sum of entries
    assert np.all(np.sum(weights * entries, axis=0) * ROUND >= norm_bound(drawn.loss, norm))


def test_the_published_bounds_hold_and_are_wider():
    drawn = Matrices(VALUES[0], seed=2)
    far = distance_bound(drawn.loss, published=True)
    np.testing.assert_allclose(far, 3 * np.sqrt(2 * drawn.loss), rtol=1e-12)
    np.testing.assert_allclose(far, 3 * distance_bound(drawn.loss), rtol=1e-12)
    wide = effective_rank_bound(drawn.loss, published=True)
    sharp = effective_rank_bound(drawn.loss)
    assert np.all(sharp <= wide)
    assert np.all(drawn.effective_rank <= wide)
    a = norm_bound(drawn.loss, QuasiNorm.schatten(2))
    np.testing.assert_allclose(a, np.sqrt(0.5) / np.sqrt(drawn.loss) - 8, rtol=1e-9, atol=1e-9)
    assert np.all(a <= unobserved_entry_bound(drawn.loss))


@given(
    z=st.floats(0.1, 10), other=st.floats(0.1, 10), corner=st.floats(-5, 5),
    signs=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 2), seed=st.integers(0, 99),
)  # fmt: skip
def test_any_values(z, other, corner, signs, seed):
    values = (signs[0] * z, signs[1] * other, corner)
    drawn = Matrices(values, seed)
    top, second = drawn.singular_values
    assert np.all(np.abs(drawn.w11) * ROUND >= unobserved_entry_bound(drawn.loss, values))
    assert np.all(second <= distance_bound(drawn.loss, values) * ROUND)
    assert np.all(drawn.effective_rank <= effective_rank_bound(drawn.loss, values) * ROUND)
    norm = QuasiNorm.schatten(2)
    assert np.all(np.hypot(top, second) * ROUND >= norm_bound(drawn.loss, norm, values))


@pytest.mark.parametrize("size", [2, 3, 5])
def test_larger_matrices(size):
    rng = np.random.default_rng(size)
    target = np.eye(size)
    target[:2, :2] = [[0, 1], [1, 0]]
    n = 20_000
    away = rng.normal(size=(n, size, size)) * 10 ** rng.uniform(-3, 0, (n, size, size))
    matrices = target + 10 ** rng.uniform(-4, -0.3, (n, 1, 1)) * away
    matrices[:, 0, 0] = 0
    rest, minor = np.linalg.det(matrices), np.linalg.det(matrices[:, 1:, 1:])
    slack = 1 + 10 ** rng.uniform(-6, 1, n)
    matrices[:, 0, 0] = -rest / minor * slack
    positive = (rest < 0) & (np.linalg.det(matrices) > 0)
    matrices, minor = matrices[positive], minor[positive]
    residual = matrices - target
    residual[:, 0, 0] = 0
    loss = 0.5 * np.sum(residual**2, axis=(1, 2))
    bound = larger_entry_bound(loss, size)
    entry = np.abs(matrices[:, 0, 0])
    assert len(loss) > 10_000
    assert np.all(entry * ROUND >= bound)
    assert np.max(bound / entry) > 0.9
    least = np.linalg.svd(matrices, compute_uv=False)[:, -1]
    noise = 1e-12 * np.abs(matrices).max(axis=(1, 2))
    assert np.all(least <= distance_bound(loss) + noise)
    if size == 2:
        small = loss < 0.17  # s < 2 - sqrt(2)
        assert np.all(bound[small] >= unobserved_entry_bound(loss[small]))


def test_bounds_are_arrays_of_the_kind_of_the_loss():
    losses = np.array([0.1, 0.01])
    assert isinstance(unobserved_entry_bound(losses), np.ndarray)
    assert unobserved_entry_bound([0.1, 0.01]).dtype == np.float64
    with double_precision():
        traced = jax.jit(unobserved_entry_bound)(jnp.asarray(losses))
    assert isinstance(traced, jax.Array)
    np.testing.assert_allclose(traced, unobserved_entry_bound(losses), rtol=1e-14)


def test_of_a_traced_loss_nothing_is_known():
    with double_precision():
        bound = jax.jit(unobserved_entry_bound)(jnp.array([0.1, -0.1]))
    assert np.asarray(bound)[0] == unobserved_entry_bound(0.1)  # and no error of the other


def test_ends_of_the_range():
    assert unobserved_entry_bound(0.5) == 0  # s = 1
    assert unobserved_entry_bound(7.0) == 0
    assert unobserved_entry_bound(0.0) == np.inf
    assert unobserved_entry_bound(0.0, (2.0, 3.0, 0.5)) == pytest.approx(12)
    assert effective_rank_bound(0.0) == pytest.approx(1)
    assert effective_rank_bound(9.0) == pytest.approx(2)
    assert distance_bound(0.0) == 0
    assert [blow_up_sign(values) for values in VALUES] == [1, -1, -1, 1, 1]
    # The solutions have the other sign where epsilon is zero.
    assert np.sign(np.linalg.det([[5.0, -2.0], [0.5, 0.0]])) == -blow_up_sign((-2.0, 0.5, 0.0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: blow_up_sign((0.0, 1.0, 0.0)), "not zero"),
        (lambda: unobserved_entry_bound(0.1, (1.0, 1.0)), "three finite numbers"),
        (lambda: distance_bound(0.1, (1.0, np.inf, 0.0)), "three finite numbers"),
        (lambda: distance_bound(0.1, (2.0, 1.0, 0.0), published=True), "published bound is for"),
        (lambda: effective_rank_bound(0.1, (1.0, 1.0, 0.1), published=True), "published bound"),
        (lambda: distance_bound(0.1, 3), "three finite numbers"),  # type: ignore[arg-type]
        (lambda: larger_entry_bound(0.1, 1), "size"),
        (lambda: unobserved_entry_bound(-1e-3), "loss must be numbers of 0 or more.*got -0.001"),
        (lambda: distance_bound([0.1, np.nan]), "loss must be"),
        (lambda: effective_rank_bound("much"), "loss must be"),  # type: ignore[arg-type]
        (lambda: larger_entry_bound(jnp.array([0.1, -0.1]), 3), "loss must be"),
        (lambda: norm_bound(-1.0, QuasiNorm.schatten(1)), "loss must be"),
        (lambda: QuasiNorm.schatten(0), "p must be positive"),
        (lambda: QuasiNorm(np.linalg.norm, corner=2.0), "corner <= unit"),
    ],
)
def test_unusable_inputs_are_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()
