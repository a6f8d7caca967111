"""Explicit methods whose stages follow the stiffness, as far as they have it in common."""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from factorflow._errors import InputError
from factorflow.dynamics._stepper import AbstractStepper, Attempt, Field
from factorflow.dynamics._tree import norm

_STEADY = 0.2  # relative change of the spectral radius


class StabilizedState(eqx.Module):
    """What such a method carries from step to step."""

    slope: Any  # F(t, y) at the start of the next step
    vector: Any  # near the dominant eigenvector of the Jacobian, of any length
    radius: Array  # estimate of the spectral radius
    n_stages: Array  # stages of the last step
    n_evaluations: Array  # evaluations of the vector field on the way to this state
    age: Array  # steps since the radius was estimated; 0 if it is of this very point
    patience: Array  # steps for which this estimate is kept


class Crossed(NamedTuple):
    """Where the stages of a step led."""

    y: Any
    error: Any
    slope: Any  # at y
    beside: Any  # what the field gave beside it


class AbstractStabilized(AbstractStepper):
    """A method that takes as many stages as the step times the spectral radius asks for.

    The radius is that of a power iteration on the Jacobian, by differences of the field, whose
    vector is carried from step to step; it is taken anew as often as it changes.
    """

    max_stages: eqx.AbstractVar[int]
    power_iterations: eqx.AbstractVar[int]
    first_power_iterations: eqx.AbstractVar[int]
    patience: eqx.AbstractVar[int]
    safety: eqx.AbstractVar[float]
    least_stages: ClassVar[int]

    @abc.abstractmethod
    def stages_for(self, z: Array) -> Array:
        """Smallest number of stages whose stability interval holds ``-z``."""

    @abc.abstractmethod
    def cross(self, field: Field, t0: Array, h: Array, y0, slope, stages: Array) -> Crossed:
        """A step of length ``h`` by so many stages, each of which evaluates the field once."""

    def __check_init__(self):
        name, least = type(self).__name__, self.least_stages
        if self.max_stages < least or min(self.power_iterations, self.first_power_iterations) < 1:
            raise InputError(
                f"{name} needs max_stages of {least} or more and 1 or more power iterations, both "
                f"at the start and at each step; got {self!r}."
            )
        if self.patience < 1:
            raise InputError(f"patience must be 1 step or more; got {self.patience!r}.")
        if not self.safety > 0:
            raise InputError(f"safety must be positive; got {self.safety!r}.")

    def init(self, field, t0, t1, y0, slope) -> StabilizedState:
        vector, radius = _spectral_radius(
            lambda y: field(t0, y)[0], y0, slope, slope, self.first_power_iterations
        )
        spent = jnp.asarray(self.first_power_iterations)
        zero = jnp.zeros_like(spent)
        return StabilizedState(slope, vector, radius, zero, spent, age=zero + 1, patience=zero + 1)

    def step(self, field, t0, t1, y0, carried):
        h, slope = t1 - t0, carried.slope
        due = carried.age >= carried.patience
        vector, radius, age, patience = self._estimate(
            due, lambda y: field(t0, y)[0], y0, slope, carried
        )
        wanted = self.stages_for(self.safety * h * radius)
        refused = wanted > self.max_stages
        # A refused step is thrown away: make it cheap.
        stages = jnp.where(refused, self.least_stages, wanted)
        y1, error, slope1, beside = self.cross(field, t0, h, y0, slope, stages)
        spent = carried.n_evaluations + stages + self.power_iterations * due
        return Attempt(
            y=y1,
            error=jax.tree.map(lambda leaf: jnp.where(refused, jnp.inf, leaf), error),
            slope=slope1,
            beside=beside,
            carried=StabilizedState(slope1, vector, radius, stages, spent, age, patience),
            ends=(y0, y1, slope, slope1),
        )

    def moved(self, field, t0, t1, y0, slope, carried):
        return eqx.tree_at(lambda s: (s.slope, s.age), carried, (slope, carried.patience))

    def refused(self, carried, tried):
        # It may have been refused for a radius that has grown since it was estimated.
        estimated = tried.age == 1
        return StabilizedState(
            slope=carried.slope,
            vector=tried.vector,
            radius=tried.radius,
            n_stages=carried.n_stages,
            n_evaluations=carried.n_evaluations,
            age=jnp.where(estimated, 0, carried.patience),
            patience=jnp.where(estimated, tried.patience, carried.patience),
        )

    def _estimate(self, due, field, y0, slope, state: StabilizedState):
        """Eigenvector and spectral radius, new if due, with the age and patience after the step.

        A new one has the age 1.
        """

        def anew():
            known = state.radius > 0  # a start at rest named no direction
            begin = jax.lax.cond(known, lambda: state.vector, lambda: slope)
            return _spectral_radius(field, y0, slope, begin, self.power_iterations)

        vector, radius = jax.lax.cond(due, anew, lambda: (state.vector, state.radius))
        steady = jnp.abs(radius - state.radius) < _STEADY * radius  # zero names no direction yet
        longer = jnp.where(steady, jnp.minimum(2 * state.patience, self.patience), 1)
        age = jnp.where(due, 1, state.age + 1)
        return vector, radius, age, jnp.where(due, longer, state.patience)


def nothing_beside(field: Field, t0: Array, y0: Any) -> Any:
    """Zeros of the structure of what the field gives beside the slope."""
    _, beside = jax.eval_shape(field, t0, y0)
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), beside)


def _spectral_radius(field, y, slope, vector, iterations):
    """Power iteration on the Jacobian of ``field`` at ``y``: the last vector and its length.

    It begins with a vector of any length.
    """
    rounding = jnp.sqrt(jnp.finfo(jax.tree.leaves(y)[0].dtype).eps)
    size = norm(y)
    nudge = rounding * jnp.where(size > 0, size, 1)

    def iterate(_, carry):
        vector, length = carry
        by = nudge / jnp.where(length > 0, length, 1)
        moved = field(jax.tree.map(lambda a, v: a + by * v, y, vector))
        image = jax.tree.map(lambda a, b: (a - b) / nudge, moved, slope)
        return image, norm(image)

    return jax.lax.fori_loop(0, iterations, iterate, (vector, norm(vector)))
