"""What was measured, and its loss."""

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
