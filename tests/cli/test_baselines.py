"""Baselines against a solver of their own."""

import numpy as np
import pytest

from factorflow.cli._baselines import baselines, psnr
from factorflow.estimators import DeepMatrixCompletion
from factorflow.estimators._effects import DAMPING_GRID
from factorflow.problems import Completion


def problem():
    rng = np.random.default_rng(0)
    values = 3 + rng.standard_normal((20, 1)) + rng.standard_normal(15)
    values += 0.3 * rng.standard_normal(values.shape)
    return Completion.from_array(values, observed=rng.random(values.shape) < 0.6)


def ridge(given, damping):
    """Row and column effects by the normal equations of damped least squares."""
    m, n = given.shape
    design = np.zeros((given.n_observed, m + n))
    design[np.arange(given.n_observed), given.rows] = 1
    design[np.arange(given.n_observed), m + given.columns] = 1
    mean = given.values.mean()
    penalty = np.diag([damping[0]] * m + [damping[1]] * n)
    effects = np.linalg.solve(design.T @ design + penalty, design.T @ (given.values - mean))
    return mean + effects[:m, None] + effects[m:]


def test_effects_are_the_tuned_least_squares():
    given = problem()
    inner, validation = given.split(0.1, 0)

    def error(damping):
        gap = ridge(inner, damping)[validation.rows, validation.columns] - validation.values
        return np.sqrt(np.mean(gap**2))

    best = min(((a, b) for a in DAMPING_GRID for b in DAMPING_GRID), key=error)
    found = baselines(given, 0.1, 0)
    assert found["row_column_effects"].damping == best
    expected = ridge(given, best)
    np.testing.assert_allclose(found["row_column_effects"].matrix(), expected, atol=1e-3)
    np.testing.assert_allclose(found["mean"].matrix(), given.values.mean())


def test_effects_before_a_low_rank_part_are_that_baseline():
    """With a stop by validation they are fitted once more, beside the low-rank part."""
    given = problem()
    settings = {"biases": "rows+columns", "stop": "interpolate", "tol": 0.5, "random_state": 0}
    model = DeepMatrixCompletion(2, **settings).fit(given)
    effects = baselines(given, model.validation_fraction, 0)["row_column_effects"]
    np.testing.assert_allclose(model.effects_.matrix(), effects.matrix(), rtol=1e-12)


def test_psnr():
    assert psnr(0.1) == pytest.approx(20)
    assert psnr(1.0) == 0
    assert psnr(0.0) == np.inf
