"""The command ``factorflow claims``."""

from pathlib import Path
from typing import Annotated

import typer


def claims(
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the list as JSON.")
    ] = None,
) -> None:
    """List the published results that factorflow reproduce can judge.

    The page of factorflow reproduce has their statements, and so has --json.

    Those of cost "quick" take a few minutes at most and are run by default;
    "full" ones take longer and are run by name or with --all.
    """
    # Imported on use: help comes at once.
    from rich.console import Console

    from factorflow._files import check_target, write_json
    from factorflow.cli._grid import grid
    from factorflow.experiments import claims as all_claims
    from factorflow.report import Table

    if json is not None:
        check_target(json)
    rows = [(claim.id, claim.title, claim.source, claim.cost) for claim in all_claims()]
    table = Table("Claims", ("claim", "what", "source", "cost"), rows)
    Console().print(grid(table, whole_names=True))
    for claim in all_claims():
        if claim.needs is not None:
            typer.echo(f"{claim.id} needs {claim.needs} (--data).")
    if json is not None:
        write_json(json, [_content(claim) for claim in all_claims()])
        typer.echo(f"Wrote {json}.")


def _content(claim) -> dict:
    names = ("id", "title", "statement", "source", "cost", "seeds", "full_seeds", "needs")
    content = {name: getattr(claim, name) for name in names}
    return {**content, "published": [vars(each) for each in claim.published]}
