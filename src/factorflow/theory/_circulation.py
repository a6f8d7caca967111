"""Is an update the gradient of anything? Circulation and curl of a field."""

from collections.abc import Callable
from math import isfinite
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from factorflow._errors import InputError
from factorflow.factorizations import checked_real_depth, growth_power
from factorflow.theory._single_output import single_output_velocity

Field: TypeAlias = Callable[[np.ndarray], np.ndarray]


def acceleration_field(gradient: Field | ArrayLike, depth: float) -> Field:
    """The field along which a balanced product with one output descends.

        F(w) = ||w||^(2 - 2/N) (g(w) + (N - 1) Pr_w g(w))

    Parameters
    ----------
    gradient
        `g`, the gradient of the loss: a function of ``w`` ``(n,)``, or the constant vector of a
        linear loss.
    depth
        `N`, a real number of 1 or more, or infinity: then the field divided by `N`.

    Returns
    -------
    callable
        From ``(n,)`` to ``(n,)``.

    Raises
    ------
    InputError
        If the depth is none.

    Notes
    -----
    Source: Arora, Cohen and Hazan 2018 (arXiv:1802.06509).
    """
    depth = checked_real_depth(depth)
    slope: Field = gradient if callable(gradient) else _constant(gradient)
    return lambda w: -single_output_velocity(w, slope(w), depth)


def _constant(gradient: ArrayLike) -> Field:
    vector = np.asarray(gradient, dtype=np.float64)
    return lambda w: vector


def circulation(field: Field, r: float, R: float, direction: ArrayLike, nodes: int = 64) -> float:
    r"""The line integral of a field around the closed curve ``Gamma(r, R)``.

    With the unit vector ``e`` of ``direction``, the curve goes straight from ``-R e`` to ``-r e``,
    by half a circle of radius `r` to ``r e``, straight to ``R e`` and by half a circle of radius
    `R` back. It shuns the origin, where fields such as :func:`acceleration_field` need not be
    smooth. A field that is a gradient has no circulation around any closed curve.

    Parameters
    ----------
    field
        From ``(n,)`` to ``(n,)``, with ``n >= 2``.
    r, R
        Radii, ``0 < r < R``.
    direction
        ``(n,)``, not zero; for the theorem the gradient at the origin. Both half circles lie in
        its plane with the coordinate axis that is farthest from it, on one side.
    nodes
        Of the Gauss-Legendre rule on each of the four pieces.

    Returns
    -------
    float
        ``oint <F, dw>``.

    Raises
    ------
    InputError
        If the radii or the direction are unusable.

    Notes
    -----
    Source of the curve: Arora, Cohen and Hazan 2018 (arXiv:1802.06509), who prove with it that
    depth amounts to no regularizer.
    """
    _check_radii(r, R)
    e, side = _plane(direction)
    spots, weights = np.polynomial.legendre.leggauss(nodes)
    # In the logarithm of the radius a power law is smooth however small r is.
    logs = np.log(r) + (spots + 1) / 2 * np.log(R / r)
    radii, angles = np.exp(logs), (spots + 1) / 2 * np.pi
    total = 0.0
    for radius, angle, weight in zip(radii, angles, weights, strict=True):
        lines = field(radius * e) + field(-radius * e)
        total += weight / 2 * np.log(R / r) * radius * (lines @ e)
        out = -np.cos(angle) * e + np.sin(angle) * side  # from -e over the side to e
        tangent = np.sin(angle) * e + np.cos(angle) * side
        arcs = r * field(r * out) - R * field(R * out)
        total += weight / 2 * np.pi * (arcs @ tangent)
    return float(total)


def linear_loss_circulation(
    gradient: ArrayLike, depth: float, r: float, R: float, direction: ArrayLike | None = None
) -> float:
    """Circulation of :func:`acceleration_field` of a linear loss, in closed form.

        oint F = 2 <g, e> (R^(3 - 2/N) - r^(3 - 2/N)) (N^2 / (3N - 2) - 1)

    It vanishes at depth 1 and at depth 2, where ``F = grad(||w|| <g, w>)``, and is positive above
    (negative between 1 and 2). So for a depth above 2, no function has the gradient `F`; at depth
    2 a linear loss cannot show it, but :func:`acceleration_curl` of a curved one does.

    Parameters
    ----------
    gradient
        The constant gradient `g`, ``(n,)``.
    depth
        `N`, a real number of 1 or more, or infinity: then divided by `N`.
    r, R
        Radii, ``0 < r < R``.
    direction
        ``e`` up to its length; `g` by default, so that ``<g, e> = ||g||``.

    Raises
    ------
    InputError
        If the depth, the radii or the direction are unusable.

    Notes
    -----
    Derived: on the straight pieces ``<F, e> = N |s|^(2-2/N) <g, e>``, on the half circles only the
    first part of `F` is tangential and it is a constant. Arora, Cohen and Hazan 2018
    (arXiv:1802.06509) show that the circulation is not zero.
    """
    depth = checked_real_depth(depth)
    _check_radii(r, R)
    slope = np.asarray(gradient, dtype=np.float64)
    e, _ = _plane(slope if direction is None else direction)
    power = growth_power(depth, 3)
    shape = (depth - 1) * (depth - 2) / (3 * depth - 2) if isfinite(depth) else 1 / 3
    return float(2 * (slope @ e) * (R**power - r**power) * shape)


