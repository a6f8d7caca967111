"""A user's own function of the matrix."""

import jax.numpy as jnp
import numpy as np
import pytest

from factorflow._errors import InputError
from factorflow.factorizations import DeepLinear
from factorflow.problems import Completion, FunctionProblem


def test_a_function_of_all_entries_is_the_complete_problem():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((4, 6))
    factorization = DeepLinear(3)
    factors = tuple(rng.standard_normal(shape) for shape in factorization.shapes(truth.shape))
    problem = FunctionProblem(truth.shape, lambda matrix: 0.5 * jnp.mean((matrix - truth) ** 2))
    own = problem.loss(factorization)
    complete = Completion.from_array(truth).loss(factorization)
    assert own.route == "function"
    assert float(own(factors)) == pytest.approx(float(complete(factors)), rel=1e-13)
    for a, b in zip(own.gradient(factors), complete.gradient(factors), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_it_has_one_route():
    with pytest.raises(InputError, match="'entries'"):
        FunctionProblem((2, 2), jnp.sum).loss(DeepLinear(2), "entries")
