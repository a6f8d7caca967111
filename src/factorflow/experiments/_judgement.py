"""What a claim published, what a run measured, and what must hold between them."""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure

from factorflow._errors import InputError
from factorflow.report import Table

Relation = Literal["<", "<=", ">", ">=", "within"]

_COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class Published:
    """A number, or a few words, of a publication.

    Parameters
    ----------
    name
        What the number is; the :class:`Measured` of the same name is shown beside it.
    value
        The number in the units of the measured one, or words where there is none.
    source
        Where it stands: the table, figure or section.
    """

    name: str
    value: float | str
    source: str


@dataclass(frozen=True)
class Measured:
    """A quantity over several seeds: its median and its quartiles.

    Make one by :meth:`of`, or by :meth:`exact` where no seed is drawn.

    Attributes
    ----------
    median, low, high
        The median, the first and the third quartile of ``values``; NaN if a value is NaN.
    seeds
        The seeds, one for each value; empty where none was drawn.
    values
        The value of each seed.
    """

    name: str
    median: float
    low: float
    high: float
    seeds: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    @classmethod
    def of(cls, name: str, values: Iterable[Any], seeds: Iterable[Any]) -> "Measured":
        """From one value for each seed.

        Raises
        ------
        InputError
            If there is no value, or not one for each seed.
        """
        numbers, drawn = tuple(map(float, values)), tuple(map(int, seeds))
        if not numbers or len(numbers) != len(drawn):
            raise InputError(
                f"Measured {name!r} needs one value for each seed and at least one; "
                f"got {len(numbers)} values for {len(drawn)} seeds."
            )
        low, median, high = (float(q) for q in np.quantile(numbers, [0.25, 0.5, 0.75]))
        return cls(name, median, low, high, drawn, numbers)

    @classmethod
    def exact(cls, name: str, value: float) -> "Measured":
        """From one value that no seed has a part in."""
        number = float(value)
        return cls(name, number, number, number, (), (number,))


@dataclass(frozen=True)
class Check:
    """One thing that must hold: ``left`` stands in ``relation`` to ``right``.

    Parameters
    ----------
    text
        The check in words, as it is named in a verdict; no full stop.
    left, right
        The numbers compared. ``right`` is a pair ``(low, high)``, its ends included, where the
        relation is ``"within"``.
    relation
        ``"<"``, ``"<="``, ``">"``, ``">="`` or ``"within"``.
    essential
        Whether the claim stands or falls with it. Without the others the claim still holds, but
        differs.

    Raises
    ------
    InputError
        If the relation is unknown, a side is no number, or the pair is none.
    """

    text: str
    left: float
    relation: Relation
    right: float | tuple[float, float]
    essential: bool = True

    def __post_init__(self):
        if self.relation not in (*_COMPARISONS, "within"):
            raise InputError(
                f"The relation of the check {self.text!r} must be one of "
                f'"<", "<=", ">", ">=", "within"; got {self.relation!r}.'
            )
        object.__setattr__(self, "left", _number(self.text, self.left))
        object.__setattr__(self, "right", _right_side(self.text, self.relation, self.right))

    @property
    def holds(self) -> bool:
        """Whether it holds; with a NaN on a side it never does."""
        if isinstance(self.right, tuple):
            low, high = self.right
            return low <= self.left <= high
        return bool(_COMPARISONS[self.relation](self.left, self.right))

    @property
    def figures(self) -> str:
        """The two sides and what is asked of them, e.g. ``0.012 < 0.05``."""
        if isinstance(self.right, tuple):
            return f"{self.left:.4g} within {self.right[0]:.4g} to {self.right[1]:.4g}"
        return f"{self.left:.4g} {self.relation} {self.right:.4g}"


def _number(text: str, value: Any) -> float:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, Real):
        raise InputError(f"The check {text!r} must compare numbers; got {value!r}.")
    return float(value)


def _right_side(text: str, relation: str, right: Any) -> float | tuple[float, float]:
    if relation != "within":
        return _number(text, right)
    if not isinstance(right, tuple | list) or len(right) != 2:
        raise InputError(
            f'The check {text!r} needs a pair (low, high) after "within"; got {right!r}.'
        )
    return _number(text, right[0]), _number(text, right[1])


@dataclass(frozen=True)
class Finding:
    """What a claim's runs came to.

    Parameters
    ----------
    measured
        The numbers with their spread.
    checks
        What must hold, at least one.
    tables
        Further tables of the page.
    figures
        Pairs of a caption and a figure that does not belong to pyplot.
    notes
        Sentences that a reader of the verdict should know.

    Raises
    ------
    InputError
        If there is no check: a claim without one could not fail.
    """

    measured: tuple[Measured, ...] = ()
    checks: tuple[Check, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[tuple[str, Figure], ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        if not self.checks:
            raise InputError("A finding needs at least one check; without one it could not fail.")


def verdict(checks: Sequence[Check]) -> str:
    """The verdict in words.

    ``reproduced`` if all checks hold, ``differs: ...`` with those that do not if all essential
    ones do, else ``not reproduced: ...`` with all that do not, the essential ones first.
    """
    failed = [check for check in checks if not check.holds]
    if not failed:
        return "reproduced"
    failed.sort(key=lambda check: not check.essential)
    texts = "; ".join(check.text for check in failed)
    return f"not reproduced: {texts}" if failed[0].essential else f"differs: {texts}"
