"""The three text formats in which MovieLens ratings are published."""

import math
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from factorflow._errors import InputError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {"user": "int64", "item": "int64", "rating": "float64", "timestamp": "int64"}
CSV_HEADER = "userId,movieId,rating,timestamp"


class Format(NamedTuple):
    """How a line is cut, and how many lines come before the first rating."""

    separator: str
    n_header_lines: int


FILE_NAMES = ("u.data", "ratings.dat", "ratings.csv")
FORMATS_IN_WORDS = (
    "u.data (100k, separated by tabs), ratings.dat (1M, separated by '::') "
    f"or ratings.csv (latest-small, first line '{CSV_HEADER}')"
)


def found_ratings_file(path: str | PathLike[str]) -> Path:
    """The ratings file that a path means: the file itself, or the known one in a folder."""
    place = Path(path).expanduser()
    if place.is_file():
        return place
    if not place.is_dir():
        raise InputError(
            f"There is no file or folder {str(place)!r}; give the folder of an unpacked MovieLens "
            "archive, or use download=True."
        )
    known = [place / name for name in FILE_NAMES if (place / name).is_file()]
    if not known:
        raise InputError(
            f"The folder {str(place)!r} holds no MovieLens ratings; expected {FORMATS_IN_WORDS}."
        )
    if len(known) > 1:
        names = " and ".join(file.name for file in known)
        raise InputError(
            f"The folder {str(place)!r} holds {names}; give the path of the one that is meant."
        )
    return known[0]


def read_ratings(file: Path) -> "pd.DataFrame":
    """All ratings of a file in one of the three formats."""
    import pandas as pd

    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{str(file)!r} cannot be read as text ({error}); expected {FORMATS_IN_WORDS}. "
            "Unpack an archive first."
        ) from error
    kind = _format_of(file, lines[0] if lines else "")
    rows = [
        _rating(file, number, line, kind.separator)
        for number, line in enumerate(lines[kind.n_header_lines :], kind.n_header_lines + 1)
        if line.strip()
    ]
    if not rows:
        raise InputError(f"{str(file)!r} holds no rating after its header; is it complete?")
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _format_of(file: Path, first_line: str) -> Format:
    if first_line.strip() == CSV_HEADER:
        return Format(",", 1)
    for separator in ("::", "\t"):
        if separator in first_line:
            return Format(separator, 0)
    raise InputError(
        f"The first line of {str(file)!r} is {first_line[:80]!r}, which begins no MovieLens "
        f"ratings file; expected {FORMATS_IN_WORDS}."
    )


def _rating(file: Path, number: int, line: str, separator: str) -> tuple[int, int, float, int]:
    try:
        user, item, stars, timestamp = line.split(separator)
        rating = float(stars)
        if not math.isfinite(rating):
            raise ValueError
        return int(user), int(item), rating, int(timestamp)
    except ValueError:
        # The parser's own words ("not enough values to unpack") would not help anyone.
        raise InputError(
            f"Line {number} of {str(file)!r} is {line[:80]!r}; expected user, item, rating and "
            f"timestamp as numbers separated by {separator!r}. The file may be cut off: get it "
            "again, or mend the line."
        ) from None
