"""The script ``factorflow``: its commands, and how a failure looks to a user."""

import atexit
import gc
import os
import sys
from contextlib import suppress
from typing import Annotated

import typer
from typer.core import TyperGroup

from factorflow.cli._claims import claims
from factorflow.cli._complete import complete
from factorflow.cli._demo import demo
from factorflow.cli._doctor import doctor
from factorflow.cli._failures import plain_failures
from factorflow.cli._reproduce import reproduce


class _Commands(TyperGroup):
    def invoke(self, ctx):
        with plain_failures():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(complete)
app.command()(demo)
app.command()(reproduce)
app.command()(claims)
app.command()(doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        from factorflow import __version__

        typer.echo(f"factorflow {__version__}")
        raise typer.Exit()


@app.callback()
def _factorflow(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Complete matrices by gradient flow on deep linear networks."""


def main() -> None:
    """Run the command line and end the process: the entry point of the script ``factorflow``."""
    # A start makes hundreds of thousands of objects and little garbage. To look for garbage seldom
    # then, and to free nothing at the end, saves a twentieth of the seconds of a small `complete`.
    gc.set_threshold(500_000, 50, 50)
    try:
        app(prog_name="factorflow")
    except SystemExit as end:
        if isinstance(end.code, int):
            _leave(end.code)
        raise


def _leave(code: int) -> None:
    """End the process once what others asked for at its end is done, unless a pipe is closed."""
    atexit._run_exitfuncs()
    with suppress(OSError):  # Python tells of it in its own way
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
