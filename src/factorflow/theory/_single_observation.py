"""One observation, two singular values: how one grows as a function of the other."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from factorflow._errors import InputError
from factorflow.factorizations import checked_real_depth, growth_power
from factorflow.theory._commuting import relative_exposure


@dataclass(frozen=True)
class SingleObservationRelation:
    """The curve on which two singular values move; made by :func:`single_observation_relation`.

    Attributes
    ----------
    depth
        `N`, or infinity.
    ratio
        ``alpha = a_r / a_s``.
    start, other_start
        ``sigma_r(0)`` and ``sigma_s(0)``.
    """

    depth: float
    ratio: float
    start: float
    other_start: float

    def __call__(self, other: ArrayLike) -> np.ndarray:
        """``sigma_r`` where the other value is ``sigma_s``, of the shape of ``other``.

        Below depth 2 it may be negative: such a value reaches zero and goes through.

        Raises
        ------
        InputError
            If ``other`` is not positive, or beyond what it reaches before ``sigma_r`` is infinite.
        """
        given = np.asarray(other, dtype=np.float64)
        if not np.all((given > 0) & (given < np.inf)):
            raise InputError("The other singular value must be positive and finite.")
        growth = np.log1p((given - self.other_start) / self.other_start)
        change = -self._power * self._pull * relative_exposure(growth, self._power)
        if self._power > 0 and np.any(change <= -1):
            raise InputError(
                f"At depth {self.depth:g} the other singular value stays below "
                f"{self.inverse().cap:g}, where this one is infinite; got {np.max(given):g}."
            )
        if self._power == 0:
            return self.start * (given / self.other_start) ** self.ratio
        return self.start * _signed_root(change, self._power)

    @property
    def cap(self) -> float:
        """What ``sigma_r`` approaches as ``sigma_s`` grows without bound.

        For ``N > 2`` it is ``c^(-N/(N-2))`` if the constant is positive: from equal starts,
        ``sigma_0 (1 - alpha)^(-N/(N-2))`` for ``alpha < 1``. Infinite otherwise, except for a
        ratio of zero or below.
        """
        if self._power > 0:
            left = 1 - self._pull
            with np.errstate(over="ignore"):
                grown = np.exp(-np.log(left) / self._power) if left > 0 else np.inf
            return self.start * float(grown)
        if self.ratio > 0:
            return np.inf
        return self.start if self.ratio == 0 else 0.0 if self._power == 0 else -np.inf

    @property
    def constant(self) -> float:
        """`c` of the laws, from the two starts."""
        if self._power == 0:
            return self.start * self.other_start**-self.ratio
        return self.start**-self._power - self.ratio * self.other_start**-self._power

    def inverse(self) -> "SingleObservationRelation":
        """``sigma_s`` as a function of ``sigma_r``.

        Raises
        ------
        InputError
            If the ratio is zero: then ``sigma_r`` is constant.
        """
        if self.ratio == 0:
            raise InputError("A relation of ratio 0 has no inverse: its value is constant.")
        return SingleObservationRelation(self.depth, 1 / self.ratio, self.other_start, self.start)

    @property
    def _power(self) -> float:
        return growth_power(self.depth)

    @property
    def _pull(self) -> float:
        """``alpha (sigma_r(0) / sigma_s(0))^q`` with ``q = 1 - 2/N``."""
        return self.ratio * (self.start / self.other_start) ** self._power


def _signed_root(change: np.ndarray, power: float) -> np.ndarray:
    """``(1 + x)^(-1/q)``, odd in ``1 + x``; accurate for small `x` and `q`."""
    folded = np.where(change < -1, -2 - change, change)
    with np.errstate(divide="ignore"):
        return np.sign(1 + change) * np.exp(-np.log1p(folded) / power)


def single_observation_relation(
    depth: float, ratio: float, start: float, other_start: float | None = None
) -> SingleObservationRelation:
    """One singular value as a function of another, under a single observation.

    For the loss ``(1/2) (<A, W> - y)^2`` with ``A`` diagonal in the singular vectors, which then
    stay, ``a_r = <u_r, A v_r>`` and ``alpha = a_r / a_s``, gradient flow of balanced layers keeps

        sigma_r = alpha sigma_s + c                                          for N = 1,
        sigma_r = c sigma_s^alpha                                            for N = 2,
        sigma_r = (alpha sigma_s^(-(N-2)/N) + c)^(-N/(N-2))                  otherwise,

    the last being the first at ``N = 1``. So for ``0 < alpha < 1`` the gap between the two grows
    linearly at depth 1 and polynomially at depth 2; above it, ``sigma_r`` has a finite cap that
    is in proportion to the start, however large ``sigma_s`` becomes.

    Parameters
    ----------
    depth
        `N`, a real number of 1 or more, or infinity, where ``(N-2)/N`` is 1.
    ratio
        ``alpha``, any real number.
    start, other_start
        ``sigma_r(0)`` and ``sigma_s(0)``, positive; the latter is the former by default.

    Returns
    -------
    SingleObservationRelation
        Call it with values of ``sigma_s``; ``.cap`` is the asymptote.

    Raises
    ------
    InputError
        If the depth, the ratio or a start is unusable.

    Notes
    -----
    Source: Arora, Cohen, Hu and Luo 2019 (arXiv:1905.13655), for whole depths. The cap and real
    depths are derived: ``d sigma_r / sigma_r^(2-2/N) = alpha d sigma_s / sigma_s^(2-2/N)``.
    """
    other = start if other_start is None else other_start
    for name, value in (("start", start), ("other_start", other)):
        if not _is_real(value) or not 0 < value < np.inf:
            raise InputError(f"{name} must be a positive finite singular value; got {value!r}.")
    if not _is_real(ratio) or not np.isfinite(ratio):
        raise InputError(f"ratio must be a finite number; got {ratio!r}.")
    return SingleObservationRelation(
        checked_real_depth(depth), float(ratio), float(start), float(other)
    )


def _is_real(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
