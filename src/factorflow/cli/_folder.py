"""The folder that a command writes into."""

from pathlib import Path

from factorflow._errors import InputError


def make_folder(folder: Path, file: str) -> None:
    """Make the folder of ``--output``, and see that a file of that name can be written in it.

    Raises
    ------
    InputError
        If it is a file, the folder around it does not exist, or it cannot be written.
    """
    from factorflow._files import check_target

    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError as error:
        raise InputError(f"--output {folder} is a file; give the name of a folder.") from error
    except OSError as error:
        raise InputError(f"--output {folder}: {_hindrance(folder, error)}") from error
    check_target(folder / file)


def _hindrance(folder: Path, error: OSError) -> str:
    parent = folder.parent
    if not parent.exists():
        return f"the folder {parent} does not exist; create it."
    if not parent.is_dir():
        return f"{parent} is a file; give a name in a folder."
    # /proc says of every new folder that there is no such one.
    reason = "" if isinstance(error, FileNotFoundError) else f" ({error.strerror or error})"
    return f"no folder can be made in {parent}{reason}; choose another."
