"""A matrix or tensor of which some entries were measured."""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from factorflow._errors import InputError
from factorflow.problems import _frames
from factorflow.problems._by_entries import EntriesLoss
from factorflow.problems._cell_loss import loss_of_cells
from factorflow.problems._cells import canonical, checked_shape, checked_tuples, refuse_none
from factorflow.problems._dense import DenseLoss
from factorflow.problems._entry_operator import EntryOperator
from factorflow.problems._grid import grid_cells
from factorflow.problems._sampling import (
    checked_truth,
    sampled_cells,
    sampled_pairs,
    split_positions,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Completion:
    """Observed entries of an unknown matrix, ``(m, n)``, or tensor, ``(d_1, ..., d_N)``.

    Make one with a class method: :meth:`of` takes whatever holds an array with missing entries,
    the others one form each. The same cells give the same problem whatever form they came in.
    Values are kept as float64 in arrays of the problem's own, which cannot be written to; inputs
    are never changed.

    Attributes
    ----------
    shape
        ``(m, n)`` or ``(d_1, ..., d_N)``.
    indices
        int32 indices of the `p` observed cells, a vector for each axis, sorted by the first, then
        by the second, and so on; no cell twice. Of a matrix also ``rows`` and ``columns``.
    values
        float64, shape ``(p,)``, finite.
    labels
        For each axis None, or the vector of its unique labels. Of a matrix also ``row_labels``
        and ``column_labels``.
    truth
        None, or the full array where it is known, of the shape.

    Raises
    ------
    InputError
        If nothing is observed, or naming the first cell that cannot be used: an index outside
        the shape, a value that is infinite, missing or no number, a cell given twice.
    """

    shape: tuple[int, ...]
    indices: tuple[np.ndarray, ...] = field(repr=False)
    values: np.ndarray = field(repr=False)
    labels: tuple[np.ndarray | None, ...] | None = field(default=None, repr=False)
    truth: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self):
        shape = checked_shape(self.shape)
        labels = _frames.checked_labels(self.labels, shape)
        indices, values = canonical(self.indices, self.values, shape, labels)
        truth = None if self.truth is None else checked_truth(self.truth, shape)
        for each in (*indices, values, *(() if truth is None else (truth,))):
            each.setflags(write=False)
        own = {"shape": shape, "indices": indices, "values": values, "labels": labels}
        for name, value in (own | {"truth": truth}).items():
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
            For arrays and frames: boolean, of the shape of the data, True where observed. By
            default all that is neither NaN nor masked.
        """
        if _frames.is_frame(data):
            return cls._of_frame(data, observed)
        if isinstance(data, Completion) or _is_sparse(data):
            if observed is not None:
                raise InputError(
                    "observed goes with arrays and frames; a sparse matrix or a Completion "
                    "says itself what is observed."
                )
            return data if isinstance(data, Completion) else cls.from_sparse(data)
        return cls.from_array(data, observed)

    @classmethod
    def from_array(cls, X: Any, observed: Any = None) -> "Completion":
        """Entries of an array of two axes or more.

        Parameters
        ----------
        X
            Numbers, in float64 or anything that converts to it. What stands in cells that are
            not observed has no influence. Masked arrays: masked is missing.
        observed
            Boolean, of the shape of `X`, True where observed; an observed NaN is then an error. By
            default NaN (in arrays of objects also None) is missing and all else is observed.
        """
        return cls(*grid_cells(X, observed))

    @classmethod
    def from_tuples(
        cls,
        indices: Any,
        values: Any,
        shape: Sequence[int] | None = None,
        duplicates: str = "refuse",
    ) -> "Completion":
        """Cells of any order `N` with their values, in any order.

        Parameters
        ----------
        indices
            Indices from 0: an array of shape ``(p, N)``, a row for each cell, or a tuple of `N`
            vectors of length `p`, as ``np.nonzero`` gives (or a list of N arrays).
        values
            Finite numbers, ``(p,)``.
        shape
            ``(d_1, ..., d_N)``; by default just large enough.
        duplicates
            What becomes of a cell that comes more than once: ``"refuse"`` or ``"mean"``.
        """
        axes = _axes(indices)
        sizes = None if shape is None else checked_shape(shape)
        if sizes is not None and len(axes) != len(sizes):
            raise InputError(
                f"A shape of {len(sizes)} axes goes with as many columns of indices; "
                f"got {len(axes)}."
            )
        indices, values = checked_tuples(axes, values)
        if sizes is None:
            sizes = checked_shape([int(each.max()) + 1 for each in indices])
        return cls(sizes, *canonical(indices, values, sizes, (None,) * len(sizes), duplicates))

    @classmethod
    def from_triples(
        cls,
        rows: Any,
        columns: Any,
        values: Any,
        shape: tuple[int, int] | None = None,
        duplicates: str = "refuse",
    ) -> "Completion":
        """Cells ``(rows[k], columns[k])`` of a matrix; otherwise as :meth:`from_tuples`."""
        return cls.from_tuples((rows, columns), values, shape, duplicates)

    @classmethod
    def from_sparse(cls, S: Any, duplicates: str = "refuse") -> "Completion":
        """Stored elements of a scipy.sparse matrix or array of any format.

        A stored zero is an observed zero, so formats that store whole blocks (BSR) observe their
        padding. `duplicates` is as in :meth:`from_triples`; only COO and formats made from it
        without summing can hold any.
        """
        if not _is_sparse(S):
            raise InputError(f"S must be a scipy.sparse matrix; got {type(S).__name__}.")
        if S.ndim != 2:
            raise InputError(f"S must have two axes, shape (m, n); got shape {S.shape}.")
        triples = S.tocoo()
        return cls.from_triples(triples.row, triples.col, triples.data, S.shape, duplicates)

    @classmethod
    def from_frame(cls, df: "pd.DataFrame") -> "Completion":
        """A wide pandas frame: index and columns are the labels, a missing value is missing."""
        return cls._of_frame(df, None)

    @classmethod
    def from_long_frame(
        cls, df: "pd.DataFrame", *columns: Any, duplicates: str = "refuse"
    ) -> "Completion":
        """A pandas frame with one line for each observed cell.

        Parameters
        ----------
        df
            The frame; its index is not used.
        columns
            Names of the frame's columns: those with the labels (hashable) of each axis, two or
            more, and last the one with the numbers. Labels are sorted if they can be compared,
            else they keep their order of appearance. Where the number is missing (NaN) the cell
            is not observed, but its labels still count.
        duplicates
            As in :meth:`from_tuples`.
        """
        _check_frame(df)
        if len(columns) < 3:
            raise InputError(
                "from_long_frame needs the names of two columns of labels or more, then that of "
                f"the values; got {', '.join(map(repr, columns)) or 'none'}."
            )
        *axes, value = columns
        indices, values, labels = _frames.long_frame_cells(df, axes, value)
        refuse_none(len(values))
        shape = tuple(map(len, labels))
        return cls(shape, *canonical(indices, values, shape, labels, duplicates), labels)

    @classmethod
    def sample(cls, truth: Any, n_observed: int, noise: float = 0.0, seed: int = 0) -> "Completion":
        """Entries of a known matrix or tensor, drawn uniformly without replacement.

        Parameters
        ----------
        truth
            Finite, of two axes or more; the problem keeps it as ``truth``.
        n_observed
            Number of cells, from 1 to that of all.
        noise
            Standard deviation of the Gaussian noise that is added to each observed value.
        seed
            Integer of 0 or more. Which cells are drawn does not depend on `noise`.
        """
        truth = checked_truth(truth)
        return cls(truth.shape, *sampled_cells(truth, n_observed, noise, seed), truth=truth)

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
        cells = sampled_pairs(truth, n_pairs, noise, seed, diagonal)
        return cls(truth.shape, *cells, truth=truth)

    @property
    def order(self) -> int:
        """Number `N` of axes: 2 of a matrix."""
        return len(self.shape)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """``(m, n)`` of a matrix.

        Raises
        ------
        InputError
            If the problem is of a tensor.
        """
        return self.shape[self._axis_of_matrix(0)], self.shape[1]

    @property
    def n_observed(self) -> int:
        """Number `p` of observed cells."""
        return len(self.values)

    @property
    def rows(self) -> np.ndarray:
        """Row indices of the observed cells of a matrix."""
        return self.indices[self._axis_of_matrix(0)]

    @property
    def columns(self) -> np.ndarray:
        """Column indices of the observed cells of a matrix."""
        return self.indices[self._axis_of_matrix(1)]

    @property
    def row_labels(self) -> np.ndarray | None:
        """Labels of the rows of a matrix."""
        return self._labels_of_matrix(0)

    @property
    def column_labels(self) -> np.ndarray | None:
        """Labels of the columns of a matrix."""
        return self._labels_of_matrix(1)

    @property
    def observed(self) -> np.ndarray:
        """Boolean, of the shape, True where observed."""
        observed = np.zeros(self.shape, bool)
        observed[self.indices] = True
        return observed

    def empty_slices(self, axis: int) -> np.ndarray:
        """Indices along an axis for which nothing was observed."""
        counts = np.bincount(self.indices[axis], minlength=self.shape[axis])
        return np.flatnonzero(counts == 0)

    @property
    def empty_rows(self) -> np.ndarray:
        """Indices of the rows of a matrix without any observation."""
        return self.empty_slices(self._axis_of_matrix(0))

    @property
    def empty_columns(self) -> np.ndarray:
        """Indices of the columns of a matrix without any observation."""
        return self.empty_slices(self._axis_of_matrix(1))

    @cached_property
    def operator(self) -> EntryOperator:
        """Measurements of a matrix: ``operator.forward(W)`` are the observed entries."""
        return EntryOperator(self.matrix_shape, self.rows, self.columns)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of shape, cells and values, in hexadecimal; labels and truth do not count."""
        digest = hashlib.sha256(np.array(self.shape, "<i8").tobytes())
        for cells in self.indices:
            digest.update(cells.astype("<i4").tobytes())
        digest.update((self.values + 0.0).astype("<f8").tobytes())  # -0.0 and 0.0 are equal
        return digest.hexdigest()

    def to_array(self) -> np.ndarray:
        """The float64 array of the shape with NaN where nothing was observed."""
        array = np.full(self.shape, np.nan)
        array[self.indices] = self.values
        return array

    def with_values(self, values: Any) -> "Completion":
        """The same cells, labels and truth with other values, given in the order of the cells."""
        given = np.asarray(values)
        if given.shape != self.values.shape:
            raise InputError(
                f"values must be {self.n_observed}, one for each observed cell; "
                f"got shape {given.shape}."
            )
        return Completion(self.shape, self.indices, given, self.labels, self.truth)

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
            How the unknown is written, for example ``DeepLinear(depth=3)``, or, of a tensor,
            ``CP()``.
        route
            ``"dense"`` forms the whole array, ``"entries"`` visits the observed cells alone (it
            needs a factorization with two halves, so not depth 1), ``"auto"`` takes the faster by
            an estimate of their costs.

        Raises
        ------
        InputError
            If the route is unknown, or is ``"entries"`` and the factorization has no halves.
        """
        return loss_of_cells(factorization, self.shape, self.indices, self.values, route)

    @classmethod
    def _of_frame(cls, df: "pd.DataFrame", observed: Any) -> "Completion":
        _check_frame(df)
        grid, labels = _frames.frame_grid(df)
        return cls(*grid_cells(grid, observed, labels), tuple(labels))

    def _part(self, chosen: np.ndarray) -> "Completion":
        indices = tuple(each[chosen] for each in self.indices)
        return Completion(self.shape, indices, self.values[chosen], self.labels, self.truth)

    def _labels_of_matrix(self, axis: int) -> np.ndarray | None:
        return None if self.labels is None else self.labels[self._axis_of_matrix(axis)]

    def _axis_of_matrix(self, axis: int) -> int:
        if self.order != 2:
            raise InputError(
                "Only a matrix has rows and columns (a tensor has indices and labels); this "
                f"problem has the shape {self.shape}. CP(), HierarchicalTucker() and "
                "TensorCompletion are for tensors."
            )
        return axis


def _is_sparse(data: Any) -> bool:
    """Whether this is a scipy.sparse matrix or array; without scipy.sparse nothing is."""
    return "scipy.sparse" in sys.modules and sys.modules["scipy.sparse"].issparse(data)


def _axes(indices: Any) -> tuple[Any, ...]:
    """A vector of indices for each axis, out of a tuple of them or a table."""
    if isinstance(indices, list) and all(isinstance(each, np.ndarray) for each in indices):
        indices = tuple(indices)
    axes = indices if isinstance(indices, tuple) else tuple(np.atleast_2d(np.asarray(indices)).T)
    if len(axes) < 2:
        raise InputError(
            "indices must have a column for each axis, two or more: shape (p, N), or a tuple of N "
            f"vectors; got {len(axes)}."
        )
    return axes


def _check_frame(df: Any) -> None:
    if not _frames.is_frame(df):
        raise InputError(f"df must be a pandas DataFrame; got {type(df).__name__}.")
