"""What takes the steps of a flow, and how their length is chosen."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from factorflow.dynamics._tree import norm

# Slope at a time and a point, with whatever comes for free with it.
Field = Callable[[Any, Any], tuple[Any, Any]]

_SAFETY, _MOST_SHRINK, _MOST_GROWTH = 0.8, 0.2, 10.0
_PROPORTIONAL = 0.3
_LEAST_ERROR = 1e-10  # so that a step without error is no end of all steps


class Attempt(NamedTuple):
    """What a step came to; whether it counts is for the step size to say."""

    y: Any
    error: Any  # estimate, of the structure of y; infinite where the step was refused
    slope: Any  # at y, or the best that the method knows of it
    beside: Any  # what the field gave beside the slope at y; None where it was not asked there
    carried: Any
    ends: Any  # what the path within the step is made of


class Verdict(NamedTuple):
    """What becomes of an attempt."""

    keep: Array
    following: Array  # length of the next step
    last_error: Array  # of the last step that was kept


class AbstractStepper(eqx.Module):
    """A method that steps along ``dy/dt = F(t, y)`` and estimates the error of each step.

    ``field(t, y)`` gives the slope and something beside it. What is carried from step to step has
    a count ``n_evaluations`` of the evaluations of the field so far.
    """

    order: ClassVar[int]  # power of the step that the error of a whole path falls with
    error_order: ClassVar[int]  # and of the step that its own estimate falls with
    counts_evaluations: ClassVar[bool] = True

    @abc.abstractmethod
    def init(self, field: Field, t0: Array, t1: Array, y0: Any, slope: Any) -> Any:
        """What is carried to the first step, which goes from t0 to about t1; the slope is at y0."""

    @abc.abstractmethod
    def step(self, field: Field, t0: Array, t1: Array, y0: Any, carried: Any) -> Attempt:
        """One try of a step from t0 to t1; an infinite error says that it must be shorter."""

    def moved(self, field: Field, t0: Array, t1: Array, y0: Any, slope: Any, carried: Any) -> Any:
        """What is carried, where the point was written anew or the field is another one."""
        return eqx.tree_at(lambda state: state.slope, carried, slope)

    def refused(self, carried: Any, tried: Any) -> Any:
        """What is carried to a shorter try of a step that was not kept.

        ``carried`` came to that step, and ``tried`` is what it would have carried on.
        """
        return carried

    def between(self, ends: Any, t0: Array, t1: Array, time: Array) -> Any:
        """The point at a time within a step: the cubic with the slopes at both ends."""
        h = t1 - t0
        x = (time - t0) / h

        def at(a, b, fa, fb):
            rest = (1 - 2 * x) * (b - a) + h * ((x - 1) * fa + x * fb)
            return (1 - x) * a + x * b + x * (x - 1) * rest

        return jax.tree.map(at, *ends)

    def for_diffrax(self) -> Any:
        """The same as a solver for ``diffrax.diffeqsolve``, for one ODE term."""
        from factorflow.dynamics._for_diffrax import ForDiffrax  # it takes a third of a second

        return ForDiffrax(self)


def as_stepper(solver: Any) -> AbstractStepper:
    """A stepper as it is, or a solver of Diffrax as one.

    Raises
    ------
    InputError
        If it is neither, or does not estimate its error.
    """
    if isinstance(solver, AbstractStepper):
        return solver
    from factorflow.dynamics._by_diffrax import ByDiffrax

    return ByDiffrax(solver)


class StepSize(eqx.Module):
    """Steps as long as the tolerance allows.

    An error ``e`` is measured in ``atol + rtol |y|``, entry by entry; below 1 the step is kept.
    With ``e'`` of the step kept before and the power ``q`` of the step that errors fall with (a
    stepper's ``error_order``), the next one is ``0.8 e^(-1/q) e'^(0.3/q)`` times as long (the error
    of one that follows a rising error is foreseen to rise), but no less than 0.2 and no more than
    10 times, after a step that was not kept no more than 0.8 times.

    Parameters
    ----------
    rtol, atol
        Tolerances relative to an entry and beside it; ``atol`` may be a scalar array.
    size
        Norm of the measured errors, of the structure of the point: :func:`root_mean_square`.

    Source: a proportional-integral controller as in Gustafsson 1991, "Control theoretic techniques
    for stepsize selection in explicit Runge-Kutta methods", ACM TOMS 17, 533-554, with
    exponents of our own, by measurement. Diffrax's lets no step that was kept be followed by a
    shorter one; where it should be, a fifth of the steps is refused.
    """

    rtol: float
    atol: Any
    size: Callable[[Any], Array] = eqx.field(static=True)

    def first(self, field: Field, order: int, t0: Array, y0: Any, slope: Any) -> Array:
        """Length of the first step; it takes one evaluation of the field.

        Source: Hairer, Norsett and Wanner 1993, "Solving Ordinary Differential Equations I",
        section II.4.
        """
        scale = jax.tree.map(lambda y: self.atol + self.rtol * jnp.abs(y), y0)
        d0, d1 = self._size_in(scale, y0), self._size_in(scale, slope)
        small = (d0 < 1e-5) | (d1 < 1e-5)
        h0 = jnp.where(small, 1e-6, 0.01 * d0 / jnp.where(small, 1, d1))
        tried = jax.tree.map(lambda y, f: y + h0 * f, y0, slope)
        after, _ = field(t0 + h0, tried)
        change = jax.tree.map(jnp.subtract, after, slope)
        most = jnp.maximum(d1, self._size_in(scale, change) / h0)
        flat = most <= 1e-15
        h1 = (0.01 / jnp.where(flat, 1, most)) ** (1 / order)
        return jnp.minimum(100 * h0, jnp.where(flat, jnp.maximum(1e-6, 1e-3 * h0), h1))

    def judge(self, order: int, h: Array, y0: Any, attempt: Attempt, last_error: Array) -> Verdict:
        """Of a step of length ``h``, with the error of the last one that was kept, 1 for none."""

        def scaled(a, b, error):
            return error / (self.atol + self.rtol * jnp.maximum(jnp.abs(a), jnp.abs(b)))

        error = self.size(jax.tree.map(scaled, y0, attempt.y, attempt.error))
        error = jnp.where(jnp.isnan(error), jnp.inf, jnp.maximum(error, _LEAST_ERROR))
        keep = error < 1
        most = jnp.where(keep, _MOST_GROWTH, _SAFETY)
        factor = _SAFETY * (last_error**_PROPORTIONAL / error) ** (1 / order)
        return Verdict(
            keep, h * jnp.clip(factor, _MOST_SHRINK, most), jnp.where(keep, error, last_error)
        )

    def _size_in(self, scale: Any, vector: Any) -> Array:
        return self.size(jax.tree.map(jnp.divide, vector, scale))


def root_mean_square(tree: Any) -> Array:
    """Over all numbers of all leaves."""
    return norm(tree) / jnp.sqrt(sum(leaf.size for leaf in jax.tree.leaves(tree)))
