"""The MovieLens archives of GroupLens: addresses, hashes, terms of use."""

from pathlib import Path

from factorflow._errors import InputError
from factorflow.datasets._archives import Archive, fetched_files

_TERMS = """\
MovieLens {version} is published by GroupLens, University of Minnesota, for research: acknowledge
it in publications, imply no endorsement, and ask GroupLens before any commercial use or, for 100k
and 1m, before passing it on. The README inside the archive holds the terms in full. Please cite
Harper and Konstan 2015, The MovieLens Datasets: History and Context, ACM TiiS 5(4), article 19."""

# The hashes are those that TensorFlow Datasets checks its downloads against (its file
# tensorflow_datasets/url_checksums/movielens.txt).
_HASHES = {
    "100k": "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
    "1m": "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    "latest-small": "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
}

RATINGS = {
    "100k": "ml-100k/u.data",
    "1m": "ml-1m/ratings.dat",
    "latest-small": "ml-latest-small/ratings.csv",
}


def _archive(version: str, sha256: str) -> Archive:
    return Archive(
        url=f"https://files.grouplens.org/datasets/movielens/ml-{version}.zip",
        sha256=sha256,
        file_name=f"ml-{version}.zip",
        publisher="GroupLens",
        terms=_TERMS.format(version=version),
        absent=f"MovieLens {version} is not in the cache folder {{folder!r}}; give the path of an "
        "unpacked archive",
        archive=f"The archive of MovieLens {version}",
        wanted=f"MovieLens {version}",
    )


ARCHIVES = {version: _archive(version, sha256) for version, sha256 in _HASHES.items()}


def fetched_ratings_file(version: str, *, download: bool, sha256: str | None) -> Path:
    """The unpacked ratings file of an archive in the cache, downloaded first if that was asked."""
    if version not in ARCHIVES:
        known = ", ".join(map(repr, ARCHIVES))
        raise InputError(f"version must be one of {known}; got {version!r}.")
    archive, ratings = ARCHIVES[version], RATINGS[version]
    files = fetched_files(archive, download=download, sha256=sha256, members=[ratings])
    if not files:
        raise archive.lacks(ratings)
    return files[0]
