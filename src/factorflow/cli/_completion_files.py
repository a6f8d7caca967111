"""The files that ``factorflow complete`` writes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from factorflow._errors import InputError
from factorflow._files import check_target
from factorflow.cli._input import Input
from factorflow.cli._write import Cells, check_output, write_json, write_output

if TYPE_CHECKING:
    from factorflow.cli._completion_run import Outcome


@dataclass(frozen=True)
class Files:
    """The files that were asked for, and which cells a long output holds."""

    output: Path | None
    cells: Cells | None
    json: Path | None
    report: Path | None

    def check(self, source: Path) -> None:
        """Refuse, before anything is read, what could not be written.

        Raises
        ------
        InputError
            If a file cannot be written there, or two are one.
        """
        if self.cells is not None and self.output is None:
            raise InputError("--cells says what --output holds; give --output as well.")
        if self.output is not None:
            check_output(self.output)
        taken = {source.resolve(): "the input"}
        for option in ("output", "json", "report"):
            path = getattr(self, option)
            if path is None:
                continue
            real = check_target(path)
            if real in taken:
                raise InputError(
                    f"--{option} {path} is {taken[real]} too; give each file its own name."
                )
            taken[real] = f"the file of --{option}"

    def check_for(self, source: Input) -> None:
        """Refuse an output that does not fit the input; see :func:`check_output`."""
        if self.output is not None:
            check_output(self.output, source, cells=self.cells)

    def write(self, outcome: "Outcome", total: float) -> Iterator[str]:
        """Write the files; a sentence for each once it is written."""
        if self.output is not None:
            write_output(self.output, outcome.source, outcome.completed(), cells=self.cells)
            refitted = outcome.final is not outcome.fit
            fitted = ", from a fit of all observed entries" if refitted else ""
            yield f"Wrote {self.output}{fitted}."
        if self.json is not None:
            from factorflow.cli._completion_facts import json_content

            write_json(self.json, json_content(outcome, total))
            yield f"Wrote {self.json}."
        if self.report is not None:
            from factorflow.cli._completion_page import write_page

            write_page(self.report, outcome, total)
            yield f"Wrote {self.report}."
