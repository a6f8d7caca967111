"""What greedy low-rank learning came through, as a value."""

import enum
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow._x64 import double_precision

_NEAR = 0.02  # relative gap below which a flow from a start in float64 may take the wrong turn


class PhaseEnd(enum.Enum):
    """How a phase of one rank ended."""

    STATIONARY = (0, "stationary")
    RAN_OFF = (1, "ran off to infinity, and was cut short where it first came to rest")

    def __init__(self, code: int, words: str):
        self.code = code
        self.words = words

    @classmethod
    def of(cls, code: int) -> "PhaseEnd":
        return next(end for end in cls if end.code == int(code))


@dataclass(frozen=True, eq=False)
class CriticalPoint:
    """Where a phase ended.

    Attributes
    ----------
    rank
        Number of columns.
    factors
        The factors there.
    train_loss
        The objective.
    drift
        The fastest relative motion of a column along the flow that is left.
    escape, runner_up
        Largest and second eigenvalue (or singular value) of ``-df/dW``: how fast one more column
        would grow. The certificate is ``escape <= tolerance`` times that at zero. Of a tensor,
        the largest found of ``<-df/dT, v_1 (x) ... (x) v_N>`` over unit vectors, and that of a
        component across it.
    n_together
        Directions that left together from here, by a tie; 0 where none left.
    duality_gap
        ``<df/dW, W> + max(escape, 0) ||W||_*``: if `f` is convex, no matrix of at most the same
        nuclear norm (positive semidefinite, for :class:`Symmetric`) has an objective that is
        lower by more. The nuclear norm is that of balanced columns, a bound on it where they are
        not. Of a tensor it is the sum of the norms of the components, and all holds if no
        component is stronger than the one found.
    end
        How the phase ended.
    n_gradients, time
        Spent up to here.
    """

    rank: int
    factors: tuple[np.ndarray, ...]
    train_loss: float
    drift: float
    escape: float
    runner_up: float
    n_together: int
    duality_gap: float
    end: PhaseEnd
    n_gradients: int
    time: float

    @property
    def relative_gap(self) -> float:
        """``1 - runner_up / escape``; near zero at a near-tie, where the limit is slow to come."""
        return 1 - self.runner_up / self.escape if self.escape > 0 else 1.0


@dataclass(frozen=True, eq=False)
class GreedyPath:
    """The critical points of greedy low-rank learning, from rank 0 on.

    Attributes
    ----------
    factorization
        How the matrices are written.
    points
        A :class:`CriticalPoint` for each phase that ended; the first is zero.
    """

    factorization: Any
    points: tuple[CriticalPoint, ...]

    @property
    def last(self) -> CriticalPoint:
        """The last of them."""
        return self.points[-1]

    @cached_property
    def matrices(self) -> np.ndarray:
        """The matrices (or tensors) of all points, ``(points, m, n)``."""
        with double_precision():
            found = [self.factorization.tensor(each.factors) for each in self.points]
            return np.array(found)

    def point(self, rank: int) -> CriticalPoint:
        """The point of a rank.

        Raises
        ------
        InputError
            If the path has none.
        """
        for each in self.points:
            if each.rank == rank:
                return each
        has = ", ".join(str(each.rank) for each in self.points)
        raise InputError(f"The path has no point of rank {rank!r}; it has the ranks {has}.")

    @property
    def sentence(self) -> str:
        """In words."""
        said = [f"Critical points of ranks {', '.join(str(each.rank) for each in self.points)}."]
        said += [
            f"The phase of rank {each.rank} {each.end.words}."
            for each in self.points
            if each.end is not PhaseEnd.STATIONARY
        ]
        said += [
            f"{each.n_together} directions tied at rank {each.rank} and left together."
            for each in self.points
            if each.n_together > 1
        ]
        said += [
            f"At rank {each.rank} a second direction nearly tied (relative gap "
            f"{each.relative_gap:.2g}): a flow must start very small to tell them apart."
            for each in self.points
            if each.n_together == 1 and each.relative_gap < _NEAR
        ]
        return " ".join(said)

    def __repr__(self) -> str:
        return f"<GreedyPath: {self.sentence}>"
