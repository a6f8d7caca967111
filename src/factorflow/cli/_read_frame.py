"""Text and Parquet files as frames, with labels as they are written."""

import re
import warnings
import zlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from factorflow._errors import InputError

if TYPE_CHECKING:
    import pandas as pd

MISSING = frozenset(
    ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "null", "None"]
)


def read_frame(source: Path, ending: str, long: tuple[str, str, str] | None) -> "pd.DataFrame":
    """The table as a frame; the columns that may hold labels are text, unless Parquet typed them.

    Raises
    ------
    InputError
        If the file is not such a table, a column of ``long`` is missing or two columns have one
        name.
    """
    frame = _read_parquet(source) if ending == ".parquet" else _read_text(source, ending, long)
    _check_names(list(frame.columns), long)
    if not len(frame):
        raise InputError("the table has a header and no rows")
    return frame


def _read_parquet(source: Path) -> "pd.DataFrame":
    import pandas as pd
    import pyarrow as pa

    unreadable = (pa.ArrowException, OSError, ValueError, LookupError, TypeError, AttributeError)
    try:
        frame = pd.read_parquet(source, engine="pyarrow")
    except unreadable as error:
        raise _unreadable(source, "a Parquet table", error) from error
    if frame.index.equals(pd.RangeIndex(len(frame))) and frame.index.name is None:
        return frame.set_axis(frame.columns.astype(str), axis=1)
    names = ["" if name is None else str(name) for name in frame.index.names]
    columns = [*names, *map(str, frame.columns)]
    return frame.reset_index(names=_fresh(frame, len(names))).set_axis(columns, axis=1)


def _fresh(frame: "pd.DataFrame", count: int) -> list[str]:
    """Names for index levels that collide with no column, to be replaced at once."""
    longest = max((len(str(name)) for name in frame.columns), default=0)
    return ["_" * (longest + 1 + level) for level in range(count)]


def _read_text(source: Path, ending: str, long: tuple[str, str, str] | None) -> "pd.DataFrame":
    import pandas as pd

    options = {
        "sep": _separator(source, ending),
        "compression": "gzip" if ending.endswith(".gz") else None,
        "encoding": "utf-8-sig",
        "keep_default_na": False,
    }
    try:
        header = pd.read_csv(source, header=None, nrows=1, dtype=str, **options)
        names = [str(name).strip() for name in header.iloc[0]]
        _check_header(names, options["sep"], long)
        labels = [j for j, name in enumerate(names) if (name in long[:2] if long else j == 0)]
        values = [j for j in range(len(names)) if j not in labels]
        with warnings.catch_warnings():
            # more cells than the header has: without this pandas drops them
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                source,
                header=0,
                names=list(range(len(names))),
                index_col=False,
                dtype={j: str for j in labels},
                na_values={j: sorted(MISSING) for j in values},
                low_memory=False,
                **options,
            )
    except InputError:
        raise
    except pd.errors.EmptyDataError as error:
        raise InputError(f"{source} is empty; a table starts with a header line.") from error
    except pd.errors.ParserWarning as error:
        raise InputError(
            f"{source} has more cells in its rows than the {len(names)} in its header; give every "
            "column a name (the name of the row labels may be empty)."
        ) from error
    except UnicodeError as error:
        raise InputError(f"{source} is not UTF-8 text; save it as UTF-8.") from error
    except (pd.errors.ParserError, OSError, EOFError, ValueError, zlib.error) as error:
        raise _unreadable(source, "a table of text", error) from error
    return frame.set_axis(names, axis=1)


def _separator(source: Path, ending: str) -> str:
    """Comma for .csv and tab for .tsv; .txt shows it in its first line."""
    kind = ending.removesuffix(".gz")
    if kind != ".txt":
        return {".csv": ",", ".tsv": "\t"}[kind]
    import gzip

    opened = gzip.open if ending.endswith(".gz") else open
    try:
        with opened(source, "rt", encoding="utf-8-sig") as file:
            first = next((line for line in file if line.strip()), "")
    except UnicodeError as error:
        raise InputError(f"{source} is not UTF-8 text; save it as UTF-8.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(source, "a table of text", error) from error
    return next((separator for separator in "\t,;" if separator in first), r"\s+")


def _unreadable(source: Path, expected: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split()).rstrip(".")
    return InputError(
        f"{source} could not be read as {expected}: {reason}. "
        "The file may be cut short or have the wrong ending."
    )


def _check_header(names: list[str], separator: str, long: tuple | None) -> None:
    if len(names) == 1 and separator == "," and re.search("[;\t]", names[0]):
        raise InputError(
            "its cells are not separated by commas; save it with commas, or name it .txt (any "
            "separator) or .tsv (tabs)"
        )
    if not long and _looks_like_data(names):
        raise InputError(
            f"its first line ({', '.join(names[:4])}, ...) holds only numbers; "
            "a table needs a header line with the names of its columns"
        )


def _looks_like_data(names: list[str]) -> bool:
    """Whether a header is numbers that nobody would give as names.

    Different whole numbers are names behind an empty cell (a labelled table), and alone if they
    count up from 0 or 1.
    """
    numbers = [name for name in names if name]
    try:
        cells = [float(name) for name in numbers]
    except ValueError:
        return False
    if not names[0]:
        whole = all(re.fullmatch(r"-?\d+", name) for name in numbers)
        return not whole or len(set(cells)) < len(cells)
    return numbers not in ([str(j + first) for j in range(len(names))] for first in (0, 1))


def _check_names(names: list[str], long: tuple[str, str, str] | None) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"the column name {twice[0]!r} occurs twice; give each its own name")
    unknown = [name for name in long or () if name not in names]
    if unknown:
        raise InputError(
            f"there is no column {' or '.join(map(repr, unknown))}; "
            f"its columns are {', '.join(map(repr, names[:20]))}{', ...' if names[20:] else ''}"
        )
