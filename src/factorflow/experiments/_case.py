"""One run of an experiment, as a value."""

import abc
import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from factorflow._errors import InputError

Progress = Callable[[dict], None]

_WHOLE = 2**53  # up to here every whole number is a float


class Finished(Protocol):
    """What a case tells its result to."""

    def __call__(
        self, case: Any, result: Mapping[str, Any], seconds: float | None = None
    ) -> None: ...


@dataclass(frozen=True)
class AbstractCase(abc.ABC):
    """The configuration of one run: a frozen dataclass of numbers, words and tuples of them.

    Equal configurations are one run, whichever claims want it. A subclass is decorated with
    ``@dataclass(frozen=True)``, sets ``kind`` and ``revision`` and writes :meth:`run_many`. A
    field declared with ``field(compare=False)``, such as the folder of some data, has no part in
    what is computed and none in the key.

    Attributes
    ----------
    kind
        Name of what is run.
    revision
        Raised by one whenever the same fields give other numbers, so that stored results of
        before are not taken for those of now.
    """

    kind: ClassVar[str]
    revision: ClassVar[int]

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """Version, kind, revision and fields as JSON has them.

        Raises
        ------
        InputError
            If the class has no kind or revision, or a field no place in JSON.
        """
        for name, example in (
            ("kind", 'ClassVar[str] = "a name"'),
            ("revision", "ClassVar[int] = 1"),
        ):
            if not hasattr(self, name):
                raise InputError(
                    f"The class {type(self).__name__} has no {name}; write {name}: {example} in it."
                )
        values = {
            field.name: _plain(getattr(self, field.name), field.name)
            for field in fields(self)
            if field.compare
        }
        told = {"kind": self.kind, "revision": self.revision, "fields": values}
        return {"factorflow": version("factorflow"), **told}

    @cached_property
    def key(self) -> str:
        """Hash (SHA-256, hexadecimal) of the configuration, the name of its file in a store."""
        text = json.dumps(self.configuration, sort_keys=True, separators=(",", ":"))
        return sha256(text.encode()).hexdigest()

    @property
    def group(self) -> Hashable:
        """Cases of one class and equal groups may be given to :meth:`run_many` at once.

        By default each case is a group by itself.
        """
        return self.key

    @classmethod
    @abc.abstractmethod
    def run_many(cls, cases: Sequence[Self], finished: Finished, progress: Progress | None) -> None:
        """Run the cases of one group.

        The result of a case must not depend on those that run beside it: of a group only those
        are asked for that have no result yet.

        Parameters
        ----------
        cases
            The cases, at least one.
        finished
            To be called with a case and its result as each run ends, from any thread. A result is
            a dictionary of numbers, words, booleans, None, NumPy arrays, and lists and
            dictionaries of them; lists come back where tuples went in. The third argument, the
            seconds that the run took, may be left out. A run that was interrupted has no result.
        progress
            To be given on to ``solve`` and ``solve_many``.
        """


# Any rather than AbstractCase: a judge reads the fields of its own cases.
class Results(Mapping[Any, dict[str, Any]]):
    """The result of each case of a claim, in the order in which the claim lists them."""

    def __init__(self, pairs: Sequence[tuple[AbstractCase, dict[str, Any]]]):
        self._pairs = {case.key: (case, result) for case, result in pairs}

    def __getitem__(self, case: AbstractCase) -> dict[str, Any]:
        try:
            return self._pairs[case.key][1]
        except KeyError:
            raise KeyError(f"There is no result of {case!r}; the claim does not list it.") from None

    def __iter__(self) -> Iterator[Any]:
        return (case for case, _ in self._pairs.values())

    def __len__(self) -> int:
        return len(self._pairs)


def _plain(value: Any, name: str) -> Any:
    """A value of a field as JSON has it; equal values come out equal."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple | list):
        return [_plain(item, name) for item in value]
    if isinstance(value, float) and np.isfinite(value):
        return int(value) if value.is_integer() and abs(value) < _WHOLE else value
    if value is None or isinstance(value, str | int):
        return value
    raise InputError(
        f"The field {name!r} of a case must hold finite numbers, words, None or tuples of them; "
        f"got {value!r}."
    )
