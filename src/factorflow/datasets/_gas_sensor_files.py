"""The text format of the gas sensor data: ``<gas>;<concentration> 1:v 2:v ... 128:v``."""

import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from factorflow._errors import InputError

N_FEATURES = 128
_NAME = re.compile(r"batch(\d+)\.dat")
_LINE_IN_WORDS = f"<gas>;<concentration> 1:<value> 2:<value> ... {N_FEATURES}:<value>"


def found_batch_files(path: str | PathLike[str]) -> list[Path]:
    """The files that a path means: the file itself, or those of a folder in their order."""
    place = Path(path).expanduser()
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise InputError(
            f"There is no file or folder {str(place)!r}; give the folder of the unpacked archive, "
            "or use download=True."
        )
    files = sorted(filter(number_of, place.iterdir()), key=lambda file: number_of(file) or 0)
    if not files:
        raise InputError(
            f"The folder {str(place)!r} holds no file batch1.dat, batch2.dat, ...; give the folder "
            "of the unpacked archive that does."
        )
    return files


def number_of(file: Path) -> int | None:
    """Number of a file by its name; None of any other."""
    named = _NAME.fullmatch(file.name)
    return int(named[1]) if named else None


def read_batches(
    files: Sequence[Path], label: int, n_labels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, concentrations and batch numbers of the lines with a label.

    A file of another name is batch 0. Every line is checked, whatever its label.
    """
    features, concentrations, batches = [], [], []
    for file in files:
        for number, line in enumerate(_lines(file), 1):
            if not line.strip():
                continue
            own_label, concentration, values = _measurement(file, number, line, n_labels)
            if own_label == label:
                features.append(values)
                concentrations.append(concentration)
                batches.append(number_of(file) or 0)
    table = np.array(features, np.float64).reshape(len(features), N_FEATURES)
    return table, np.array(concentrations, np.float64), np.array(batches, np.int64)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{str(file)!r} cannot be read as text ({error}); expected lines {_LINE_IN_WORDS}. "
            "Unpack an archive first."
        ) from error


def _measurement(
    file: Path, number: int, line: str, n_labels: int
) -> tuple[int, float, np.ndarray]:
    try:
        head, *pairs = line.split()
        label, concentration = head.split(";")
        places, values = zip(*(pair.split(":") for pair in pairs), strict=True)
        found = int(label), float(concentration), np.array(values, np.float64)
        in_order = list(map(int, places)) == list(range(1, N_FEATURES + 1))
        finite = np.isfinite(found[1]) and np.isfinite(found[2]).all()
        if not (in_order and finite and 1 <= found[0] <= n_labels):
            raise ValueError
    except ValueError:
        # The parser's own words ("not enough values to unpack") would not help anyone.
        raise InputError(
            f"Line {number} of {str(file)!r} is {line[:60]!r}; expected {_LINE_IN_WORDS}, with "
            f"finite numbers and a gas from 1 to {n_labels}. The file may be cut off: get it "
            "again, or mend the line."
        ) from None
    return found
