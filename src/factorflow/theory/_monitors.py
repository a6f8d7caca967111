"""The bounds of the theory as monitors of a run."""

from collections.abc import Sequence
from itertools import pairwise
from numbers import Real

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from factorflow._errors import InputError
from factorflow.factorizations import AbstractTensorFactorization
from factorflow.problems import Completion
from factorflow.theory._determinant import (
    QuasiNorm,
    distance_bound,
    effective_rank_bound,
    norm_bound,
    unobserved_entry_bound,
)
from factorflow.trajectories import (
    Monitor,
    Snapshot,
    determinant_sign,
    effective_rank_of,
    unbalancedness,
)


def determinant_sign_monitor(sign: int) -> Monitor:
    """The determinant keeps this sign, as it does along balanced gradient flow.

    The margin is 1 while it does and -1 where it does not, also where the determinant is zero. The
    sign is that of :func:`trajectories.determinant_sign`, by the factors and not by the product
    where that can be.

    Parameters
    ----------
    sign
        1 or -1; :func:`blow_up_sign` gives that of the 2x2 problem.

    Raises
    ------
    InputError
        If it is neither. In the run, if the matrix is not square.

    Notes
    -----
    Source: Razin and Cohen 2020 (arXiv:2005.06398). Descent does not keep it: its steps can go
    across the singular matrices. Nor does a :class:`GradientFlow` on two layers, once the
    determinant is below what its tolerance resolves, however small that is. ``EndToEndFlow`` on
    ``LogSVD`` keeps it exactly.
    """
    if sign not in (1, -1):
        raise InputError(f"sign must be 1 or -1; got {sign!r}.")
    text = f"the determinant is {'positive' if sign > 0 else 'negative'}"
    return Monitor("determinant_sign", _SameSign(float(sign)), description=text)


def unobserved_entry_monitor(problem: Completion, tolerance: float = 0.0) -> Monitor:
    """``|w_11|`` is at least :func:`unobserved_entry_bound`.

    It applies once ``s < min(|z|, |z'|)``. As the bound is for one sign of the determinant, a
    violation says that the run began with the other or changed it on the way.

    Parameters
    ----------
    problem
        2x2 with all entries but the first observed.
    tolerance
        Room for rounding.

    Raises
    ------
    InputError
        If the problem is of another form.
    """
    margin = _EntryMargin(_values(problem))
    text = "|w_11| >= (|z| - s) (|z'| - s) / (|epsilon| + s), s the norm of the residual"
    return Monitor("unobserved_entry", margin, tolerance, text)


def distance_monitor(
    problem: Completion, *, published: bool = False, tolerance: float = 1e-12
) -> Monitor:
    """The distance from the matrices of rank 1 is at most :func:`distance_bound`.

    Parameters
    ----------
    problem, tolerance
        As for :func:`unobserved_entry_monitor`.
    published
        Whether to check the wider published bound.

    Raises
    ------
    InputError
        If the problem is of another form, or its values are not those of the published bound.
    """
    values = _values(problem)
    distance_bound(1.0, values, published=published)  # refuses what it is not for
    text = "distance from rank 1 <= " + ("3 s" if published else "|epsilon| + s")
    return Monitor("distance_from_rank_1", _DistanceMargin(values, published), tolerance, text)


def effective_rank_monitor(
    problem: Completion, *, published: bool = False, tolerance: float = 1e-12
) -> Monitor:
    """The effective rank is at most :func:`effective_rank_bound`.

    Parameters
    ----------
    problem, tolerance
        As for :func:`unobserved_entry_monitor`.
    published
        Whether to check the wider published bound.

    Raises
    ------
    InputError
        If the problem is of another form, or its values are not those of the published bound.
    """
    values = _values(problem)
    effective_rank_bound(1.0, values, published=published)
    text = f"effective rank <= its {'published ' if published else ''}bound by the loss"
    return Monitor("effective_rank", _RankMargin(values, published), tolerance, text)


def norm_monitor(problem: Completion, norm: QuasiNorm | float, tolerance: float = 0.0) -> Monitor:
    """A norm or quasi-norm is at least :func:`norm_bound`; it applies where that is positive.

    Parameters
    ----------
    problem, tolerance
        As for :func:`unobserved_entry_monitor`.
    norm
        A :class:`QuasiNorm`, or `p` of a Schatten (quasi-)norm.

    Raises
    ------
    InputError
        If the problem is of another form, or the norm is none.
    """
    if not isinstance(norm, QuasiNorm):
        if isinstance(norm, bool) or not isinstance(norm, Real):
            raise InputError(f"norm must be a QuasiNorm or p of a Schatten norm; got {norm!r}.")
        norm = QuasiNorm.schatten(float(norm))
    text = "||W|| >= a |z z'| / (|epsilon| + s) - b"
    return Monitor("norm", _NormMargin(_values(problem), norm), tolerance, text)


def unbalancedness_monitor(bound: float) -> Monitor:
    """The unbalancedness, :func:`trajectories.unbalancedness`, is at most this.

    For factorizations whose factors are the layers of a product, as :class:`DeepLinear`, and of
    tensors, as :class:`CP`.

    Parameters
    ----------
    bound
        0 or more; the certificate of descent has one.

    Raises
    ------
    InputError
        If it is not. In the run, if the factors are no layers.
    """
    if isinstance(bound, bool) or not isinstance(bound, Real) or not bound >= 0:
        raise InputError(f"bound must be a number of 0 or more; got {bound!r}.")
    text = f"unbalancedness <= {bound:g}"
    return Monitor("unbalancedness", _Balance(float(bound)), description=text)


