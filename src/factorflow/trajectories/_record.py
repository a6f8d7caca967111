"""What to record on the way, and when, as a value."""

import abc
from collections.abc import Iterable, Sequence

import equinox as eqx
import numpy as np

from factorflow._errors import InputError
from factorflow.factorizations import AbstractFactorization, AbstractTensorFactorization
from factorflow.trajectories import _observables as observables
from factorflow.trajectories._against_truth import reconstruction_error
from factorflow.trajectories._observables import Observable
from factorflow.trajectories._trajectory import COORDINATES


class AbstractSchedule(eqx.Module):
    """When a run is observed.

    Its start and its end always are; by steps, so is the point that early stopping keeps.
    """

    at_most: eqx.AbstractVar[int]

    @abc.abstractmethod
    def next_after(self, step: int, time: float, stride: int) -> tuple[int | None, float | None]:
        """The next step, or the next time, to observe; None for never."""


class EverySteps(AbstractSchedule):
    """Every ``stride`` accepted steps.

    When ``at_most`` records have come together, every other one is dropped and the stride is
    doubled, so that a run of any length keeps between half of ``at_most`` and ``at_most`` records,
    evenly spaced.

    Raises
    ------
    InputError
        If ``stride`` is below 1 or ``at_most`` below 4.
    """

    stride: int = 4
    at_most: int = 256

    def __check_init__(self):
        if self.stride < 1 or self.at_most < 4:
            raise InputError(
                f"EverySteps needs a stride of 1 or more and at_most of 4 or more; "
                f"got stride={self.stride}, at_most={self.at_most}."
            )

    def next_after(self, step, time, stride):
        return (step // stride + 1) * stride, None


class AtTimes(AbstractSchedule):
    """At the given times, by the dense output of the solver.

    The steps are those of a run that is not observed, but on :class:`LogSVD`: there the escapes
    that it would leap over in one step are followed, so that there is something to see on the way,
    and the two runs agree to the tolerance. A descent is observed at the first step at or after
    each time. Every record costs a look from the host, about a millisecond.

    Parameters
    ----------
    times
        Increasing times; :meth:`linear` and :meth:`geometric` make them.

    Raises
    ------
    InputError
        If the times are empty, not finite, below zero or not increasing.
    """

    times: tuple[float, ...]

    def __init__(self, times: Iterable[float]):
        self.times = tuple(map(float, times))

    def __check_init__(self):
        times = np.array(self.times)
        if not (times.size and np.isfinite(times).all() and times[0] >= 0):
            raise InputError("AtTimes needs at least one time, all finite and zero or more.")
        if (np.diff(times) <= 0).any():
            raise InputError("The times of AtTimes must increase.")

    @classmethod
    def linear(cls, end: float, n: int) -> "AtTimes":
        """``n`` equally spaced times, the first at ``end / n`` and the last at ``end``.

        Raises
        ------
        InputError
            If ``end`` is not positive and finite, or ``n`` below 1.
        """
        _check_ends(end, end, n)
        return cls(np.linspace(0, end, n + 1)[1:])

    @classmethod
    def geometric(cls, start: float, end: float, n: int) -> "AtTimes":
        """``n`` times of constant ratio from ``start`` to ``end``, both included.

        Raises
        ------
        InputError
            If the two are not positive, finite and increasing, or ``n`` is below 1.
        """
        _check_ends(start, end, n)
        return cls(np.geomspace(start, end, n))

    @property
    def at_most(self) -> int:
        return len(self.times) + 2

    def next_after(self, step, time, stride):
        later = [moment for moment in self.times if moment > time]
        return None, (later[0] if later else None)


class Record(eqx.Module):
    """What to record and when.

    Parameters
    ----------
    observables
        Observables to record; by default (None) the train loss and error, the norm of the
        gradient, all singular values, effective rank and nuclear norm (of a tensor factorization
        the norms of its components and their effective rank), and the reconstruction error where
        the problem knows its truth.
    extra
        Observables, or plain functions of a :class:`Snapshot`, beside those.
    schedule
        :class:`EverySteps` (default) or :class:`AtTimes`.

    Notes
    -----
    Memory: at most ``schedule.at_most`` records of the numbers that the observables give; the
    default takes ``8 (min(m, n) + 9)`` bytes a record. Factors are not recorded.

    Raises
    ------
    InputError
        If an observable or the schedule is of another kind.
    """

    observables: tuple[Observable, ...] | None = None
    extra: tuple[Observable, ...] = ()
    schedule: AbstractSchedule = EverySteps()

    def __init__(
        self,
        observables: Sequence[Observable] | None = None,
        *,
        extra: Sequence = (),
        schedule: AbstractSchedule | None = None,
    ):
        self.observables = None if observables is None else tuple(map(_as_observable, observables))
        self.extra = tuple(map(_as_observable, extra))
        self.schedule = EverySteps() if schedule is None else schedule
        if not isinstance(self.schedule, AbstractSchedule):
            raise InputError(f"schedule must be EverySteps(...) or AtTimes(...); got {schedule!r}.")

    def with_extra(self, observable: Observable) -> "Record":
        """The same with one more observable."""
        return Record(self.observables, extra=(*self.extra, observable), schedule=self.schedule)

    def resolve(self, problem, factorization: AbstractFactorization) -> tuple[Observable, ...]:
        """The observables for a problem and a way to write its unknown.

        Raises
        ------
        InputError
            If two observables share a name, or one has the name of a coordinate.
        """
        chosen = (
            default_observables(problem, factorization)
            if self.observables is None
            else self.observables
        )
        every = (*chosen, *self.extra)
        names = [observable.name for observable in every]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise InputError(f"Two observables are named {min(twice)!r}; give one another name.")
        taken = COORDINATES.keys() & names
        if taken:
            raise InputError(f"{min(taken)!r} is a coordinate; give the observable another name.")
        return every


def default_observables(problem, factorization: AbstractFactorization) -> tuple[Observable, ...]:
    """What a run records when nothing else is asked for."""
    truth = getattr(problem, "truth", None)
    of_tensor = isinstance(factorization, AbstractTensorFactorization)
    return (
        observables.train_loss(),
        observables.train_error(),
        observables.gradient_norm(),
        *(_OF_TENSORS if of_tensor else _OF_MATRICES),
        *(() if truth is None else (reconstruction_error(problem),)),
    )


_OF_MATRICES = (
    observables.singular_values(),
    observables.effective_rank(),
    observables.nuclear_norm(),
)
_OF_TENSORS = (observables.component_norms(), observables.component_effective_rank())


def _check_ends(start: float, end: float, n: int) -> None:
    if not (0 < start <= end < np.inf and n >= 1):
        raise InputError(
            "AtTimes needs positive finite times that increase, and one of them or more; "
            f"got times from {start!r} to {end!r}, n={n!r}."
        )


def _as_observable(given) -> Observable:
    if isinstance(given, Observable):
        return given
    if callable(given):
        return Observable(getattr(given, "__name__", type(given).__name__), given)
    raise InputError(
        f"An observable is an Observable or a function of a Snapshot; got {type(given).__name__}."
    )
