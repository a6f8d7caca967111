"""factorflow: low-rank solutions by gradient flow on products of matrices.

The names below load the parts that they need when they are first used, so that importing the
package costs next to nothing.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from factorflow._errors import FactorflowWarning, FlowError, InputError

if TYPE_CHECKING:
    from factorflow import datasets, plots, problems, report, trajectories
    from factorflow.dynamics import (
        RKC,
        EarlyStopping,
        GradientDescent,
        GradientFlow,
        Stop,
        group_rmsprop,
        solve,
        solve_many,
    )
    from factorflow.estimators import DeepMatrixCompletion
    from factorflow.factorizations import DeepLinear
    from factorflow.initializers import Balanced, Gaussian, Identity, Orthogonal
    from factorflow.problems import Completion, FunctionProblem
    from factorflow.trajectories import (
        AtTimes,
        EverySteps,
        Observable,
        Record,
        Solution,
        Status,
        load_trajectory,
        save_trajectory,
    )

__version__ = version("factorflow")

_HOME = {
    "dynamics": (
        "RKC",
        "EarlyStopping",
        "GradientDescent",
        "GradientFlow",
        "Stop",
        "group_rmsprop",
        "solve",
        "solve_many",
    ),
    "estimators": ("DeepMatrixCompletion",),
    "factorizations": ("DeepLinear",),
    "initializers": ("Balanced", "Gaussian", "Identity", "Orthogonal"),
    "problems": ("Completion", "FunctionProblem"),
    "trajectories": (
        "AtTimes",
        "EverySteps",
        "Observable",
        "Record",
        "Solution",
        "Status",
        "load_trajectory",
        "save_trajectory",
    ),
}
_FOLDERS = ("datasets", "plots", "problems", "report", "trajectories")
_FOLDER_OF = {name: folder for folder, names in _HOME.items() for name in names}

__all__ = [
    "RKC",
    "AtTimes",
    "Balanced",
    "Completion",
    "DeepLinear",
    "DeepMatrixCompletion",
    "EarlyStopping",
    "EverySteps",
    "FactorflowWarning",
    "FlowError",
    "FunctionProblem",
    "Gaussian",
    "GradientDescent",
    "GradientFlow",
    "Identity",
    "InputError",
    "Observable",
    "Orthogonal",
    "Record",
    "Solution",
    "Status",
    "Stop",
    "datasets",
    "group_rmsprop",
    "load_trajectory",
    "plots",
    "problems",
    "report",
    "save_trajectory",
    "solve",
    "solve_many",
    "trajectories",
]


def __getattr__(name: str):
    if name in _FOLDERS:
        return import_module(f"factorflow.{name}")
    if name in _FOLDER_OF:
        return getattr(import_module(f"factorflow.{_FOLDER_OF[name]}"), name)
    raise AttributeError(f"module 'factorflow' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
