"""Matrix completion by the smallest nuclear norm, as a scikit-learn estimator."""

import warnings

import numpy as np

from factorflow._errors import FactorflowWarning
from factorflow.convex import Certainty, NuclearNormSolution, nuclear_norm
from factorflow.estimators._abstract import AbstractMatrixCompletion
from factorflow.estimators._effects import BIASES, Biases, fit_effects
from factorflow.estimators._parameters import (
    check_callable,
    check_number,
    check_one_of,
    check_random_state,
    check_size,
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


class NuclearNormCompletion(AbstractMatrixCompletion):
    """Complete a matrix by the one of smallest nuclear norm that fits the observed entries.

    Missing entries are NaN. With the values less their biases as ``Y``,

        minimize  ||X||_*  subject to  sqrt(mean_observed (X_ij - Y_ij)^2) <= noise,

    the classic convex programme, solved to a duality gap (:func:`nuclear_norm`). It has no
    parameter to tune where the values are exact. It works on dense matrices: for large tables
    there is :class:`SoftImpute`.

    Parameters
    ----------
    noise
        Root mean square by which the fit may deviate from the observed entries, in the units of
        the values; 0 asks for an exact fit. The low-rank part that is kept meets it to about
        the size of the gap.
    tol
        Relative duality gap to reach.
    biases
        What is taken off first: ``"none"``, the ``"global"`` mean, or damped ``"rows+columns"``
        effects, whose damping is tuned on held-out entries.
    validation_fraction
        Share of the entries held out for the damping; has no effect with other biases.
    max_iterations
        Limit on the iterations; a warning tells when it ends the fit.
    random_state
        Integer of 0 or more, or None for 0: the entries held out for the damping. A numpy
        ``RandomState`` draws another integer in every fit.
    progress
        Function of a dictionary, called now and then, as in :func:`nuclear_norm`. Ctrl-C ends a
        fit with a warning: it is then the point that it had come to.

    Attributes
    ----------
    left_, right_
        ``(m, k)`` and ``(k, n)``: the low-rank part, in the units of the values.
    effects_
        The biases: ``mean``, ``rows``, ``columns``, ``damping`` (infinite without effects of rows
        and columns).
    rank_, nuclear_norm_
        Rank of the low-rank part, and the sum of its singular values.
    gap_
        Relative duality gap of the solution whose low-rank part is kept: the least nuclear norm
        is at most this share below that of the solution.
    n_iterations_
        Iterations taken.
    status_
        How the fit ended (:class:`Certainty`).

    Notes
    -----
    ``transform`` fits each row anew against the column space (:class:`ColumnSpace`), with its
    observed entries as exact as the fit has them; a training row comes back as its own
    reconstruction where its observations determine it, else near to it. ``predict`` and
    ``reconstruct`` give the fit itself. Rows or columns without any observation get the biases that
    are known of them (with ``biases="none"`` zero) and a warning. Source: Candès and Recht 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from factorflow import NuclearNormCompletion
    >>> X = np.outer([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 2.0, 3.0])
    >>> X[1, 2] = np.nan
    >>> model = NuclearNormCompletion(biases="none")
    >>> bool(abs(model.fit_transform(X)[1, 2] - 4.0) < 1e-3)
    True
    """

    def __init__(
        self,
        noise=0.0,
        tol=1e-6,
        *,
        biases: Biases = "global",
        validation_fraction=0.1,
        max_iterations=10_000,
        random_state=0,
        progress=None,
    ):
        self.noise = noise
        self.tol = tol
        self.biases: Biases = biases
        self.validation_fraction = validation_fraction
        self.max_iterations = max_iterations
        self.random_state = random_state
        self.progress = progress

    def _check_parameters(self) -> None:
        check_size("noise", self.noise)
        check_number("tol", self.tol, below=1)
        check_one_of("biases", self.biases, BIASES)
        check_number("validation_fraction", self.validation_fraction, below=1)
        check_whole("max_iterations", self.max_iterations)
        check_random_state(self.random_state)
        check_callable("progress", self.progress)

    def _fit_table(self, problem: Completion) -> Table:
        seed = seed_of(self.random_state)
        wanted = self.biases == "rows+columns"
        parts = hold_out(problem, wanted, self.validation_fraction, seed)
        effects = fit_effects(problem, self.biases, damping_for(self.biases, *parts))
        residuals = less_effects(problem, effects)
        unit = float(np.sqrt(np.mean(residuals**2)))
        if are_rounding(residuals, problem) or unit <= self.noise:
            self.rank_, self.nuclear_norm_, self.gap_, self.n_iterations_ = 0, 0.0, 0.0, 0
            self.status_ = Certainty.CERTIFIED
            return biases_alone(problem, effects)
        solution = nuclear_norm(
            with_values(problem, residuals / unit),
            self.tol,
            float(self.noise) / unit,
            max_iterations=self.max_iterations,
            progress=self.progress,
        )
        _warn_of_end(solution)
        self.rank_, self.nuclear_norm_ = solution.rank, unit * solution.low_rank.nuclear_norm
        self.gap_, self.n_iterations_ = solution.gap, solution.n_iterations
        self.status_ = solution.status
        table = biases_alone(problem, effects)
        if solution.rank:
            left, right = solution.low_rank.halves()
            table = Table(effects, unit * left, right, 0.0)
        return Table(effects, table.left, table.right, error_on(problem, table) ** 2)


def _warn_of_end(solution: NuclearNormSolution) -> None:
    if not solution.status.successful:
        warnings.warn(
            f"The relative duality gap is {solution.gap:.2g}. {solution.status.sentence}",
            FactorflowWarning,
            stacklevel=5,
        )
