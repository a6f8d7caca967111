"""Matrix completion by greedy low-rank learning, as a scikit-learn estimator."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

from factorflow._errors import FactorflowWarning, InputError
from factorflow.dynamics import (
    CriticalPoint,
    DampedNewton,
    GreedyLowRank,
    QuasiNewton,
    Stop,
    solve,
)
from factorflow.estimators._abstract import AbstractMatrixCompletion
from factorflow.estimators._effects import BIASES, Biases, Damping, Effects, fit_effects
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
from factorflow.factorizations import DeepLinear
from factorflow.problems import Completion
from factorflow.trajectories import Record, Solution, Status

_SMALL = 3000  # numbers in the factors up to which their Hessian is factorized
_RULES = ("validation", "certificate")


class GreedyLowRankCompletion(AbstractMatrixCompletion):
    """Complete a matrix by adding one rank at a time, each where it helps most.

    Missing entries are NaN. The limit of gradient flow on two layers from an infinitesimal start
    (:class:`GreedyLowRank`) is followed from rank to rank: one model for each, of which the rank
    is chosen.

    Parameters
    ----------
    rank
        ``"validation"``: the rank with the least error on held-out entries. ``"certificate"``: the
        first that no further rank could improve, for values without noise. Or a whole number.
    max_rank
        Largest rank that is tried; the smaller side of the matrix where that is less.
    biases
        What is taken off first: ``"none"``, the ``"global"`` mean, or damped ``"rows+columns"``
        effects, whose damping is tuned on held-out entries.
    validation_fraction
        Share of the entries held out for the rank and for the damping.
    refit
        Whether all entries are fitted again at the rank that was found; else the held-out ones
        stay unused.
    max_gradients
        Limit on the gradients of a fit, or None; a warning tells when it is felt.
    random_state
        Integer of 0 or more, or None for 0: the held-out entries. A numpy ``RandomState`` draws
        another integer in every fit. The fit itself is not random.
    progress
        Function of a dictionary, called now and then. Ctrl-C ends a fit with a warning.

    Attributes
    ----------
    left_, right_
        ``(m, k)`` and ``(k, n)``: the low-rank part, in the units of the values.
    effects_
        The biases: ``mean``, ``rows``, ``columns``, ``damping``.
    rank_
        Rank of the low-rank part.
    path_
        The critical points of all ranks (:class:`GreedyPath`) that the rank was chosen from, of
        the values less their biases and divided by ``unit_``; None where the biases left nothing.
    unit_
        Root mean square of the values less their biases, in the fit that ``path_`` is of.
    ranks_, held_out_errors_
        The ranks of the path and the root-mean-square error of each on the held-out entries; None
        without validation.
    validation_error_
        That of the chosen rank.
    status_
        How the fit ended (:class:`Status`).
    n_gradients_
        Gradients evaluated, in all.

    Notes
    -----
    Within a rank runs :class:`DampedNewton` where the factors hold at most 3000 numbers in all,
    and :class:`QuasiNewton` where they hold more. Rows or columns without any observation get
    the biases that are known of them and a warning. Source: Li, Luo and Lyu 2021
    (arXiv:2012.09839).

    Examples
    --------
    >>> import numpy as np
    >>> from factorflow import GreedyLowRankCompletion
    >>> X = np.outer([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 2.0, 3.0])
    >>> X[1, 2] = np.nan
    >>> model = GreedyLowRankCompletion("certificate", max_rank=2, biases="none")
    >>> bool(abs(model.fit_transform(X)[1, 2] - 4.0) < 1e-6)
    True
    """

    def __init__(
        self,
        rank: int | Literal["validation", "certificate"] = "validation",
        *,
        max_rank=10,
        biases: Biases = "global",
        validation_fraction=0.1,
        refit=True,
        max_gradients: int | None = 20_000,
        random_state=0,
        progress: Callable[[dict], None] | None = None,
    ):
        self.rank = rank
        self.max_rank = max_rank
        self.biases: Biases = biases
        self.validation_fraction = validation_fraction
        self.refit = refit
        self.max_gradients = max_gradients
        self.random_state = random_state
        self.progress = progress

    def _check_parameters(self) -> None:
        if isinstance(self.rank, str):
            if self.rank not in _RULES:
                raise InputError(
                    f'rank must be "validation", "certificate" or a whole number; got '
                    f"{self.rank!r}."
                )
        else:
            check_whole("rank", self.rank)
        check_whole("max_rank", self.max_rank)
        check_one_of("biases", self.biases, BIASES)
        check_number("validation_fraction", self.validation_fraction, below=1)
        check_count("max_gradients", self.max_gradients)
        check_random_state(self.random_state)
        check_callable("progress", self.progress)

    def _fit_table(self, problem: Completion) -> Table:
        seed = seed_of(self.random_state)
        wanted = self.rank == "validation" or self.biases == "rows+columns"
        train, held_out = hold_out(problem, wanted, self.validation_fraction, seed)
        damping = damping_for(self.biases, train, held_out)
        self.ranks_ = self.held_out_errors_ = self.validation_error_ = None
        self.n_gradients_ = 0
        if self.rank == "validation" and held_out is not None:
            table, chosen = self._validated(train, held_out, damping)
            if not self.refit or self.status_ is Status.INTERRUPTED:
                return table
            path = self.path_, self.unit_
            refitted = self._fitted(problem, damping, chosen)
            self.path_, self.unit_ = path
            self._warn_of_end(certified=False)
            # A validated fit is worth more than a second one that did not come to its end.
            if self.status_ in (Status.CERTIFIED, Status.RANK_LIMIT):
                return refitted
            self.rank_ = chosen
            return table
        table = self._fitted(problem, damping, self._largest_rank)
        self._warn_of_end(certified=self.rank == "certificate")
        return table

    def _validated(
        self, train: Completion, held_out: Completion, damping: Damping
    ) -> tuple[Table, int]:
        """The best fit of the path for the held-out entries, and its rank."""
        effects = fit_effects(train, self.biases, damping)
        solution = self._greedy(train, effects, self.max_rank)
        self._warn_of_end(certified=False)
        points = [] if solution is None else _by_rank(solution)
        tables = [self._table_of(train, effects, each) for each in points]
        tables = tables or [biases_alone(train, effects)]
        errors = [error_on(held_out, table) for table in tables]
        best = int(np.argmin(errors))
        self.ranks_ = np.array([each.rank for each in points] or [0])
        self.held_out_errors_ = np.array(errors)
        self.validation_error_ = errors[best]
        self.rank_ = int(self.ranks_[best])
        return tables[best], self.rank_

    def _fitted(self, problem: Completion, damping: Damping, most: int) -> Table:
        """The last fit of the path up to a rank."""
        effects = fit_effects(problem, self.biases, damping)
        solution = self._greedy(problem, effects, most) if most else None
        if solution is None or not solution.path.points:
            self.rank_ = 0
            return biases_alone(problem, effects)
        last = _by_rank(solution)[-1]
        self.rank_ = last.rank
        return self._table_of(problem, effects, last)

    def _greedy(self, problem: Completion, effects: Effects, most: int) -> Solution | None:
        """The run up to a rank; None where the biases fit every entry."""
        residuals = less_effects(problem, effects)
        self.unit_ = float(np.sqrt(np.mean(residuals**2)))
        self.path_, self.status_ = None, Status.CERTIFIED
        if are_rounding(residuals, problem):
            return None
        width = min(*problem.shape, self._largest_rank)
        small = width * sum(problem.shape) <= _SMALL
        solution = solve(
            with_values(problem, residuals / self.unit_),
            DeepLinear(2, [width]),
            GreedyLowRank(DampedNewton() if small else QuasiNewton(), max_rank=min(most, width)),
            stop=Stop(train_error=None, n_gradients=self.max_gradients),
            record=Record([]),
            progress=self.progress,
            throw=False,
        )
        self.path_, self.status_ = solution.path, solution.status
        self.n_gradients_ += solution.n_gradients or 0
        return solution

    @property
    def _largest_rank(self) -> int:
        return self.max_rank if isinstance(self.rank, str) else self.rank

    def _table_of(self, problem: Completion, effects: Effects, point: CriticalPoint) -> Table:
        if point.rank == 0:
            table = biases_alone(problem, effects)
        else:
            right, left = (factor.copy() for factor in point.factors)
            used = slice(0, point.rank)
            table = Table(effects, self.unit_ * left[:, used], right[used], 0.0)
        return replace(table, train_error=error_on(problem, table) ** 2)

    def _warn_of_end(self, certified: bool) -> None:
        expected = {Status.CERTIFIED} if certified else {Status.CERTIFIED, Status.RANK_LIMIT}
        if self.status_ not in expected:
            mend = {
                Status.GRADIENT_LIMIT: f" Raise max_gradients ({self.max_gradients}).",
                Status.RANK_LIMIT: f" Raise max_rank ({self.max_rank}), or, if the values are "
                'noisy, let rank="validation" choose.',
            }
            warnings.warn(
                f"{self.status_.sentence}{mend.get(self.status_, '')}",
                FactorflowWarning,
                stacklevel=6,
            )


def _by_rank(solution: Solution) -> list[CriticalPoint]:
    """The points of the path, the later where two have one rank."""
    return list({each.rank: each for each in solution.path.points}.values())
