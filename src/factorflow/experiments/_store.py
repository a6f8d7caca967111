"""Finished runs on the disk, one file each."""

import json
import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from factorflow._errors import FactorflowWarning, InputError
from factorflow._files import check_target, whole_file
from factorflow.experiments._case import AbstractCase

_FORMAT = 1
_FLOAT, _ARRAY = "__float__", "__array__"


@dataclass(frozen=True)
class Run:
    """The result of a finished run and the seconds that it took."""

    result: dict[str, Any]
    seconds: float

    @classmethod
    def of(cls, result: Mapping[str, Any], seconds: float) -> "Run":
        """As it would come back from a store, so that it never matters whether it did.

        Raises
        ------
        InputError
            If the result holds what JSON has no form for.
        """
        if not isinstance(result, Mapping):
            raise InputError(f"The result of a run must be a dictionary; got {result!r}.")
        return cls(_decoded(json.loads(_text(_encoded(result)))), float(seconds))


class Store:
    """Finished runs in a folder, each in a file ``KEY.json`` that appears whole or not at all.

    A file holds the configuration of the run, its result, its seconds and a checksum. Numbers
    come back exactly, NaN, infinities and NumPy arrays of numbers included; tuples come back as
    lists.

    Parameters
    ----------
    folder
        The folder, which is made with the first run that is kept.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{folder} is a file; give the name of a folder.")
        if self.folder.is_dir():
            check_target(self.folder / "run.json")

    def path(self, case: AbstractCase) -> Path:
        """The file of a run, whether it is there or not."""
        return self.folder / f"{case.key}.json"

    def save(self, case: AbstractCase, run: Run) -> None:
        """Keep a finished run.

        Raises
        ------
        InputError, OSError
            If the file cannot be written.
        """
        content = {
            "format": _FORMAT,
            "configuration": case.configuration,
            "seconds": run.seconds,
            "result": _encoded(run.result),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with whole_file(self.path(case)) as unfinished:
            content["sha256"] = _checksum(content)
            unfinished.write_text(_text(content) + "\n", encoding="utf-8")

    def load(self, case: AbstractCase, *, warn: bool = True) -> Run | None:
        """A finished run, or None where there is none.

        A file that is damaged or belongs to another run is not used and, unless ``warn`` is
        false, named in a warning.
        """
        path = self.path(case)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            wrong = _flaw(content, case)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            wrong = f"it cannot be read ({type(error).__name__})"
        if wrong and warn:
            text = f"{path} is not used, since {wrong}; the run is computed again."
            warnings.warn(text, FactorflowWarning, stacklevel=2)
        return None if wrong else Run(_decoded(content["result"]), content["seconds"])


def _flaw(content: Any, case: AbstractCase) -> str | None:
    """What keeps the content of a file from being the run of a case."""
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        return "it is no run that this version has written"
    if content.get("sha256") != _checksum(content):
        return "it was changed after it was written"
    if content["configuration"] != case.configuration:
        return "it belongs to another run"
    return None


def _checksum(content: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in content.items() if name != "sha256"}
    return sha256(_text(rest).encode()).hexdigest()


def _text(content: Any) -> str:
    # One line, in one order. Python writes a float with as many digits as give it back.
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _encoded(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.ndim:
        return {_ARRAY: _encoded(value.tolist()), "dtype": _dtype(value), "shape": value.shape}
    if isinstance(value, np.generic | np.ndarray):
        value = value.item()
    if isinstance(value, Mapping):
        return {_name(name): _encoded(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_encoded(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT: repr(value)}
    if value is None or isinstance(value, str | int | float):
        return value
    raise InputError(
        "The result of a run may hold numbers, words, None, NumPy arrays of numbers, and lists "
        f"and dictionaries of them; got {value!r}."
    )


def _dtype(array: np.ndarray) -> str:
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"An array in the result of a run must hold real numbers; got {array.dtype}."
        )
    return array.dtype.str


def _name(name: Any) -> str:
    if not isinstance(name, str) or name in (_ARRAY, _FLOAT):
        raise InputError(f"The names in the result of a run must be words; got {name!r}.")
    return name


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _FLOAT in value:
        return float(value[_FLOAT])
    if _ARRAY in value:
        flat = np.array(_decoded(value[_ARRAY]), dtype=value["dtype"])
        return flat.reshape(value["shape"])
    return {name: _decoded(item) for name, item in value.items()}
