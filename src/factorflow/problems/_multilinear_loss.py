"""The loss of a multilinear model on samples."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from factorflow._errors import InputError
from factorflow._placed import placed
from factorflow._x64 import double_precision
from factorflow.problems._loss import AbstractLoss, Factors


class MultilinearLoss(AbstractLoss):
    """Mean over samples of half the squared residual of what a tensor makes of their vectors.

        L(T) = 1/(2 p) sum_i (<T, x_i1 (x) ... (x) x_iN> - y_i)^2

    The tensor is never formed: a sample costs the products of its vectors with the factors, and
    memory is that of the features, ``8 p R`` bytes for each mode of width `R`.

    Parameters
    ----------
    factorization
        Any factorization of tensors.
    inputs
        A matrix ``(p, d_n)`` for each mode.
    targets
        ``(p,)``.

    Raises
    ------
    InputError
        If the factorization is none of tensors; when called, if the factors make a tensor of
        another shape.
    """

    route: ClassVar[str] = "samples"
    factorization: Any = eqx.field(static=True)
    inputs: tuple[jax.Array, ...]
    targets: jax.Array

    def __init__(self, factorization: Any, inputs: Sequence[Any], targets: Any):
        check_evaluates(factorization)
        self.factorization = factorization
        with double_precision():
            self.inputs = tuple(placed(each, jnp.float64) for each in inputs)
            self.targets = placed(targets, jnp.float64)

    def __call__(self, factors: Factors) -> jax.Array:
        with double_precision():
            check_sizes(self.factorization.sizes(factors), self.inputs)
            residuals = self.factorization.evaluate(factors, self.inputs) - self.targets
            return jnp.mean(residuals**2) / 2


def check_evaluates(factorization: Any) -> None:
    """Refuse what cannot be evaluated on vectors of each mode.

    Raises
    ------
    InputError
        If it is no factorization of tensors.
    """
    if not hasattr(factorization, "evaluate"):
        raise InputError(
            "A multilinear model is written by a factorization of tensors, such as CP or "
            f"HierarchicalTucker, at two modes too; got {factorization!r}."
        )


def check_sizes(sizes: Sequence[int], inputs: Sequence[Any]) -> None:
    """Refuse factors whose tensor has other sizes than the vectors of the samples.

    Raises
    ------
    InputError
        If it has.
    """
    wanted = tuple(each.shape[1] for each in inputs)
    if tuple(sizes) != wanted:
        raise InputError(
            f"The factors make a tensor of shape {tuple(sizes)}, the problem is of shape {wanted}."
        )
