"""The counter-example to Schatten quasi-norms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorflow import DeepLinear, GradientFlow, Identity, InputError, solve
from factorflow.problems import DenseOperator, Sensing
from factorflow.theory import (
    commuting_flow,
    least_trace,
    schatten_counterexample,
    schatten_power,
)


@given(st.integers(3, 7), st.floats(-1, 1))
def test_perturbation_is_feasible_and_keeps_the_trace(n, epsilon):
    example = schatten_counterexample(n)
    moved = example.perturbed(epsilon)
    measured = np.einsum("iab,ab->i", example.operators, moved)
    np.testing.assert_allclose(measured, example.values, atol=1e-15)
    expected = [*[0] * (n - 2), 1 - abs(epsilon), 1 + abs(epsilon)]
    np.testing.assert_allclose(np.linalg.eigvalsh(moved), expected, atol=1e-14)
    assert schatten_power(moved, 1) == pytest.approx(2)


@given(st.floats(0.02, 0.98), st.floats(1e-3, 1))
def test_every_quasi_norm_falls(p, epsilon):
    example = schatten_counterexample(3)
    assert schatten_power(example.perturbed(epsilon), p) < schatten_power(example.minimizer, p)


def test_operators_commute():
    operators = schatten_counterexample(5).operators
    for left in operators:
        for right in operators:
            np.testing.assert_array_equal(left @ right, right @ left)


def test_minimizer_has_the_least_trace():
    example = schatten_counterexample(5)
    np.testing.assert_allclose(
        least_trace(example.eigenvalues, example.values), np.diag(example.minimizer), atol=1e-9
    )


@pytest.mark.parametrize("depth", [2, 2.5, 3, 4, 5])
def test_closed_form_goes_to_the_minimizer(depth):
    example = schatten_counterexample(4)
    away = [
        np.abs(
            commuting_flow(example.eigenvalues, example.values, depth, scale).eigenvalues
            - np.diag(example.minimizer)
        ).max()
        for scale in (1e-2, 1e-4, 1e-8)
    ]
    assert away[0] > away[1] > away[2]
    assert away[2] < 1e-3 if depth == 2 else away[2] < 1e-7


@pytest.mark.parametrize("depth", [2, 3])
def test_flow_goes_to_the_minimizer(depth):
    example = schatten_counterexample(4)
    solution = solve(
        Sensing(DenseOperator(example.operators), example.values),
        DeepLinear(depth),
        GradientFlow(rtol=1e-4),
        init=Identity(1e-4),
    )
    limit = commuting_flow(example.eigenvalues, example.values, depth, 1e-4).eigenvalues
    np.testing.assert_allclose(solution.matrix, np.diag(limit), atol=5e-3)
    np.testing.assert_allclose(solution.matrix, example.minimizer, atol=2e-2)


@pytest.mark.parametrize("n", [2, 2.5, "4", None, True])
def test_too_small(n):
    with pytest.raises(InputError, match="n must be a whole number of 3 or more"):
        schatten_counterexample(n)


def test_beyond_the_cone():
    with pytest.raises(InputError, match="epsilon"):
        schatten_counterexample(3).perturbed(1.5)


@pytest.mark.parametrize("p", [0, -1, np.nan, np.inf])
def test_no_power(p):
    with pytest.raises(InputError, match="p must be positive"):
        schatten_power(np.eye(2), p)
