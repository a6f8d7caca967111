"""A linear model fitted to samples, by squares or by a higher power."""

from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow.problems._operator import digest
from factorflow.problems._regression_loss import RegressionLoss
from factorflow.problems._route import check_route

_NULL = 1e-12  # of the largest singular value of the inputs, below which a direction is empty


@dataclass(frozen=True, eq=False)
class Regression:
    """Samples ``(x_i, y_i)`` of a linear model ``y = W x``; `W`, ``(d_out, d_in)``, is unknown.

        L(W) = 1/p sum_i (1/q) sum_k |(W x_i - y_i)_k|^q,      q = power

    With ``power=2`` it is the mean over samples of half the squared residual; a higher power
    weighs the worst samples most.

    Attributes
    ----------
    inputs
        ``x_i`` in rows, ``(p, d_in)``, finite. Give a column of ones for an intercept, or
        :meth:`standardized` data.
    targets
        ``y_i`` in rows, ``(p, d_out)``, finite; ``(p,)`` will do for one output.
    power
        `q`, 1 or more.

    Raises
    ------
    InputError
        If an array has another shape or a value that is not finite, they are not of one length,
        or the power is below 1.

    Notes
    -----
    What solvers call the train error is twice the loss, the mean squared residual, only with
    ``power=2``. Regression by the fourth power is an experiment of Arora, Cohen and Hazan 2018
    (arXiv:1802.06509).
    """

    inputs: np.ndarray = field(repr=False)
    targets: np.ndarray = field(repr=False)
    power: float = 2

    def __post_init__(self):
        inputs = _checked_table(self.inputs, "inputs")
        targets = np.asarray(self.targets)
        targets = _checked_table(targets[:, None] if targets.ndim == 1 else targets, "targets")
        if len(inputs) != len(targets):
            raise InputError(
                f"There are {len(inputs)} rows of inputs and {len(targets)} of targets; give one "
                "target for each sample."
            )
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "targets", targets)
        object.__setattr__(self, "power", _checked_power(self.power))

    @property
    def shape(self) -> tuple[int, int]:
        """``(d_out, d_in)`` of the matrix that is sought."""
        return self.targets.shape[1], self.inputs.shape[1]

    @property
    def n_samples(self) -> int:
        """Number `p` of samples."""
        return len(self.inputs)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the power and the samples, in hexadecimal."""
        return digest(self.shape, [np.array([self.power], float), self.inputs, self.targets])

    def standardized(self) -> "Regression":
        """The same samples with every input and every output of mean 0 and variance 1.

        Raises
        ------
        InputError
            If an input or an output is the same in all samples.
        """
        inputs = _standardized(self.inputs, "inputs")
        return Regression(inputs, _standardized(self.targets, "targets"), self.power)

    def whitened(self) -> "Regression":
        """The same samples with inputs ``x' = C^(-1/2) x``, where ``C = 1/p sum_i x_i x_i^T``.

        Then ``C' = I``, and with ``power=2``

            L(W) = 1/2 ||W - F||_F^2 + constant,      F = 1/p sum_i y_i x'_i^T.

        Of all whitened inputs these are nearest to the given ones (in mean square). Means are
        left as they are: whiten what is :meth:`standardized` if they are to be zero.

        Raises
        ------
        InputError
            If the inputs do not span all their directions.
        """
        left, values, right = np.linalg.svd(self.inputs, full_matrices=False)
        n_spanned = int(np.sum(values > _NULL * values[0]))
        if n_spanned < self.shape[1]:
            raise InputError(
                f"The inputs span {n_spanned} of {self.shape[1]} directions, and whitening needs "
                "all; give more samples or leave out inputs that depend on others."
            )
        return Regression(np.sqrt(self.n_samples) * left @ right, self.targets, self.power)

    def loss(self, factorization: Any, route: str = "auto") -> RegressionLoss:
        """The loss of the factors of a factorization, by plain JAX on any device.

        Raises
        ------
        InputError
            If `route` is neither ``"auto"`` nor ``"dense"``.
        """
        check_route(route, ("auto", "dense"))
        return RegressionLoss(factorization, self.inputs, self.targets, self.power)


def _checked_table(given: Any, name: str) -> np.ndarray:
    """A finite float64 matrix of its own that cannot be written to."""
    array = np.asarray(given)
    if array.ndim != 2 or not array.size:
        raise InputError(
            f"{name} must be a table with a row for each sample; got an array of shape "
            f"{array.shape}."
        )
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} must be real numbers; got an array of {array.dtype}.")
    array = np.array(array, np.float64, order="C")
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise InputError(f"{name} must be finite; row {row} has a value that is not.")
    array.setflags(write=False)
    return array


def _checked_power(power: Any) -> float:
    real = isinstance(power, Real) and not isinstance(power, bool)
    if not real or not 1 <= float(power) < np.inf:
        raise InputError(f"power must be a finite number of 1 or more; got {power!r}.")
    number = float(power)
    return int(number) if number.is_integer() else number


def _standardized(table: np.ndarray, name: str) -> np.ndarray:
    centred = table - table.mean(axis=0)
    deviations = np.sqrt(np.mean(centred**2, axis=0))
    constant = np.ptp(table, axis=0) == 0
    if constant.any():
        raise InputError(
            f"Column {int(np.argmax(constant))} of the {name} is the same in all samples and "
            "cannot be given variance 1; leave it out."
        )
    return centred / deviations
