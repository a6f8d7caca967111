"""The spectrum by which a balanced product of any real depth preconditions its gradient."""

from math import isfinite
from numbers import Real

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from factorflow._errors import InputError
from factorflow._x64 import double_precision


def checked_real_depth(depth: float) -> float:
    """A real depth of 1 or more, or infinity.

    Raises
    ------
    InputError
        If it is none.
    """
    if isinstance(depth, bool) or not isinstance(depth, Real) or not float(depth) >= 1:
        raise InputError(f"depth must be a real number of 1 or more, or infinity; got {depth!r}.")
    return float(depth)


def preconditioner_eigenvalues(
    row_values: ArrayLike, column_values: ArrayLike, depth: float
) -> jax.Array:
    """Eigenvalues of the preconditioner of a balanced product, for any real depth.

    With singular values ``a`` of a left and ``b`` of a right singular vector,

        lambda(a, b) = (a^2 - b^2) / (a^(2/N) - b^(2/N)),    lambda(a, a) = N a^(2 - 2/N),

    which at a whole depth `N` is ``sum_j a^(2(N-j)/N) b^(2(j-1)/N)``. At infinite depth it is
    ``lambda / N``, which tends to the logarithmic mean ``(a^2 - b^2) / (ln a^2 - ln b^2)``.

    Parameters
    ----------
    row_values, column_values
        Singular values of 0 or more, ``(m,)`` and ``(n,)``.
    depth
        `N`, a real number of 1 or more, or infinity.

    Returns
    -------
    jax.Array
        ``(m, n)`` float64.

    Raises
    ------
    InputError
        If the depth is none.

    Notes
    -----
    Computed from ratios, so that nothing cancels between near values and nothing is lost at zero.
    Source: Arora, Cohen and Hazan 2018 (arXiv:1802.06509), Theorem 1 and Claim 1, for whole
    depths; Arora, Cohen, Hu and Luo 2019 (arXiv:1905.13655) for its use.
    """
    depth = checked_real_depth(depth)
    with double_precision():
        rows = jnp.asarray(row_values, jnp.float64)[:, None]
        columns = jnp.asarray(column_values, jnp.float64)[None, :]
        larger = jnp.maximum(rows, columns)
        gap = jnp.abs(jnp.log(rows) - jnp.log(columns))
        gap = jnp.where(jnp.isnan(gap), 0.0, gap)  # both are zero
        return larger ** growth_power(depth, 2) * spectral_factor(gap, depth)


def spectral_factor(gap: ArrayLike, depth: float) -> jax.Array:
    """``lambda(a, b) / max(a, b)^(2 - 2/N)`` as a function of ``gap = |ln a - ln b|``.

    It is ``(1 - e^(-2 gap)) / (1 - e^(-2 gap / N))``: `N` at equal values, 1 where one is zero.
    At infinite depth, divided by `N`, it is ``(1 - e^(-2 gap)) / (2 gap)``: 1 and 0.
    """
    gap = jnp.asarray(gap)
    apart = jnp.where(gap > 0, gap, 1.0)
    if not isfinite(depth):
        return jnp.where(gap > 0, -jnp.expm1(-2 * apart) / (2 * apart), 1.0)
    return jnp.where(gap > 0, jnp.expm1(-2 * apart) / jnp.expm1(-2 * apart / depth), depth)


def growth_power(depth: float, power: int = 1) -> float:
    """``power - 2/N``: a singular value grows in proportion to ``sigma^(2 - 2/N)``."""
    return power - (2 / depth if isfinite(depth) else 0.0)
