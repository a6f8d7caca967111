"""The table of estimators that keep the contract, and the data it is held on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from sklearn.base import clone

from factorflow import (
    DeepMatrixCompletion,
    GradientDescent,
    GreedyLowRankCompletion,
    NuclearNormCompletion,
    SoftImpute,
)
from factorflow.estimators import AbstractMatrixCompletion
from factorflow.initializers import AbstractInitializer, Gaussian

SHAPE = (20, 15)  # one shape for all, so that little is compiled


def _low_rank_with_gaps():
    """A matrix of rank 2, of which every row shows 12 of 15 cells: enough to determine it."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(20, 2)) @ rng.normal(size=(2, 15))
    observed = rng.permuted(np.tile(np.arange(15) < 12, (20, 1)), axis=1)
    return truth, np.where(observed, truth, np.nan), observed


TRUTH, X, OBSERVED = _low_rank_with_gaps()


class Permuted(AbstractInitializer):
    """The start of another initializer with the rows and columns of its product in new places."""

    start: AbstractInitializer
    rows: np.ndarray
    columns: np.ndarray

    def __call__(self, factorization, shape, seed):
        factors = list(self.start(factorization, shape, seed))
        factors[-1] = factors[-1][self.rows]
        factors[0] = factors[0][:, self.columns]
        return tuple(factors)


def _start_permuted(model, rows, columns):
    return clone(model).set_params(init=Permuted(Gaussian(model.scale), rows, columns))


def _as_it_is(model, rows, columns):
    return model


@dataclass(frozen=True, eq=False)
class Member:
    """An estimator in one configuration, and what may be asked of it beyond the contract.

    Attributes
    ----------
    model
        The configuration itself; ``make()`` gives an unfitted copy.
    train_error
        Mean squared train error that it promises, relative to the mean square of the values less
        their biases; None if it stops before it interpolates.
    recovery
        Relative error within which an exactly low-rank matrix comes back; that of new rows of it
        may be half as much again.
    permuted
        ``permuted(model, rows, columns)``: the same for data whose rows and columns are permuted,
        so that a random start is permuted likewise; None where held-out cells are drawn by
        position.
    random
        Whether ``random_state`` has an effect: on the start, or on the held-out cells.
    affine
        Whether a constant that is added to the values comes back unchanged.
    """

    name: str
    model: AbstractMatrixCompletion
    train_error: float | None = None
    recovery: float = 2e-2
    permuted: Callable | None = None
    random: bool = True
    affine: bool = True

    def make(self, **parameters):
        return clone(self.model).set_params(**parameters)


_DESCENT = GradientDescent(3.0)

MEMBERS = [
    Member("interpolate", DeepMatrixCompletion(stop="interpolate"), 1e-6, permuted=_start_permuted),
    Member(
        "depth 3, no biases",
        DeepMatrixCompletion(3, stop="interpolate", biases="none"),
        1e-6,
        permuted=_start_permuted,
        affine=False,
    ),
    Member(
        "descent",
        DeepMatrixCompletion(stop="interpolate", dynamics=_DESCENT, tol=1e-5),
        1e-5,
        permuted=_start_permuted,
    ),
    Member("validation", DeepMatrixCompletion(validation_fraction=0.05)),
    Member("rows+columns", DeepMatrixCompletion(biases="rows+columns")),
    Member("soft-impute", SoftImpute(validation_fraction=0.05)),
    # What effects leave of a matrix of rank 2 has rank 4, which the penalty on its size feels.
    Member("soft-impute, rows+columns", SoftImpute(biases="rows+columns"), recovery=5e-2),
    Member(
        "soft-impute, one weight",
        SoftImpute(weight=0.05, biases="none", tol=1e-6),
        permuted=_as_it_is,
        random=False,
        affine=False,  # the weight is in the units of the values
    ),
    # Fitted again at one rank it depends on nothing that is drawn.
    Member("greedy", GreedyLowRankCompletion(max_rank=3, validation_fraction=0.05, refit=False)),
    Member("nuclear norm", NuclearNormCompletion(), 1e-6, permuted=_as_it_is, random=False),
    Member(
        "nuclear norm, rows+columns",
        NuclearNormCompletion(biases="rows+columns"),
        1e-6,
        recovery=5e-2,
    ),
    Member(
        "nuclear norm, noise",
        NuclearNormCompletion(noise=0.01, biases="none"),
        1e-4,
        permuted=_as_it_is,
        random=False,
        affine=False,  # the noise is in the units of the values
    ),
]


@cache
def fitted(member: Member):
    """The member fitted to ``X``; not to be changed."""
    return member.make().fit(X)
