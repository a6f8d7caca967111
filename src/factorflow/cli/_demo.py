"""The command ``factorflow demo``."""

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from factorflow.cli._folder import make_folder
from factorflow.cli._method import check_seed


def demo(
    output: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder for the pictures and the report."),
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed, the same numbers.")] = 0,
) -> None:
    """Recover a matrix of rank 5 and a photograph from a part of their entries.

    The matrix is completed at depth 1, 2 and 3, to see what depth does. It takes about half a
    minute.
    """
    began = perf_counter()
    # Imported on use, here and below: help and refusals come at once.
    from factorflow.cli._interrupts import Interrupts

    check_seed(seed)
    with Interrupts() as interrupts:
        make_folder(output, "report.html")
        from rich.console import Console

        from factorflow.cli._demo_matrix import complete_matrix
        from factorflow.cli._demo_pages import show, write
        from factorflow.cli._demo_photograph import restore_photograph
        from factorflow.cli._progress import FitProgress

        with FitProgress() as progress:
            matrix = complete_matrix(seed, interrupts, progress)
            photograph = restore_photograph(seed, interrupts, progress)
        show(matrix, photograph, Console())
        for path in write(output, matrix, photograph):
            typer.echo(f"Wrote {path}.")
        typer.echo(f"The demonstration took {perf_counter() - began:.0f} s.")
