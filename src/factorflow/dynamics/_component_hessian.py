"""Gradient and Hessian of a loss of a tensor in the vectors of its components."""

from collections.abc import Sequence
from string import ascii_lowercase

import jax.numpy as jnp
from jax import Array

Factors = tuple[Array, ...]

_ONE, _OTHER = "Y", "Z"  # the axes of components


def slope_and_hessian(gradient: Array, curvature: Array, factors: Factors) -> tuple[Array, Array]:
    """Gradient and Hessian of ``L(T)`` by the factors of CP components, all in one vector.

    With the vectors ``w_r^n``, ``C = d^2 L / dT^2`` entry by entry and ``.`` for the sum over the
    modes other than `n` and `m`,

        H[n i r, m j s] = C[i j .] . w_r . w_s  w_r^m[j] w_s^n[i]  +  (r = s) dL/dT[i j .] . w_r

    and without the second term, and with ``i = j``, for ``n = m``. Nothing larger than the
    Hessian, or the tensor times the components squared, is formed.

    Parameters
    ----------
    gradient, curvature
        First and second derivative of `L` by each entry of the tensor.
    factors
        ``A_n``, ``(d_n, R)``.
    """
    modes = range(len(factors))
    slopes = [contracted(gradient, factors, [n]) for n in modes]
    upper = {
        (n, m): _block(gradient, curvature, factors, n, m) for n in modes for m in modes if n <= m
    }
    blocks = [[upper[n, m] if n <= m else upper[m, n].T for m in modes] for n in modes]
    return jnp.concatenate([slope.ravel() for slope in slopes]), jnp.block(blocks)


def contracted(tensor: Array, factors: Sequence[Array], kept: Sequence[int]) -> Array:
    """The tensor by each component in all modes but those kept, ``(d_n, .., R)``."""
    return _summed(tensor, factors, kept, _ONE)


def _block(gradient, curvature, factors: Factors, n: int, m: int) -> Array:
    """The second derivatives by the vectors of modes `n` and `m`, ``(d_n R, d_m R)``."""
    pairs = [factor[:, :, None] * factor[:, None, :] for factor in factors]
    kept = [n] if n == m else [n, m]
    bent = _summed(curvature, pairs, kept, _ONE + _OTHER)
    if n == m:
        whole = jnp.eye(len(factors[n]))[:, None, :, None] * bent[:, :, None, :]
    else:
        bent = jnp.swapaxes(bent, 1, 2)
        whole = bent * factors[m].T[None, :, :, None] * factors[n][:, None, None, :]
        slope = jnp.swapaxes(contracted(gradient, factors, kept), 1, 2)
        whole += slope[..., None] * jnp.eye(slope.shape[1])[None, :, None, :]
    return whole.reshape(factors[n].size, factors[m].size)


def _summed(tensor: Array, weights: Sequence[Array], kept: Sequence[int], labels: str) -> Array:
    """Over the other modes, weighted in each by an array of its axis and those labelled."""
    axes = ascii_lowercase[: tensor.ndim]
    rest = [k for k in range(tensor.ndim) if k not in kept]
    if not rest:  # of a matrix, alike for every component
        shape = (*tensor.shape, *weights[0].shape[1:])
        return jnp.broadcast_to(tensor.reshape(*tensor.shape, *[1] * len(labels)), shape)
    terms = ",".join([axes, *(axes[k] + labels for k in rest)])
    into = "".join(axes[k] for k in kept)
    return jnp.einsum(f"{terms}->{into}{labels}", tensor, *(weights[k] for k in rest))
