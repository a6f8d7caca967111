"""Tensor completion by gradient flow on CP and hierarchical factorizations, as an estimator."""

import warnings
from collections.abc import Sequence
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from factorflow._errors import FactorflowWarning, InputError
from factorflow.dynamics import AbstractDynamics, GradientFlow
from factorflow.estimators._axis_effects import (
    AXIS_BIASES,
    AxisBiases,
    fit_axis_effects,
    tune_axis_damping,
)
from factorflow.estimators._effects import rmse
from factorflow.estimators._fibres import fibre_axes, split_fibres
from factorflow.estimators._forms import read_tensor, warn_of_empty
from factorflow.estimators._labels import labels_of, positions
from factorflow.estimators._parameters import (
    check_callable,
    check_count,
    check_kind,
    check_number,
    check_one_of,
    check_random_state,
    check_whole,
    seed_of,
)
from factorflow.estimators._runs import Settings, n_gradients_of, validated_runs
from factorflow.estimators._tensor_table import TensorTable
from factorflow.factorizations import CP, AbstractTensorFactorization, HierarchicalTucker
from factorflow.initializers import Balanced
from factorflow.problems import Completion
from factorflow.trajectories import effective_rank_of

if TYPE_CHECKING:
    import xarray as xr

_CAPS = {"cp": 200, "hierarchical": 64}
_NEAR_CAP = 0.8

_COARSE = GradientFlow(rtol=1e-2)


