"""The archive of the gas sensor data at UCI: address, hash, terms of use, the local cache."""

import re
import sys
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import pooch

from factorflow._errors import InputError
from factorflow.datasets._gas_sensor_files import found_batch_files, number_of
from factorflow.datasets._movielens_archives import cache_folder


class Archive(NamedTuple):
    """The published archive."""

    url: str
    sha256: str


# UCI publishes no hash; three unrelated public projects check their downloads against this one.
ARCHIVE = Archive(
    "https://archive.ics.uci.edu/static/public/270/"
    "gas+sensor+array+drift+dataset+at+different+concentrations.zip",
    "98fe3a30981a222dd4518fbcc3dddd45d5c0ce9b03ef6dc6fe5cf7a04cfbff5e",
)
FILE_NAME = "gas-sensor-270.zip"

TERMS = """\
Gas Sensor Array Drift at Different Concentrations is published by the UCI Machine Learning
Repository (doi:10.24432/C5MK6M) for research; its page excludes commercial purposes. Please cite
Vergara et al. 2012, Sensors and Actuators B 166, 320-329, and Rodriguez-Lujan et al. 2014,
Chemometrics and Intelligent Laboratory Systems 130, 123-134.
Downloading {url}"""


def fetched_batch_files(*, download: bool, sha256: str | None) -> list[Path]:
    """The unpacked files of the archive in the cache, downloaded first if that was asked."""
    archive = ARCHIVE if sha256 is None else ARCHIVE._replace(sha256=_checked_hash(sha256))
    zipped = cache_folder() / FILE_NAME
    if not (zipped.is_file() and pooch.file_hash(str(zipped)) == archive.sha256):
        if not download:
            raise InputError(
                f"The gas sensor data are not in the cache folder {str(zipped.parent)!r}; give the "
                "path of the unpacked archive, or use download=True to fetch it from UCI."
            )
        print(TERMS.format(url=archive.url), file=sys.stderr)
    return found_batch_files(_folder_of(_unpacked(archive, zipped), archive))


def _checked_hash(sha256: str) -> str:
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise InputError(f"sha256 must be 64 hexadecimal digits; got {sha256!r}.")
    return sha256.lower()


def _unpacked(archive: Archive, zipped: Path) -> list[Path]:
    by_hand = _by_hand(archive)
    try:
        files = pooch.retrieve(
            archive.url,
            known_hash=f"sha256:{archive.sha256}",
            fname=zipped.name,
            path=zipped.parent,
            processor=pooch.Unzip(),
        )
    except ValueError as error:
        raise InputError(
            f"The gas sensor archive has not the SHA-256 {archive.sha256}: UCI may have published "
            "it anew, or the transfer was damaged. Try again, or check the archive and give its "
            f"hash as sha256=. {by_hand}"
        ) from error
    except BadZipFile as error:
        raise InputError(f"{archive.url} is no zip archive. {by_hand}") from error
    except OSError as error:
        text = f"The gas sensor archive could not be downloaded ({error}). {by_hand}"
        raise InputError(text) from error
    return list(map(Path, files))


def _folder_of(files: list[Path], archive: Archive) -> Path:
    """The folder of the batches, which archives have had under several names."""
    batches = [file for file in files if number_of(file) and "__MACOSX" not in file.parts]
    if not batches:
        raise InputError(f"{archive.url} holds no file batch1.dat. {_by_hand(archive)}")
    return batches[0].parent


def _by_hand(archive: Archive) -> str:
    return f"Download {archive.url} by hand, unpack it and give the folder as path."
