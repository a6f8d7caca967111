"""Matrix completion under a nuclear-norm penalty, as a scikit-learn estimator."""

import warnings
from typing import Any

import numpy as np

from factorflow._errors import FactorflowWarning
from factorflow.convex import Certainty, SoftImputePath, ThinSVD, soft_impute
from factorflow.convex._soft_impute import checked_damping
from factorflow.estimators._abstract import AbstractMatrixCompletion
from factorflow.estimators._effects import BIASES, Biases, Damping, Effects, fit_effects
from factorflow.estimators._fold_in import ColumnSpace
from factorflow.estimators._parameters import (
    check_callable,
    check_count,
    check_number,
    check_one_of,
    check_random_state,
    check_whole,
    seed_of,
)
from factorflow.estimators._residuals import (
    are_rounding,
    biases_alone,
    damping_for,
    error_on,
    hold_out,
    less_effects,
    with_values,
)
from factorflow.estimators._table import Table
from factorflow.problems import Completion


class SoftImpute(AbstractMatrixCompletion):
    """Complete a matrix by least squares with a penalty on the nuclear norm.

    Missing entries are NaN. With the values less their biases as ``Y``,

        minimize  1/2 sum_observed (X_ij - Y_ij)^2 + weight ||X||_*,

    a convex problem that is solved for a whole path of weights, each to a duality gap
    (:func:`soft_impute`). A larger weight means lower rank, and smaller values. Effects of rows
    and columns are fitted along, not before.

    Parameters
    ----------
    weight
        The weight of the penalty, in the units of the values; None takes the one of the path with
        the least error on held-out entries.
    n_weights
        Number of weights of the path: a geometric grid from the spectral norm of the zero-filled
        ``Y``, where ``X`` is zero, to a thousandth of it.
    biases
        Beside the low-rank part: ``"none"``, the ``"global"`` mean, or with it damped
        ``"rows+columns"`` effects ``b_i + c_j``, for which ``(r ||b||^2 + c ||c||^2) / 2`` is added
        to the above.
    damping
        That ``(r, c)``; None tunes it on held-out entries for effects without a low-rank part.
        Beside one somewhat larger numbers are often better.
    validation_fraction
        Share of the entries held out for the weight and for the damping, where not given.
    refit
        Whether all entries are fitted again at the weight that was found; else the held-out ones
        stay unused.
    patience
        The path ends early once this many weights in a row have not improved on the least
        held-out error; None goes on to the end.
    max_rank
        Limit on the rank, or None; a warning tells when it is felt.
    tol
        Relative duality gap to reach at every weight.
    max_sweeps
        Limit on the sweeps of alternating regressions at each weight; a warning tells when it
        ends one that counts.
    random_state
        Integer of 0 or more, or None for 0: the held-out entries. A numpy ``RandomState`` draws
        another integer in every fit.
    progress
        Function of a dictionary, called now and then, as in :func:`soft_impute`. Ctrl-C ends a
        fit with a warning: it is then the best of the weights that were done.

    Attributes
    ----------
    left_, right_
        ``(m, k)`` and ``(k, n)``: the low-rank part, in the units of the values.
    effects_
        The biases: ``mean``, ``rows``, ``columns``, ``damping`` (infinite without effects of rows
        and columns).
    weight_
        The weight of the fit; infinite where the biases left nothing to fit.
    path_
        The path that the weight was chosen from (:class:`SoftImputePath`, values less their
        biases); of the one weight where it was given, None where nothing was left to fit.
    rank_, gap_
        Rank of the low-rank part, and the relative duality gap of the fit.
    status_
        How the fit ended (:class:`Certainty`).
    validation_error_
        Root-mean-square error on the held-out entries at the chosen weight; None without
        validation.

    Notes
    -----
    A new row is folded in under the same penalty: with ``X = A B`` and ``A``, ``B`` of equal Gram
    matrices, its coefficients are ``argmin 1/2 ||x_O - a B_O||^2 + weight/2 ||a||^2``, which gives
    a row of the training data its own reconstruction.
    Rows or columns without any observation get the biases that are known of them (with
    ``biases="none"`` zero) and a warning. Sources: Mazumder, Hastie and Tibshirani 2010; Hastie,
    Mazumder, Lee and Zadeh 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from factorflow import SoftImpute
    >>> X = np.outer([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 2.0, 3.0])
    >>> X[1, 2] = np.nan
    >>> model = SoftImpute(weight=0.01, biases="none")
    >>> bool(abs(model.fit_transform(X)[1, 2] - 4.0) < 0.05)
    True
    """

    def __init__(
        self,
        weight=None,
        *,
        n_weights=30,
        biases: Biases = "global",
        damping=None,
        validation_fraction=0.1,
        refit=True,
        patience=3,
        max_rank=None,
        tol=1e-2,
        max_sweeps=1000,
        random_state=0,
        progress=None,
    ):
        self.weight = weight
        self.n_weights = n_weights
        self.biases: Biases = biases
        self.damping = damping
        self.validation_fraction = validation_fraction
        self.refit = refit
        self.patience = patience
        self.max_rank = max_rank
        self.tol = tol
        self.max_sweeps = max_sweeps
        self.random_state = random_state
        self.progress = progress

    def _check_parameters(self) -> None:
        if self.weight is not None:
            check_number("weight", self.weight)
        check_whole("n_weights", self.n_weights)
        check_one_of("biases", self.biases, BIASES)
        checked_damping(self.damping)
        check_number("validation_fraction", self.validation_fraction, below=1)
        check_count("patience", self.patience)
        check_count("max_rank", self.max_rank)
        check_number("tol", self.tol, below=1)
        check_whole("max_sweeps", self.max_sweeps)
        check_random_state(self.random_state)
        check_callable("progress", self.progress)

    def _fit_table(self, problem: Completion) -> Table:
        seed = seed_of(self.random_state)
        tuned = self.biases == "rows+columns" and self.damping is None
        wanted = self.weight is None or tuned
        train, held_out = hold_out(problem, wanted, self.validation_fraction, seed)
        damping = checked_damping(self.damping)
        if tuned:
            damping = damping_for(self.biases, train, held_out)
        self.validation_error_ = None
        if self.weight is not None or held_out is None:
            table, path = self._path(problem, damping, weight=self.weight)
            return self._finished(table, path, path)
        first, path = self._path(train, damping, held_out)
        self.validation_error_ = error_on(held_out, first)
        if not self.refit or _was_interrupted(path):
            return self._finished(first, path, path)
        weight, start = (None, None) if path is None else (path.weight, path.best)
        table, last = self._path(problem, damping, weight=weight, start=start)
        # A validated fit is worth more than a second one that did not come to its end.
        if _was_interrupted(last):
            return self._finished(first, path, path, interrupted=True)
        return self._finished(table, path or last, last)

    def _path(
        self,
        problem: Completion,
        damping: Damping | None,
        held_out: Completion | None = None,
        weight: float | None = None,
        start: ThinSVD | None = None,
    ) -> tuple[Table, SoftImputePath | None]:
        """The fit at one weight, or at the best for held-out entries."""
        with_effects = self.biases == "rows+columns"
        effects = fit_effects(problem, "global" if with_effects else self.biases)
        residuals = less_effects(problem, effects)
        if are_rounding(residuals, problem):
            return biases_alone(problem, effects), None
        path = soft_impute(
            with_values(problem, residuals),
            weight,
            held_out=held_out and with_values(held_out, less_effects(held_out, effects)),
            start=start,
            refit=False,
            damping=damping if with_effects else None,
            **self._settings(),
        )
        if path.effects is not None and damping is not None:
            effects = Effects(effects.mean, *path.effects, damping)
        table = biases_alone(problem, effects)
        if path.best.rank:
            left, right = path.best.halves()
            table = Table(effects, left, right, 0.0)
        error = error_on(problem, table) ** 2
        return Table(effects, table.left, table.right, error), path

    def _settings(self) -> dict[str, Any]:
        return {
            "n_weights": self.n_weights,
            "patience": self.patience,
            "tol": self.tol,
            "max_rank": self.max_rank,
            "max_sweeps": self.max_sweeps,
            "progress": self.progress,
        }

    def _finished(
        self,
        table: Table,
        path: SoftImputePath | None,
        last: SoftImputePath | None,
        interrupted: bool = False,
    ) -> Table:
        """Set the attributes that are the class's own, by the path that ended in the fit."""
        self.path_ = path
        self.weight_ = float("inf") if last is None else last.weight
        self.rank_ = 0 if last is None else last.best.rank
        self.gap_ = 0.0 if last is None else float(last.gaps[last.chosen])
        status = Certainty.CERTIFIED if last is None else last.statuses[last.chosen]
        if interrupted or _was_interrupted(last):
            status = Certainty.INTERRUPTED
        self.status_ = status
        self._warn_of_end()
        return table

    def _warn_of_end(self) -> None:
        if not self.status_.successful:
            warnings.warn(
                f"{self.status_.sentence} At the weight {self.weight_:.4g} the relative duality "
                f"gap is {self.gap_:.2g}.",
                FactorflowWarning,
                stacklevel=6,
            )

    def _column_space(self, table: Table) -> ColumnSpace:
        """With the penalty of the fit in the place of the spread of the fitted rows."""
        if self.rank_ == 0:
            return super()._column_space(table)
        left = np.sqrt(len(table.left)) * np.linalg.qr(table.left)[0]
        with_effects = self.biases == "rows+columns"
        damping = table.effects.damping[0] if with_effects else None
        return ColumnSpace(left, table.right, self.weight_, damping)


def _was_interrupted(path: SoftImputePath | None) -> bool:
    return path is not None and path.interrupted
