"""What the monitors of a run have seen so far, carried beside its state."""

import warnings
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from factorflow._errors import FactorflowWarning, InputError
from factorflow.trajectories import Monitor, MonitorReport, Snapshot, Solution, Violation


class Watch(eqx.Module):
    """One entry for each monitor."""

    n_checked: Array
    least_margin: Array
    violated: Array
    step: Array  # of the first violation
    time: Array
    margin: Array

    @classmethod
    def begin(cls, n_monitors: int) -> "Watch":
        zero, number = jnp.zeros(n_monitors, int), jnp.zeros(n_monitors)
        none = jnp.zeros(n_monitors, bool)
        return cls(zero, number + jnp.inf, none, zero, number, number)

    def look(self, monitors: Sequence[Monitor], snapshot: Snapshot) -> "Watch":
        """The same after one more point."""
        margins = jnp.stack([_margin(monitor, snapshot) for monitor in monitors])
        tolerances = jnp.stack([jnp.asarray(monitor.tolerance, float) for monitor in monitors])
        broken = ~(margins >= -tolerances)  # true for what is no number as well
        first = broken & ~self.violated
        return Watch(
            n_checked=self.n_checked + ~jnp.isposinf(margins),
            least_margin=jnp.minimum(self.least_margin, margins),
            violated=self.violated | broken,
            step=jnp.where(first, snapshot.step, self.step),
            time=jnp.where(first, snapshot.time, self.time),
            margin=jnp.where(first, margins, self.margin),
        )


def _margin(monitor: Monitor, snapshot: Snapshot) -> Array:
    margin = _computed(monitor, snapshot)
    if margin.shape != ():
        raise InputError(
            f"margin of the monitor {monitor.name!r} must be one number; it gave an array of "
            f"shape {margin.shape}."
        )
    if margin.dtype.kind not in "iuf":
        raise InputError(
            f"margin of the monitor {monitor.name!r} gave a value of type {margin.dtype}; a margin "
            "is a number, negative where the bound is broken."
        )
    return margin.astype(float)


def _computed(monitor: Monitor, snapshot: Snapshot) -> Array:
    try:
        return jnp.asarray(monitor.margin(snapshot))
    except InputError:
        raise  # says already what is wrong
    except Exception as error:
        what = str(error).partition("\n")[0].rstrip(".")  # JAX goes on about tracing for many lines
        raise InputError(
            f"margin of the monitor {monitor.name!r} failed with {type(error).__name__}: {what}. "
            "A margin is one number computed with jax.numpy, without Python `if` on values."
        ) from error


def going_on(watch: Watch, monitors: Sequence[Monitor], earlier: Sequence[MonitorReport]) -> Watch:
    """The watch at the start of a resumed run, with what its monitors saw in the run before.

    That run ended at this very point and counted it, unless a bound never applied in it.
    """
    seen = {(report.name, report.description): report for report in earlier if report.n_checked}
    for k, monitor in enumerate(monitors):
        report = seen.get((monitor.name, monitor.description))
        if report is not None:
            watch = _with_entry(watch, k, report)
    return watch


def _with_entry(watch: Watch, k: int, report: MonitorReport) -> Watch:
    """The reverse of :func:`_report`."""
    step, time, margin = report.first_violation or (0, 0.0, 0.0)
    values = report.n_checked, report.least_margin, not report.holds, step, time, margin
    entry = Watch(*map(jnp.asarray, values))
    return jax.tree.map(lambda every, own: every.at[k].set(own), watch, entry)


def reports(monitors: Sequence[Monitor], watch: Watch | None) -> tuple[MonitorReport, ...]:
    """What the monitors of one run saw; ``watch`` is on the host, None if they never looked."""
    if watch is None:  # interrupted before the start was seen
        return tuple(MonitorReport(m.name, m.description, True, 0, np.inf, None) for m in monitors)
    return tuple(_report(monitor, watch, k) for k, monitor in enumerate(monitors))


def _report(monitor: Monitor, watch: Watch, k: int) -> MonitorReport:
    broken = bool(watch.violated[k])
    first = Violation(int(watch.step[k]), float(watch.time[k]), float(watch.margin[k]))
    return MonitorReport(
        name=monitor.name,
        description=monitor.description,
        holds=not broken,
        n_checked=int(watch.n_checked[k]),
        least_margin=float(np.asarray(watch.least_margin)[k]),
        first_violation=first if broken else None,
    )


def warn_of_violations(solutions: Sequence[Solution]) -> None:
    """One warning for each monitor that was violated in any of the runs."""
    for seen in zip(*(solution.monitors for solution in solutions), strict=True):
        broken = [k for k, report in enumerate(seen) if not report.holds]
        if not broken:
            continue
        text = seen[broken[0]].sentence
        if len(seen) > 1:
            text += f" This is run {broken[0]}; {len(broken)} of {len(seen)} runs violate it."
        warnings.warn(text, FactorflowWarning, stacklevel=3)
