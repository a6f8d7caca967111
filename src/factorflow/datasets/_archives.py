"""Published archives: hash, terms of use, download into the local cache."""

import re
import sys
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import pooch

from factorflow._errors import InputError


class Archive(NamedTuple):
    """A published zip archive, with what is said about it.

    Attributes
    ----------
    url, sha256
        Where it is and its hash.
    file_name
        Its name in the cache folder.
    publisher
        Who publishes it: ``"UCI"``.
    terms
        Its terms of use, shown before a download.
    absent
        The first half of the sentence that it is not in the cache folder ``{folder!r}``.
    archive, wanted
        The subjects of the sentences that its hash is another, and that it cannot be had.
    """

    url: str
    sha256: str
    file_name: str
    publisher: str
    terms: str
    absent: str
    archive: str
    wanted: str

    @property
    def by_hand(self) -> str:
        """What to do where the download fails."""
        return f"Download {self.url} by hand, unpack it and give the folder as path."

    def lacks(self, name: str) -> InputError:
        """The error for an archive without a file that it should hold."""
        return InputError(f"{self.url} holds no file {name}. {self.by_hand}")


def cache_folder() -> Path:
    """The user's own cache folder for this package."""
    return Path(pooch.os_cache("factorflow"))


def fetched_files(
    archive: Archive, *, download: bool, sha256: str | None, members: list[str] | None = None
) -> list[Path]:
    """The unpacked files of an archive in the cache, downloaded first if that was asked.

    Parameters
    ----------
    archive
        Which.
    download
        Whether it may be fetched; its terms are printed to standard error first.
    sha256
        Hash that is expected in place of the one on record.
    members
        The files to unpack; None for all. Those that it does not hold are left out.

    Raises
    ------
    InputError
        If the hash is none, or the archive is not in the cache, cannot be had or has another hash.
    """
    if sha256 is not None:
        archive = archive._replace(sha256=_checked_hash(sha256))
    zipped = cache_folder() / archive.file_name
    if not _is_intact(zipped, archive.sha256):
        if not download:
            raise InputError(
                f"{archive.absent.format(folder=str(zipped.parent))}, or use download=True to "
                f"fetch it from {archive.publisher}."
            )
        print(f"{archive.terms}\nDownloading {archive.url}", file=sys.stderr)
    return _unpacked(archive, zipped, members)


def _checked_hash(sha256: str) -> str:
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise InputError(f"sha256 must be 64 hexadecimal digits; got {sha256!r}.")
    return sha256.lower()


def _is_intact(zipped: Path, sha256: str) -> bool:
    return zipped.is_file() and pooch.file_hash(str(zipped)) == sha256


def _unpacked(archive: Archive, zipped: Path, members: list[str] | None) -> list[Path]:
    try:
        files = pooch.retrieve(
            archive.url,
            known_hash=f"sha256:{archive.sha256}",
            fname=zipped.name,
            path=zipped.parent,
            processor=pooch.Unzip(members=members),
        )
    except ValueError as error:
        raise InputError(
            f"{archive.archive} has not the SHA-256 {archive.sha256}: {archive.publisher} may have "
            "published it anew, or the transfer was damaged. Try again, or check the archive and "
            f"give its hash as sha256=. {archive.by_hand}"
        ) from error
    except BadZipFile as error:
        raise InputError(f"{archive.url} is no zip archive. {archive.by_hand}") from error
    except OSError as error:
        raise InputError(
            f"{archive.wanted} could not be downloaded ({error}). {archive.by_hand}"
        ) from error
    return [Path(file) for file in files]
