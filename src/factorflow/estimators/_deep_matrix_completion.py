"""Matrix completion by gradient flow on a deep linear network, as a scikit-learn estimator."""

import warnings
from functools import partial
from typing import TYPE_CHECKING

from sklearn.utils.validation import check_is_fitted

from factorflow._errors import FactorflowWarning, InputError
from factorflow.dynamics import AbstractDynamics, GradientFlow
from factorflow.estimators._abstract import AbstractMatrixCompletion
from factorflow.estimators._effects import BIASES, Biases, fit_effects
from factorflow.estimators._parameters import (
    check_callable,
    check_count,
    check_kind,
    check_number,
    check_one_of,
    check_random_state,
    seed_of,
)
from factorflow.estimators._residuals import damping_for, effects_beside, hold_out
from factorflow.estimators._runs import Settings, matrix_table, n_gradients_of, validated_runs
from factorflow.estimators._table import Table
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Gaussian
from factorflow.problems import Completion

if TYPE_CHECKING:
    import xarray as xr

_UNCAPPED = 200
_CAP = 64
_NEAR_CAP = 0.8

_COARSE = GradientFlow(rtol=1e-2)


class DeepMatrixCompletion(AbstractMatrixCompletion):
    """Complete a matrix by gradient flow on a deep linear network started near zero.

    Missing entries are NaN. The values, less their biases, are divided by their root mean square,
    and gradient flow on ``W = W_N ... W_1`` from a Gaussian start of the given scale fits them.
    Rank grows with the time of the flow, so that one run is a whole path of regularization.

    Parameters
    ----------
    depth
        Number of factors. 2 suits noisy tables; 3 and above favour low rank more and recover
        an exactly low-rank matrix from fewer entries.
    scale
        Scale of the start, as in :class:`Gaussian`, for values of root mean square 1. Smaller
        means lower rank.
    widths
        The ``depth - 1`` hidden widths; ``"auto"`` is ``min(m, n)`` up to 200 (no constraint of
        the rank), and 64 above; None is always ``min(m, n)``. A warning tells when the fitted rank
        comes near a cap.
    stop
        ``"validation"``: a share of the entries is held out, the point of the path with the least
        error on them is found, and all entries are fitted again up to the train error of that
        point. ``"interpolate"``: the flow runs to the train error ``tol``.
    biases
        What is taken off first: ``"none"``, the ``"global"`` mean, or damped ``"rows+columns"``
        effects, whose damping is tuned on held-out entries. With ``stop="validation"`` these are
        fitted again for the fit of all entries, of what the low-rank part of the first one leaves.
    tol
        Mean squared train error, relative to the mean square of the values less their biases, at
        which the flow stops at the latest.
    validation_fraction
        Share of the entries held out for the stop and for the damping.
    refit
        Whether ``stop="validation"`` fits all entries again; else the held-out ones stay unused.
    patience
        The validation run ends once its time is this factor times that of the best point.
    max_gradients
        Limit on the gradients of each run, or None; a warning tells when it ends one.
    init
        Initializer in place of ``Gaussian(scale)``.
    dynamics
        Dynamics in place of ``GradientFlow(rtol=1e-2)``, which is as accurate as choosing a point
        of the path needs.
    random_state
        Integer of 0 or more, or None for 0: start and held-out entries. The same integer gives
        the same answer. A numpy ``RandomState`` draws another integer in every fit.
    progress
        Function of a dictionary, called now and then, as in :func:`solve`. Ctrl-C ends a fit
        with a warning: it is then the point that the run had come to, or the best one of the
        validation run.

    Attributes
    ----------
    left_, right_
        ``(m, w)`` and ``(w, n)``: the low-rank part, in the units of the values.
    effects_
        The biases: ``mean``, ``rows``, ``columns``, ``damping`` (infinite without effects of rows
        and columns).
    solution_
        Solution of the run that is the fit (values less their biases, divided by their root mean
        square); None where nothing was left to fit.
    path_
        What was recorded in the first run, in the units of the values (``xarray.Dataset``): with
        ``stop="validation"`` that is the validation run, with its ``held_out_error``.
    n_gradients_
        Gradients evaluated in all runs; None for solvers that do not tell.
    effective_rank_
        Effective rank of the low-rank part.
    validation_error_
        Root-mean-square error on the held-out entries at the best point; None without validation.
    widths_, capped_
        The hidden widths, and whether they constrain the rank.

    Notes
    -----
    Rows or columns without any observation get the biases that are known of them (with
    ``biases="none"`` zero) and a warning. Sources: Arora, Cohen, Hu and Luo 2019
    (arXiv:1905.13655) for the method; the stop on validation, the biases and the folding in of new
    rows are ours.

    Examples
    --------
    >>> import numpy as np
    >>> from factorflow import DeepMatrixCompletion
    >>> X = np.outer([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 2.0, 3.0])
    >>> X[1, 2] = np.nan
    >>> model = DeepMatrixCompletion(depth=3, stop="interpolate", biases="none")
    >>> bool(abs(model.fit_transform(X)[1, 2] - 4.0) < 0.05)
    True
    """

    def __init__(
        self,
        depth=2,
        scale=1e-3,
        widths="auto",
        *,
        stop="validation",
        biases: Biases = "global",
        tol=1e-6,
        validation_fraction=0.1,
        refit=True,
        patience=3.0,
        max_gradients=100_000,
        init=None,
        dynamics=None,
        random_state=0,
        progress=None,
    ):
        self.depth = depth
        self.scale = scale
        self.widths = widths
        self.stop = stop
        self.biases: Biases = biases
        self.tol = tol
        self.validation_fraction = validation_fraction
        self.refit = refit
        self.patience = patience
        self.max_gradients = max_gradients
        self.init = init
        self.dynamics = dynamics
        self.random_state = random_state
        self.progress = progress

    def _check_parameters(self) -> None:
        check_one_of("stop", self.stop, ("validation", "interpolate"))
        check_one_of("biases", self.biases, BIASES)
        check_number("scale", self.scale)
        check_number("tol", self.tol)
        check_number("validation_fraction", self.validation_fraction, below=1)
        check_number("patience", self.patience, above=1)
        check_count("max_gradients", self.max_gradients)
        check_kind("dynamics", self.dynamics, AbstractDynamics, "a dynamics, as GradientFlow()")
        check_callable("init", self.init)
        check_callable("progress", self.progress)
        check_random_state(self.random_state)
        self._network()

    def _fit_table(self, problem: Completion) -> Table:
        seed = seed_of(self.random_state)
        self.widths_ = self._widths(problem.matrix_shape)
        self.capped_ = bool(self.widths_) and min(self.widths_) < min(problem.shape)
        wanted = self.stop == "validation" or self.biases == "rows+columns"
        train, held_out = hold_out(problem, wanted, self.validation_fraction, seed)
        damping = damping_for(self.biases, train, held_out)
        beside = partial(effects_beside, problem=problem, train=train, held_out=held_out)
        runs, best = validated_runs(
            self._settings(seed),
            problem,
            lambda part: fit_effects(part, self.biases, damping),
            train,
            held_out if self.stop == "validation" else None,
            beside if self.biases == "rows+columns" else None,
        )
        self.solution_ = best.solution
        self._path = runs[0].path()
        self.validation_error_ = runs[0].validation_error
        self.n_gradients_ = n_gradients_of(runs)
        self.effective_rank_ = best.effective_rank
        self._warn_near_cap()
        return best.table

    @property
    def path_(self) -> "xr.Dataset":
        check_is_fitted(self)
        return self._path()

    def _settings(self, seed: int) -> Settings:
        return Settings(
            factorization=DeepLinear(self.depth, self.widths_),
            dynamics=_COARSE if self.dynamics is None else self.dynamics,
            init=Gaussian(self.scale) if self.init is None else self.init,
            seed=seed,
            tol=self.tol,
            patience=self.patience,
            refit=self.refit,
            max_gradients=self.max_gradients,
            progress=self.progress,
            table=matrix_table,
        )

    def _network(self) -> DeepLinear:
        """The network by its parameters; where the widths come from the data it has none yet."""
        if isinstance(self.widths, str) and self.widths != "auto":
            raise InputError(f'widths must be "auto" or whole numbers; got {self.widths!r}.')
        return DeepLinear(self.depth, None if isinstance(self.widths, str) else self.widths)

    def _widths(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        network, full = self._network(), min(shape)
        if network.widths is not None:
            return network.widths
        free = self.widths is None or full <= _UNCAPPED
        return (full if free else _CAP,) * (network.depth - 1)

    def _warn_near_cap(self) -> None:
        if self.capped_ and self.effective_rank_ > _NEAR_CAP * min(self.widths_):
            warnings.warn(
                f"The effective rank {self.effective_rank_:.1f} comes near the narrowest hidden "
                f"width {min(self.widths_)}, which may hold it down; give larger widths.",
                FactorflowWarning,
                stacklevel=5,
            )
