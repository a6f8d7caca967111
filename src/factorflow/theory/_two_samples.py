"""Two samples with labels of unlike size: where depth accelerates descent, and where not."""

from collections.abc import Sequence
from functools import partial
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.theory._numbers import checked_positive

_NEVER = np.inf


def two_sample_steps(
    labels: tuple[float, float],
    power: int,
    depth: float,
    learning_rates: Sequence[float] | np.ndarray,
    *,
    start: float = 0.01,
    tolerance: float = 1e-4,
    most: int = 100_000,
) -> np.ndarray:
    r"""Steps of the end-to-end update rule until the loss of two samples is below a tolerance.

    With the samples ``e_1`` and ``e_2``, one output and the labels ``y_1``, ``y_2``

        L(w) = 1/q [(w_1 - y_1)^q + (w_2 - y_2)^q],      q = power,

    and with ``g`` its gradient the rule of depth `N` and learning rate `eta` is

        w <- w - eta ||w||^(2 - 2/N) (g + (N - 1) <w, g> w / ||w||^2),

    which at depth 1 is gradient descent. All learning rates run side by side.

    Parameters
    ----------
    labels
        ``(y_1, y_2)``.
    power
        `q`, an even number of 2 or more.
    depth
        `N`, a real number of 1 or more.
    learning_rates
        Positive, shape ``(k,)``.
    start
        Both entries of ``w`` at the start.
    tolerance
        The loss at which a run ends.
    most
        Limit on the number of steps.

    Returns
    -------
    numpy.ndarray
        ``(k,)`` float64: for each learning rate the number of steps, infinite where the run
        diverged or came to the limit.

    Raises
    ------
    InputError
        If an argument is none of these.

    Notes
    -----
    Descent must keep ``eta`` of the order ``1 / y_1^(q-2)`` or the first weight diverges, and the
    second then takes of the order ``(y_1 / y_2)^(q-2)`` steps. The rule of depth `N` has a short
    step while ``w`` is small, where the curvature is large, and a long one once it has come near
    ``y_1``, where it is small. With ``q = 2`` the curvature is the same everywhere and nothing is
    won. Source: the example and the single-output rule of Arora, Cohen and Hazan 2018
    (arXiv:1802.06509); the counts here are measured.
    """
    rates = _checked_rates(learning_rates)
    y = np.asarray(labels, np.float64)
    if y.shape != (2,) or not np.isfinite(y).all():
        raise InputError(f"labels must be two finite numbers; got {labels!r}.")
    if isinstance(power, bool) or not isinstance(power, int) or power < 2 or power % 2:
        raise InputError(f"power must be an even number of 2 or more; got {power!r}.")
    if isinstance(depth, bool) or not isinstance(depth, Real) or not 1 <= float(depth) < np.inf:
        raise InputError(f"depth must be a real number of 1 or more; got {depth!r}.")
    for name, value in (("start", start), ("tolerance", tolerance), ("most", most)):
        checked_positive(name, value)
    with double_precision():
        arguments = (float(depth), jnp.full(2, float(start)), jnp.asarray(y), float(tolerance))
        steps, ended = _run(*map(jnp.asarray, arguments), int(most), jnp.asarray(rates), power)
        return np.where(np.asarray(ended), np.asarray(steps, np.float64), _NEVER)


def _checked_rates(learning_rates: Any) -> np.ndarray:
    rates = np.asarray(learning_rates, np.float64)
    if rates.ndim != 1 or not rates.size or not (np.isfinite(rates) & (rates > 0)).all():
        raise InputError(
            f"learning_rates must be positive finite numbers, at least one; got {learning_rates!r}."
        )
    return rates


def _steps_of_one(depth, start, labels, tolerance, most, rate, power):
    def loss(w):
        return jnp.sum((w - labels) ** power) / power

    def more(carry):
        step, w = carry
        value = loss(w)  # of a diverged run it is not a number, or infinite
        return (value > tolerance) & jnp.isfinite(value) & (step < most)

    # The rule of `single_output_velocity` anew: that one is NumPy, and here many rates are traced
    # at once by vmap.
    def advance(carry):
        step, w = carry
        gradient = (w - labels) ** (power - 1)
        square = jnp.sum(w**2)
        along = jnp.sum(w * gradient) / jnp.where(square > 0, square, 1.0) * w
        move = square ** (1 - 1 / depth) * (gradient + (depth - 1) * along)
        return step + 1, w - rate * move

    step, w = jax.lax.while_loop(more, advance, (jnp.zeros((), int), start))
    return step, loss(w) <= tolerance


@partial(jax.jit, static_argnums=6)
def _run(depth, start, labels, tolerance, most, rates, power):
    def one(rate):
        return _steps_of_one(depth, start, labels, tolerance, most, rate, power)

    return jax.vmap(one)(rates)
