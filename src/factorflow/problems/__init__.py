"""What was measured, and its loss."""

from typing import TYPE_CHECKING

from factorflow._lazily import lazily

if TYPE_CHECKING:
    from factorflow.problems._by_entries import EntriesLoss
    from factorflow.problems._cell_functions import AbstractCellFunction, Logistic, PseudoHuber
    from factorflow.problems._completion import Completion
    from factorflow.problems._dense import DenseLoss
    from factorflow.problems._dense_operator import DenseOperator
    from factorflow.problems._entry_operator import EntryOperator
    from factorflow.problems._entrywise_loss import EntrywiseLoss
    from factorflow.problems._function import FunctionLoss, FunctionProblem
    from factorflow.problems._loss import AbstractLoss
    from factorflow.problems._multilinear_loss import MultilinearLoss
    from factorflow.problems._multilinear_regression import MultilinearRegression
    from factorflow.problems._one_bit import OneBitCompletion
    from factorflow.problems._operator import AbstractOperator
    from factorflow.problems._rank_one_operator import RankOneOperator
    from factorflow.problems._regression import Regression
    from factorflow.problems._regression_loss import RegressionLoss
    from factorflow.problems._robust import RobustCompletion
    from factorflow.problems._sensing import Sensing
    from factorflow.problems._sensing_loss import FusedLoss, SensingLoss

_HOMES = {
    "_by_entries": ("EntriesLoss",),
    "_cell_functions": ("AbstractCellFunction", "Logistic", "PseudoHuber"),
    "_completion": ("Completion",),
    "_dense": ("DenseLoss",),
    "_dense_operator": ("DenseOperator",),
    "_entry_operator": ("EntryOperator",),
    "_entrywise_loss": ("EntrywiseLoss",),
    "_function": ("FunctionLoss", "FunctionProblem"),
    "_loss": ("AbstractLoss",),
    "_multilinear_loss": ("MultilinearLoss",),
    "_multilinear_regression": ("MultilinearRegression",),
    "_one_bit": ("OneBitCompletion",),
    "_operator": ("AbstractOperator",),
    "_rank_one_operator": ("RankOneOperator",),
    "_regression": ("Regression",),
    "_regression_loss": ("RegressionLoss",),
    "_robust": ("RobustCompletion",),
    "_sensing": ("Sensing",),
    "_sensing_loss": ("FusedLoss", "SensingLoss"),
}

__all__ = [
    "AbstractCellFunction",
    "AbstractLoss",
    "AbstractOperator",
    "Completion",
    "DenseLoss",
    "DenseOperator",
    "EntriesLoss",
    "EntryOperator",
    "EntrywiseLoss",
    "FunctionLoss",
    "FunctionProblem",
    "FusedLoss",
    "Logistic",
    "MultilinearLoss",
    "MultilinearRegression",
    "OneBitCompletion",
    "PseudoHuber",
    "RankOneOperator",
    "Regression",
    "RegressionLoss",
    "RobustCompletion",
    "Sensing",
    "SensingLoss",
]

__getattr__ = lazily(__name__, _HOMES)
