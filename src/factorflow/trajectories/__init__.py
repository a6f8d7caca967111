"""What is recorded on the way: observables, when to take them, and what comes of it."""

from factorflow.trajectories._against_truth import (
    held_out_error,
    mean_squared_error,
    reconstruction_error,
)
from factorflow.trajectories._monitor import (
    Monitor,
    MonitorReport,
    Violation,
    checked_monitors,
)
from factorflow.trajectories._observables import (
    Observable,
    balance_gaps,
    component_effective_rank,
    component_norms,
    determinant_sign,
    effective_rank,
    frobenius_norm,
    gradient_norm,
    matrix,
    nuclear_norm,
    schatten_norm,
    singular_values,
    tensor,
    train_error,
    train_loss,
    unbalancedness,
)
from factorflow.trajectories._record import (
    AbstractSchedule,
    AtTimes,
    EverySteps,
    Record,
    default_observables,
)
from factorflow.trajectories._snapshot import Snapshot
from factorflow.trajectories._solution import Solution
from factorflow.trajectories._spectrum import effective_rank_of, schatten_norm_of
from factorflow.trajectories._status import Status
from factorflow.trajectories._trajectory import (
    build_trajectory,
    check_dimensions,
    load_trajectory,
    save_trajectory,
)

__all__ = [
    "AbstractSchedule",
    "AtTimes",
    "EverySteps",
    "Monitor",
    "MonitorReport",
    "Observable",
    "Record",
    "Snapshot",
    "Solution",
    "Status",
    "Violation",
    "balance_gaps",
    "build_trajectory",
    "check_dimensions",
    "checked_monitors",
    "component_effective_rank",
    "component_norms",
    "default_observables",
    "determinant_sign",
    "effective_rank",
    "effective_rank_of",
    "frobenius_norm",
    "gradient_norm",
    "held_out_error",
    "load_trajectory",
    "matrix",
    "mean_squared_error",
    "nuclear_norm",
    "reconstruction_error",
    "save_trajectory",
    "schatten_norm",
    "schatten_norm_of",
    "singular_values",
    "tensor",
    "train_error",
    "train_loss",
    "unbalancedness",
]
