"""Files that appear whole or not at all."""

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np

from factorflow._errors import InputError


def check_target(path: str | os.PathLike) -> Path:
    """The real path (links followed) of a file that can be written; nothing is written.

    Raises
    ------
    InputError
        If the path is a folder or no regular file, its folder does not exist, or either
        may not be written.
    """
    try:
        target = Path(os.path.realpath(path))
        _refuse_target(path, target)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
    return target


def _refuse_target(path: str | os.PathLike, target: Path) -> None:
    folder = target.parent
    if target.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file in it.")
    if not folder.is_dir():
        raise InputError(
            f"{path} cannot be written: the folder {folder} does not exist; create it."
        )
    if not os.access(folder, os.W_OK):
        raise InputError(
            f"{path} cannot be written: no permission to write in the folder {folder}; "
            "choose another folder."
        )
    if target.exists() and not (target.is_file() and os.access(target, os.W_OK)):
        raise InputError(
            f"{path} exists and is not a file that may be replaced; choose another name."
        )


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Path of a temporary file that takes the place of ``path`` when the block succeeds.

    The temporary file lies in the same folder, has the same ending, is flushed to the disk and
    then renamed, so a reader sees the old file or the whole new one. Any exception in the block,
    an interrupt included, removes it and leaves ``path`` as it was.

    Raises
    ------
    InputError
        As :func:`check_target`.
    """
    target = check_target(path)
    temporary = target.with_name(f".{token_hex(8)}{''.join(target.suffixes[-2:])}")
    # os.open rather than tempfile: the file gets the permissions of the user's umask
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        _flush(temporary)
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _flush(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def write_json(path: str | os.PathLike, content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write a dictionary or a list as UTF-8 JSON, whole or not at all.

    NumPy scalars and arrays become numbers and lists, paths become strings, and NaN and the
    infinities, which JSON does not have, become ``null``.

    Raises
    ------
    InputError
        If the file cannot be written there.
    TypeError
        If the content holds an object that JSON has no form for.
    """
    text = json.dumps(_plain(content), indent=2, allow_nan=False, ensure_ascii=False)
    with whole_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _plain(content: Any) -> Any:
    if isinstance(content, np.generic | np.ndarray):
        content = content.tolist()
    if isinstance(content, Mapping):
        return {_plain(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(item) for item in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return str(content) if isinstance(content, os.PathLike) else content
