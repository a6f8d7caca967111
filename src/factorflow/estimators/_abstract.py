"""What every estimator that completes a matrix does with its fit."""

import abc

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from factorflow.estimators._effects import rmse
from factorflow.estimators._fold_in import ColumnSpace
from factorflow.estimators._forms import Cells, read_rows, read_to_fit, warn_of_empty
from factorflow.estimators._labels import labels_of, positions
from factorflow.estimators._table import Table
from factorflow.problems import Completion

_SCORE_FOLDS = 5


class AbstractMatrixCompletion(OneToOneFeatureMixin, TransformerMixin, BaseEstimator, abc.ABC):
    """A scikit-learn transformer that fits biases and a low-rank part to observed entries.

    A concrete class gives ``__init__``, ``_check_parameters`` and ``_fit_table``.
    """

    @abc.abstractmethod
    def _check_parameters(self) -> None:
        """Raise :class:`InputError` on the first parameter that cannot be used."""

    @abc.abstractmethod
    def _fit_table(self, problem: Completion) -> Table:
        """The fit of a problem; sets the attributes that are the class's own."""

    def fit(self, X, y=None):
        """Fit the observed entries.

        Parameters
        ----------
        X
            ``(m, n)`` array or DataFrame with NaN where missing (masked arrays: masked), a
            scipy.sparse matrix (a stored zero is an observed zero), or a :class:`Completion`.
        y
            Ignored.

        Raises
        ------
        InputError
            If a parameter or the data cannot be used.
        """
        self._fit_cells(X)
        return self

    def fit_transform(self, X, y=None):
        """Fit, and complete: observed entries as they are, missing ones from the fit."""
        cells = self._fit_cells(X)
        return cells.fill(self.reconstruct())

    def transform(self, X):
        """Complete rows, new or old: observed entries as they are, missing ones folded in.

        Each row is fitted against the column space (:class:`ColumnSpace`), so the answer for a row
        does not depend on the others. A row without any observation gets the mean and the column
        effects.

        Parameters
        ----------
        X
            ``(k, n)`` with NaN where missing; the forms that ``fit`` takes.
        """
        check_is_fitted(self)
        cells = read_rows(self, X, self._column_labels)
        return cells.fill(self._folded_in(cells).matrix())

    def predict(self, rows, columns=None):
        """The fitted values of cells, or the model's values of whole rows.

        Parameters
        ----------
        rows, columns
            Indices of fitted rows and columns (labels where the data had labels), broadcast
            against each other.
            With ``rows`` alone, data as in :meth:`transform`: all values of those rows by the
            model, in place of the observed ones too.

        Raises
        ------
        InputError
            Naming the first index or label that was not fitted.
        """
        check_is_fitted(self)
        if columns is None:
            return self._folded_in(read_rows(self, rows, self._column_labels)).matrix()
        rows, columns = np.broadcast_arrays(
            positions(rows, self._row_labels, self.left_.shape[0], "row"),
            positions(columns, self._column_labels, self.right_.shape[1], "column"),
        )
        return self._table().at(rows, columns)

    def reconstruct(self):
        """The fitted matrix, ``(m, n)``: biases and low-rank part, at observed entries too."""
        check_is_fitted(self)
        return self._table().matrix()

    def score(self, X, y=None):
        """Minus the root-mean-square error on entries that are hidden and folded in.

        Every fifth observed entry of each row is hidden in turn and predicted from the others, so
        that each counts once; higher is better.
        """
        check_is_fitted(self)
        cells = read_rows(self, X, self._column_labels)
        fold = _place_in_row(cells) % _SCORE_FOLDS
        predicted = np.empty(len(cells.values))
        for k in range(_SCORE_FOLDS):
            hidden = fold == k
            table = self._folded_in(_part(cells, ~hidden))
            predicted[hidden] = table.at(cells.rows[hidden], cells.columns[hidden])
        return -rmse(predicted, cells.values)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        assert tags.transformer_tags is not None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _fit_cells(self, X) -> Cells:
        self._check_parameters()
        problem, cells = read_to_fit(self, X)
        warn_of_empty(problem)
        self._row_labels, self._column_labels = labels_of(X)
        # What a fit says of rows and columns that it has not seen is left from its start.
        table = self._fit_table(problem).without(problem.empty_rows, problem.empty_columns)
        self.effects_, self.left_, self.right_ = table.effects, table.left, table.right
        self._train_error = table.train_error
        self._space = self._column_space(table)
        return cells

    def _column_space(self, table: Table) -> ColumnSpace:
        """What new rows are folded in by."""
        return ColumnSpace(table.left, table.right, table.train_error)

    def _table(self) -> Table:
        return Table(self.effects_, self.left_, self.right_, self._train_error)

    def _folded_in(self, cells: Cells) -> Table:
        return self._space.fold_in(self.effects_, cells)


def _place_in_row(cells: Cells) -> np.ndarray:
    starts = np.searchsorted(cells.rows, np.arange(cells.shape[0]))
    return np.arange(len(cells.rows)) - starts[cells.rows]


def _part(cells: Cells, kept: np.ndarray) -> Cells:
    return cells._replace(
        rows=cells.rows[kept], columns=cells.columns[kept], values=cells.values[kept]
    )
