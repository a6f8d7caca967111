"""The records of a run, taken when they are due and bounded in number."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from factorflow.trajectories import (
    AbstractSchedule,
    AtTimes,
    Observable,
    build_trajectory,
    check_dimensions,
)

if TYPE_CHECKING:
    import xarray as xr


class Recorder:
    """Keeps the records of a batch of runs; each record has a leading axis of runs."""

    def __init__(self, schedule: AbstractSchedule, observables: Sequence[Observable]):
        self.schedule = schedule
        self.observables = observables
        self.records: list[dict[str, np.ndarray]] = []
        self._stride = getattr(schedule, "stride", 1)

    def add(self, record: dict[str, np.ndarray], *, last: bool = False) -> None:
        """Keep a record; where there are too many, thin them and stretch the stride.

        A record that is not on the wider grid goes too, unless it is the last one.
        """
        if not self.records:
            check_dimensions(self.observables, {k: seen.shape[1:] for k, seen in record.items()})
        if not isinstance(self.schedule, AtTimes) and len(self.records) >= self.schedule.at_most:
            self.records = self.records[::2]
            self._stride *= 2
            if not last and (int(record["step"].max()) - self._first) % self._stride:
                return
        self.records.append(record)

    def insert(self, record: dict[str, np.ndarray]) -> None:
        """Keep a record of a step that was passed, where the schedule goes by steps."""
        steps = [int(each["step"].max()) for each in self.records]
        step = int(record["step"].max())
        if step not in steps and not isinstance(self.schedule, AtTimes):
            self.records.insert(bisect_left(steps, step), record)

    def next_due(self, step: int, time: float) -> tuple[int | None, float | None]:
        """The step or the time of the next record."""
        steps, moment = self.schedule.next_after(step - self._first, time, self._stride)
        return None if steps is None else self._first + steps, moment

    @property
    def _first(self) -> int:
        """Step of the first record, where the grid starts."""
        return int(self.records[0]["step"].max())

    def trajectory(self, run: int, attributes: dict) -> "xr.Dataset":
        """The records of one run, up to its end."""
        own = [{name: seen[run] for name, seen in record.items()} for record in self.records]
        # A run of a batch that has ended stays as it is; time alone may stand still in float64.
        end = (own[-1]["time"], own[-1]["step"])
        until = next(i for i, record in enumerate(own) if (record["time"], record["step"]) == end)
        return build_trajectory(self.observables, own[: until + 1], attributes)
