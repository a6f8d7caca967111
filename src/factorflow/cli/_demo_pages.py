"""What the demonstration prints, and the pictures and the page that it writes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table as Grid

from factorflow._files import whole_file
from factorflow.cli._completion_facts import error_rows
from factorflow.cli._completion_run import Outcome
from factorflow.cli._completion_show import error_grid
from factorflow.cli._demo_matrix import N_OBSERVED, RANK, SHAPE, MatrixDemo
from factorflow.cli._demo_photograph import HIDDEN
from factorflow.plots import color_range, plot_matrix, plot_singular_values, plot_spectrum
from factorflow.report import Table, completion_figures, write_report

_COLUMNS = ("", "reconstruction error", "nuclear norm", "effective rank", "gradients")
_MATRIX = f"A {SHAPE[0]} x {SHAPE[1]} matrix of rank {RANK} from {N_OBSERVED:,} of its entries"
_PHOTOGRAPH = f"A photograph from {1 - HIDDEN:.0%} of its pixels"


def show(matrix: MatrixDemo, photograph: Outcome, console: Console) -> None:
    """Print the numbers."""
    grid = Grid(title=_MATRIX, title_justify="left")
    for name in _COLUMNS:
        grid.add_column(name, justify="right" if name else "left")
    for name, error, norm, rank, gradients in matrix.rows():
        count = "" if gradients is None else f"{gradients:,}"
        grid.add_row(name, f"{error:.2g}", f"{norm:.1f}", f"{rank:.2f}", count)
    console.print(grid)
    console.print(error_grid(photograph, _PHOTOGRAPH))


def write(folder: Path, matrix: MatrixDemo, photograph: Outcome) -> Iterator[Path]:
    """Write the pictures and the page; their paths, each once it is written."""
    figures = _figures(matrix, photograph)
    for name, (_, figure) in figures.items():
        path = folder / f"{name}.png"
        with whole_file(path) as unfinished:
            figure.savefig(unfinished, format="png", dpi=144, metadata={"Software": None})
        yield path
    path = folder / "report.html"
    rows = [(name, psnr, error) for name, error, psnr, _ in error_rows(photograph)]
    write_report(
        path,
        title="What depth does",
        tables=[
            Table(f"{_MATRIX}: by the least nuclear norm, and by flow.", _COLUMNS, matrix.rows()),
            Table(f"{_PHOTOGRAPH}: error on the others.", ("", "PSNR (dB)", "RMSE"), rows),
        ],
        figures=list(figures.values()),
        notes=[
            "All fit the observed entries; they differ in what they put between them. The matrix "
            "of least nuclear norm is the classic answer. Deeper products find matrices of lower "
            "rank, though not of lower norm.",
            "The photograph is the one of the Summer Palace that scikit-learn ships, scaled down. "
            "Where to stop was chosen on pixels within the observed ones.",
        ],
    )
    yield path


def _figures(matrix: MatrixDemo, photograph: Outcome) -> dict[str, tuple[str, Figure]]:
    restored = completion_figures(
        xr.Dataset(),
        photograph.source.problem.to_array(),
        np.clip(photograph.completed(), 0, 1),
        photograph.source.truth,
    )
    return {
        "matrix": ("The matrix: observed, completed, and as it is.", _panels(matrix)),
        "singular_values": (
            "The ten largest singular values on the way; dotted, the five of the truth.",
            _courses(matrix),
        ),
        "spectrum": ("The largest singular values at the end, beside the truth.", _ends(matrix)),
        "photograph": restored[0],
    }


def _panels(matrix: MatrixDemo) -> Figure:
    shown = {"Observed": matrix.problem.to_array(), "Nuclear norm": matrix.convex.matrix}
    shown |= {f"Depth {depth}": found.matrix for depth, found in matrix.solutions.items()}
    shown["Truth"] = matrix.truth
    scale = color_range(matrix.truth)
    figure = Figure(figsize=(2.4 * len(shown), 2.9), layout="constrained")
    axes = figure.subplots(1, len(shown), sharey=True)
    for ax, (name, values) in zip(axes, shown.items(), strict=True):
        plot_matrix(values, ax, title=name, value_range=scale)
        ax.label_outer()
    return figure


def _courses(matrix: MatrixDemo) -> Figure:
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, len(matrix.solutions), sharex=True, sharey=True)
    true_values = np.linalg.svd(matrix.truth, compute_uv=False)[:RANK]
    begins = _beginning(matrix)
    courses = list(zip(axes, matrix.solutions.items(), strict=True))
    # The deepest first: it has the largest values, and names at the ends are placed by the range.
    for ax, (depth, solution) in reversed(courses):
        ax.hlines(true_values, begins, solution.time, "black", ":", linewidth=0.8)
        plot_singular_values(solution.trajectory, ax)
        ax.set_title(f"Depth {depth}")
        ax.label_outer()
    axes[0].set_xlim(left=begins)
    return figure


def _beginning(matrix: MatrixDemo) -> float:
    """A time before which nothing can be seen in a linear plot, at any depth."""
    moments = []
    for solution in matrix.solutions.values():
        largest = solution.trajectory["singular_values"].values[:, 0]
        first = int(np.argmax(largest > 0.01 * largest[-1]))
        moments.append(float(solution.trajectory["time"][first]))
    return min(moments) / 2


def _ends(matrix: MatrixDemo) -> Figure:
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    spectra = {"nuclear norm": matrix.convex.singular_values}
    spectra |= {f"depth {n}": found.singular_values for n, found in matrix.solutions.items()}
    spectra = {name: values[: 4 * RANK] for name, values in spectra.items()}
    least = min(values[-1] for values in spectra.values())
    spectra["truth"] = np.linalg.svd(matrix.truth, compute_uv=False)[: 4 * RANK]
    ax = plot_spectrum(spectra, figure.subplots())
    ax.set_ylim(bottom=least / 3)
    return figure
