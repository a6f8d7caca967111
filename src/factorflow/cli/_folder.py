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
    except FileNotFoundError as error:
        raise InputError(
            f"--output {folder}: the folder {folder.parent} does not exist; create it."
        ) from error
    except FileExistsError as error:
        raise InputError(f"--output {folder} is a file; give the name of a folder.") from error
    check_target(folder / file)
