"""A matrix of which only signs were seen, at random by its entries."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import expit

from factorflow._errors import InputError
from factorflow._random import stream
from factorflow.problems._cell_functions import Logistic
from factorflow.problems._cell_loss import entrywise_loss_of_cells
from factorflow.problems._completion import Completion
from factorflow.problems._entrywise_loss import EntrywiseLoss


@dataclass(frozen=True, eq=False)
class OneBitCompletion:
    """Answers yes (+1) or no (-1) in some cells of an unknown ``(m, n)`` matrix `W`.

    The answer in a cell is +1 with probability ``1 / (1 + exp(-W_ij))``. The loss is minus the
    mean log-likelihood,

        L(W) = 1/p sum_{(i, j) observed} log(1 + exp(-y_ij W_ij)),

    convex in `W`. It has no minimum where signs can be met by ever larger entries, as those of a
    single observed cell can: then bound the norm or stop in time.

    Attributes
    ----------
    shape
        ``(m, n)``.
    rows, columns
        int32 indices of the `p` observed cells, sorted by row, then by column; no cell twice.
    signs
        float64, shape ``(p,)``, +1 or -1.
    truth
        None, or the matrix `W` where it is known, shape ``(m, n)``.

    Raises
    ------
    InputError
        As for a :class:`Completion`, or naming the first cell that is neither +1 nor -1.

    Notes
    -----
    Source: Davenport, Plan, van den Berg and Wootters 2014, "1-Bit matrix completion", whose
    model this is with the logistic function.
    """

    shape: tuple[int, ...]
    rows: np.ndarray = field(repr=False)
    columns: np.ndarray = field(repr=False)
    signs: np.ndarray = field(repr=False)
    truth: np.ndarray | None = field(default=None, repr=False)
    cells: Completion = field(init=False, repr=False)

    def __post_init__(self):
        given = (self.rows, self.columns)
        cells = Completion(self.shape, given, self.signs, truth=self.truth)
        _refuse_no_signs(cells)
        for name in ("shape", "rows", "columns", "truth"):
            object.__setattr__(self, name, getattr(cells, name))
        object.__setattr__(self, "signs", cells.values)
        object.__setattr__(self, "cells", cells)

    @classmethod
    def from_array(cls, X: Any, observed: Any = None) -> "OneBitCompletion":
        """Entries +1 and -1 of an ``(m, n)`` array; NaN, masked or not `observed` is missing."""
        return _of_cells(Completion.from_array(X, observed))

    @classmethod
    def sample(cls, truth: Any, n_observed: int, seed: int = 0) -> "OneBitCompletion":
        """Random answers in cells of a known matrix, drawn uniformly without replacement.

        Parameters
        ----------
        truth
            Finite ``(m, n)`` matrix of log-odds; the problem keeps it as ``truth``.
        n_observed
            Number of cells, from 1 to ``m n``.
        seed
            Integer of 0 or more. The cells are those of :meth:`Completion.sample`.
        """
        cells = Completion.sample(truth, n_observed, seed=seed)
        draws = stream(seed, "one bit", "signs").random(cells.n_observed)
        signs = np.where(draws < expit(cells.values), 1.0, -1.0)
        return _of_cells(cells.with_values(signs))

    @property
    def n_observed(self) -> int:
        """Number `p` of observed cells."""
        return self.cells.n_observed

    @property
    def observed(self) -> np.ndarray:
        """Boolean ``(m, n)``, True where observed."""
        return self.cells.observed

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of shape, cells and signs, in hexadecimal; the truth does not count."""
        return hashlib.sha256(f"one bit {self.cells.content_hash}".encode()).hexdigest()

    def split(
        self, fraction: float, seed: int = 0
    ) -> tuple["OneBitCompletion", "OneBitCompletion"]:
        """A random share of the cells held out: ``(train, held_out)``.

        The cells are divided as by :meth:`Completion.split`, with the same errors.
        """
        train, held_out = self.cells.split(fraction, seed)
        return _of_cells(train), _of_cells(held_out)

    def loss(self, factorization: Any, route: str = "auto") -> EntrywiseLoss:
        """Mean over observations of ``log(1 + exp(-y w))``, as a function of the factors.

        Raises
        ------
        InputError
            If `route` is neither ``"auto"`` nor ``"dense"``.
        """
        cells = (self.rows, self.columns), self.signs
        return entrywise_loss_of_cells(factorization, Logistic(), self.shape, *cells, route)


def _of_cells(cells: Completion) -> OneBitCompletion:
    return OneBitCompletion(cells.shape, cells.rows, cells.columns, cells.values, cells.truth)


def _refuse_no_signs(cells: Completion) -> None:
    bad = np.abs(cells.values) != 1
    if bad.any():
        k = int(np.argmax(bad))
        raise InputError(
            f"Signs must be +1 or -1; the one at row {cells.rows[k]}, column {cells.columns[k]} "
            f"is {cells.values[k]:g}. Answers 0 and 1 become signs by 2 * X - 1."
        )