class TensorCompletion(BaseEstimator):
    """Complete an array of any order by gradient flow on a sum of components, from near zero.

    Missing entries are NaN. The values, less their biases, are divided by their root mean square,
    and gradient flow on the factors of a tensor from a balanced start of the given scale fits
    them. Components grow one after the other, so that one run is a whole path of regularization.

    Parameters
    ----------
    factorization
        ``"cp"``, a sum of products of vectors (:class:`CP`), or ``"hierarchical"``, components of
        components over a tree of neighbouring axes (:class:`HierarchicalTucker`).
    components
        Number of components; of ``"hierarchical"`` that at every level of the tree, or one number
        for each level. By default as many as leave every tensor possible, but at most 200 (the
        factors hold ``8 R (d_1 + ... + d_N)`` bytes), and 64 at every level of a tree. A warning
        tells when the fit comes near these caps.
    scale
        Scale of the start, as in :class:`Balanced`, for values of root mean square 1. Smaller
        means fewer components.
    stop
        ``"validation"``: a share of the entries is held out, the point of the path with the least
        error on them is found, and all entries are fitted again up to the train error of that
        point. ``"interpolate"``: the flow runs to the train error ``tol``.
    biases
        What is taken off first: ``"none"``, the ``"global"`` mean, or damped effects of all
        ``"axes"`` (a number for each index), whose damping is tuned on held-out entries.
    tol
        Mean squared train error, relative to the mean square of the values less their biases, at
        which the flow stops at the latest.
    validation_fraction
        Share of the entries held out for the stop and for the damping.
    validation_axes
        Axes along which entries are held out together: 2 for all colours of a pixel of a
        ``(height, width, 3)`` picture. Entries should be held out as those to predict are missing.
        ``"auto"`` takes the axes along which entries are missing together everywhere, if that
        leaves two axes or more; None or no axis holds out single entries.
    refit
        Whether ``stop="validation"`` fits all entries again; else the held-out ones stay unused.
    patience
        The validation run ends once its time is this factor times that of the best point.
    max_gradients
        Limit on the gradients of each run, or None; a warning tells when it ends one.
    arity
        How many neighbours a node of the hierarchical tree joins.
    init
        Initializer in place of ``Balanced(scale)``.
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
    shape_
        ``(d_1, ..., d_N)``.
    factors_
        The factors, NumPy arrays, in the units of the values: with ``"cp"`` a matrix ``(d_n, R)``
        for each axis, the largest component first; else those of ``factorization_``.
    component_norms_
        Norms of the components, ``(R,)``, in the units of the values; of ``"hierarchical"`` a
        tuple of those at each node above the axes, the root last. Of a node with `k` children
        they have ``k + 1`` of the `L` factors, and so the unit of the values to the power
        ``(k + 1) / L``.
    factorization_
        The :class:`CP` or :class:`HierarchicalTucker`.
    effects_
        The biases: ``mean``, ``axes``, ``damping`` (infinite without effects of the axes).
    solution_
        Solution of the run that is the fit (values less their biases, divided by their root mean
        square); None where nothing was left to fit.
    path_
        What was recorded in the first run, in the units of the values (``xarray.Dataset``): with
        ``stop="validation"`` that is the validation run, with its ``held_out_error``. Its
        ``component_norms`` are the largest of the root, in the unit of ``component_norms_``.
    status_
        How the run that is the fit ended (:class:`Status`); None where nothing was left to fit.
    n_gradients_
        Gradients evaluated in all runs; None for solvers that do not tell.
    effective_rank_
        Effective number of components (of the root's, with ``"hierarchical"``).
    validation_error_
        Root-mean-square error on the held-out entries at the best point; None without validation.
    capped_
        Whether the number of components constrains the tensor.

    Notes
    -----
    A slice without any observation gets the biases that are known of it and a warning. At order 2
    ``"cp"`` writes the matrix as :class:`DeepMatrixCompletion` of depth 2 does; the start, the
    number of components, the damping of the biases and the handling of frames are its own. Unlike
    the estimators of matrices this one has no ``transform`` of rows that it has not seen, and
    gives arrays only. Sources: Razin and Cohen 2020
    (arXiv:2005.06398), Razin, Maman and Cohen 2021 and 2022 (arXiv:2102.09972, arXiv:2201.11729)
    for the flows; the stop on validation and the biases are ours.

    Examples
    --------
    >>> import numpy as np
    >>> from factorflow import TensorCompletion
    >>> X = np.einsum("i,j,k->ijk", [1.0, 2.0, 3.0], [1.0, 1.0, 2.0], [1.0, 3.0])
    >>> X[1, 2, 0] = np.nan
    >>> model = TensorCompletion(components=2, stop="interpolate", biases="none")
    >>> bool(abs(model.fit_transform(X)[1, 2, 0] - 4.0) < 0.05)
    True
    """

    def __init__(
        self,
        factorization: Literal["cp", "hierarchical"] = "cp",
        components: int | Sequence[int] | None = None,
        scale=1e-3,
        *,
        stop="validation",
        biases: AxisBiases = "global",
        tol=1e-6,
        validation_fraction=0.1,
        validation_axes: Literal["auto"] | int | Sequence[int] | None = "auto",
        refit=True,
        patience=3.0,
        max_gradients=100_000,
        arity=2,
        init=None,
        dynamics=None,
        random_state=0,
        progress=None,
    ):
        self.factorization = factorization
        self.components = components
        self.scale = scale
        self.stop = stop
        self.biases: AxisBiases = biases
        self.tol = tol
        self.validation_fraction = validation_fraction
        self.validation_axes = validation_axes
        self.refit = refit
        self.patience = patience
        self.max_gradients = max_gradients
        self.arity = arity
        self.init = init
        self.dynamics = dynamics
        self.random_state = random_state
        self.progress = progress

    def fit(self, X, y=None, *, observed=None):
        """Fit the observed entries.

        Parameters
        ----------
        X
            Array of two axes or more with NaN where missing (masked arrays: masked), a DataFrame or
            scipy.sparse matrix as the estimators of matrices take them, or a :class:`Completion`.
            A frame is taken for a wide matrix; of one line for each entry make
            ``Completion.from_long_frame(df, "user", "film", "month", "score")``.
        y
            Ignored.
        observed
            For arrays and frames: boolean, of their shape, True where observed; what stands
            elsewhere is then not read.

        Raises
        ------
        InputError
            If a parameter or the data cannot be used.
        """
        self._fit_problem(X, observed)
        return self

    def fit_transform(self, X, y=None, *, observed=None):
        """Fit, and complete: observed entries as they are, missing ones from the fit."""
        problem, kind = self._fit_problem(X, observed)
        completed = self.reconstruct()
        completed[problem.indices] = problem.values
        return completed.astype(kind, copy=False)

    def reconstruct(self):
        """The fitted array, of the shape of the data: at observed entries the fit's values too."""
        check_is_fitted(self)
        return self._table().tensor()

    def predict(self, indices):
        """The fitted values of entries; the whole array is not formed.

        Parameters
        ----------
        indices
            ``(p, N)`` array or DataFrame, a row for each entry and the columns in the order of the
            axes, whatever their names; or a tuple of `N` arrays of indices, broadcast against each
            other. Labels where the data had labels.

        Raises
        ------
        InputError
            Naming the first index or label that was not fitted.
        """
        check_is_fitted(self)
        order = len(self.shape_)
        names = ["row", "column"] if order == 2 else [f"axis {axis}" for axis in range(order)]
        given = _by_axis(indices, order, any(labels is not None for labels in self._labels))
        found = [
            positions(each, labels, size, name)
            for each, labels, size, name in zip(
                given, self._labels, self.shape_, names, strict=True
            )
        ]
        return self._table().at(*np.broadcast_arrays(*found))

    def score(self, X, y=None):
        """Minus the root-mean-square error of the fit on the entries that `X` has.

        `X` is data of the fitted shape, such as the second part of ``Completion.split``; with the
        entries that were fitted it is the train error. Higher is better.
        """
        check_is_fitted(self)
        problem, _ = read_tensor(self, X, reset=False)
        if problem.shape != self.shape_:
            raise InputError(f"X has the shape {problem.shape}; {self.shape_} was fitted.")
        for axis, (own, fitted) in enumerate(
            zip(labels_of(X, problem.order), self._labels, strict=True)
        ):
            if own is not None and fitted is not None and not own.equals(fitted):
                raise InputError(f"X has other labels on axis {axis} than those that were fitted.")
        return -rmse(self._table().at(*problem.indices), problem.values)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        return tags

    def _fit_problem(self, X, observed) -> tuple[Completion, np.dtype]:
        self._check_parameters()
        problem, kind = read_tensor(self, X, observed)
        warn_of_empty(problem)
        self.shape_ = problem.shape
        self._labels = labels_of(X, problem.order)
        # What a fit says of slices that it has not seen is left from its start.
        empty = [problem.empty_slices(axis) for axis in range(problem.order)]
        table = self._fit_table(problem).without(empty)
        self.effects_, self._train_error = table.effects, table.train_error
        self.factors_, self.component_norms_ = _in_order(table)
        self._count_components(table.component_norms())
        return problem, kind

    def _table(self) -> TensorTable:
        return TensorTable(self.effects_, self.factorization_, self.factors_, self._train_error)

    def _check_parameters(self) -> None:
        check_one_of("factorization", self.factorization, tuple(_FACTORIZATIONS))
        check_one_of("stop", self.stop, ("validation", "interpolate"))
        check_one_of("biases", self.biases, AXIS_BIASES)
        check_number("scale", self.scale)
        check_number("tol", self.tol)
        check_number("validation_fraction", self.validation_fraction, below=1)
        _check_axes(self.validation_axes)
        check_number("patience", self.patience, above=1)
        check_count("max_gradients", self.max_gradients)
        check_whole("arity", self.arity)
        check_kind("dynamics", self.dynamics, AbstractDynamics, "a dynamics, as GradientFlow()")
        check_callable("init", self.init)
        check_callable("progress", self.progress)
        check_random_state(self.random_state)
        self._written_with(self.components)

    def _fit_table(self, problem: Completion) -> TensorTable:
        seed = seed_of(self.random_state)
        self.factorization_, self.capped_ = self._factorization_for(problem.shape)
        train, held_out, damping = self._hold_out(problem, seed)
        runs, best = validated_runs(
            self._settings(seed),
            problem,
            lambda part: fit_axis_effects(part, self.biases, damping),
            train,
            held_out if self.stop == "validation" else None,
        )
        self.solution_ = best.solution
        self._path = runs[0].path()
        self.validation_error_ = runs[0].validation_error
        self.n_gradients_ = n_gradients_of(runs)
        self.status_ = None if best.solution is None else best.solution.status
        return best.table

    @property
    def path_(self) -> "xr.Dataset":
        check_is_fitted(self)
        return self._path()

    def _count_components(self, norms: tuple[np.ndarray, ...]) -> None:
        """The effective number of components, with a warning where it comes near a cap of ours."""
        self.effective_rank_ = _effective_number(norms[-1])
        # A number that was asked for is no surprise, and near its start a run has them all.
        ended = self.status_ is not None and self.status_.successful
        if self.capped_ and self.components is None and ended:
            _warn_near_cap(list(map(_effective_number, norms)), list(map(len, norms)))

    def _hold_out(
        self, problem: Completion, seed: int
    ) -> tuple[Completion, Completion | None, float]:
        """Entries to fit, entries to validate on, and the damping of effects."""
        axes = fibre_axes(self.validation_axes, problem)
        wanted = self.stop == "validation" or self.biases == "axes"
        if not wanted or problem.n_observed < 2:
            return problem, None, 1.0
        train, held_out = split_fibres(problem, axes, self.validation_fraction, seed)
        damping = tune_axis_damping(train, held_out) if self.biases == "axes" else 1.0
        return train, held_out, damping

    def _settings(self, seed: int) -> Settings:
        return Settings(
            factorization=self.factorization_,
            dynamics=_COARSE if self.dynamics is None else self.dynamics,
            init=Balanced(self.scale) if self.init is None else self.init,
            seed=seed,
            tol=self.tol,
            patience=self.patience,
            refit=self.refit,
            max_gradients=self.max_gradients,
            progress=self.progress,
            table=partial(TensorTable.of, self.factorization_),
        )

    def _factorization_for(
        self, shape: tuple[int, ...]
    ) -> tuple[AbstractTensorFactorization, bool]:
        """How a tensor of a shape is written, and whether that constrains it."""
        free = _n_components(self._written_with(None), shape)
        if self.components is not None:
            chosen = self._written_with(self.components)
            own = _n_components(chosen, shape)
            return chosen, any(a < b for a, b in zip(own, free, strict=True))
        cap = _CAPS[self.factorization]
        if max(free) <= cap:
            return self._written_with(None), False
        if self.factorization == "cp":
            return CP(cap), True
        levels = _levels(self.arity, len(shape))
        return self._written_with([min(cap, max(free[k] for k in level)) for level in levels]), True

    def _written_with(self, components: Any) -> AbstractTensorFactorization:
        return _FACTORIZATIONS[self.factorization](components, self.arity)


