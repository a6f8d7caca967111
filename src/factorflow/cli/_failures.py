"""Failures as one line and an exit code: 2 for bad input, 1 for the rest, 130 for Ctrl-C."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from factorflow._errors import FlowError, InputError

INTERRUPTED = 130  # 128 + SIGINT, as every shell has it

# The class of all mistakes on the command line; Typer does not hand it out by its name.
_UsageError: Any = typer.BadParameter.__mro__[1]


@contextmanager
def plain_failures() -> Iterator[None]:
    """Turn what is raised into a line ``error: ...`` on stderr and an exit code.

    With ``FACTORFLOW_DEBUG=1`` in the environment the traceback comes first.
    """
    try:
        yield
    except (typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        _end("Interrupted.", INTERRUPTED)
    except InputError as error:
        _end(f"error: {error}", 2)
    except _UsageError as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "factorflow"
        _end(f"error: {error.format_message().rstrip('.')}. See {command} --help.", 2)
    except Exception as error:
        _end(f"error: {_told(error)}", 1)


def _told(error: Exception) -> str:
    if isinstance(error, FlowError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"The memory of this machine is not enough. {error}"
    if isinstance(error, OSError):
        place = "" if error.filename is None else f"{error.filename}: "
        return f"{place}{error.strerror or error}."
    return (
        f"Something unforeseen happened ({type(error).__name__}: {error}). "
        "FACTORFLOW_DEBUG=1 in the environment shows where."
    )


def _end(line: str, code: int) -> None:
    if os.environ.get("FACTORFLOW_DEBUG") == "1":
        traceback.print_exc()
    print(" ".join(line.split()), file=sys.stderr)
    raise typer.Exit(code)
