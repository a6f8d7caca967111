"""A bound that is checked at every step of a run, and what came of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx

from factorflow._errors import InputError
from factorflow.trajectories._snapshot import Snapshot


class Monitor(eqx.Module):
    """A bound on a run: ``margin(snapshot)`` is zero or more while it holds.

    ``solve(..., monitors=[...])`` checks it at the start and after every accepted step, inside the
    compiled loop; ``solution.monitors`` has the reports.

    Parameters
    ----------
    name
        Names the bound in the report and in the warning.
    margin
        From a :class:`Snapshot` to a number, traceable by JAX. Infinity says that the bound does
        not apply at this point; a value that is not a number (NaN) is a violation.
    tolerance
        The bound holds while the margin is at least minus this: room for rounding.
    description
        The bound in words, for the report and the warning.

    Raises
    ------
    InputError
        If ``margin`` is no function, or the tolerance is negative.
    """

    name: str = eqx.field(static=True)
    margin: Callable[[Snapshot], Any]
    tolerance: float = 0.0
    description: str = eqx.field(static=True, default="")

    def __check_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise InputError(f"name must be a text that names the bound; got {self.name!r}.")
        if not callable(self.margin):
            raise InputError(
                f"margin of the monitor {self.name!r} must be a function of a Snapshot; "
                f"got {type(self.margin).__name__}."
            )
        if not self.tolerance >= 0:
            raise InputError(
                f"tolerance of the monitor {self.name!r} must be 0 or more; got {self.tolerance!r}."
            )


class Violation(NamedTuple):
    """Where a bound was first broken: accepted steps, time, and the margin there."""

    step: int
    time: float
    margin: float


@dataclass(frozen=True)
class MonitorReport:
    """What a monitor saw.

    In a resumed run, since the start of the run that it goes on from, if that was given a monitor
    of the same name and description; else since it was resumed.

    Attributes
    ----------
    name, description
        Those of the monitor.
    holds
        Whether the bound held at every point where it applied.
    n_checked
        Points at which the bound applied: the start and all accepted steps, less those where the
        margin was infinite. At 0, that it holds says nothing.
    least_margin
        The least margin; infinite if the bound never applied, NaN if the margin ever was.
    first_violation
        None, or ``(step, time, margin)`` of the first point that broke the bound.
    """

    name: str
    description: str
    holds: bool
    n_checked: int
    least_margin: float
    first_violation: Violation | None

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        bound = f"The bound {self.name!r}"
        if self.description:
            bound += f" ({self.description})"
        if self.first_violation is not None:
            step, time, margin = self.first_violation
            return (
                f"{bound} is violated, first at step {step}, time {time:.6g}, "
                f"with the margin {margin:.3g}."
            )
        if self.n_checked == 0:
            return f"{bound} never applied."
        return (
            f"{bound} held at all {self.n_checked} points; the least margin is "
            f"{self.least_margin:.3g}."
        )


def checked_monitors(monitors: Sequence[Monitor]) -> tuple[Monitor, ...]:
    """The monitors of a run as a tuple.

    Raises
    ------
    InputError
        If one is no Monitor, or two share a name.
    """
    if isinstance(monitors, Monitor) or not isinstance(monitors, Sequence):
        raise InputError(
            f"monitors must be a sequence of Monitor, such as [monitor]; "
            f"got {type(monitors).__name__}."
        )
    for monitor in monitors:
        if not isinstance(monitor, Monitor):
            raise InputError(
                "monitors must hold Monitor(name, margin) values only; "
                f"got {type(monitor).__name__}."
            )
    names = [monitor.name for monitor in monitors]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError(f"Two monitors are named {min(twice)!r}; give one another name.")
    return tuple(monitors)
