"""Matrix completion by gradient flow on a deep linear network, as a scikit-learn estimator."""

import warnings
from functools import reduce
from numbers import Integral, Real

import numpy as np
import scipy.sparse
import xarray as xr
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from factorflow._errors import FactorflowWarning, InputError
from factorflow.dynamics import EarlyStopping, GradientFlow, Stop, solve
from factorflow.estimators._effects import (
    Effects,
    check_biases,
    fit_effects,
    rmse,
    tune_damping,
)
from factorflow.estimators._fold_in import ColumnSpace
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Gaussian
from factorflow.problems import Completion
from factorflow.trajectories import EverySteps, Record, Solution, Status

_UNCAPPED = 200
_CAP = 64
_NEAR_CAP = 0.8
_SCORE_FOLDS = 5


class DeepMatrixCompletion(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
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
        the rank), and 64 above. A warning tells when the fitted rank comes near a cap.
    stop
        ``"validation"``: a share of the entries is held out, the point of the path with the least
        error on them is found, and all entries are fitted again up to the train error of that
        point. ``"interpolate"``: the flow runs to the train error ``tol``.
    biases
        What is taken off first: ``"none"``, the ``"global"`` mean, or damped ``"rows+columns"``
        effects, whose damping is tuned on held-out entries.
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
        Limit on the gradients of each run; a warning tells when it ends one.
    init
        Initializer in place of ``Gaussian(scale)``.
    dynamics
        Dynamics in place of ``GradientFlow()``.
    random_state
        Integer of 0 or more (or None for 0): start and held-out entries. The same integer gives
        the same answer.
    progress
        Function of a dictionary, called now and then, as in :func:`solve`.

    Attributes
    ----------
    left_, right_
        ``(m, w)`` and ``(w, n)``: the low-rank part, in the units of the values.
    effects_
        The biases: ``mean``, ``rows``, ``columns``, ``damping``.
    solution_
        Solution of the last run (normalized values); None where nothing was left to fit.
    path_
        What was recorded along the path, in the units of the values (``xarray.Dataset``): with
        ``stop="validation"`` of the validation run, with its ``held_out_error``.
    n_gradients_
        Gradients evaluated in all runs.
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
        biases="global",
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
        self.biases = biases
        self.tol = tol
        self.validation_fraction = validation_fraction
        self.refit = refit
        self.patience = patience
        self.max_gradients = max_gradients
        self.init = init
        self.dynamics = dynamics
        self.random_state = random_state
        self.progress = progress

    def fit(self, X, y=None):
        """Fit the observed entries.

        Parameters
        ----------
        X
            ``(m, n)`` array or DataFrame with NaN where missing, a scipy.sparse matrix (a stored
            zero is an observed zero), or a :class:`Completion`.
        y
            Ignored.

        Raises
        ------
        InputError
            If a parameter or the data cannot be used.
        """
        problem = self._problem(X, reset=True)
        self._check_parameters()
        _warn_of_empty(problem)
        train, held_out = self._split(problem)
        damping = self._damping(train, held_out)
        self.n_gradients_ = 0
        self.validation_error_ = None
        self.solution_ = None
        self._set_widths(problem.shape)
        target = float(self.tol)
        if self.stop == "validation":
            solution = self._run(train, damping, Stop(train_error=target), held_out)
            target = max(target, self.solution_.train_error) if solution else target
        if self._needs_all(train):
            self._run(problem, damping, Stop(train_error=target), None)
        self._after(problem)
        return self

    def fit_transform(self, X, y=None):
        """Fit, and complete: observed entries as they are, missing ones from the fit."""
        self.fit(X)
        return self._filled(X, lambda problem: self.reconstruct())

    def transform(self, X):
        """Complete rows, new or old: observed entries as they are, missing ones folded in.

        Each row is fitted against the column space (:class:`ColumnSpace`), so the answer for a row
        does not depend on the others.

        Parameters
        ----------
        X
            ``(k, n)`` with NaN where missing; the forms that ``fit`` takes.
        """
        check_is_fitted(self)
        return self._filled(X, self._folded_in)

    def predict(self, rows, columns=None):
        """The fitted values of cells, or the model's values of whole rows.

        Parameters
        ----------
        rows, columns
            Indices of fitted rows and columns (labels where the data had labels), broadcast
            against each other.
            With ``rows`` alone, an array as in :meth:`transform`: all values of those rows by the
            model, in place of the observed ones too.
        """
        check_is_fitted(self)
        if columns is None:
            return self._folded_in(self._problem(rows, reset=False))
        rows, columns = np.broadcast_arrays(
            _indices(rows, self._row_labels, self.left_.shape[0], "row"),
            _indices(columns, self._column_labels, self.right_.shape[1], "column"),
        )
        low_rank = np.sum(self.left_[rows] * np.moveaxis(self.right_, 0, -1)[columns], axis=-1)
        return self.effects_.at(rows, columns) + low_rank

    def reconstruct(self):
        """The fitted matrix, ``(m, n)``: biases and low-rank part, at observed entries too."""
        check_is_fitted(self)
        return self.effects_.matrix() + self.left_ @ self.right_

    def score(self, X, y=None):
        """Minus the root-mean-square error on entries that are hidden and folded in.

        Every fifth observed entry of each row is hidden in turn and predicted from the others, so
        that each counts once; higher is better.
        """
        check_is_fitted(self)
        problem = self._problem(X, reset=False)
        fold = _place_in_row(problem) % _SCORE_FOLDS
        predicted = np.empty(problem.n_observed)
        for k in range(_SCORE_FOLDS):
            hidden = fold == k
            seen = (problem.rows[~hidden], problem.columns[~hidden], problem.values[~hidden])
            rows = self._fold_cells(problem.shape, *seen)
            predicted[hidden] = rows[problem.rows[hidden], problem.columns[hidden]]
        return -rmse(predicted, problem.values)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _problem(self, X, *, reset: bool) -> Completion:
        if isinstance(X, Completion):
            problem = X
            if reset:
                self.n_features_in_ = problem.shape[1]
            elif problem.shape[1] != self.n_features_in_:
                raise InputError(
                    f"The problem has {problem.shape[1]} columns; fitted were {self.n_features_in_}."
                )
        else:
            checked = validate_data(
                self,
                X,
                reset=reset,
                accept_sparse=True,
                dtype=[np.float64, np.float32],
                ensure_all_finite="allow-nan",
            )
            problem = _sparse_or_array(checked)
            if reset:
                self._remember_labels(X)
        if reset and isinstance(X, Completion):
            self._row_labels, self._column_labels = X.row_labels, X.column_labels
        return problem

    def _remember_labels(self, X) -> None:
        frame = hasattr(X, "index") and hasattr(X, "columns")
        self._row_labels = np.asarray(X.index, dtype=object) if frame else None
        self._column_labels = np.asarray(X.columns, dtype=object) if frame else None

    def _check_parameters(self) -> None:
        check_biases(self.biases)
        if self.stop not in ("interpolate", "validation"):
            raise InputError(f'stop must be "interpolate" or "validation"; got {self.stop!r}.')
        for name in ("tol", "validation_fraction", "scale"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not value > 0:
                raise InputError(f"{name} must be a positive number; got {value!r}.")
        seed = self.random_state
        if seed is not None and (not isinstance(seed, Integral) or seed < 0):
            raise InputError(f"random_state must be an integer of 0 or more; got {seed!r}.")

    @property
    def _seed(self) -> int:
        return 0 if self.random_state is None else int(self.random_state)

    def _split(self, problem: Completion) -> tuple[Completion, Completion | None]:
        wanted = self.stop == "validation" or self.biases == "rows+columns"
        if not wanted or problem.n_observed < 2:
            return problem, None
        return problem.split(self.validation_fraction, self._seed)

    def _damping(self, train: Completion, held_out: Completion | None):
        if self.biases != "rows+columns" or held_out is None:
            return (1.0, 1.0)
        return tune_damping(train, held_out)

    def _needs_all(self, train: Completion) -> bool:
        interrupted = self.solution_ is not None and self.solution_.status is Status.INTERRUPTED
        return (self.stop == "interpolate" or self.refit) and not interrupted

    def _set_widths(self, shape) -> None:
        if isinstance(self.widths, str) and self.widths != "auto":
            raise InputError(f'widths must be "auto" or whole numbers; got {self.widths!r}.')
        full = min(shape)
        if isinstance(self.widths, str) or self.widths is None:
            free = full <= _UNCAPPED or self.widths is None
            network = DeepLinear(self.depth)
            self.widths_ = ((full if free else _CAP),) * (network.depth - 1)
        else:
            self.widths_ = tuple(DeepLinear(self.depth, self.widths).widths or ())
        self.capped_ = bool(self.widths_) and min(self.widths_) < full

    def _run(self, problem: Completion, damping, stop: Stop, held_out: Completion | None):
        """One run of the flow on the values less their biases, taken over as the fit."""
        self.effects_ = fit_effects(problem, self.biases, damping)
        residuals = problem.values - self.effects_.at(problem.rows, problem.columns)
        unit = float(np.sqrt(np.mean(residuals**2)))
        if unit <= 1e-12 * float(np.abs(problem.values).max(initial=0.0)):
            self._take_nothing(problem)
            return None
        early = None
        if held_out is not None:
            left_over = held_out.values - self.effects_.at(held_out.rows, held_out.columns)
            early = EarlyStopping(held_out.with_values(left_over / unit), self.patience)
        limit = Stop(train_error=stop.train_error, n_gradients=self.max_gradients)
        solution = solve(
            problem.with_values(residuals / unit),
            DeepLinear(self.depth, self.widths_),
            self.dynamics or GradientFlow(),
            init=self.init or Gaussian(self.scale),
            seed=self._seed,
            stop=limit,
            record=Record(schedule=EverySteps(stride=4 if early is None else 1)),
            early_stopping=early,
            progress=self.progress,
        )
        self._take(solution, unit, with_path=early is not None or self.stop == "interpolate")
        return solution

    def _take(self, solution: Solution, unit: float, with_path: bool) -> None:
        self.solution_ = solution
        self.n_gradients_ += solution.n_gradients or 0
        self.effective_rank_ = solution.effective_rank
        self._noise = solution.train_error * unit**2
        factors = [unit * solution.factors[-1], *reversed(solution.factors[:-1])]
        self.left_, self.right_ = _halves(factors)
        if with_path:
            self.path_ = _in_units(solution.trajectory, unit)
        if "held_out_error" in solution.trajectory:
            self.validation_error_ = float(self.path_["held_out_error"].min())
        if solution.status in (Status.GRADIENT_LIMIT, Status.INTERRUPTED):
            warnings.warn(solution.status.sentence, FactorflowWarning, stacklevel=4)

    def _take_nothing(self, problem: Completion) -> None:
        m, n = problem.shape
        self.left_, self.right_ = np.zeros((m, 1)), np.zeros((1, n))
        self.effective_rank_, self._noise = 0.0, 0.0
        self.path_ = xr.Dataset()

    def _after(self, problem: Completion) -> None:
        # Their part of the start was never touched by the flow and means nothing.
        self.left_[problem.empty_rows] = 0
        self.right_[:, problem.empty_columns] = 0
        self._space = ColumnSpace(self.left_, self.right_, self._noise)
        if self.capped_ and self.effective_rank_ > _NEAR_CAP * min(self.widths_):
            warnings.warn(
                f"The effective rank {self.effective_rank_:.1f} comes near the narrowest hidden "
                f"width {min(self.widths_)}, which may hold it down; give larger widths.",
                FactorflowWarning,
                stacklevel=3,
            )

    def _filled(self, X, values_of):
        problem = self._problem(X, reset=False)
        filled = values_of(problem)
        filled[problem.rows, problem.columns] = problem.values
        return filled.astype(_dtype_of(X), copy=False)

    def _folded_in(self, problem: Completion) -> np.ndarray:
        return self._fold_cells(problem.shape, problem.rows, problem.columns, problem.values)

    def _fold_cells(self, shape, rows, columns, values) -> np.ndarray:
        effects: Effects = self.effects_
        base = effects.mean + effects.columns
        starts = np.searchsorted(rows, np.arange(shape[0] + 1))
        folded = np.empty(shape)
        for i, (a, b) in enumerate(zip(starts[:-1], starts[1:], strict=True)):
            seen = columns[a:b]
            left_over = values[a:b] - base[seen]
            row_effect = effects.row_effect(left_over)
            low_rank = self._space.complete(seen, left_over - row_effect)
            folded[i] = base + row_effect + low_rank
        return folded


def _sparse_or_array(checked) -> Completion:
    if scipy.sparse.issparse(checked):
        return Completion.from_sparse(checked)
    return Completion.from_array(checked)


def _halves(factors: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """``left`` and ``right`` at the narrowest place, from the factors last applied first."""
    if len(factors) == 1:
        return factors[0].copy(), np.eye(factors[0].shape[1])
    cut = 1 + int(np.argmin([factor.shape[1] for factor in factors[:-1]]))
    return reduce(np.matmul, factors[:cut]).copy(), reduce(np.matmul, factors[cut:]).copy()


def _in_units(trajectory: xr.Dataset, unit: float) -> xr.Dataset:
    """The recorded quantities in the units of the values."""
    powers = {"singular_values": 1, "nuclear_norm": 1, "held_out_error": 1}
    powers |= {"train_error": 2, "train_loss": 2}
    scaled = {
        name: trajectory[name].copy(data=trajectory[name].values * unit**power)
        for name, power in powers.items()
        if name in trajectory
    }
    return trajectory.drop_vars("gradient_norm", errors="ignore").assign(scaled)


def _place_in_row(problem: Completion) -> np.ndarray:
    starts = np.searchsorted(problem.rows, np.arange(problem.shape[0]))
    return np.arange(problem.n_observed) - starts[problem.rows]


def _indices(given, labels, size: int, name: str) -> np.ndarray:
    if labels is not None:
        position = {label: k for k, label in enumerate(labels)}
        try:
            return np.vectorize(position.__getitem__, otypes=[int])(np.asarray(given, object))
        except KeyError as error:
            raise InputError(f"There is no {name} labelled {error.args[0]!r}.") from None
    indices = np.asarray(given)
    if not np.issubdtype(indices.dtype, np.integer):
        raise InputError(f"{name} indices must be whole numbers; got {indices.dtype}.")
    if indices.size and not (indices.min() >= 0 and indices.max() < size):
        raise InputError(f"{name} indices must lie in 0..{size - 1}.")
    return indices


def _dtype_of(X) -> type:
    return np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64


def _warn_of_empty(problem: Completion) -> None:
    for name, empty in (("row", problem.empty_rows), ("column", problem.empty_columns)):
        if len(empty):
            warnings.warn(
                f"{len(empty)} {name}s have no observation (the first is {empty[0]}); they get "
                "the biases that are known of them, else zero.",
                FactorflowWarning,
                stacklevel=3,
            )