def deficiency_margin_monitor(target: np.ndarray, margin: float, tolerance: float = 0.0) -> Monitor:
    """``sigma_min(W) >= c``, which a run from a start with deficiency margin `c` keeps.

    Parameters
    ----------
    target
        `Phi`, ``(m, n)``.
    margin
        `c`, such as :func:`deficiency_margin` of the start.
    tolerance
        Room for rounding.

    Raises
    ------
    InputError
        If `c` is not positive or above ``sigma_min(Phi)``. In the run, if the shape is another.

    Notes
    -----
    Source: Arora, Cohen, Golowich and Hu 2019 (arXiv:1810.02281).
    """
    target = np.asarray(target, float)
    if target.ndim != 2:
        raise InputError(f"target must be a matrix; got an array of shape {target.shape}.")
    least = float(np.linalg.svd(target, compute_uv=False)[-1])
    if not 0 < margin <= least:
        raise InputError(
            f"margin must be positive and at most sigma_min(target) = {least:.6g}; got {margin!r}."
        )
    text = f"sigma_min(W) >= {margin:g}"
    check = _LeastValue(target.shape, float(margin))
    return Monitor("deficiency_margin", check, tolerance, text)


def _values(problem: Completion) -> tuple[float, float, float]:
    """``(z, z', epsilon)`` of the 2x2 problem."""
    if not isinstance(problem, Completion):
        raise InputError(f"problem must be a Completion; got {type(problem).__name__}.")
    cells = dict(zip(zip(problem.rows, problem.columns, strict=True), problem.values, strict=True))
    if problem.shape != (2, 2) or set(cells) != {(0, 1), (1, 0), (1, 1)}:
        raise InputError(
            "The bounds are for a 2x2 problem with all entries but the first observed; this one "
            f"has shape {problem.shape} and {len(cells)} observed entries."
        )
    values = float(cells[0, 1]), float(cells[1, 0]), float(cells[1, 1])
    unobserved_entry_bound(1.0, values)  # refuses z or z' of zero
    return values


def _sum_of_squares(snapshot: Snapshot) -> jax.Array:
    """``l``: the loss of a run is the mean over the three observations."""
    return 3 * snapshot.train_loss


class _SameSign(eqx.Module):
    sign: float

    def __call__(self, snapshot: Snapshot) -> jax.Array:
        return jnp.where(determinant_sign().function(snapshot) == self.sign, 1.0, -1.0)


class _EntryMargin(eqx.Module):
    values: tuple[float, float, float] = eqx.field(static=True)

    def __call__(self, snapshot: Snapshot) -> jax.Array:
        bound = unobserved_entry_bound(_sum_of_squares(snapshot), self.values)
        return jnp.where(bound > 0, jnp.abs(snapshot.matrix[0, 0]) - bound, jnp.inf)


class _DistanceMargin(eqx.Module):
    values: tuple[float, float, float] = eqx.field(static=True)
    published: bool = eqx.field(static=True)

    def __call__(self, snapshot: Snapshot) -> jax.Array:
        spectrum = snapshot.singular_values
        second = spectrum[1] if spectrum.size > 1 else jnp.zeros(())
        loss = _sum_of_squares(snapshot)
        return distance_bound(loss, self.values, published=self.published) - second


class _RankMargin(eqx.Module):
    values: tuple[float, float, float] = eqx.field(static=True)
    published: bool = eqx.field(static=True)

    def __call__(self, snapshot: Snapshot) -> jax.Array:
        loss = _sum_of_squares(snapshot)
        bound = effective_rank_bound(loss, self.values, published=self.published)
        return bound - effective_rank_of(snapshot.singular_values)


class _NormMargin(eqx.Module):
    values: tuple[float, float, float] = eqx.field(static=True)
    norm: QuasiNorm

    def __call__(self, snapshot: Snapshot) -> jax.Array:
        bound = norm_bound(_sum_of_squares(snapshot), self.norm, self.values)
        return jnp.where(bound > 0, self.norm.function(snapshot.matrix) - bound, jnp.inf)


class _Balance(eqx.Module):
    bound: float

    def __call__(self, snapshot: Snapshot) -> jax.Array:
        if not isinstance(snapshot.factorization, AbstractTensorFactorization):
            _check_layers(snapshot.factors)
        return self.bound - unbalancedness().function(snapshot)


class _LeastValue(eqx.Module):
    shape: tuple[int, ...] = eqx.field(static=True)
    least: float

    def __call__(self, snapshot: Snapshot) -> jax.Array:
        if tuple(snapshot.shape) != self.shape:
            raise InputError(
                f"The monitor's target has shape {self.shape}; the run has {snapshot.shape}."
            )
        spectrum = snapshot.singular_values
        full = spectrum.size == min(self.shape)  # thinner networks have rank to spare
        return (spectrum[-1] if full else jnp.zeros(())) - self.least


def _check_layers(factors: Sequence[jax.Array]) -> None:
    shapes = [factor.shape for factor in factors]
    matrices = all(len(shape) == 2 for shape in shapes)
    if not matrices or any(a[0] != b[1] for a, b in pairwise(shapes)):
        raise InputError(
            "unbalancedness is of the layers of a product, each a matrix; the factors of this "
            f"run have the shapes {shapes}."
        )
