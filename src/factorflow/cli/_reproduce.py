"""The command ``factorflow reproduce``."""

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from factorflow._errors import InputError
from factorflow.cli._failures import INTERRUPTED

if TYPE_CHECKING:
    from factorflow.experiments import Claim, Judgement

_RUNS = "runs"  # folder of the finished runs in the folder of --output


def reproduce(
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...",
            help="Claims to judge; factorflow claims lists them. Without any, the quick ones.",
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Judge every claim.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Run each claim at its full size. It can take hours.")
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option(metavar="K", help="Number of instances. By default each claim's own."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write verdicts and numbers as JSON.")
    ] = None,
    output: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder for the page, its pictures and finished runs."),
    ] = Path("claims"),
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the data that some claims need."),
    ] = None,
) -> None:
    """Run published experiments and judge whether their results reproduce.

    Finished runs are kept in DIR/runs, so that a second call, also after
    Ctrl-C, does only what is missing. The exit code is 0 if every claim was
    judged, whatever the verdict, or skipped for want of data, and 1 if one
    could not be judged.
    """
    _check(ids, every, seeds, data)
    # Imported on use, here and below: help and refusals come at once.
    from factorflow.cli._interrupts import Interrupts

    with Interrupts():
        from factorflow.cli._folder import make_folder

        chosen = _chosen(ids or [], every)
        _check_json(json, output)
        make_folder(output, "index.html")
        judgements = _run(chosen, full=full, seeds=seeds, data=data, output=output)
        _show(judgements)
        _write(judgements, output, json)
    _end(judgements)


def _check(ids: list[str] | None, every: bool, seeds: int | None, data: Path | None) -> None:
    if ids and every:
        raise InputError("--all stands for every claim; give either it or the ids of some.")
    if seeds is not None and seeds < 1:
        raise InputError(f"--seeds must be 1 or more; got {seeds}.")
    if data is not None and not data.is_dir():
        raise InputError(f"--data {data} is no folder; give the folder that holds the data.")


def _chosen(ids: list[str], every: bool) -> list["Claim"]:
    from factorflow.experiments import claims

    known = {claim.id: claim for claim in claims()}
    for wanted in ids:
        if wanted not in known:
            raise InputError(f"There is no claim {wanted!r}; {_near(wanted, list(known))}")
    if ids:
        return [known[wanted] for wanted in dict.fromkeys(ids)]
    return [claim for claim in known.values() if every or claim.cost == "quick"]


def _near(wanted: str, known: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(wanted, known, cutoff=0.5)
    near += [name for name in known if wanted in name and name not in near]
    listed = "factorflow claims lists all."
    return f"did you mean {' or '.join(near)}? {listed}" if near else listed


def _check_json(json: Path | None, output: Path) -> None:
    from factorflow._files import check_target

    if json is None:
        return
    # The folder of --output is made only after every check.
    if json.resolve().parent != output.resolve() or output.exists():
        check_target(json)
    if json.suffix in (".html", ".png") and json.resolve().parent == output.resolve():
        raise InputError(
            f"--json {json} could be a page or a picture of --output; end it in .json."
        )


def _run(claims: list["Claim"], *, output: Path, **size) -> list["Judgement"]:
    from factorflow.cli._runs_progress import RunsProgress
    from factorflow.cli._warnings import warnings_said
    from factorflow.experiments import Interrupted, Store, reproduce

    store = Store(output / _RUNS)
    try:
        with RunsProgress() as progress, warnings_said(progress.say):
            return reproduce(claims, store=store, progress=progress, **size)
    except Interrupted as interrupted:
        done = f"{interrupted.n_done} of {interrupted.n_wanted} runs are done"
        kept = f"{done} and kept in {store.folder}; the same command goes on from there."
        typer.echo(f"Interrupted: {kept}", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _show(judgements: list["Judgement"]) -> None:
    from rich.console import Console

    from factorflow.cli._grid import grid
    from factorflow.experiments import checks_table, comparison_table, verdict_table

    console = Console()
    if len(judgements) == 1:
        claim = judgements[0].claim
        for line in (f"{claim.id}: {claim.statement}", f"Source: {claim.source}"):
            console.print(line, markup=False, highlight=False)
        for table in (comparison_table(judgements[0]), checks_table(judgements[0])):
            if table.rows:
                console.print(grid(table))
    console.print(grid(verdict_table(judgements)))
    for judgement in judgements:
        if judgement.verdict != judgement.word:
            told = f"{judgement.claim.id} {judgement.verdict}"
            console.print(told, markup=False, highlight=False)


def _write(judgements: list["Judgement"], output: Path, json: Path | None) -> None:
    from factorflow._files import write_json
    from factorflow.experiments import as_json, write_page

    for path in write_page(output, judgements):
        typer.echo(f"Wrote {path}.")
    if json is not None:
        write_json(json, [as_json(judgement) for judgement in judgements])
        typer.echo(f"Wrote {json}.")


def _end(judgements: list["Judgement"]) -> None:
    """Exit with 1 if a claim could not be judged."""
    causes = [judgement.cause for judgement in judgements if judgement.cause is not None]
    if not causes:
        return
    if os.environ.get("FACTORFLOW_DEBUG") == "1":
        for cause in causes:
            traceback.print_exception(cause)
    claims = "1 claim" if len(causes) == 1 else f"{len(causes)} claims"
    typer.echo(f"{claims} could not be judged; see above why.", err=True)
    raise typer.Exit(1)
