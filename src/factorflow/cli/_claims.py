"""The command ``factorflow claims``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from factorflow.experiments import Claim


def claims(
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...", help="Claims to show in full. Without any, all as a list."
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the list as JSON.")
    ] = None,
) -> None:
    """List the published results that factorflow reproduce can judge.

    With ids, show the statement, the source, the published numbers and what
    is needed of each; --json has them too.

    Those of cost "quick" take a few minutes at most and are run by default;
    "full" ones take longer and are run by name or with --all.
    """
    # Imported on use: help comes at once.
    from rich.console import Console

    from factorflow._files import check_target, write_json
    from factorflow.experiments import claims as all_claims
    from factorflow.experiments import named

    chosen = named(dict.fromkeys(ids)) if ids else all_claims()
    if json is not None:
        check_target(json)
    if ids:
        for claim in chosen:
            _show(claim, Console())
    else:
        _list(chosen, Console())
    if json is not None:
        write_json(json, [_content(claim) for claim in chosen])
        typer.echo(f"Wrote {json}.")


def _list(claims: Sequence["Claim"], console: "Console") -> None:
    from factorflow.cli._grid import grid
    from factorflow.report import Table

    # Sources are long: they are shown with one claim, where they do not break the table.
    rows = [(claim.id, claim.title, claim.cost) for claim in claims]
    table = Table("Claims", ("claim", "what", "cost"), rows)
    console.print(grid(table, whole_names=True))
    typer.echo("factorflow claims ID shows one in full, with its source and published numbers.")
    for claim in claims:
        if claim.needs is not None:
            typer.echo(f"{claim.id} needs {claim.needs} (--data).")


def _show(claim: "Claim", console: "Console") -> None:
    from factorflow.cli._grid import grid
    from factorflow.report import Table

    cost = {
        "quick": "a few minutes at most; run by default",
        "full": "more than a few minutes; run by name or with --all",
    }
    seeds = f"{claim.seeds}, with --full {claim.full_seeds}"
    facts = {"Source": claim.source, "Cost": cost[claim.cost], "Instances": seeds}
    if claim.needs is not None:
        facts["Needs"] = f"{claim.needs} (--data DIR)"
    lines = [f"{claim.id}: {claim.statement}"]
    lines += [f"{name}: {value}" for name, value in facts.items()]
    for line in lines:
        console.print(line, markup=False, highlight=False)
    if claim.published:
        rows = [(each.name, each.value, each.source) for each in claim.published]
        columns = ("quantity", "published", "where")
        console.print(grid(Table("Published numbers.", columns, rows)))
    console.print()


def _content(claim) -> dict:
    names = ("id", "title", "statement", "source", "cost", "seeds", "full_seeds", "needs")
    content = {name: getattr(claim, name) for name in names}
    return {**content, "published": [vars(each) for each in claim.published]}
