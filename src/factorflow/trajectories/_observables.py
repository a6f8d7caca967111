"""The quantities that a run can record, each a function of a snapshot."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from factorflow._errors import InputError
from factorflow.factorizations import AbstractTensorFactorization, DeepLinear
from factorflow.trajectories._snapshot import Snapshot
from factorflow.trajectories._spectrum import effective_rank_of, schatten_norm_of


class Observable(eqx.Module):
    """A named quantity of a run: ``function(snapshot)`` gives a number or an array.

    Parameters
    ----------
    name
        Name of the variable in the trajectory.
    function
        From a :class:`Snapshot` to a JAX number or array; traced and compiled.
    dims
        Names of the dimensions of the array, if it is one.
    units, description
        Attributes of the variable in the trajectory.
    """

    name: str = eqx.field(static=True)
    function: Callable[[Snapshot], Any]
    dims: tuple[str, ...] = eqx.field(static=True, default=())
    units: str = eqx.field(static=True, default="1")
    description: str = eqx.field(static=True, default="")


def train_loss() -> Observable:
    """The loss that the dynamics descends."""
    text = "mean over observations of half the squared residual"
    return Observable("train_loss", _train_loss, units="value^2", description=text)


def train_error() -> Observable:
    """Twice the loss: with squared losses the mean squared residual over the observed entries."""
    text = "twice the train loss (squared: the mean squared residual over the observed entries)"
    return Observable("train_error", _train_error, units="value^2", description=text)


def gradient_norm() -> Observable:
    """Euclidean norm of the gradient of the loss with respect to all factors."""
    text = "norm of the gradient with respect to all factors"
    return Observable("gradient_norm", _gradient_norm, description=text)


def singular_values(k: int | None = None) -> Observable:
    """The ``k`` largest singular values of the end-to-end matrix, or all of them."""
    if k is not None and k < 1:
        raise InputError(f"k must be 1 or more singular values, or None for all; got {k!r}.")
    return Observable(
        "singular_values",
        _Largest(k),
        ("component",),
        units="value",
        description="singular values of the end-to-end matrix, descending",
    )


def effective_rank() -> Observable:
    """``exp(-sum p ln p)`` with ``p = sigma / sum(sigma)`` and ``0 ln 0 = 0``.

    Source: Roy and Vetterli 2007. It is not a number (NaN) for the zero matrix.
    """
    return Observable(
        "effective_rank",
        _effective_rank,
        description="exponential of the entropy of the normalized singular values",
    )


def nuclear_norm() -> Observable:
    """Sum of the singular values."""
    return schatten_norm(1, name="nuclear_norm")


def frobenius_norm() -> Observable:
    """Root of the sum of squared entries."""
    return schatten_norm(2, name="frobenius_norm")


def schatten_norm(p: float, name: str | None = None) -> Observable:
    """``(sum sigma^p)^(1/p)``, a norm for p of 1 or more and a quasi-norm below."""
    if not p > 0:
        raise InputError(f"p must be positive; got {p!r}.")
    return Observable(
        name or f"schatten_{p:g}_norm",
        _Schatten(p),
        units="value",
        description=f"Schatten-{p:g} {'norm' if p >= 1 else 'quasi-norm'} of the matrix",
    )


def component_norms(k: int | None = None) -> Observable:
    """The ``k`` largest norms of the components of a tensor, descending, or all of them.

    Of :class:`CP` ``c_r = prod_n ||w_r^n||``, in the units of the entries; of
    :class:`HierarchicalTucker` those of the root, which have `K` of the `L` factors: their unit is
    that of the entries to the power ``K / L``.
    """
    if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
        raise InputError(f"k must be 1 or more components, or None for all; got {k!r}.")
    return Observable(
        "component_norms",
        _LargestComponents(k),
        ("component",),
        units="",
        description="norms of the components of the end-to-end tensor, descending (units of the "
        "entries; of a hierarchical tensor a power of them)",
    )


def component_effective_rank() -> Observable:
    """``exp(-sum p ln p)`` with ``p = c / sum(c)`` over the norms `c` of :func:`component_norms`.

    A generalization of the effective rank to tensors; it is not a number (NaN) at zero.
    """
    return Observable(
        "component_effective_rank",
        _component_effective_rank,
        description="exponential of the entropy of the normalized component norms",
    )


def matrix() -> Observable:
    """The end-to-end matrix itself, ``(m, n)``: ``8 m n`` bytes a record."""
    text = "end-to-end matrix"
    return Observable("matrix", _matrix, ("row", "column"), units="value", description=text)


def tensor(order: int) -> Observable:
    """The end-to-end tensor itself, ``(d_1, ..., d_N)``: 8 bytes an entry and record.

    Parameters
    ----------
    order
        Its number `N` of axes.
    """
    dims = tuple(f"axis_{k}" for k in range(order))
    return Observable("tensor", _tensor, dims, units="value", description="end-to-end tensor")


def unbalancedness() -> Observable:
    """``max_j ||W_{j+1}^T W_{j+1} - W_j W_j^T||_F``; gradient flow conserves each difference.

    Of a tensor factorization the largest difference of the squared norms of two vectors of one
    (local) component. Zero at depth 1.

    Sources: Arora, Cohen, Golowich and Hu 2019 (arXiv:1810.02281); Razin, Maman and Cohen 2021
    (arXiv:2102.09972).
    """
    text = "largest Frobenius norm of W_{j+1}^T W_{j+1} - W_j W_j^T, or of a tensor's components"
    return Observable("unbalancedness", _unbalancedness, description=text)


def balance_gaps(factors: Sequence[Any]) -> list[Any]:
    """``W_{j+1}^T W_{j+1} - W_j W_j^T`` of NumPy or JAX factors that chain, first applied first."""
    return [after.T @ after - before @ before.T for before, after in pairwise(factors)]


def determinant_sign() -> Observable:
    """Sign of the determinant of a square end-to-end matrix: 1, -1, or 0 where it vanishes.

    Taken factor by factor where these are square, or by the factorization's own
    ``determinant_sign(factors)`` if it has one: in the product the sign is lost to rounding once
    the smallest singular value is 1e-16 of the largest.
    """
    text = "sign of the determinant"
    return Observable("determinant_sign", _determinant_sign, description=text)


# Functions and modules rather than lambdas: compiled code knows them again in the next run.


def _train_loss(snapshot: Snapshot) -> Array:
    return snapshot.train_loss


def _train_error(snapshot: Snapshot) -> Array:
    return 2 * snapshot.train_loss


def _gradient_norm(snapshot: Snapshot) -> Array:
    return snapshot.gradient_norm


def _effective_rank(snapshot: Snapshot) -> Array:
    return effective_rank_of(snapshot.singular_values)


def _tensor(snapshot: Snapshot) -> Array:
    return snapshot.tensor


def _matrix(snapshot: Snapshot) -> Array:
    return snapshot.matrix


def _determinant_sign(snapshot: Snapshot) -> Array:
    shape = snapshot.shape
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InputError(f"determinant_sign needs a square matrix; this has the shape {shape}.")
    own = getattr(snapshot.factorization, "determinant_sign", None)
    if own is not None:
        return own(snapshot.factors)
    square = all(factor.shape == shape for factor in snapshot.factors)
    if square and isinstance(snapshot.factorization, DeepLinear):
        return jnp.prod(jnp.linalg.slogdet(jnp.stack(snapshot.factors))[0])
    return jnp.linalg.slogdet(snapshot.matrix)[0]


def _unbalancedness(snapshot: Snapshot) -> Array:
    if isinstance(snapshot.factorization, AbstractTensorFactorization):
        return snapshot.factorization.unbalancedness(snapshot.factors)
    sizes = [jnp.linalg.norm(gap) for gap in balance_gaps(snapshot.factors)]
    return jnp.max(jnp.stack(sizes)) if sizes else jnp.zeros(())


def _component_effective_rank(snapshot: Snapshot) -> Array:
    return effective_rank_of(snapshot.component_norms[-1])


class _LargestComponents(eqx.Module):
    k: int | None = eqx.field(static=True)

    def __call__(self, snapshot: Snapshot) -> Array:
        return jnp.sort(snapshot.component_norms[-1])[::-1][: self.k]


class _Largest(eqx.Module):
    k: int | None = eqx.field(static=True)

    def __call__(self, snapshot: Snapshot) -> Array:
        return snapshot.singular_values[: self.k]


class _Schatten(eqx.Module):
    p: float = eqx.field(static=True)

    def __call__(self, snapshot: Snapshot) -> Array:
        return schatten_norm_of(snapshot.singular_values, self.p)