def curl(field: Field, point: ArrayLike, step: float = 1e-3) -> np.ndarray:
    """``J - J^T`` of the Jacobian ``J_ij = dF_i / dw_j`` of a field.

    Zero at every point of a region without holes if and only if the field is a gradient there.

    Parameters
    ----------
    field
        From ``(n,)`` to ``(n,)``, smooth around the point.
    point
        ``(n,)``.
    step
        Of the central differences of fourth order, relative to the norm of the point.

    Returns
    -------
    numpy.ndarray
        ``(n, n)``, antisymmetric; twice the antisymmetric part of the Jacobian. By Stokes, ``a^T
        (J - J^T) b`` is the circulation per area around a small loop that turns from `b` to `a`.
    """
    at = np.asarray(point, dtype=np.float64)
    width = step * (float(np.linalg.norm(at)) or 1.0)
    columns = []
    for axis in np.eye(at.size) * width:
        near = np.asarray(field(at + axis)) - field(at - axis)
        far = np.asarray(field(at + 2 * axis)) - field(at - 2 * axis)
        columns.append((8 * near - far) / (12 * width))
    jacobian = np.stack(columns, axis=1)
    return jacobian - jacobian.T


def acceleration_curl(
    w: ArrayLike, gradient: ArrayLike, hessian: ArrayLike, depth: float
) -> np.ndarray:
    """``J - J^T`` of :func:`acceleration_field`, in closed form.

        (N - 1) ||w||^(-2/N) ( ((N - 2)/N) (w g^T - g w^T) + w (H w)^T - (H w) w^T )

    At depth 2 the first part vanishes: there the field of a quadratic loss ``w^T A w / 2`` has
    the curl ``(w (A w)^T - (A w) w^T) / ||w||``, which is zero only at eigenvectors of `A`.

    Parameters
    ----------
    w
        ``(n,)``, not zero.
    gradient, hessian
        `g` ``(n,)`` and `H` ``(n, n)`` of the loss there.
    depth
        `N`, a real number of 1 or more, or infinity: then divided by `N`.

    Returns
    -------
    numpy.ndarray
        ``(n, n)``.

    Raises
    ------
    InputError
        If `w` is zero or the depth is none.

    Notes
    -----
    Derived; compared with :func:`curl` in the tests.
    """
    depth = checked_real_depth(depth)
    point, slope = np.asarray(w, dtype=np.float64), np.asarray(gradient, dtype=np.float64)
    size = float(np.linalg.norm(point))
    if size == 0:
        raise InputError("w must not be zero: the field has no Jacobian there.")
    front, share = ((depth - 1), (depth - 2) / depth) if isfinite(depth) else (1.0, 1.0)
    # One vector carries both parts, as w w^T has no antisymmetric part.
    turned = np.outer(point, share * slope + np.asarray(hessian) @ point)
    return front * size ** growth_power(depth, 0) * (turned - turned.T)


def _check_radii(r: float, R: float) -> None:
    if not 0 < r < R < np.inf:
        raise InputError(f"The radii must satisfy 0 < r < R; got r = {r!r} and R = {R!r}.")


def _plane(direction: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The unit vector, and one at right angles to it."""
    given = np.asarray(direction, dtype=np.float64)
    size = float(np.linalg.norm(given))
    if given.ndim != 1 or given.size < 2 or not 0 < size < np.inf:
        raise InputError(
            "direction must be a finite vector of two or more entries, not all zero; "
            f"got shape {given.shape} and norm {size:g}."
        )
    e = given / size
    axis = np.zeros_like(e)
    axis[np.argmin(np.abs(e))] = 1
    side = axis - (axis @ e) * e
    return e, side / np.linalg.norm(side)
