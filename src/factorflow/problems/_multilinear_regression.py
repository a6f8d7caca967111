"""A multilinear model fitted to samples: a convolutional arithmetic circuit in training."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow._x64 import double_precision
from factorflow.problems._multilinear_loss import MultilinearLoss, check_evaluates, check_sizes
from factorflow.problems._operator import digest, real_array
from factorflow.problems._route import check_route
from factorflow.problems._sampling import split_positions


@dataclass(frozen=True, eq=False)
class MultilinearRegression:
    """Samples ``(x_i1, ..., x_iN; y_i)`` of ``y = <T, x_1 (x) ... (x) x_N>``; `T` is unknown.

        L(T) = 1/(2 p) sum_i (<T, x_i1 (x) ... (x) x_iN> - y_i)^2

    With `T` written as a CP or hierarchical Tucker factorization the model is a convolutional
    arithmetic circuit, trained on representation vectors, and nobody forms `T`.

    Attributes
    ----------
    inputs
        The vectors of each mode in rows: `N` arrays ``(p, d_n)``, finite. An array ``(p, N, M)``
        will do if all have one length.
    targets
        ``y_i``, ``(p,)``, finite. For two classes give +1 and -1.

    Raises
    ------
    InputError
        If there are fewer than two modes, an array has another shape or a value that is not
        finite, or they are not of one length.

    Notes
    -----
    What solvers call the train error is twice the loss, the mean squared residual.
    """

    inputs: tuple[np.ndarray, ...] = field(repr=False)
    targets: np.ndarray = field(repr=False)

    def __post_init__(self):
        inputs = tuple(_checked(each, n) for n, each in enumerate(_modes(self.inputs)))
        targets = real_array(self.targets, "targets", 1)
        if len(inputs) < 2:
            raise InputError(f"A multilinear model needs two modes or more; got {len(inputs)}.")
        lengths = {len(each) for each in (*inputs, targets)}
        if len(lengths) > 1:
            raise InputError(
                "Every mode must have a vector, and the targets a number, for each sample; got "
                f"{', '.join(str(len(each)) for each in inputs)} vectors and {len(targets)} "
                "targets."
            )
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "targets", targets)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(d_1, ..., d_N)`` of the tensor that is sought."""
        return tuple(each.shape[1] for each in self.inputs)

    @property
    def n_samples(self) -> int:
        """Number `p` of samples."""
        return len(self.targets)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the samples, in hexadecimal."""
        return digest(self.shape, [*self.inputs, self.targets])

    def split(
        self, fraction: float, seed: int = 0
    ) -> tuple["MultilinearRegression", "MultilinearRegression"]:
        """A random share of the samples held out.

        Parameters
        ----------
        fraction
            Share of the samples that is held out, between 0 and 1; at least one goes to each side.
        seed
            Integer of 0 or more.

        Returns
        -------
        train, held_out

        Raises
        ------
        InputError
            If the fraction is not between 0 and 1, or there is only one sample.
        """
        train, held_out = split_positions(self.n_samples, fraction, seed)
        return self._part(train), self._part(held_out)

    def predict(self, factorization: Any, factors: Sequence[Any]) -> np.ndarray:
        """What the factors make of the samples, ``(p,)``.

        Raises
        ------
        InputError
            If the factorization is none of tensors, or the factors make one of another shape.
        """
        check_evaluates(factorization)
        check_sizes(factorization.sizes(factors), self.inputs)
        with double_precision():
            return np.asarray(factorization.evaluate(factors, self.inputs))

    def accuracy(self, factorization: Any, factors: Sequence[Any]) -> float:
        """Share of the samples whose target has the sign of its prediction.

        Raises
        ------
        InputError
            As for :meth:`predict`.
        """
        predicted = self.predict(factorization, factors)
        return float(np.mean(np.sign(predicted) == np.sign(self.targets)))

    def loss(self, factorization: Any, route: str = "auto") -> MultilinearLoss:
        """The loss of the factors of a factorization, by plain JAX on any device.

        Raises
        ------
        InputError
            If the factorization is none of tensors, or `route` neither ``"auto"`` nor
            ``"samples"``.
        """
        check_route(route, ("auto", "samples"))
        return MultilinearLoss(factorization, self.inputs, self.targets)

    def _part(self, positions: np.ndarray) -> "MultilinearRegression":
        return MultilinearRegression(
            tuple(each[positions] for each in self.inputs), self.targets[positions]
        )


def _modes(inputs: Any) -> Sequence[Any]:
    """One array for each mode."""
    if not hasattr(inputs, "ndim"):
        return list(inputs)
    if inputs.ndim != 3:
        raise InputError(
            "inputs must be an array (p, N, M), or a sequence of N arrays (p, d_n); got an array "
            f"of shape {inputs.shape}."
        )
    return [inputs[:, n] for n in range(inputs.shape[1])]


def _checked(given: Any, mode: int) -> np.ndarray:
    """A finite float64 matrix of its own that cannot be written to."""
    array = np.asarray(real_array(given, f"The inputs of mode {mode}", 2), np.float64)
    array.setflags(write=False)
    return array
