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
_ROOM = 0.25  # of the width of the courses, for the names at their ends
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
        "matrix": (
            "The matrix: observed, completed, and as it is; below, how far each cell is off.",
            _panels(matrix),
        ),
        "singular_values": (
            "The ten largest singular values on the way; dotted, the five of the truth.",
            _courses(matrix),
        ),
        "spectrum": (
            "The largest singular values at the end; the truth has no more than five.",
            _ends(matrix),
        ),
        "photograph": restored[0],
    }


def _panels(matrix: MatrixDemo) -> Figure:
    completed = {"Nuclear norm": matrix.convex.matrix}
    completed |= {f"Depth {depth}": found.matrix for depth, found in matrix.solutions.items()}
    shown = {"Observed": matrix.problem.to_array(), **completed, "Truth": matrix.truth}
    figure = Figure(figsize=(2.2 * len(shown) + 0.8, 5.4), layout="compressed")
    rows = figure.subplots(2, len(shown), sharex=True, sharey=True)
    scale = color_range(matrix.truth)
    for ax, (name, values) in zip(rows[0], shown.items(), strict=True):
        plot_matrix(values, ax, title=name, value_range=scale)
    errors = {name: error for name, error, *_ in matrix.rows()}
    for ax, (name, values) in zip(rows[1, 1:-1], completed.items(), strict=True):
        title = f"relative error {errors[name.lower()]:.2g}"
        plot_matrix(np.abs(values - matrix.truth), ax, title=title, value_range=(0, scale[1] / 4))
    for ax in rows.flat:
        ax.label_outer()
    for ax in (rows[1, 0], rows[1, -1]):
        ax.set_axis_off()
    for ax in (rows[0, 0], rows[0, -1]):  # nothing stands below them
        ax.set_xlabel("Column")
        ax.tick_params(labelbottom=True)
    for row, words, goes_on in zip(
        rows, ("Value", "Absolute error"), ("neither", "max"), strict=True
    ):
        image = row[-2].images[0]
        figure.colorbar(image, ax=list(row), label=words, extend=goes_on, pad=0.01)
    return figure


def _courses(matrix: MatrixDemo) -> Figure:
    figure = Figure(figsize=(11, 3.9), layout="constrained")
    axes = figure.subplots(1, len(matrix.solutions), sharex=True, sharey=True)
    true_values = np.linalg.svd(matrix.truth, compute_uv=False)[:RANK]
    begins = _beginning(matrix)
    ends = max(float(solution.time) for solution in matrix.solutions.values())
    dotted, words = [], "singular values of the truth"
    courses = list(zip(axes, matrix.solutions.items(), strict=True))
    # The deepest first: it has the largest values, and names at the ends are placed by the range.
    for ax, (depth, solution) in reversed(courses):
        dotted.append(
            ax.hlines(true_values, begins, solution.time, "black", ":", linewidth=0.8, label=words)
        )
        plot_singular_values(solution.trajectory, ax)
        ax.set_title(f"Depth {depth}")
        ax.label_outer()
    # Room on the right for the names, so that they take none from the panels.
    axes[0].set_xlim(begins, ends * (ends / begins) ** _ROOM)
    figure.legend(handles=dotted[:1], loc="outside lower center", frameon=False)
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
    # The deepest first: it gets the full line.
    spectra = {
        f"depth {n}": matrix.solutions[n].singular_values for n in reversed(matrix.solutions)
    }
    spectra["nuclear norm"] = matrix.convex.singular_values
    ax = plot_spectrum(
        {name: values[: 4 * RANK] for name, values in spectra.items()}, figure.subplots()
    )
    true_values = np.linalg.svd(matrix.truth, compute_uv=False)[:RANK]
    places = np.arange(1, RANK + 1)
    style = {"marker": "_", "markersize": 14, "markeredgewidth": 2, "linestyle": "none"}
    # Without a line: it would fall to the zeros, which have no place on the axis.
    ax.plot(places, true_values, color="black", zorder=4, label="truth", **style)
    ax.legend(frameon=False, fontsize="small")
    return figure
