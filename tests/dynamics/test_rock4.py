"""ROCK4's stored coefficients: what order, stability and error estimate ask of each method."""

from dataclasses import replace
from itertools import combinations_with_replacement
from math import factorial, prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import Chebyshev, Polynomial
from scipy.linalg import null_space

from factorflow import ROCK4, InputError
from factorflow._x64 import double_precision
from factorflow.dynamics._rock4_design import design
from factorflow.dynamics._rock4_table import schemes

SCHEMES = schemes()
each_scheme = pytest.mark.parametrize("scheme", SCHEMES, ids=lambda each: str(each.stages))


def trees(n_nodes):
    """All rooted trees of so many nodes, each as the tuple of its root's subtrees."""
    return _forests(n_nodes - 1, n_nodes)


def _forests(n_nodes, most):
    """All multisets of trees of so many nodes in all, of no more than ``most`` each."""
    if n_nodes == 0:
        return [()]
    if most == 0:
        return []
    return [
        (*chosen, *rest)
        for count in range(n_nodes // most + 1)
        for chosen in combinations_with_replacement(trees(most) if count else (), count)
        for rest in _forests(n_nodes - count * most, most - 1)
    ]


TALL = ((((),),),)  # of four nodes, one above the other


def size(tree):
    return 1 + sum(map(size, tree))


def density(tree):
    """gamma: the product over all nodes of the size of what hangs there."""
    return size(tree) * prod(map(density, tree))


def elementary(a, tree):
    """The elementary weight of each stage, with the square tableau ``a``."""
    return prod((a @ elementary(a, subtree) for subtree in tree), start=np.ones(len(a)))


def residuals(tableau, n_nodes):
    """Of the conditions of order by the trees of so many nodes, for a tableau with its weights."""
    a, b = tableau[:-1], tableau[-1]
    return np.array([b @ elementary(a, tree) - 1 / density(tree) for tree in trees(n_nodes)])


def with_end(scheme):
    """The square tableau of all stages and the end, with the error weights of all of them."""
    return np.pad(scheme.tableau, ((0, 0), (0, 1))), np.pad(
        scheme.error_weights, (scheme.stages - 4, 0)
    )


def test_the_trees_are_counted_as_by_cayley():
    assert [len(set(trees(n))) for n in range(1, 6)] == [1, 1, 2, 4, 9]
    assert TALL in trees(4)
    assert density(TALL) == 24


@each_scheme
def test_the_conditions_of_fourth_order_hold(scheme):
    for n_nodes in range(1, 5):
        np.testing.assert_allclose(residuals(scheme.tableau, n_nodes), 0, atol=1e-13)
    assert np.abs(residuals(scheme.tableau, 5)).max() > 1e-4


@each_scheme
def test_the_stability_polynomial_is_the_exponential_to_fourth_order(scheme):
    near_zero = Chebyshev.interpolate(scheme.stability, 14).convert(kind=Polynomial).coef
    expected = [1 / factorial(k) for k in range(5)]
    np.testing.assert_allclose(near_zero[:5], expected, atol=1e-10)


@each_scheme
def test_the_stability_polynomial_is_damped(scheme):
    # As dense as Chebyshev's points, between which the polynomial bends as often as it has stages.
    share = (1 - np.cos(np.linspace(0, np.pi, 40 * scheme.stages))) / 2
    z = -scheme.length * share
    values = np.abs(scheme.stability(z))
    assert values[z <= -0.2].max() < 0.89
    assert values.max() <= 1 + 1e-12
    assert np.abs(scheme.stability(np.array([-1.02 * scheme.length]))) > 1  # and ends there


@pytest.mark.parametrize("stages", range(5, 13))
def test_the_stability_polynomial_is_that_of_the_tableau(stages):
    # Few stages: written as a tableau, a method of many loses all digits to rounding.
    scheme = next(each for each in SCHEMES if each.stages == stages)
    a, b, one = scheme.tableau[:-1], scheme.tableau[-1], np.ones(stages)
    z = np.linspace(-scheme.length, 1, 101)
    expected = [1 + x * b @ np.linalg.solve(np.eye(stages) - x * a, one) for x in z]
    np.testing.assert_allclose(scheme.stability(z), expected, rtol=1e-9, atol=1e-9)


@each_scheme
def test_the_error_estimate_is_of_fourth_order(scheme):
    square, weights = with_end(scheme)
    # The method of third order that it is the difference from has its conditions too.
    for n_nodes in range(1, 4):
        embedded = [weights @ elementary(square, tree) for tree in trees(n_nodes)]
        np.testing.assert_allclose(embedded, 0, atol=1e-13)
    # On a linear problem the tallest tree is the only one of fourth order: 0.02 z^4.
    np.testing.assert_allclose(weights @ elementary(square, TALL), 0.02, rtol=1e-12)


def slope_of(t, y, xp):
    """Nonlinear, coupled and time-dependent, with a spectral radius of about 3."""
    return xp.stack([y[1] * xp.cos(t) - y[0] ** 2, xp.sin(y[0] * y[1]) - 3 * y[1] + t**2])


@jax.jit
def crossed(t0, h, y0, stages):
    def field(t, y):
        return slope_of(t, y, jnp), ()

    return ROCK4().cross(field, t0, h, y0, field(t0, y0)[0], stages)


@each_scheme
def test_a_step_is_that_of_the_tableau(scheme):
    t0, h, y0 = 0.4, 0.5, np.array([1.0, 0.7])
    square, weights = with_end(scheme)
    slopes = np.zeros((scheme.stages + 1, 2))
    for stage, row in enumerate(square):
        slopes[stage] = slope_of(t0 + h * row.sum(), y0 + h * row @ slopes, np)
    with double_precision():
        found = crossed(t0, h, y0, scheme.stages)
    np.testing.assert_allclose(found.y, y0 + h * square[-1] @ slopes, rtol=1e-12)
    np.testing.assert_allclose(found.slope, slopes[-1], rtol=1e-11)
    np.testing.assert_allclose(found.error, h * weights @ slopes, rtol=1e-8, atol=1e-13)
    assert np.abs(found.error).max() > 1e-6


def test_more_stages_reach_further_by_the_square():
    stages = np.array([each.stages for each in SCHEMES])
    lengths = np.array([each.length for each in SCHEMES])
    assert np.all(np.diff(stages) > 0)
    assert np.all(np.diff(lengths) > 0)
    assert np.all(lengths >= 0.23 * stages**2)
    assert np.all(lengths[stages >= 20] >= 0.34 * stages[stages >= 20] ** 2)


def test_the_largest_number_of_stages_is_that_of_the_docstring():
    largest = SCHEMES[-1].stages
    assert ROCK4().max_stages == largest
    assert f"no method of more than {largest}." in " ".join((ROCK4.__doc__ or "").split())


def test_more_stages_than_there_are_are_refused():
    with pytest.raises(InputError, match="no method of more than 287 stages; got max_stages=288"):
        ROCK4(max_stages=288)


def numbers(scheme):
    return [scheme.length, *scheme.roots, *scheme.finish]


@pytest.mark.parametrize("k", [0, 1], ids=["first", "from its neighbour"])
def test_the_design_finds_what_is_stored(k):
    stored = SCHEMES[k]
    found = design(stored.stages, SCHEMES[0]) if k else design(stored.stages)
    assert found.stages == stored.stages
    np.testing.assert_allclose(numbers(found), numbers(stored), rtol=1e-6)


def slopes_in_finish(scheme, function, step=1e-5):
    """Derivatives of a function of the tableau by the coefficients of the last four stages."""

    def at(k, change):
        finish = np.array(scheme.finish)
        finish[k] += change
        return function(replace(scheme, finish=tuple(finish)).tableau)

    changes = [(at(k, step) - at(k, -step)) / (2 * step) for k in range(len(scheme.finish))]
    return np.stack(changes, axis=1)


@pytest.mark.parametrize("scheme", SCHEMES[::7], ids=lambda each: str(each.stages))
def test_what_the_order_leaves_free_is_where_the_fifth_errs_least(scheme):
    def up_to_fourth(tableau):
        return np.concatenate([residuals(tableau, n_nodes) for n_nodes in range(1, 5)])

    def fifth(tableau):
        return residuals(tableau, 5)

    free = null_space(slopes_in_finish(scheme, up_to_fourth))
    assert free.shape == (10, 2)
    # Half the sum of squares, with a little of the coefficients' own against large ones.
    slope = slopes_in_finish(scheme, fifth).T @ fifth(scheme.tableau)
    slope += 1e-6 * np.array(scheme.finish)
    np.testing.assert_allclose(free.T @ slope, 0, atol=3e-8)
