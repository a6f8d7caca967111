"""Gradient flow by the integrators of Diffrax and SciPy, on the same right-hand side as ours."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from time import perf_counter
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import factorflow as ff
from factorflow._blas import one_blas_thread
from factorflow._x64 import double_precision


@dataclass(frozen=True)
class Flowed:
    """Where a flow ended, what it spent, and why it ended early if it did.

    ``at_least`` says that the number of gradients is a lower bound.
    """

    matrix: np.ndarray
    train_error: float
    n_gradients: int
    why_early: str | None = None
    at_least: bool = False


@dataclass(frozen=True)
class Task:
    """A flow from given factors, to a train error or to a time, whichever is given."""

    problem: ff.Completion
    factors: tuple[np.ndarray, ...]
    train_error: float | None = 1e-6
    time: float | None = None

    @property
    def depth(self) -> int:
        return len(self.factors)

    @property
    def size(self) -> int:
        """Number of unknowns of the differential equation."""
        return sum(factor.size for factor in self.factors)

    def start_atol(self, rtol: float) -> float:
        """The absolute tolerance that :class:`factorflow.GradientFlow` takes by itself."""
        return rtol * float(np.sqrt(sum(np.sum(f**2) for f in self.factors) / self.size))


# Diffrax -----------------------------------------------------------------------------------------


def by_diffrax(
    task: Task, solver: diffrax.AbstractSolver, rtol: float, max_steps: int = 1_000_000
) -> Flowed:
    """``diffrax.diffeqsolve`` with a PID controller; the train error is asked once a step."""
    with double_precision(), one_blas_thread():
        loss = task.problem.loss(ff.DeepLinear(task.depth))
        ends = [jnp.asarray(end, float) for end in _ends(task)]
        tolerances = jnp.asarray(rtol), jnp.asarray(task.start_atol(rtol))
        start = tuple(map(jnp.asarray, task.factors))
        factors, steps, done = _diffeqsolve(loss, solver, start, tolerances, *ends, max_steps)
        error = 2 * float(_value(loss, factors))
        matrix = _product([np.asarray(factor) for factor in factors])
    early = None if bool(done) else f"{max_steps:,} steps"
    # Three: the choice of the first step, and the first slope.
    spent, at_least = _per_step(solver, task.size)
    return Flowed(matrix, error, 3 + int(steps) * spent, early, at_least)


def _ends(task: Task) -> tuple[float, float]:
    """Train error and time that end a task; what cannot be reached stands for none."""
    return (
        -1.0 if task.train_error is None else task.train_error,
        inf if task.time is None else task.time,
    )


def _per_step(solver: Any, size: int) -> tuple[int, bool]:
    """Gradients of one attempted step, and whether that is only a lower bound.

    An implicit method takes a Jacobian at each step, a gradient for each unknown, and some more to
    solve its equations.
    """
    if isinstance(solver, diffrax.AbstractERK):
        return solver.tableau.num_stages - int(solver.tableau.fsal), False
    if isinstance(solver, diffrax.Heun):
        return 2, False
    return size, True


@eqx.filter_jit
def _diffeqsolve(loss, solver, factors, tolerances, train_error, time, max_steps):
    def slope(t, y, loss):
        return jax.tree.map(jnp.negative, loss.gradient(y))

    def reached(t, y, loss, **_):
        return 2 * loss(y) <= train_error

    rtol, atol = tolerances
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(slope),
        solver,
        t0=0.0,
        t1=time,
        dt0=None,
        y0=factors,
        args=loss,
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
        adjoint=diffrax.ForwardMode(),  # no derivative is asked for: the leanest loop
        event=diffrax.Event(reached),
        max_steps=max_steps,
        throw=False,
    )
    done = (solution.result == diffrax.RESULTS.successful) | (
        solution.result == diffrax.RESULTS.event_occurred
    )
    last = jax.tree.map(lambda leaf: leaf[-1], solution.ys)
    return last, solution.stats["num_steps"], done


@eqx.filter_jit
def _value(loss, factors):
    return loss(factors)


# SciPy -------------------------------------------------------------------------------------------


class _Stopped(Exception):
    """An integrator was stopped from within its right-hand side."""


def by_scipy(
    task: Task,
    method: Callable,
    rtol: float,
    *,
    most_gradients: int = 200_000,
    most_seconds: float = inf,
    no_jacobian: bool = False,
    alone: bool = False,
) -> Flowed:
    """SciPy's step-by-step interface, the train error asked once a step.

    ``no_jacobian`` stops at the first Jacobian by differences: one gradient for each unknown.
    ``alone`` keeps BLAS to one thread.
    """
    field = _NumpyField(task, most_gradients, most_seconds, no_jacobian)
    start = np.concatenate([factor.ravel() for factor in task.factors])
    train_error, end = _ends(task)
    early, last = None, start
    try:
        # Steps that are tried too far overflow before they are refused.
        with np.errstate(over="ignore", invalid="ignore"), one_blas_thread(alone):
            solver = method(field, 0.0, start, end, rtol=rtol, atol=task.start_atol(rtol))
            while solver.status == "running" and field.error(solver.y) > train_error:
                solver.step()
                last = solver.y
        early = "the integrator failed" if solver.status == "failed" else None
    except _Stopped as reason:
        early = str(reason)
    matrix = _product(field.split(last))
    return Flowed(matrix, field.error(last), field.n_calls, early)


def better_alone(task: Task) -> bool:
    """Whether NumPy's gradient is faster on one thread of BLAS than on as many as it likes."""
    field = _NumpyField(task, 1000, inf, False)
    y = np.concatenate([factor.ravel() for factor in task.factors])
    seconds = {}
    for alone in (False, True):
        with one_blas_thread(alone):
            field(0.0, y)
            began = perf_counter()
            for _ in range(30):
                field(0.0, y)
            seconds[alone] = perf_counter() - began
    return seconds[True] < seconds[False]


