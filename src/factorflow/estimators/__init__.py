"""The scikit-learn face."""

from typing import TYPE_CHECKING

from factorflow._lazily import lazily

if TYPE_CHECKING:
    from factorflow.estimators._abstract import AbstractMatrixCompletion
    from factorflow.estimators._axis_effects import AxisEffects, fit_axis_effects, tune_axis_damping
    from factorflow.estimators._deep_matrix_completion import DeepMatrixCompletion
    from factorflow.estimators._effects import Effects, fit_effects, rmse, tune_damping
    from factorflow.estimators._fibres import fibre_axes, split_fibres
    from factorflow.estimators._fold_in import ColumnSpace
    from factorflow.estimators._greedy_low_rank_completion import GreedyLowRankCompletion
    from factorflow.estimators._nuclear_norm_completion import NuclearNormCompletion
    from factorflow.estimators._soft_impute import SoftImpute
    from factorflow.estimators._tensor_completion import TensorCompletion

_HOMES = {
    "_abstract": ("AbstractMatrixCompletion",),
    "_axis_effects": ("AxisEffects", "fit_axis_effects", "tune_axis_damping"),
    "_deep_matrix_completion": ("DeepMatrixCompletion",),
    "_effects": ("Effects", "fit_effects", "rmse", "tune_damping"),
    "_fibres": ("fibre_axes", "split_fibres"),
    "_fold_in": ("ColumnSpace",),
    "_greedy_low_rank_completion": ("GreedyLowRankCompletion",),
    "_nuclear_norm_completion": ("NuclearNormCompletion",),
    "_soft_impute": ("SoftImpute",),
    "_tensor_completion": ("TensorCompletion",),
}

__all__ = [
    "AbstractMatrixCompletion",
    "AxisEffects",
    "ColumnSpace",
    "DeepMatrixCompletion",
    "Effects",
    "GreedyLowRankCompletion",
    "NuclearNormCompletion",
    "SoftImpute",
    "TensorCompletion",
    "fibre_axes",
    "fit_axis_effects",
    "fit_effects",
    "rmse",
    "split_fibres",
    "tune_axis_damping",
    "tune_damping",
]

__getattr__ = lazily(__name__, _HOMES)
