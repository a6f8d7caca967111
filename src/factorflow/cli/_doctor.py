"""The command ``factorflow doctor``."""

import typer


def doctor() -> None:
    """Check that what factorflow needs is here and works.

    The exit code is 0 if all does, else 1.
    """
    from rich.console import Console
    from rich.table import Table

    from factorflow.cli._checks import checks
    from factorflow.cli._versions import versions

    console = Console()
    found = Table("package", "version", title="Versions", title_justify="left")
    for name, version in versions().items():
        found.add_row(name, version or "missing")
    console.print(found)
    results = Table("check", "", "what was found", title="Checks", title_justify="left")
    failed = 0
    for check in checks():
        failed += not check.works
        mark = "[green]works[/green]" if check.works else "[bold red]fails[/bold red]"
        results.add_row(check.name, mark, check.sentence)
    console.print(results)
    if failed:
        typer.echo(f"{failed} of the checks failed; each says how to mend it.", err=True)
        raise typer.Exit(1)
    typer.echo("All works.")
