"""What was measured, and its loss."""

from factorflow.problems._by_entries import EntriesLoss
from factorflow.problems._completion import Completion
from factorflow.problems._dense import DenseLoss
from factorflow.problems._function import FunctionLoss, FunctionProblem
from factorflow.problems._loss import AbstractLoss

__all__ = [
    "AbstractLoss",
    "Completion",
    "DenseLoss",
    "EntriesLoss",
    "FunctionLoss",
    "FunctionProblem",
]
