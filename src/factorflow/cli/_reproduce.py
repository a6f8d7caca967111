"""The command ``factorflow reproduce``."""

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from factorflow._errors import InputError
from factorflow.cli._failures import INTERRUPTED

if TYPE_CHECKING:
    from factorflow.experiments import Claim, Judgement, Store

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
    Ctrl-C, does only what is missing. The page shows all claims that were
    judged in DIR, also by calls before. The exit code is 0 if every claim was
    judged, whatever the verdict, or skipped for want of data, and 1 if one
    could not be judged.
    """
    _check(ids, every, seeds, data)
    # Imported on use, here and below: help and refusals come at once.
    from factorflow.cli._interrupts import Interrupts

    with Interrupts():
        from factorflow._files import check_target
        from factorflow.cli._folder import make_folder
        from factorflow.experiments import RECORD, Store

        chosen = _chosen(ids or [], every)
        _check_json(json, output)
        make_folder(output, "index.html")
        check_target(output / RECORD)
        store = Store(output / _RUNS)
        judgements, found = _run(chosen, full=full, seeds=seeds, data=data, store=store)
        _show(judgements)
        if found:
            typer.echo(found)
        _write(judgements, output, json, store)
    _end(judgements)


def _check(ids: list[str] | None, every: bool, seeds: int | None, data: Path | None) -> None:
    if ids and every:
        raise InputError("--all stands for every claim; give either it or the ids of some.")
    if seeds is not None and seeds < 1:
        raise InputError(f"--seeds must be 1 or more; got {seeds}.")
    if data is not None and not data.is_dir():
        raise InputError(f"--data {data} is no folder; give the folder that holds the data.")


def _chosen(ids: list[str], every: bool) -> list["Claim"]:
    from factorflow.experiments import claims, named

    if ids:
        return named(dict.fromkeys(ids))
    return [claim for claim in claims() if every or claim.cost == "quick"]


def _check_json(json: Path | None, output: Path) -> None:
    from factorflow._files import check_target
    from factorflow.experiments import RECORD

    if json is None:
        return
    # The folder of --output is made only after every check.
    if json.resolve().parent != output.resolve() or output.exists():
        check_target(json)
    if json.resolve().parent != output.resolve():
        return
    if json.suffix in (".html", ".png"):
        raise InputError(
            f"--json {json} could be a page or a picture of --output; end it in .json."
        )
    if json.name == RECORD:
        raise InputError(
            f"--json {json}: this file lists what was judged in --output; choose another name."
        )


def _run(claims: list["Claim"], *, store: "Store", **size) -> tuple[list["Judgement"], str]:
    """The judgements, and a sentence on the runs that were there already."""
    from factorflow.cli._runs_progress import RunsProgress
    from factorflow.cli._warnings import warnings_said
    from factorflow.experiments import Interrupted, reproduce

    try:
        with RunsProgress() as progress, warnings_said(progress.say):
            judgements = reproduce(claims, store=store, progress=progress, **size)
    except Interrupted as interrupted:
        done = f"{interrupted.n_done} of {interrupted.n_wanted} runs are done"
        kept = f"{done} and kept in {store.folder}; the same command goes on from there."
        if not interrupted.n_done:
            kept = "no run had ended, so nothing is kept."
        typer.echo(f"Interrupted: {kept}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if not progress.n_found:
        return judgements, ""
    runs = f"{progress.n_found} of {progress.n_wanted} runs"
    return judgements, f"{runs} were there already ({store.folder})."


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
            if table.rows and judgements[0].finding is not None:
                console.print(grid(table))
    if len(judgements) > 1 or judgements[0].word != "skipped":
        console.print(grid(verdict_table(judgements), whole_names=True))
    for judgement in judgements:
        if judgement.verdict != judgement.word:
            option = "; give it with --data DIR." if judgement.word == "skipped" else ""
            told = f"{judgement.claim.id} {judgement.verdict}{option}"
            console.print(told, markup=False, highlight=False)


def _write(judgements: list["Judgement"], output: Path, json: Path | None, store: "Store") -> None:
    from factorflow._files import write_json
    from factorflow.cli._warnings import warnings_said
    from factorflow.experiments import as_json, with_earlier, write_page

    with warnings_said(lambda text: typer.echo(text, err=True)):
        shown, left_out = with_earlier(output, judgements, store)
    for line in left_out:
        typer.echo(line)
    *pictures, page = write_page(output, shown, notes=left_out)
    earlier = len(shown) - len(judgements)
    parts = [f"Wrote {page}"]
    if earlier:
        parts.append(f"with {earlier} {'claim' if earlier == 1 else 'claims'} judged there before")
    if pictures:
        parts.append(f"beside it {len(pictures)} {'picture' if len(pictures) == 1 else 'pictures'}")
    typer.echo(", ".join(parts) + ".")
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
