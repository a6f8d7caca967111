"""RMSprop with one scalar for all parameters, as an Optax transformation."""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from factorflow._errors import InputError


class GroupRMSPropState(NamedTuple):
    """Steps so far and the running mean of the squared norm of the gradient."""

    count: Array
    mean_square: Array


@lru_cache(maxsize=64)  # one object for one setting: compiled code knows it again
def group_rmsprop(
    learning_rate: float, decay: float = 0.99, eps: float = 1e-6
) -> optax.GradientTransformation:
    """RMSprop that divides by one scalar, the running size of the whole gradient.

    With ``g`` the gradient with respect to all parameters together,

        v <- decay v + (1 - decay) ||g||^2,
        step size = learning_rate / (sqrt(v / (1 - decay^t)) + eps),
        parameters <- parameters - step size * g.

    A global rescaling of gradient descent: the direction, and with it balancedness and every
    symmetry of the loss, is that of plain descent, where coordinate-wise RMSprop changes it.

    Parameters
    ----------
    learning_rate, decay, eps
        As above. The experiments of Arora, Cohen, Hu and Luo 2019 (arXiv:1905.13655) use
        ``decay=0.99`` and ``eps=1e-4``.

    Raises
    ------
    InputError
        If the learning rate or ``eps`` is not positive, or ``decay`` is not from 0 to below 1.
    """
    if not (learning_rate > 0 and eps > 0 and 0 <= decay < 1):
        raise InputError(
            "group_rmsprop needs learning_rate > 0, eps > 0 and 0 <= decay < 1; got "
            f"learning_rate={learning_rate}, decay={decay}, eps={eps}."
        )

    def init(params) -> GroupRMSPropState:
        return GroupRMSPropState(jnp.zeros((), int), jnp.zeros(()))

    def update(updates, state: Any, params=None):
        square = sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(updates))
        count = state.count + 1
        mean_square = decay * state.mean_square + (1 - decay) * square
        size = jnp.sqrt(mean_square / (1 - decay**count)) + eps
        scaled = jax.tree.map(lambda leaf: -learning_rate / size * leaf, updates)
        return scaled, GroupRMSPropState(count, mean_square)

    return optax.GradientTransformation(init, update)
