"""The command ``factorflow complete``."""

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from factorflow.cli._method import (
    Biases,
    FactorizationName,
    MethodName,
    Options,
    Stop,
    check_fraction,
    parse_components,
    parse_widths,
)

if TYPE_CHECKING:
    from factorflow.cli._completion_files import Files
    from factorflow.cli._completion_run import Outcome

# What JAX, SciPy and scikit-learn import and a fit does not call: hundreds of modules. NumPy's is
# imported by SciPy, which takes everything of NumPy.
_NOT_USED = ("jax.extend.pallas", "numpy.f2py", "scipy.special", "scipy.stats")
_TABLE, _FIT, _FILES = "Reading", "Fitting", "Writing"
_FLOWS = "Fitting by --method deep or tensor"
_DEEP, _TENSOR = "Fitting by --method deep", "Fitting by --method tensor"


def complete(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="Table (.csv .tsv .txt, also .gz, .parquet), array (.npy .npz) or image "
            "(.png .jpg). Empty cells and NaN are missing.",
        ),
    ],
    row: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=_TABLE,
            help="Column with the row labels of a long table, which has one line per cell. "
            "Without it a table is wide: one line per row of the matrix.",
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(metavar="NAME", rich_help_panel=_TABLE, help="Column with the column labels."),
    ] = None,
    value: Annotated[
        str | None,
        typer.Option(metavar="NAME", rich_help_panel=_TABLE, help="Column with the values."),
    ] = None,
    duplicates: Annotated[
        Literal["refuse", "mean"],
        typer.Option(rich_help_panel=_TABLE, help="What to do with a cell that comes twice."),
    ] = "refuse",
    observed: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=_TABLE,
            help="Image (or .npy) of the same size, not black (not 0) where the input is known.",
        ),
    ] = None,
    hide: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            rich_help_panel=_TABLE,
            help="Hide this share of an image's pixels, and test on them.",
        ),
    ] = None,
    method: Annotated[
        MethodName,
        typer.Option(
            rich_help_panel=_FIT,
            help="deep: gradient flow on a deep linear network. tensor: the same on a "
            "sum of components, for arrays of any order; a colour image has three axes. greedy: "
            "the limit of deep from an infinitesimal start, rank by rank. soft-impute: a penalty "
            "on the nuclear norm, its weight chosen on validation entries within the fitted ones. "
            "nuclear-norm: the least one that fits the entries exactly; it works on whole "
            "matrices, and takes minutes for millions of cells.",
        ),
    ] = "deep",
    depth: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=_DEEP,
            help="Number of factors. Default: 2 for tables and images, 3 for arrays.",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(
            metavar="SCALE",
            rich_help_panel=_FLOWS,
            help="Scale of the start; smaller: lower rank. Default: 0.001.",
            show_default=False,
        ),
    ] = None,
    widths: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            rich_help_panel=_DEEP,
            help="The depth - 1 hidden widths, or auto: the full width up to 200, else 64. "
            "Default: auto.",
            show_default=False,
        ),
    ] = None,
    factorization: Annotated[
        FactorizationName | None,
        typer.Option(
            rich_help_panel=_TENSOR,
            help="cp: products of a vector for each axis. hierarchical: components of components, "
            "over a tree of neighbouring axes. Default: cp.",
            show_default=False,
        ),
    ] = None,
    components: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            rich_help_panel=_TENSOR,
            help="Number of components, of hierarchical also N,N,... for the levels of the tree. "
            "Default: as many as leave every tensor possible, at most 200 (64 at each level).",
            show_default=False,
        ),
    ] = None,
    biases: Annotated[
        Biases | None,
        typer.Option(
            rich_help_panel=_FIT,
            help="What is taken off first. Default: rows+columns for tables (axes with --method "
            "tensor), none for arrays, global for images.",
            show_default=False,
        ),
    ] = None,
    stop: Annotated[
        Stop | None,
        typer.Option(
            rich_help_panel=_FLOWS,
            help="Where the flow stops: at the least error on validation entries within the "
            "fitted ones, or when it fits them exactly. Default: validation.",
            show_default=False,
        ),
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            rich_help_panel=_FIT,
            help="Share of the observed entries that the test keeps from the fit; 0: no test. "
            "Default: 0.1, or the hidden pixels.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(metavar="N", rich_help_panel=_FIT, help="The same seed, the same result."),
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=_FILES,
            help="The completed matrix, fitted to all observed entries, which stay as they are.",
        ),
    ] = None,
    cells: Annotated[
        Literal["missing", "all"] | None,
        typer.Option(
            rich_help_panel=_FILES,
            help="Cells of a long output. Default: missing, those that the input did not know.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel=_FILES, help="The numbers of the run as JSON."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel=_FILES, help="One HTML page with tables and figures."
        ),
    ] = None,
) -> None:
    """Complete a matrix or an array, and measure the error on entries that were kept from the fit.

    The error stands beside that of the mean and of row and column effects on the same entries.
    Ctrl-C ends the run and shows what it has; nothing is written then.
    """
    began = perf_counter()
    # Imported on use, here and below: help and refusals come at once.
    from factorflow.cli._completion_files import Files
    from factorflow.cli._interrupts import Interrupts
    from factorflow.cli._later import import_later
    from factorflow.cli._read import read_input

    given = None if widths is None else parse_widths(widths)
    parts = None if components is None else parse_components(components)
    options = Options(depth, scale, given, biases, stop, seed, method, factorization, parts)
    files = Files(output, cells, json, report)
    with Interrupts() as interrupts:
        options.check()
        check_fraction(test_fraction, hide)
        files.check(source)
        for name in _NOT_USED:
            import_later(name)
        read = read_input(
            source,
            row=row,
            column=column,
            value=value,
            observed=observed,
            hide=hide,
            seed=seed,
            duplicates=duplicates,
            tensors=options.takes_tensors,
        )
        files.check_for(read)
        chosen = options.on(read.kind)
        from factorflow.cli._completion_run import run
        from factorflow.cli._progress import FitProgress

        with FitProgress() as progress:
            outcome = run(read, chosen, test_fraction, output is not None, interrupts, progress)
        _finish(outcome, perf_counter() - began, files)


def _finish(outcome: "Outcome", total: float, files: "Files") -> None:
    """Show the result, and write what was asked for."""
    from rich.console import Console

    from factorflow.cli._completion_show import show
    from factorflow.cli._failures import INTERRUPTED

    for note in outcome.source.notes:
        typer.echo(f"note: {note}", err=True)
    for text in outcome.warnings:
        typer.echo(f"warning: {text}", err=True)
    show(outcome, total, Console())
    if outcome.interrupted:
        typer.echo("Interrupted: no file was written.", err=True)
        raise typer.Exit(INTERRUPTED)
    for sentence in files.write(outcome, total):
        typer.echo(sentence)
