"""The report of a completion."""

from math import prod
from pathlib import Path

import numpy as np
import xarray as xr

from factorflow.cli._completion_facts import error_rows, facts
from factorflow.cli._completion_run import Outcome
from factorflow.cli._completion_show import tested
from factorflow.cli._input import Image
from factorflow.cli._unfolding import to_image
from factorflow.report import Table, completion_figures, write_report

_MOST_CELLS = 50_000_000  # of a matrix that is drawn


def write_page(path: Path, outcome: Outcome, total: float) -> None:
    """Write the report of a run."""
    tables = []
    if outcome.test is not None:
        rows = [(name, *cells) for name, *cells in error_rows(outcome)]
        columns = ("method", "RMSE", "PSNR (dB)", "factorflow's RMSE against it (%)")
        if not outcome.is_image:
            columns = (*columns[:2], columns[3])
            rows = [(name, error, difference) for name, error, _, difference in rows]
        tables = [Table(f"Error on {tested(outcome)}.", columns, rows)]
    pictures, notes = _pictures(outcome)
    images = completion_figures(xr.Dataset(), **pictures)
    write_report(
        path,
        title=f"Completion of {outcome.source.source.name}",
        summary=facts(outcome, total),
        tables=tables,
        figures=[*images, *outcome.method.figures(outcome.fit.model)],
        notes=[*notes, *outcome.source.notes, *outcome.warnings],
    )


def _pictures(outcome: Outcome) -> tuple[dict[str, np.ndarray], list[str]]:
    problem, layout = outcome.source.problem, outcome.source.layout
    if prod(problem.shape) > _MOST_CELLS:
        return {}, [f"A matrix of more than {_MOST_CELLS:,} cells is not drawn."]
    if problem.order != 2 and not isinstance(layout, Image):
        return {}, [f"An array of {problem.order} axes is not drawn."]
    pictures = {"before": problem.to_array(), "after": outcome.completed()}
    if outcome.source.truth is not None:
        pictures["truth"] = outcome.source.truth
    if isinstance(layout, Image):
        pictures = {
            name: to_image(np.clip(picture, 0, 1), layout.channels)
            for name, picture in pictures.items()
        }
    return pictures, []
