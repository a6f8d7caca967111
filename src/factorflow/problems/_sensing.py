"""A matrix of which linear functions were measured."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow.problems._cells import checked_matrix_shape
from factorflow.problems._draws import entry_operator, gaussian_operator, rank_one_operator
from factorflow.problems._loss import AbstractLoss
from factorflow.problems._operator import AbstractOperator, checked_values
from factorflow.problems._sampling import (
    checked_count,
    checked_truth,
    noise_of,
    split_positions,
)


@dataclass(frozen=True, eq=False)
class Sensing:
    """Linear measurements ``y_i = <A_i, W>`` of an unknown ``(m, n)`` matrix.

    Measurements of your own are ``Sensing(DenseOperator(matrices), values)``; the class methods
    measure a known matrix at random.

    Attributes
    ----------
    operator
        The measurements: a :class:`DenseOperator` (matrices in full), :class:`RankOneOperator`
        or :class:`EntryOperator`.
    values
        ``y``, float64, shape ``(p,)``, finite; an array of the problem's own, which cannot be
        written to.
    truth
        None, or the full matrix where it is known, shape ``(m, n)``.

    Raises
    ------
    InputError
        If the operator is none, or values or truth do not fit it or are not finite.
    """

    operator: AbstractOperator
    values: np.ndarray = field(repr=False)
    truth: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self):
        if not isinstance(self.operator, AbstractOperator):
            raise InputError(
                "operator must be a DenseOperator, RankOneOperator or EntryOperator; got "
                f"{type(self.operator).__name__}. Matrices (p, m, n) go into DenseOperator(...)."
            )
        values = _checked_values(self.values, self.operator.count)
        object.__setattr__(self, "values", values)
        if self.truth is not None:
            truth = checked_truth(self.truth, self.shape)
            truth.setflags(write=False)
            object.__setattr__(self, "truth", truth)

    @classmethod
    def gaussian(
        cls,
        truth: Any,
        n_measurements: int,
        *,
        symmetric: bool = False,
        noise: float = 0.0,
        seed: int = 0,
    ) -> "Sensing":
        """Measurements of a known matrix by Gaussian matrices.

        The entries of ``A_i`` are independent, of mean 0 and variance ``1 / (m n)``, so that a
        measurement has variance ``||W||_F^2 / (m n)``, the mean square of the entries of `W`.

        Parameters
        ----------
        truth
            Finite ``(m, n)`` matrix; the problem keeps it as ``truth``.
        n_measurements
            Their number `p`. The matrices take ``4 p m n`` bytes.
        symmetric
            Whether to measure by the symmetric part ``(B_i + B_i^T) / 2`` of such draws ``B_i``;
            `truth` must be square, and only its symmetric part is measured. The variance of
            entries is ``1 / n^2`` on the diagonal and half of that off it; a symmetric matrix
            measures the same by ``B_i`` and by its symmetric part.
        noise
            Standard deviation of the Gaussian noise that is added to each value.
        seed
            Integer of 0 or more. Which matrices are drawn does not depend on `noise`.
        """
        return cls._measured(gaussian_operator, truth, n_measurements, symmetric, noise, seed)

    @classmethod
    def rank_one(
        cls,
        truth: Any,
        n_measurements: int,
        *,
        symmetric: bool = False,
        noise: float = 0.0,
        seed: int = 0,
    ) -> "Sensing":
        """Measurements ``l_i^T W r_i`` of a known matrix by Gaussian vectors.

        The entries of ``l_i`` have variance ``1 / m`` and those of ``r_i`` variance ``1 / n``, so
        that the variance of a measurement is as for :meth:`gaussian`. Parameters as there;
        `symmetric` takes ``r_i = l_i``: a measurement of a symmetric matrix then has mean
        ``tr(W) / n`` and variance ``2 ||W||_F^2 / n^2``.
        """
        return cls._measured(rank_one_operator, truth, n_measurements, symmetric, noise, seed)

    @classmethod
    def phase_retrieval(
        cls, signal: Any, n_measurements: int, *, noise: float = 0.0, seed: int = 0
    ) -> "Sensing":
        """Squared measurements ``y_i = (a_i^T x)^2`` of a signal `x`, whose signs are lost.

        They are linear in ``x x^T``, the truth: ``(a_i^T x)^2 = <a_i a_i^T, x x^T>``. The entries
        of ``a_i`` are Gaussian of variance ``1 / n``, as for ``rank_one(symmetric=True)``, so
        that ``y_i`` has mean ``||x||^2 / n``. Only `x` or ``-x`` can be told from them.

        Parameters
        ----------
        signal
            `x`, finite, shape ``(n,)``, not zero.
        n_measurements
            Their number `p`.
        noise
            Standard deviation of the Gaussian noise that is added to each value, which may make
            it negative.
        seed
            Integer of 0 or more. Which vectors are drawn does not depend on `noise`.
        """
        x = _checked_signal(signal)
        truth = x[:, None] * x
        return cls.rank_one(truth, n_measurements, symmetric=True, noise=noise, seed=seed)

    @classmethod
    def entries(
        cls,
        truth: Any,
        n_measurements: int,
        *,
        symmetric: bool = False,
        noise: float = 0.0,
        seed: int = 0,
    ) -> "Sensing":
        """Entries of a known matrix, drawn uniformly without replacement.

        The same seed draws the same cells as :meth:`Completion.sample`. Parameters as for
        :meth:`gaussian`; `symmetric` draws pairs on or above the diagonal and measures them by
        ``(e_i e_j^T + e_j e_i^T) / 2``.
        """
        return cls._measured(entry_operator, truth, n_measurements, symmetric, noise, seed)

    @property
    def shape(self) -> tuple[int, int]:
        """``(m, n)``."""
        return self.operator.shape

    @property
    def n_observed(self) -> int:
        """Number `p` of measurements."""
        return self.operator.count

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of measurements and values, in hexadecimal; the truth does not count."""
        digest = hashlib.sha256(self.operator.content_hash.encode())
        digest.update((self.values + 0.0).astype("<f8").tobytes())  # -0.0 and 0.0 are equal
        return digest.hexdigest()

    def with_values(self, values: Any) -> "Sensing":
        """The same measurements and truth with other values."""
        return Sensing(self.operator, values, self.truth)

    def split(self, fraction: float, seed: int = 0) -> tuple["Sensing", "Sensing"]:
        """A random share of the measurements held out.

        Parameters
        ----------
        fraction
            Share that is held out, between 0 and 1; at least one measurement goes to each side.
        seed
            Integer of 0 or more.

        Returns
        -------
        train, held_out
            Problems of the same shape and truth.

        Raises
        ------
        InputError
            If the fraction is not between 0 and 1, or there is only one measurement.
        """
        train, held_out = split_positions(self.n_observed, fraction, seed)
        return self._part(train), self._part(held_out)

    def loss(self, factorization: Any, route: str = "auto") -> AbstractLoss:
        """Mean over measurements of half the squared residual, as a function of the factors.

        Parameters
        ----------
        factorization
            How the matrix is written, for example ``DeepLinear(depth=3)``.
        route
            ``"dense"`` by JAX on any device; ``"fused"`` by compiled kernels on a CPU, for
            matrices in full; ``"entries"`` for single entries; ``"auto"`` takes the fastest that
            the operator has.

        Raises
        ------
        InputError
            If the operator has no such route.
        """
        return self.operator.loss(factorization, self.values, route)

    @classmethod
    def _measured(
        cls, draw: Callable, truth: Any, n_measurements: int, symmetric: bool, noise: float, seed
    ) -> "Sensing":
        truth = checked_truth(truth)
        checked_matrix_shape(truth.shape)
        count = checked_count(n_measurements, "n_measurements")
        if symmetric and truth.shape[0] != truth.shape[1]:
            raise InputError(
                f"symmetric=True needs a square truth; it has the shape {truth.shape}."
            )
        errors = noise_of(noise, count, seed, "sensing")
        operator = draw(truth.shape, count, symmetric, seed)
        return cls(operator, operator.forward(truth) + errors, truth)

    def _part(self, chosen: np.ndarray) -> "Sensing":
        return Sensing(self.operator.subset(chosen), self.values[chosen], self.truth)


def _checked_signal(signal: Any) -> np.ndarray:
    given = np.asarray(signal)
    if given.ndim != 1 or given.dtype.kind not in "biuf":
        raise InputError(
            "signal must be a vector of real numbers, shape (n,); got an array of "
            f"{given.dtype} and shape {given.shape}."
        )
    x = given.astype(np.float64)
    if not np.isfinite(x).all() or not x.any():
        raise InputError("signal must be finite and not zero everywhere.")
    return x


def _checked_values(values: Any, count: int) -> np.ndarray:
    own = checked_values(values, count).copy()
    if not np.isfinite(own).all():
        k = int(np.argmin(np.isfinite(own)))
        raise InputError(f"values must be finite; the value of measurement {k} is {own[k]}.")
    own.setflags(write=False)
    return own
