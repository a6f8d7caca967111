"""A matrix of which some observed entries are grossly wrong."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow._random import stream
from factorflow.problems._cell_functions import PseudoHuber
from factorflow.problems._cell_loss import entrywise_loss_of_cells
from factorflow.problems._completion import Completion
from factorflow.problems._entrywise_loss import EntrywiseLoss
from factorflow.problems._numbers import positive_number
from factorflow.problems._sampling import checked_truth


@dataclass(frozen=True, eq=False)
class RobustCompletion:
    """Observed entries of an unknown ``(m, n)`` matrix, some of them grossly wrong.

        L(W) = 1/p sum_{(i, j) observed} phi(W_ij - y_ij),
        phi(r) = delta^2 (sqrt(1 + (r / delta)^2) - 1),      delta = threshold

    convex in `W`: half the squared residual where it is small, ``delta |r|`` where it is large.
    With every cell observed this is robust principal component analysis with a smooth loss.

    A wrong entry pulls with less than `delta`, but it does pull: the minimum over matrices of the
    truth's rank is not the truth itself but near it, at a distance about in proportion to the
    threshold where noise is small beside it. A smaller threshold makes the loss harder to descend.

    Attributes
    ----------
    cells
        The observed cells; :meth:`Completion.of` makes them of any form of data.
    threshold
        Residual from which on an entry counts as wrong rather than as noisy; positive.
    corrupted
        None, or boolean ``(p,)`` in the order of ``cells.rows``: True where an entry is known to
        be grossly wrong. Losses do not use it.

    Raises
    ------
    InputError
        If the cells are no :class:`Completion`, the threshold is no positive finite number, or
        `corrupted` does not fit the cells.

    Notes
    -----
    Robust principal component analysis is after Candès, Li, Ma and Wright 2011, "Robust principal
    component analysis?", who minimize a norm of the matrix plus the sum of absolute residuals;
    here the residuals' absolute value is smoothed and nothing is added to it.
    """

    cells: Completion
    threshold: float
    corrupted: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self):
        if not isinstance(self.cells, Completion):
            raise InputError(
                f"cells must be a Completion; got {type(self.cells).__name__}. Completion.of(X) "
                "makes one of an array, a frame or a sparse matrix."
            )
        object.__setattr__(self, "threshold", positive_number(self.threshold, "threshold"))
        if self.corrupted is not None:
            corrupted = _checked_flags(self.corrupted, self.n_observed)
            object.__setattr__(self, "corrupted", corrupted)

    @classmethod
    def sample(
        cls,
        truth: Any,
        n_observed: int | None = None,
        *,
        corrupted: float = 0.1,
        size: float = 10.0,
        threshold: float = 0.1,
        noise: float = 0.0,
        seed: int = 0,
    ) -> "RobustCompletion":
        """Entries of a known matrix, a random share of them shifted up or down.

        The defaults suit a matrix with entries of the order of 1, such as ``low_rank()``.

        Parameters
        ----------
        truth
            Finite ``(m, n)`` matrix; the problem keeps it as ``truth``.
        n_observed
            Number of cells, drawn uniformly without replacement; by default all of them.
        corrupted
            Share of the observed cells that are wrong, from 0 up to but not including 1; as many
            as are nearest to it.
        size
            Magnitude of the gross errors, which have either sign with equal chances; positive.
        threshold
            That of the loss.
        noise
            Standard deviation of the Gaussian noise that is added to every observed value.
        seed
            Integer of 0 or more. The cells are those of :meth:`Completion.sample`; which of them
            are wrong does not depend on `size` or `noise`.
        """
        truth = checked_truth(truth)
        count = truth.size if n_observed is None else n_observed
        clean = Completion.sample(truth, count, noise, seed)
        wrong = _chosen(clean.n_observed, corrupted, seed)
        signs = stream(seed, "robust completion", "signs").choice([-1.0, 1.0], clean.n_observed)
        errors = np.where(wrong, positive_number(size, "size") * signs, 0.0)
        return cls(clean.with_values(clean.values + errors), threshold, wrong)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the unknown."""
        return self.cells.shape

    @property
    def truth(self) -> np.ndarray | None:
        """None, or the full matrix without errors where it is known, shape ``(m, n)``."""
        return self.cells.truth

    @property
    def n_observed(self) -> int:
        """Number `p` of observed cells."""
        return self.cells.n_observed

    @property
    def observed(self) -> np.ndarray:
        """Boolean ``(m, n)``, True where observed."""
        return self.cells.observed

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of cells, values and threshold, in hexadecimal.

        Labels, the truth and what is known to be wrong do not count.
        """
        content = f"robust {self.threshold!r} {self.cells.content_hash}"
        return hashlib.sha256(content.encode()).hexdigest()

    def split(
        self, fraction: float, seed: int = 0
    ) -> tuple["RobustCompletion", "RobustCompletion"]:
        """A random share of the cells held out: ``(train, held_out)``.

        The cells are divided as by :meth:`Completion.split`, with the same errors. Wrong entries
        fall on both sides.
        """
        train, held_out = self.cells.split(fraction, seed)
        return self._on(train), self._on(held_out)

    def loss(self, factorization: Any, route: str = "auto") -> EntrywiseLoss:
        """Mean over observations of the pseudo-Huber function, as a function of the factors.

        Raises
        ------
        InputError
            If `route` is neither ``"auto"`` nor ``"dense"``.
        """
        cells = self.cells.indices, self.cells.values
        function = PseudoHuber(self.threshold)
        return entrywise_loss_of_cells(factorization, function, self.shape, *cells, route)

    def _on(self, part: Completion) -> "RobustCompletion":
        """This problem on some of its cells."""
        if self.corrupted is None:
            return RobustCompletion(part, self.threshold)
        flags = np.zeros(self.shape, bool)
        flags[self.cells.indices] = self.corrupted
        return RobustCompletion(part, self.threshold, flags[part.indices])


def _chosen(n_cells: int, share: Any, seed: int) -> np.ndarray:
    """Boolean ``(n_cells,)``, True in a share of the places."""
    if not isinstance(share, float | int | np.number) or not 0 <= share < 1:
        raise InputError(
            f"corrupted must be a share of the cells, 0 or more and less than 1; got {share!r}."
        )
    draws = stream(seed, "robust completion", "corrupted")
    flags = np.zeros(n_cells, bool)
    flags[draws.permutation(n_cells)[: round(float(share) * n_cells)]] = True
    return flags


def _checked_flags(given: Any, n_cells: int) -> np.ndarray:
    flags = np.array(given)
    if flags.shape != (n_cells,) or flags.dtype != bool:
        raise InputError(
            f"corrupted must hold True or False for each of the {n_cells} observed cells; "
            f"got {flags.dtype} of shape {flags.shape}."
        )
    flags.setflags(write=False)
    return flags
