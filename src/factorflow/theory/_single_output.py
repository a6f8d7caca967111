"""Depth before a single output: an adaptive rate, and momentum."""

from dataclasses import dataclass
from math import isfinite
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from factorflow._errors import InputError
from factorflow.factorizations import checked_real_depth, growth_power
from factorflow.theory._numbers import checked_positive
from factorflow.theory._singular_basis import checked_gradient


def single_output_velocity(
    w: ArrayLike, gradient: ArrayLike, depth: float, weight_decay: float = 0.0
) -> np.ndarray:
    """Velocity of a balanced product with one output.

        dw/dt = -lambda N w - ||w||^(2 - 2/N) (g + (N - 1) Pr_w g),    Pr_w g = <w, g> w / ||w||^2

    The rate grows with the norm of `w`, and the part of the gradient along `w`, the way gone so
    far, is amplified by `N`.

    Parameters
    ----------
    w, gradient
        The end-to-end row and the gradient `g` of the loss there, ``(n,)`` or ``(1, n)``.
    depth
        `N`, a real number of 1 or more, or infinity: then the velocity divided by `N`, which is
        ``-lambda w - <w, g> w``.
    weight_decay
        ``lambda`` of a penalty ``(lambda/2) sum_j ||W_j||_F^2`` on the layers.

    Returns
    -------
    numpy.ndarray
        Of the shape of `w`; :func:`end_to_end_velocity` of the row in closed form.

    Raises
    ------
    InputError
        If `w` is no row, or the gradient or depth is unusable.

    Notes
    -----
    Source: Arora, Cohen and Hazan 2018 (arXiv:1802.06509), for whole depths.
    """
    row = _checked_row(w)
    slope = checked_gradient(gradient, row.shape)
    depth = checked_real_depth(depth)
    layers, rest = (depth, 1.0) if isfinite(depth) else (1.0, 0.0)
    size = np.linalg.norm(row)
    unit = row / size if size > 0 else row
    along = np.sum(unit * slope) * unit
    amplified = rest * slope + (layers - rest) * along
    return -(size ** growth_power(depth, 2)) * amplified - weight_decay * layers * row


def _checked_row(w: ArrayLike) -> np.ndarray:
    row = np.asarray(w, dtype=np.float64)
    if row.ndim not in (1, 2) or (row.ndim == 2 and row.shape[0] != 1) or not row.size:
        raise InputError(f"w must be a row of shape (n,) or (1, n); got shape {row.shape}.")
    if not np.all(np.isfinite(row)):
        raise InputError("w has entries that are not finite.")
    return row


@dataclass(frozen=True, eq=False)
class MomentumForm:
    """One step of descent on two layers ``w = w_1 omega_2``, read as a step with momentum.

    Attributes
    ----------
    rate
        ``rho_t = eta omega_2^2``, the adaptive learning rate.
    decay
        ``gamma_t = eta <w_1, g> / omega_2``. As `w` itself is a combination of past gradients,
        ``-gamma_t w`` is momentum; it is negative while the second layer grows.
    updated
        ``w - rho_t g - gamma_t w``, ``(n,)``.
    cross_term
        ``eta^2 omega_2 <w_1, g> g``, ``(n,)``: what descent on the layers adds to ``updated``.
    """

    rate: float
    decay: float
    updated: np.ndarray
    cross_term: np.ndarray


def momentum_form(
    first: ArrayLike, second: float, gradient: ArrayLike, learning_rate: float
) -> MomentumForm:
    """Descent on a vector and a scalar layer as a momentum step of their product.

        w(t+1) = w(t) - rho_t g(t) - gamma_t w(t) + eta^2 omega_2 <w_1, g> g

    is exact, and the last term is of second order in the learning rate ``eta``. The layers need
    not be balanced.

    Parameters
    ----------
    first
        ``w_1``, ``(n,)``.
    second
        ``omega_2``, not zero.
    gradient
        `g` of the loss at ``w = w_1 omega_2``, ``(n,)``.
    learning_rate
        ``eta``.

    Raises
    ------
    InputError
        If ``second`` is zero or not finite, the learning rate is not positive and finite, or the
        shapes differ.

    Notes
    -----
    Source: Arora, Cohen and Hazan 2018 (arXiv:1802.06509), which leaves the last term out.
    """
    if not isinstance(second, Real) or not np.isfinite(second) or second == 0:
        raise InputError(f"second must be a finite number other than zero; got {second!r}.")
    learning_rate = checked_positive("learning_rate", learning_rate)
    layer = _checked_row(first)
    slope = checked_gradient(gradient, layer.shape)
    inner = float(np.sum(layer * slope))
    rate, decay = learning_rate * second**2, learning_rate * inner / second
    w = layer * second
    updated = w - rate * slope - decay * w
    return MomentumForm(rate, decay, updated, learning_rate**2 * second * inner * slope)
