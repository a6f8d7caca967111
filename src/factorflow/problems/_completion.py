"""A matrix of which some entries were measured."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from factorflow._errors import InputError
from factorflow.problems import _frames
from factorflow.problems._by_entries import EntriesLoss
from factorflow.problems._cell_loss import loss_of_cells
from factorflow.problems._cells import canonical, checked_shape, checked_triples, refuse_none
from factorflow.problems._dense import DenseLoss
from factorflow.problems._entry_operator import EntryOperator
from factorflow.problems._grid import grid_cells
from factorflow.problems._numbers import Labels
from factorflow.problems._sampling import (
    checked_truth,
    sampled_cells,
    sampled_pairs,
    split_positions,
)


@dataclass(frozen=True, eq=False)
class Completion:
    """Observed entries of an unknown ``(m, n)`` matrix.

    Make one with a class method: :meth:`of` takes whatever holds a matrix with missing entries,
    the others one form each. The same cells give the same problem whatever form they came in.
    Values are kept as float64 in arrays of the problem's own, which cannot be written to; inputs
    are never changed.

    Attributes
    ----------
    shape
        ``(m, n)``.
    rows, columns
        int32 indices of the `p` observed cells, sorted by row, then by column; no cell twice.
    values
        float64, shape ``(p,)``, finite.
    row_labels, column_labels
        None, or vectors of `m` and `n` unique labels.
    truth
        None, or the full matrix where it is known, shape ``(m, n)``.

    Raises
    ------
    InputError
        If nothing is observed, or naming the first cell that cannot be used: an index outside
        the shape, a value that is infinite, missing or no number, a cell given twice.
    """

    shape: tuple[int, int]
    rows: np.ndarray = field(repr=False)
    columns: np.ndarray = field(repr=False)
    values: np.ndarray = field(repr=False)
    row_labels: np.ndarray | None = field(default=None, repr=False)
    column_labels: np.ndarray | None = field(default=None, repr=False)
    truth: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self):
        m, n = checked_shape(self.shape)
        labels = Labels(
            None if self.row_labels is None else _frames.label_vector(self.row_labels, m, "row"),
            None
            if self.column_labels is None
            else _frames.label_vector(self.column_labels, n, "column"),
        )
        cells = canonical(self.rows, self.columns, self.values, (m, n), labels)
        truth = None if self.truth is None else checked_truth(self.truth, (m, n))
        for name, value in zip(
            ("shape", "rows", "columns", "values", "row_labels", "column_labels", "truth"),
            ((m, n), *cells, *labels, truth),
            strict=True,
        ):
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, data: Any, observed: Any = None) -> "Completion":
        """The problem that `data` holds, whatever its form.

        Parameters
        ----------
        data
            An array, masked array or nested lists (:meth:`from_array`), a wide pandas frame
            (:meth:`from_frame`), a scipy.sparse matrix or array (:meth:`from_sparse`), or a
            Completion, which is returned as it is.
        observed
            For arrays and frames: boolean ``(m, n)``, True where observed. By default all that
            is neither NaN nor masked.
        """
        if isinstance(data, pd.DataFrame):
            return cls._of_frame(data, observed)
        if isinstance(data, Completion) or scipy.sparse.issparse(data):
            if observed is not None:
                raise InputError(
                    "observed goes with arrays and frames; a sparse matrix or a Completion "
                    "says itself what is observed."
                )
            return data if isinstance(data, Completion) else cls.from_sparse(data)
        return cls.from_array(data, observed)

    @classmethod
    def from_array(cls, X: Any, observed: Any = None) -> "Completion":
        """Entries of an ``(m, n)`` array.

        Parameters
        ----------
        X
            Numbers, in float64 or anything that converts to it. What stands in cells that are
            not observed has no influence. Masked arrays: masked is missing.
        observed
            Boolean ``(m, n)``, True where observed; an observed NaN is then an error. By default
            NaN (in arrays of objects also None) is missing and all else is observed.
        """
        return cls(*grid_cells(X, observed))

    @classmethod
    def from_triples(
        cls,
        rows: Any,
        columns: Any,
        values: Any,
        shape: tuple[int, int] | None = None,
        duplicates: str = "refuse",
    ) -> "Completion":
        """Cells ``(rows[k], columns[k])`` with their values, in any order.

        Parameters
        ----------
        rows, columns
            Indices from 0.
        values
            Finite numbers.
        shape
            ``(m, n)``; by default just large enough.
        duplicates
            What becomes of a cell that comes more than once: ``"refuse"`` or ``"mean"``.
        """
        rows, columns, values = checked_triples(rows, columns, values)
        if shape is None:
            shape = int(rows.max()) + 1, int(columns.max()) + 1
        shape = checked_shape(shape)
        return cls(shape, *canonical(rows, columns, values, shape, Labels(), duplicates))

    @classmethod
    def from_sparse(cls, S: Any, duplicates: str = "refuse") -> "Completion":
        """Stored elements of a scipy.sparse matrix or array of any format.

        A stored zero is an observed zero, so formats that store whole blocks (BSR) observe their
        padding. `duplicates` is as in :meth:`from_triples`; only COO and formats made from it
        without summing can hold any.
        """
        if not scipy.sparse.issparse(S):
            raise InputError(f"S must be a scipy.sparse matrix; got {type(S).__name__}.")
        if S.ndim != 2:
            raise InputError(f"S must have two axes, shape (m, n); got shape {S.shape}.")
        triples = S.tocoo()
        return cls.from_triples(triples.row, triples.col, triples.data, S.shape, duplicates)

    @classmethod
    def from_frame(cls, df: pd.DataFrame) -> "Completion":
        """A wide pandas frame: index and columns are the labels, a missing value is missing."""
        return cls._of_frame(df, None)

    @classmethod
    def from_long_frame(
        cls, df: pd.DataFrame, row: Any, column: Any, value: Any, duplicates: str = "refuse"
    ) -> "Completion":
        """A pandas frame with one line for each observed cell.

        Parameters
        ----------
        df
            The frame; its index is not used.
        row, column
            Names of the frame's columns with the labels (hashable) of rows and columns. Labels
            are sorted if they can be compared, else they keep their order of appearance.
        value
            Name of the frame's column of numbers. Where it is missing (NaN) the cell is not
            observed, but its labels still make a row and a column.
        duplicates
            As in :meth:`from_triples`.
        """
        _check_frame(df)
        rows, columns, values, labels = _frames.long_frame_cells(df, row, column, value)
        refuse_none(len(rows))
        shape = (len(labels[0]), len(labels[1]))
        cells = canonical(rows, columns, values, shape, Labels(*labels), duplicates)
        return cls(shape, *cells, *labels)

    @classmethod
    def sample(cls, truth: Any, n_observed: int, noise: float = 0.0, seed: int = 0) -> "Completion":
        """Entries of a known matrix, drawn uniformly without replacement.

        Parameters
        ----------
        truth
            Finite ``(m, n)`` matrix; the problem keeps it as ``truth``.
        n_observed
            Number of cells, from 1 to ``m n``.
        noise
            Standard deviation of the Gaussian noise that is added to each observed value.
        seed
            Integer of 0 or more. Which cells are drawn does not depend on `noise`.
        """
        truth = checked_truth(truth)
        rows, columns, values = sampled_cells(truth, n_observed, noise, seed)
        return cls(truth.shape, rows, columns, values, truth=truth)

    @classmethod
    def sample_symmetric(
        cls,
        truth: Any,
        n_pairs: int,
        noise: float = 0.0,
        seed: int = 0,
        diagonal: bool = True,
    ) -> "Completion":
        """Entries of a known symmetric matrix, each observed together with its transpose.

        Pairs ``(i, j)`` with ``i <= j`` are drawn uniformly without replacement, and both
        ``(i, j)`` and ``(j, i)`` are observed with one value. The gradient of the loss is then
        symmetric where `W` is; a pair off the diagonal counts twice in it.

        Parameters
        ----------
        truth
            Finite symmetric ``(n, n)`` matrix; the problem keeps it as ``truth``.
        n_pairs
            Number of pairs, from 1 to ``n (n + 1) / 2``, or to ``n (n - 1) / 2`` without the
            diagonal.
        noise
            Standard deviation of the Gaussian noise that is added to the value of each pair.
        seed
            Integer of 0 or more. Which pairs are drawn does not depend on `noise`.
        diagonal
            Whether cells of the diagonal may be drawn.
        """
        truth = checked_truth(truth)
        rows, columns, values = sampled_pairs(truth, n_pairs, noise, seed, diagonal)
        return cls(truth.shape, rows, columns, values, truth=truth)

    @property
    def n_observed(self) -> int:
        """Number `p` of observed cells."""
        return len(self.values)

    @property
    def observed(self) -> np.ndarray:
        """Boolean ``(m, n)``, True where observed."""
        observed = np.zeros(self.shape, bool)
        observed[self.rows, self.columns] = True
        return observed

    @property
    def empty_rows(self) -> np.ndarray:
        """Indices of the rows without any observation."""
        return np.flatnonzero(np.bincount(self.rows, minlength=self.shape[0]) == 0)

    @property
    def empty_columns(self) -> np.ndarray:
        """Indices of the columns without any observation."""
        return np.flatnonzero(np.bincount(self.columns, minlength=self.shape[1]) == 0)

    @cached_property
    def operator(self) -> EntryOperator:
        """The observations as measurements: ``operator.forward(W)`` are the observed entries."""
        return EntryOperator(self.shape, self.rows, self.columns)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of shape, cells and values, in hexadecimal; labels and truth do not count."""
        digest = hashlib.sha256(np.array(self.shape, "<i8").tobytes())
        for cells in (self.rows, self.columns):
            digest.update(cells.astype("<i4").tobytes())
        digest.update((self.values + 0.0).astype("<f8").tobytes())  # -0.0 and 0.0 are equal
        return digest.hexdigest()

    def to_array(self) -> np.ndarray:
        """The ``(m, n)`` float64 matrix with NaN where nothing was observed."""
        array = np.full(self.shape, np.nan)
        array[self.rows, self.columns] = self.values
        return array

    def with_values(self, values: Any) -> "Completion":
        """The same cells, labels and truth with other values, given in the order of the cells."""
        given = np.asarray(values)
        if given.shape != self.values.shape:
            raise InputError(
                f"values must be {self.n_observed}, one for each observed cell; "
                f"got shape {given.shape}."
            )
        return self._with(self.rows, self.columns, given)

    def split(self, fraction: float, seed: int = 0) -> tuple["Completion", "Completion"]:
        """A random share of the cells held out.

        Parameters
        ----------
        fraction
            Share of the cells that is held out, between 0 and 1; at least one cell goes to each
            side.
        seed
            Integer of 0 or more.

        Returns
        -------
        train, held_out
            Problems of the same shape, labels and truth.

        Raises
        ------
        InputError
            If the fraction is not between 0 and 1, or there is only one cell.
        """
        train, held_out = split_positions(self.n_observed, fraction, seed)
        return self._part(train), self._part(held_out)

    def loss(self, factorization: Any, route: str = "auto") -> DenseLoss | EntriesLoss:
        """Mean over observations of half the squared residual, as a function of the factors.

        Parameters
        ----------
        factorization
            How the matrix is written, for example ``DeepLinear(depth=3)``.
        route
            ``"dense"`` forms the matrix, ``"entries"`` visits the observed cells alone (it needs
            a factorization with two halves, so not depth 1), ``"auto"`` takes the faster by an
            estimate of their costs.

        Raises
        ------
        InputError
            If the route is unknown, or is ``"entries"`` and the factorization has no halves.
        """
        cells = self.rows, self.columns, self.values
        return loss_of_cells(factorization, self.shape, *cells, route)

    @classmethod
    def _of_frame(cls, df: pd.DataFrame, observed: Any) -> "Completion":
        _check_frame(df)
        grid, labels = _frames.frame_grid(df)
        shape, rows, columns, values = grid_cells(grid, observed, labels)
        return cls(shape, rows, columns, values, *labels)

    def _part(self, chosen: np.ndarray) -> "Completion":
        return self._with(self.rows[chosen], self.columns[chosen], self.values[chosen])

    def _with(self, rows, columns, values) -> "Completion":
        return Completion(
            self.shape, rows, columns, values, self.row_labels, self.column_labels, self.truth
        )


def _check_frame(df: Any) -> None:
    if not isinstance(df, pd.DataFrame):
        raise InputError(f"df must be a pandas DataFrame; got {type(df).__name__}.")