def _effective_number(norms: np.ndarray) -> float:
    return float(effective_rank_of(norms)) if norms.any() else 0.0


def _warn_near_cap(ranks: list[float], most: list[int]) -> None:
    near = [k for k in range(len(ranks)) if most[k] > 1 and ranks[k] > _NEAR_CAP * most[k]]
    if near:
        k = near[-1]
        warnings.warn(
            f"The effective number of components, {ranks[k]:.1f}, comes near the {most[k]} "
            "that there are, which may hold it down; give more components.",
            FactorflowWarning,
            stacklevel=5,
        )


def _hierarchical(components: Any, arity: int) -> HierarchicalTucker:
    if isinstance(components, np.ndarray):
        components = components.tolist()
    return HierarchicalTucker(components, arity)


def _cp(components: Any, arity: int) -> CP:
    if components is not None and not isinstance(components, Integral):
        raise InputError(
            f'components must be a whole number of 1 or more with "cp", or None; got '
            f"{components!r}."
        )
    return CP(None if components is None else int(components))


_FACTORIZATIONS = {"cp": _cp, "hierarchical": _hierarchical}


def _n_components(factorization: AbstractTensorFactorization, shape: tuple[int, ...]) -> list[int]:
    """Number of (local) components at each place where they are summed."""
    if isinstance(factorization, HierarchicalTucker):
        return [height for height, _ in factorization.shapes(shape)[len(shape) :]]
    return [factorization.shapes(shape)[0][1]]


