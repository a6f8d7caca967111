"""factorflow: low-rank solutions by gradient flow on products of matrices.

The names below load the parts that they need when they are first used, so that importing the
package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from factorflow._errors import FactorflowWarning, FlowError, InputError
from factorflow._lazily import lazily

if TYPE_CHECKING:
    from factorflow import (
        circuits,
        convex,
        datasets,
        experiments,
        plots,
        problems,
        report,
        theory,
        trajectories,
    )
    from factorflow.convex import nuclear_norm, soft_impute
    from factorflow.dynamics import (
        RKC,
        ROCK4,
        DampedNewton,
        EarlyStopping,
        EndToEndDescent,
        EndToEndFlow,
        GradientDescent,
        GradientFlow,
        GreedyLowRank,
        QuasiNewton,
        Rosenbrock,
        Stop,
        group_rmsprop,
        least_rank,
        solve,
        solve_many,
    )
    from factorflow.estimators import (
        DeepMatrixCompletion,
        GreedyLowRankCompletion,
        NuclearNormCompletion,
        SoftImpute,
        TensorCompletion,
    )
    from factorflow.factorizations import (
        CP,
        DeepLinear,
        HierarchicalTucker,
        LogSVD,
        Symmetric,
    )
    from factorflow.initializers import Balanced, Gaussian, Identity, Orthogonal, Spectral, StartAt
    from factorflow.problems import (
        Completion,
        FunctionProblem,
        MultilinearRegression,
        OneBitCompletion,
        Regression,
        RobustCompletion,
        Sensing,
    )
    from factorflow.trajectories import (
        AtTimes,
        EverySteps,
        Monitor,
        Observable,
        Record,
        Solution,
        Status,
        load_trajectory,
        save_trajectory,
    )

    __version__: str

_HOME = {
    "convex": ("nuclear_norm", "soft_impute"),
    "dynamics": (
        "RKC",
        "ROCK4",
        "DampedNewton",
        "EarlyStopping",
        "EndToEndDescent",
        "EndToEndFlow",
        "GradientDescent",
        "GradientFlow",
        "GreedyLowRank",
        "QuasiNewton",
        "Rosenbrock",
        "Stop",
        "group_rmsprop",
        "least_rank",
        "solve",
        "solve_many",
    ),
    "estimators": (
        "DeepMatrixCompletion",
        "GreedyLowRankCompletion",
        "NuclearNormCompletion",
        "SoftImpute",
        "TensorCompletion",
    ),
    "factorizations": ("CP", "DeepLinear", "HierarchicalTucker", "LogSVD", "Symmetric"),
    "initializers": ("Balanced", "Gaussian", "Identity", "Orthogonal", "Spectral", "StartAt"),
    "problems": (
        "Completion",
        "FunctionProblem",
        "MultilinearRegression",
        "OneBitCompletion",
        "Regression",
        "RobustCompletion",
        "Sensing",
    ),
    "trajectories": (
        "AtTimes",
        "EverySteps",
        "Monitor",
        "Observable",
        "Record",
        "Solution",
        "Status",
        "load_trajectory",
        "save_trajectory",
    ),
}
_FOLDERS = (
    "circuits",
    "convex",
    "datasets",
    "experiments",
    "plots",
    "problems",
    "report",
    "theory",
    "trajectories",
)

__all__ = [
    "CP",
    "RKC",
    "ROCK4",
    "AtTimes",
    "Balanced",
    "Completion",
    "DampedNewton",
    "DeepLinear",
    "DeepMatrixCompletion",
    "EarlyStopping",
    "EndToEndDescent",
    "EndToEndFlow",
    "EverySteps",
    "FactorflowWarning",
    "FlowError",
    "FunctionProblem",
    "Gaussian",
    "GradientDescent",
    "GradientFlow",
    "GreedyLowRank",
    "GreedyLowRankCompletion",
    "HierarchicalTucker",
    "Identity",
    "InputError",
    "LogSVD",
    "Monitor",
    "MultilinearRegression",
    "NuclearNormCompletion",
    "Observable",
    "OneBitCompletion",
    "Orthogonal",
    "QuasiNewton",
    "Record",
    "Regression",
    "RobustCompletion",
    "Rosenbrock",
    "Sensing",
    "SoftImpute",
    "Solution",
    "Spectral",
    "StartAt",
    "Status",
    "Stop",
    "Symmetric",
    "TensorCompletion",
    "circuits",
    "convex",
    "datasets",
    "experiments",
    "group_rmsprop",
    "least_rank",
    "load_trajectory",
    "nuclear_norm",
    "plots",
    "problems",
    "report",
    "save_trajectory",
    "soft_impute",
    "solve",
    "solve_many",
    "theory",
    "trajectories",
]


_of_a_folder = lazily(__name__, _HOME)


def __getattr__(name: str):
    if name == "__version__":
        from importlib.metadata import version  # it takes longer than all the rest

        return version("factorflow")
    if name in _FOLDERS:
        return import_module(f"factorflow.{name}")
    return _of_a_folder(name)


def __dir__() -> list[str]:
    return sorted(__all__)
