"""The MovieLens archives of GroupLens: addresses, hashes, terms of use, the local cache."""

import re
import sys
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import pooch

from factorflow._errors import InputError


class Archive(NamedTuple):
    """One published archive and the ratings file inside it."""

    url: str
    sha256: str
    ratings: str


# The hashes are those that TensorFlow Datasets checks its downloads against (its file
# tensorflow_datasets/url_checksums/movielens.txt).
ARCHIVES = {
    "100k": Archive(
        "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
        "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        "ml-100k/u.data",
    ),
    "1m": Archive(
        "https://files.grouplens.org/datasets/movielens/ml-1m.zip",
        "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        "ml-1m/ratings.dat",
    ),
    "latest-small": Archive(
        "https://files.grouplens.org/datasets/movielens/ml-latest-small.zip",
        "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
        "ml-latest-small/ratings.csv",
    ),
}

TERMS = """\
MovieLens {version} is published by GroupLens, University of Minnesota, for research: acknowledge
it in publications, imply no endorsement, and ask GroupLens before any commercial use or, for 100k
and 1m, before passing it on. The README inside the archive holds the terms in full. Please cite
Harper and Konstan 2015, The MovieLens Datasets: History and Context, ACM TiiS 5(4), article 19.
Downloading {url}"""


def fetched_ratings_file(version: str, *, download: bool, sha256: str | None) -> Path:
    """The unpacked ratings file of an archive in the cache, downloaded first if that was asked."""
    archive = _archive(version, sha256)
    zipped = cache_folder() / archive.url.rsplit("/", 1)[1]
    if not _is_intact(zipped, archive.sha256):
        if not download:
            raise InputError(
                f"MovieLens {version} is not in the cache folder {str(zipped.parent)!r}; give the "
                "path of an unpacked archive, or use download=True to fetch it from GroupLens."
            )
        print(TERMS.format(version=version, url=archive.url), file=sys.stderr)
    return _unpacked(archive, zipped, version)


def cache_folder() -> Path:
    """The user's own cache folder for this package."""
    return Path(pooch.os_cache("factorflow"))


def _archive(version: str, sha256: str | None) -> Archive:
    if version not in ARCHIVES:
        known = ", ".join(map(repr, ARCHIVES))
        raise InputError(f"version must be one of {known}; got {version!r}.")
    if sha256 is None:
        return ARCHIVES[version]
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise InputError(f"sha256 must be 64 hexadecimal digits; got {sha256!r}.")
    return ARCHIVES[version]._replace(sha256=sha256.lower())


def _is_intact(zipped: Path, sha256: str) -> bool:
    return zipped.is_file() and pooch.file_hash(str(zipped)) == sha256


def _unpacked(archive: Archive, zipped: Path, version: str) -> Path:
    by_hand = f"Download {archive.url} by hand, unpack it and give the folder as path."
    try:
        files = pooch.retrieve(
            archive.url,
            known_hash=f"sha256:{archive.sha256}",
            fname=zipped.name,
            path=zipped.parent,
            processor=pooch.Unzip(members=[archive.ratings]),
        )
    except ValueError as error:
        raise InputError(
            f"The archive of MovieLens {version} has not the SHA-256 {archive.sha256}: GroupLens "
            "may have published it anew, or the transfer was damaged. Try again, or check the "
            f"archive and give its hash as sha256=. {by_hand}"
        ) from error
    except BadZipFile as error:
        raise InputError(f"{archive.url} is no zip archive. {by_hand}") from error
    except OSError as error:
        raise InputError(
            f"MovieLens {version} could not be downloaded ({error}). {by_hand}"
        ) from error
    if not files:
        raise InputError(f"{archive.url} holds no file {archive.ratings}. {by_hand}")
    return Path(files[0])
