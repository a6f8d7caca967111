"""Ratings cut into parts, and what a method of completion is here. Numpy alone is imported."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Ratings:
    """Observed entries of a table of users by films, both counted from zero."""

    shape: tuple[int, int]
    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray

    def part(self, which: np.ndarray) -> "Ratings":
        return Ratings(self.shape, self.rows[which], self.columns[which], self.values[which])

    def parts(self, share: float, rng: np.random.Generator) -> tuple["Ratings", "Ratings"]:
        """The ratings without a random share of them, and that share."""
        order = rng.permutation(len(self.values))
        n_out = round(share * len(order))
        return self.part(np.sort(order[n_out:])), self.part(np.sort(order[:n_out]))

    def dense(self) -> np.ndarray:
        """The table, NaN where nothing is known."""
        table = np.full(self.shape, np.nan)
        table[self.rows, self.columns] = self.values
        return table


@dataclass(frozen=True)
class Method:
    """A contestant.

    Parameters
    ----------
    name, module
        How it is called, and the module of this folder that has it.
    fit
        ``fit(ratings, setting, trial)`` gives a function of rows and columns; ``trial`` tells that
        only the setting is judged.
    grid
        Settings to choose from, the ones of the quick size first.
    needs
        Import names of the packages.
    splits
        On how many splits it runs, quick and full; 0 for not at all.
    peer
        Whether it is somebody else's.
    why_not
        The reason for a 0.
    """

    name: str
    module: str
    fit: Callable[[Ratings, dict, bool], Predict]
    grid: Sequence[dict[str, Any]] = ({},)
    needs: Sequence[str] = ()
    splits: tuple[int, int] = (5, 5)
    peer: bool = True
    why_not: str = ""


@dataclass
class Record:
    """What one method gave, a number for each split in the lists."""

    name: str
    peer: bool
    n_trials: int
    rmse: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    tuning: list[float] = field(default_factory=list)
    chosen: list[dict] = field(default_factory=list)
    first: float | None = None
    process: float | None = None
    peak_mb: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def judged(
    method: Method, train: Ratings, test: Ratings, setting: dict, trial: bool
) -> tuple[float, float]:
    """RMSE on the test entries, and seconds of the fit and of the predictions of these.

    Predictions are cut to the range of the ratings, everybody's.
    """
    began = perf_counter()
    predict = method.fit(train, setting, trial)
    found = predict(test.rows, test.columns)
    seconds = perf_counter() - began
    found = np.clip(found, train.values.min(), train.values.max())
    return float(np.sqrt(np.mean((found - test.values) ** 2))), seconds


def save_pair(path: Path, train: Ratings, test: Ratings) -> None:
    np.savez(
        path,
        shape=train.shape,
        **{
            f"{name}_{axis}": getattr(part, axis)
            for name, part in (("train", train), ("test", test))
            for axis in ("rows", "columns", "values")
        },
    )


def fit_in_child(module: str, name: str, setting: dict, path: str) -> list[float]:
    """RMSE and seconds of one method in a process that loads no other."""
    held = np.load(path)
    shape = int(held["shape"][0]), int(held["shape"][1])
    train, test = (
        Ratings(shape, *(held[f"{part}_{axis}"] for axis in ("rows", "columns", "values")))
        for part in ("train", "test")
    )
    methods = {each.name: each for each in import_module(module).METHODS}
    return list(judged(methods[name], train, test, setting, trial=False))
