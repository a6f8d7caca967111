"""Steps over a plateau: the closed-form escape of modes too small to change the gradient."""

from collections.abc import Callable
from math import inf

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from factorflow.dynamics._generator import (
    Frame,
    Sides,
    at_rest,
    error_of_modes,
    generator,
    growth_coefficient,
    rates,
    slope_of,
)
from factorflow.dynamics._leap import leap, leap_together
from factorflow.factorizations import graded_svd, growth_power

_STILL = 1e-2  # share of rtol: how fast, against the first fit, the large modes may still move
_LENIENCE = 30.0  # factor on that once on a plateau, so that steps of two kinds do not alternate
_GROWS = 0.02  # share of the growth that the small modes would have, were they aligned
_REST = 1e-3  # share of rtol: how fast the large modes may move where the small ones turn first
_STEADY = 0.1  # share of that gradient by which it may change in a step before
_ROOM = 0.5  # e-folds below the cap that a step needs
_MOST = 25.0  # e-folds of a step
_FIRST = 2.0
_ORDER = 5


class Growth(eqx.Module):
    """Modes that grow by the law of a constant gradient: ``d s_r/dt = c_r sigma_r^(1 - 2/N)``.

    ``theta`` is the clock of the leading mode, ``d theta/dt = sigma_lead^(1 - 2/N)``, in which its
    logarithm grows evenly. With no growth (all ``c`` zero) it is time itself.
    """

    logs: Array  # (k,) at the start
    rates: Array  # (k,) in units of the leading mode's clock at the start
    lead_rate: Array
    lead_log: Array
    moving: Array  # (k,) booleans: the others rest
    span: Array  # theta at the end

    @classmethod
    def none(cls, logs, time) -> "Growth":
        zero = jnp.zeros(())
        return cls(logs, jnp.zeros_like(logs), zero, zero, jnp.full(logs.shape, True), zero + time)

    def logs_at(self, theta, depth) -> Array:
        power = growth_power(depth)
        if power == 0:
            return self.logs + self.rates * theta
        return self.logs - jnp.log1p(-power * self.rates * self._elapsed(theta, power)) / power

    def logs_at_end(self, depth) -> Array:
        return self.logs_at(self.span, depth)

    def speeds_at(self, theta, depth) -> Array:
        """``d s/d theta``."""
        power = growth_power(depth)
        ahead = power * (self.logs_at(theta, depth) - self.logs - self.lead_rate * theta)
        return self.rates * jnp.exp(ahead)

    def clock(self, theta, depth) -> Array:
        """Logarithm of ``d theta/dt``."""
        return growth_power(depth) * (self.lead_log + self.lead_rate * theta)

    def duration(self, depth) -> Array:
        power = growth_power(depth)
        return self._elapsed(self.span, power) * jnp.exp(-power * self.lead_log)

    def theta_at(self, time, depth) -> Array:
        """Inverse of the elapsed time."""
        power = growth_power(depth)
        elapsed, rate = time * jnp.exp(power * self.lead_log), power * self.lead_rate
        still = rate == 0
        safe = jnp.where(still, 1.0, rate)
        return jnp.where(still, elapsed, -jnp.log1p(-safe * elapsed) / safe)

    def slopes(self, frame: Frame, frame1: Frame, sides: Sides, depth) -> tuple[Sides, Sides]:
        """Slopes of the sides over the span, at its two ends."""
        first = generator(frame, depth, self.clock(0.0, depth), self.moving)
        last = generator(frame1, depth, self.clock(self.span, depth), self.moving)
        ends = (
            slope_of(first, frame, at_rest(frame), self.speeds_at(0.0, depth)),
            slope_of(last, frame1, sides, self.speeds_at(self.span, depth)),
        )
        return jax.tree.map(lambda slope: self.span * slope, ends)

    def _elapsed(self, theta, power) -> Array:
        rate = power * self.lead_rate
        still = rate == 0
        safe = jnp.where(still, 1.0, rate)
        return jnp.where(still, theta, -jnp.expm1(-safe * theta) / safe)


class PlateauStep(eqx.Module):
    """What a step over a plateau came to."""

    sides: Sides
    growth: Growth
    duration: Array
    keep: Array
    next_ordinary_step: Array
    plateau: "Plateau"


