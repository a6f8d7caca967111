"""One small completion problem for all tests of the dynamics, so that little is compiled."""

from functools import reduce

import numpy as np

from factorflow import Completion, Observable, Stop

SHAPE = (6, 5)
_RNG = np.random.default_rng(0)
TRUTH = _RNG.normal(size=(6, 2)) @ _RNG.normal(size=(2, 5))
PROBLEM = Completion.sample(TRUTH, 20, seed=0)


def product(factors):
    return reduce(lambda done, factor: factor @ done, factors)


def loss_by_hand(problem, factors):
    """Mean over observations of half the squared residual."""
    residual = np.where(problem.observed, product(factors) - problem.to_array(), 0)
    return 0.5 * np.sum(residual**2) / problem.n_observed


def gradient_by_hand(problem, factors):
    """The gradient by every factor, from the formula of the layers."""
    residual = np.where(problem.observed, product(factors) - problem.to_array(), 0)
    G = residual / problem.n_observed
    gradient = []
    for j in range(len(factors)):
        after = product([np.eye(factors[j].shape[0]), *factors[j + 1 :]])
        before = product([np.eye(factors[0].shape[1]), *factors[:j]])
        gradient.append(after.T @ G @ before.T)
    return gradient


def norm(arrays):
    return np.sqrt(sum(np.sum(array**2) for array in arrays))


def start_at(factors):
    """An initializer of the user's own."""
    return lambda factorization, shape, seed: tuple(factors)


def steps(n):
    """A stop after n steps of descent, which take n + 1 gradients."""
    return Stop(train_error=None, n_gradients=n + 1)


def _matrix(snapshot):
    return snapshot.matrix


MATRIX = Observable("matrix", _matrix, ("row", "column"))
