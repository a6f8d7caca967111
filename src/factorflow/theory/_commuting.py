"""The flow of commuting measurements in closed form: eigenvalues and exposure."""

from numbers import Real

import numpy as np

from factorflow._errors import InputError


def commuting_eigenvalues(depth: float, scale: float, exposure: np.ndarray) -> np.ndarray:
    r"""Eigenvalues of the end-to-end matrix of a flow under commuting measurements.

    Let the symmetric ``A_1, ..., A_p`` commute and every layer start at ``scale^(1/N) I``, so that
    the product starts at ``scale I``. Then all layers stay equal and diagonal in the common
    eigenbasis, and an eigenvalue ``w_k`` of the product depends on the past through one number
    alone, its exposure

        S_k = eig_k(sum_i s_i A_i),    s_i(t) = -int_0^t dl/d<A_i, W> dt,

    which for the mean of half the squared residuals is ``s_i = -(1/p) int_0^t r_i dt``; for their
    sum the factor ``1/p`` falls away. A layer's eigenvalue ``u_k`` obeys ``u' = u^(N-1) S'``, so

        w_k = scale exp(2 S_k)                                                 for N = 2,
        w_k = scale (1 - (N - 2) scale^((N-2)/N) S_k)^(-N/(N-2))               for N > 2.

    Parameters
    ----------
    depth
        `N`, a real number of 2 or more; for one that is not whole the flow is
        ``w' = -N w^(2-2/N) (dl/dW)_kk``, which whole depths obey as well.
    scale
        Scale of the product at the start, positive.
    exposure
        ``S``, any shape.

    Returns
    -------
    numpy.ndarray
        ``w``, of the same shape.

    Raises
    ------
    InputError
        If the depth or scale is unusable, or an exposure is at or above the value
        ``scale^(-(N-2)/N) / (N-2)`` at which the eigenvalue of a network of ``N > 2`` layers is
        infinite.

    Notes
    -----
    Sources: Gunasekar et al. 2017 (arXiv:1705.09280) for depth 2; Arora, Cohen, Hu and Luo 2019
    (arXiv:1905.13655) for depth 3 and above, with layers that start at ``alpha I``: there
    ``scale`` is ``alpha^N``.
    """
    power = checked_power(depth)
    relative = depth * check_scale(scale) ** power * np.asarray(exposure, dtype=np.float64)
    if power > 0 and np.any(relative * power >= 1):
        raise InputError(
            f"At depth {depth:g} and scale {scale:g} an eigenvalue is infinite at the exposure "
            f"{1 / (depth * power * scale**power):g}; got one of {np.max(exposure):g}."
        )
    return scale * np.exp(growth_of(relative, power))


def exposure_of(eigenvalues: np.ndarray, depth: float, scale: float) -> np.ndarray:
    """The exposures at which the eigenvalues are these: inverse of :func:`commuting_eigenvalues`.

    Parameters
    ----------
    eigenvalues
        ``w``, positive, any shape.
    depth, scale
        As there.

    Returns
    -------
    numpy.ndarray
        ``S``, of the same shape: ``log(w / scale) / 2`` at depth 2 and
        ``(scale^(-(N-2)/N) - w^(-(N-2)/N)) / (N - 2)`` above it.

    Raises
    ------
    InputError
        If the depth or scale is unusable, or an eigenvalue is not positive and finite.
    """
    power = checked_power(depth)
    check_scale(scale)
    given = np.asarray(eigenvalues, dtype=np.float64)
    if not np.all((given > 0) & (given < np.inf)):
        raise InputError(
            "An exposure belongs to a positive finite eigenvalue, as a flow never reaches zero; "
            f"got eigenvalues down to {np.min(given):g}."
        )
    growth = np.log(given) - np.log(scale)
    return relative_exposure(growth, power) * scale**-power / depth


# Inside, exposures are relative, R = N scale^q S with q = 1 - 2/N, and eigenvalues are written by
# their growth, tau = log(w / scale). Then R = (1 - exp(-q tau)) / q, which is tau itself at depth
# 2: one formula for all depths that neither overflows nor loses digits at any scale.


def relative_exposure(growth: np.ndarray, power: float) -> np.ndarray:
    """``(1 - exp(-q tau)) / q``, or ``tau`` where ``q`` is zero."""
    return growth if power == 0 else -np.expm1(-power * growth) / power


def growth_of(relative: np.ndarray, power: float) -> np.ndarray:
    """``-log(1 - q R) / q``, or ``R`` where ``q`` is zero: inverse of the above."""
    return relative if power == 0 else -np.log1p(-power * relative) / power


def checked_power(depth: float) -> float:
    """``q = 1 - 2/N`` of a depth that is a real number of 2 or more."""
    if isinstance(depth, bool) or not isinstance(depth, Real) or not 2 <= depth < np.inf:
        raise InputError(f"depth must be a finite number of 2 or more; got {depth!r}.")
    return 1 - 2 / float(depth)


def check_scale(scale: float) -> float:
    if isinstance(scale, bool) or not isinstance(scale, Real) or not 0 < scale < np.inf:
        raise InputError(f"scale must be a positive finite number; got {scale!r}.")
    return float(scale)