def _levels(arity: int, order: int) -> list[list[int]]:
    """The nodes above the axes, numbered from 0, level by level."""
    level, levels = dict.fromkeys(range(order), -1), []
    for node, children in HierarchicalTucker(None, arity).nodes(order):
        level[node] = level[children[0]] + 1
        if level[node] == len(levels):
            levels.append([])
        levels[level[node]].append(node - order)
    return levels


def _in_order(table: TensorTable) -> tuple[tuple[np.ndarray, ...], Any]:
    """Factors and component norms; of CP the largest component first."""
    norms = table.component_norms()
    if not isinstance(table.factorization, CP):
        return table.factors, norms
    order = np.argsort(-norms[0], kind="stable")
    return tuple(factor[:, order] for factor in table.factors), norms[0][order]


def _by_axis(indices: Any, order: int, labelled: bool) -> tuple[Any, ...]:
    """Indices or labels of each axis, out of a tuple of them or a table."""
    if isinstance(indices, tuple):
        given = indices
    elif isinstance(indices, pd.DataFrame):
        given = tuple(indices.iloc[:, k] for k in range(indices.shape[1]))
    else:
        # Without a type of their own, numbers and text side by side would all become text.
        table = np.asarray(indices, dtype=object if labelled else None)
        if table.size == 0:
            return (table.ravel(),) * order
        given = tuple(table.T) if table.ndim == 2 else (table,)
    if len(given) != order:
        raise InputError(
            f"indices must be of shape (p, {order}), a column for each axis, or a tuple of {order} "
            f"arrays; got {len(given)}."
        )
    return given


def _check_axes(axes: Any) -> None:
    whole = axes is None or np.size(axes) == 0 or np.asarray(axes).dtype.kind in "iu"
    if not (whole or axes == "auto"):
        raise InputError(f'validation_axes must be "auto", axes or None; got {axes!r}.')
