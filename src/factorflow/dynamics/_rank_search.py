"""What a search for the least rank tried, as a value."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RankAttempt:
    """One rank of one descent.

    Attributes
    ----------
    descent
        Which descent, from 0.
    rank
        Number of columns.
    train_error
        Mean squared residual where it was given up or fitted.
    n_gradients
        Gradients evaluated at this rank.
    fits
        Whether it fits every entry.
    """

    descent: int
    rank: int
    train_error: float
    n_gradients: int
    fits: bool


@dataclass(frozen=True)
class RankSearch:
    """The attempts of :func:`least_rank`, in their order.

    Attributes
    ----------
    attempts
        A :class:`RankAttempt` for each rank of each descent.
    largest_rank
        Up to here a fit was looked for.
    determined
        Whether the entries determine the fit that was found: no matrix of its rank nearby fits
        as well.
    """

    attempts: tuple[RankAttempt, ...]
    largest_rank: int
    determined: bool

    @property
    def rank(self) -> int | None:
        """The least rank that fits every entry; None if none was found."""
        return min((each.rank for each in self.attempts if each.fits), default=None)

    @property
    def n_descents(self) -> int:
        """Number of descents begun."""
        return 1 + max(each.descent for each in self.attempts)

    @property
    def sentence(self) -> str:
        """In words."""
        count = f"{self.n_descents} descent{'s' if self.n_descents > 1 else ''}"
        if self.rank is None:
            return f"No matrix of rank {self.largest_rank} or less that fits was found in {count}."
        said = f"Rank {self.rank} fits every observed entry; found in {count}."
        if not self.determined:
            said += " It is not the only fit of that rank."
        return said

    def __repr__(self) -> str:
        return f"<RankSearch: {self.sentence}>"
