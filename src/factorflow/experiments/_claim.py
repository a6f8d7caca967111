"""A published result that can be judged."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from factorflow._errors import InputError
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._judgement import Finding, Published

_ID = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")  # it names files


@dataclass(frozen=True)
class Size:
    """How much of a claim is run.

    Parameters
    ----------
    seeds
        Number of instances: seeds ``0 ... seeds - 1``.
    full
        Whether the whole grid of the publication is run.
    data
        Folder of the data that cannot be drawn or shipped, if it was given.
    """

    seeds: int
    full: bool = False
    data: Path | None = None


@dataclass(frozen=True)
class Claim:
    """A published result, its runs and what must hold of them.

    Parameters
    ----------
    id
        Small letters, digits, dots and dashes: ``arora2019.table1``.
    title
        A few words for tables.
    statement
        What is claimed, in one sentence.
    source
        The publication, with its table, figure or theorem.
    published
        Its numbers.
    cost
        ``"quick"`` where it takes at most a few minutes, else ``"full"``.
    cases
        Function of a :class:`Size` that lists the runs; it may be empty.
    judge
        Function of the :class:`Results` that gives a :class:`Finding`.
    seeds, full_seeds
        Number of instances, and at full size.
    needs
        The data that ``Size.data`` must hold, in words, where it needs some.

    Raises
    ------
    InputError
        If the id, the cost or a number of seeds is none.
    """

    id: str
    title: str
    statement: str
    source: str
    published: tuple[Published, ...]
    cost: Literal["quick", "full"]
    cases: Callable[[Size], Sequence[AbstractCase]]
    judge: Callable[[Results], Finding]
    seeds: int = 5
    full_seeds: int = 20
    needs: str | None = None

    def __post_init__(self):
        if not _ID.fullmatch(self.id):
            raise InputError(
                f"The id of a claim must be small letters, digits, dots and dashes; "
                f"got {self.id!r}."
            )
        if self.cost not in ("quick", "full"):
            raise InputError(f'The cost of {self.id} must be "quick" or "full"; got {self.cost!r}.')
        if self.seeds < 1 or self.full_seeds < 1:
            raise InputError(f"{self.id} needs at least one seed at either size.")

    def size(
        self, *, seeds: int | None = None, full: bool = False, data: Path | None = None
    ) -> Size:
        """The :class:`Size` with this claim's own number of seeds, unless one is given."""
        own = self.full_seeds if full else self.seeds
        return Size(own if seeds is None else seeds, full, data)