class _NumpyField:
    """The flow on one long vector, by NumPy's matrix products."""

    def __init__(self, task: Task, most_calls: int, most_seconds: float, no_jacobian: bool):
        problem = task.problem
        self.observed = problem.observed.astype(float) / problem.n_observed
        self.wanted = np.where(problem.observed, problem.to_array(), 0.0)
        self.mask = problem.observed
        self.shapes = [factor.shape for factor in task.factors]
        self.cuts = np.cumsum([factor.size for factor in task.factors])[:-1]
        self.n_calls, self.most_calls = 0, most_calls
        self.until = perf_counter() + most_seconds
        self.seconds = most_seconds
        self.before = np.zeros(task.size) if no_jacobian else None

    def split(self, y: np.ndarray) -> list[np.ndarray]:
        parts = zip(np.split(y, self.cuts), self.shapes, strict=True)
        return [part.reshape(shape) for part, shape in parts]

    def error(self, y: np.ndarray) -> float:
        residual = (_product(self.split(y)) - self.wanted)[self.mask]
        return float(residual @ residual) / residual.size

    def __call__(self, t: float, y: np.ndarray) -> np.ndarray:
        self._count(y)
        factors = self.split(y)
        products = [factors[0]]
        for factor in factors[1:]:
            products.append(factor @ products[-1])
        back = self.observed * (self.wanted - products[-1])
        slopes = []
        for j in range(len(factors) - 1, 0, -1):
            slopes.append(back @ products[j - 1].T)
            back = factors[j].T @ back
        slopes.append(back)
        return np.concatenate([slope.ravel() for slope in reversed(slopes)])

    def _count(self, y: np.ndarray) -> None:
        self.n_calls += 1
        if self.n_calls > self.most_calls:
            raise _Stopped(f"{self.most_calls:,} gradients")
        if self.n_calls % 100 == 0 and perf_counter() > self.until:
            raise _Stopped(f"{self.seconds:.0f} s")
        if self.before is not None:
            # Differences move one unknown at a time; a step moves all of them.
            if self.n_calls > 3 and np.count_nonzero(y != self.before) == 1:
                raise _Stopped(f"a dense Jacobian of {y.size:,} gradients")
            self.before = y.copy()


def _product(factors) -> np.ndarray:
    matrix = factors[0]
    for factor in factors[1:]:
        matrix = factor @ matrix
    return matrix
