"""The completed matrix as a table of text or Parquet, with the labels of the input."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np

from factorflow.cli._input import Input, LongTable, WideTable

if TYPE_CHECKING:
    import pandas as pd

    from factorflow.problems import Completion


def write_table(
    path: Path, ending: str, source: Input, matrix: np.ndarray, everything: bool
) -> None:
    """Write a matrix (m, n) as a table in the layout of the input.

    ``everything`` adds the measured cells to the lines of a long table.
    """
    layout, problem = source.layout, source.problem
    if isinstance(layout, LongTable):
        frame = _long_frame(layout, problem, matrix, everything)
    else:
        frame = _wide_frame(layout, problem, matrix)
    if ending == ".parquet":
        frame.to_parquet(path, engine="pyarrow", index=False)
        return
    with _opened(path, ending) as file:
        frame.to_csv(
            file,
            sep="\t" if ending.startswith((".tsv", ".txt")) else ",",
            index=False,
            encoding="utf-8",
            lineterminator="\n",
        )


@contextmanager
def _opened(path: Path, ending: str) -> Iterator[IO[bytes]]:
    with open(path, "wb") as file:
        if not ending.endswith(".gz"):
            yield file
            return
        # no name and no time in the header: the same matrix gives the same bytes
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            yield cast(IO[bytes], packed)


def _long_frame(
    layout: LongTable, problem: "Completion", matrix: np.ndarray, everything: bool
) -> "pd.DataFrame":
    import pandas as pd

    wanted = np.ones(problem.shape, dtype=bool)
    if not everything:
        wanted[problem.rows, problem.columns] = False
    rows, columns = np.nonzero(wanted)
    return pd.DataFrame(
        {
            layout.row: _index(problem.row_labels).take(rows),
            layout.column: _index(problem.column_labels).take(columns),
            layout.value: matrix[wanted],
        }
    )


def _wide_frame(layout, problem: "Completion", matrix: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    if not isinstance(layout, WideTable):
        return pd.DataFrame(matrix, columns=[str(j) for j in range(matrix.shape[1])])
    frame = pd.DataFrame(matrix, columns=_index(problem.column_labels).astype(str))
    if layout.label is not None:
        frame.insert(0, layout.label, _index(problem.row_labels))
    return frame


def _index(labels) -> "pd.Index":
    """Labels with the type that they have in common."""
    import pandas as pd

    return pd.Index(list(labels))