class Plateau(eqx.Module):
    """Below which size modes leave the gradient as it is, and how far the next step goes."""

    cap: Array  # logarithm of that size
    pace: Array  # how fast modes of the natural size move under the gradient at the start
    efolds: Array  # of the next step
    tried: Array  # whether the attempt at hand is one over a plateau
    steady: Array  # whether the last step left the gradient among the small modes as it was

    @classmethod
    def init(
        cls, gradient_of: Callable[[Array], Array], frame: Frame, depth: float, rtol: float
    ) -> "Plateau":
        """From the size at which a rank-one change of `W` would cancel the gradient."""
        gradient = frame.gradient
        top = jnp.linalg.norm(gradient, 2)
        direction = gradient / jnp.where(top > 0, top, 1.0)
        matrix = (frame.left * jnp.exp(frame.logs)[None, :]) @ frame.right.T
        bend = jnp.linalg.norm(gradient_of(matrix - direction) - gradient, 2)
        size = jnp.log(top) - jnp.log(bend)
        power = growth_power(depth)
        pace = growth_coefficient(depth) * top * jnp.exp(power * jnp.nan_to_num(size))
        first, no, yes = jnp.asarray(_FIRST, float), jnp.asarray(False), jnp.asarray(True)
        return cls(size + jnp.log(rtol), pace, first, no, yes)

    def ready(self, frame: Frame, depth: float, rtol: float) -> Array:
        """Whether a small mode grows and has room to, while the modes that are not small rest."""
        small, top = self._small(frame)
        room = self.cap - top
        strength = self._strength(frame, small)
        speed = strength * jnp.exp(growth_power(depth) * top) * growth_coefficient(depth)
        drift = rates(frame, depth, small)
        bound = jnp.maximum(rtol * speed, _STILL * rtol * self.pace)
        still = drift <= bound * jnp.where(self.tried, _LENIENCE, 1.0)
        force = growth_coefficient(depth) * strength
        grows = self.growth(frame, depth).lead_rate > _GROWS * force
        natural = force * jnp.exp(growth_power(depth) * (self.cap - jnp.log(rtol)))
        turns = drift <= _REST * rtol * natural
        return small.any() & (room >= _ROOM) & still & self.steady & (grows | turns)

    def step(
        self, frame: Frame, depth: float, rtol: float, time_left: Array, leaps: bool
    ) -> PlateauStep:
        """A step, in the clock of the leading mode or, with ``leaps``, to the end where it can."""
        small, top = self._small(frame)
        room = self.cap - top
        efolds = jnp.minimum(self.efolds, room)

        def along() -> tuple[Sides, Growth, Array]:
            growth = self._spanned(self.growth(frame, depth), frame, depth, efolds, time_left)
            sides, error = self._solved(frame, growth, depth, small)
            scaled = jax.tree.map(lambda e, y: e / (rtol * (1 + abs(y))), error, sides)
            return sides, growth, error_of_modes(scaled)

        def over() -> tuple[Sides, Growth, Array]:
            sides, duration = leap(frame, small, depth, room, time_left)
            return sides, Growth.none(frame.logs, duration), jnp.zeros(())

        if leaps and depth == 2:
            sides, span = leap_together(frame, small, efolds, time_left)
            growth, excess = Growth.none(frame.logs, span), jnp.zeros(())
        elif leaps and depth < inf:
            alone = self._alone(frame, depth, rtol)
            sides, growth, excess = jax.lax.cond(alone, over, along)
        else:
            sides, growth, excess = along()
        excess = jnp.where(jnp.isfinite(excess), excess, jnp.inf)
        factor = jnp.clip(0.9 * jnp.maximum(excess, 1e-10) ** (-1 / _ORDER), 0.2, 5.0)
        following = jnp.minimum(efolds * factor, _MOST)
        end = jnp.exp(-growth_power(depth) * (growth.logs_at_end(depth) + sides.change))
        slowest = jnp.min(jnp.where(small, end, jnp.inf))
        ordinary = 0.1 * slowest / (growth_coefficient(depth) * jnp.max(jnp.abs(frame.core)))
        plateau = Plateau(self.cap, self.pace, following, jnp.asarray(True), self.steady)
        duration = growth.duration(depth)
        return PlateauStep(sides, growth, duration, excess <= 1, ordinary, plateau)

    def _alone(self, frame: Frame, depth: float, rtol: float) -> Array:
        """Whether the largest small mode is so far above the next that it moves as if alone."""
        small, top = self._small(frame)
        others = small & (jnp.arange(small.size) > jnp.argmax(small))
        second = jnp.max(jnp.where(others, frame.logs, -jnp.inf))
        return jnp.exp(min(growth_power(depth), 2 / depth) * (second - top)) <= rtol

    def passed_by(self) -> "Plateau":
        """The same when an ordinary step is taken."""
        first, no = jnp.asarray(_FIRST, float), jnp.asarray(False)
        return Plateau(self.cap, self.pace, first, no, self.steady)

    def judge(self, keep, before: Frame, after: Frame, rtol: float) -> tuple[Array, "Plateau"]:
        """Whether the gradient was constant enough; if not, the cap falls."""
        small, _ = self._small(before)
        change = after.left.T @ (after.gradient - before.gradient) @ after.right
        pairs = small[:, None] & small[None, :]
        share = jnp.max(jnp.where(pairs, jnp.abs(change), 0.0)) / self._strength(before, small)
        failed = self.tried & keep & ~(share <= rtol)
        top = jnp.max(jnp.where(small, after.logs, -jnp.inf))
        # The change grows in proportion to the mode.
        fallen = top - jnp.log(2.0) - jnp.log(jnp.maximum(share / rtol, 1.0))
        cap = jnp.where(failed, jnp.minimum(fallen, self.cap), self.cap)
        steady = jnp.where(keep, share <= _STEADY, self.steady)
        judged = Plateau(cap, self.pace, self.efolds, self.tried, steady)
        return keep & ~failed, judged

    def is_small(self, frame: Frame) -> Array:
        """Which modes are too small to change the gradient, ``(k,)`` booleans."""
        return frame.logs < self.cap

    def _small(self, frame: Frame) -> tuple[Array, Array]:
        small = self.is_small(frame)
        return small, jnp.max(jnp.where(small, frame.logs, -jnp.inf))

    def _strength(self, frame: Frame, small) -> Array:
        """Size of the gradient among the small modes and where the matrix is zero."""
        left, _, right, gradient = frame
        forward, backward = gradient @ right, gradient.T @ left
        core = jnp.where(small[:, None] & small[None, :], left.T @ forward, 0.0)
        lost = jnp.where(small[None, :], forward - left @ (left.T @ forward), 0.0)
        gained = jnp.where(small[None, :], backward - right @ (right.T @ backward), 0.0)
        return jnp.sqrt(jnp.max(jnp.array([jnp.sum(x**2) for x in (core, lost, gained)])))

    def growth(self, frame: Frame, depth: float) -> Growth:
        """The law by which small modes grow from here, as if alone."""
        small, _ = self._small(frame)
        power, logs = growth_power(depth), frame.logs
        speeds = -growth_coefficient(depth) * jnp.diagonal(frame.core)
        largest = jnp.argmax(jnp.where(small, logs, -jnp.inf))
        relative = jnp.where(small, speeds * jnp.exp(power * (logs - logs[largest])), -jnp.inf)
        lead = jnp.where(jnp.max(relative) > 0, jnp.argmax(relative), largest)
        own = jnp.where(small, speeds * jnp.exp(power * (logs - logs[lead])), 0.0)
        return Growth(logs, own, own[lead], logs[lead], small, jnp.ones(()))

    def _spanned(self, growth: Growth, frame: Frame, depth, efolds, time_left) -> Growth:
        """The same over so many e-folds of the fastest, within the time that is left."""
        small, _ = self._small(frame)
        span = efolds / (growth_coefficient(depth) * self._strength(frame, small))
        last = growth.theta_at(time_left, depth)
        span = jnp.where(jnp.isfinite(last), jnp.minimum(span, last), span)
        return eqx.tree_at(lambda g: g.span, growth, span)

    def _solved(self, frame: Frame, growth: Growth, depth, small):
        """Sides at the end of the step, and an estimate of their error."""

        def field(theta, sides, args):
            logs = growth.logs_at(theta, depth) + sides.change
            here = Frame(*graded_svd(sides.left, logs, sides.right), frame.gradient)
            moved = generator(here, depth, growth.clock(theta, depth), small)
            return slope_of(moved, here, sides, growth.speeds_at(theta, depth))

        solver, terms = diffrax.Tsit5(), diffrax.ODETerm(field)
        sides, ends = at_rest(frame), (jnp.zeros(()), growth.span)
        begun = solver.init(terms, *ends, sides, None)
        after, error, _, _, _ = solver.step(terms, *ends, sides, None, begun, False)
        return after, error
