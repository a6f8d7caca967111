"""MovieLens ratings, from a local folder or file, or downloaded when asked."""

from os import PathLike
from typing import TYPE_CHECKING

from factorflow._errors import InputError
from factorflow.datasets._movielens_archives import fetched_ratings_file
from factorflow.datasets._movielens_files import found_ratings_file, read_ratings

if TYPE_CHECKING:
    import pandas as pd


def movielens(
    path: str | PathLike[str] | None = None,
    *,
    version: str = "latest-small",
    download: bool = False,
    sha256: str | None = None,
) -> "pd.DataFrame":
    """The ratings of a MovieLens data set of GroupLens, one row per rating.

    Parameters
    ----------
    path
        A folder that holds one of the files ``u.data`` (100k), ``ratings.dat`` (1M) or
        ``ratings.csv`` (latest-small), or such a file under any name; the format is told by
        the first line. Without a path the copy in the user's cache folder is read.
    version
        Which archive the cache is asked for: ``"100k"``, ``"1m"`` or ``"latest-small"``.
        Not used with a path.
    download
        True fetches the archive into the user's cache folder if it is not there yet; the
        terms of use are printed to standard error first. Nothing is ever downloaded otherwise.
    sha256
        SHA-256 of the archive that is expected in place of the one on record. GroupLens may
        publish latest-small anew; its hash on record is that of the archive of September 2018.

    Returns
    -------
    pandas.DataFrame
        Columns ``user`` (int64), ``item`` (int64), ``rating`` (float64, in stars) and
        ``timestamp`` (int64, seconds since 1970-01-01 UTC), in the order of the file.

    Raises
    ------
    InputError
        If the folder, the file or the version is not known, if a line is malformed (it is
        named by its number), or if the archive cannot be had or has another hash.

    Notes
    -----
    Source: Harper and Konstan 2015, "The MovieLens Datasets: History and Context". The README
    of each archive holds its terms: research use, acknowledgement, no commercial use without
    permission.

    Examples
    --------
    >>> ratings = movielens("ml-latest-small")  # doctest: +SKIP
    >>> problem = Completion.from_long_frame(ratings, "user", "item", "rating")  # doctest: +SKIP
    """
    if path is None:
        return read_ratings(fetched_ratings_file(version, download=download, sha256=sha256))
    if download:
        raise InputError(
            f"path={str(path)!r} names ratings on this machine and download=True asks for the "
            "archive; give one of the two."
        )
    return read_ratings(found_ratings_file(path))
