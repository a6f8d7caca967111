"""Random choices of cells: which are observed, and which are held out."""

from operator import index
from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow._random import stream
from factorflow.problems._grid import as_matrix, grid_cells


def checked_truth(truth: Any, shape: tuple[int, int] | None = None) -> np.ndarray:
    """A finite float64 copy of a full matrix, of the given shape if there is one."""
    given = as_matrix(truth, "truth")
    if shape is not None and given.shape != shape:
        raise InputError(f"truth must have the shape of the problem, {shape}; got {given.shape}.")
    if given.dtype == np.float64 and np.isfinite(given).all():
        return given.copy()
    *_, values = grid_cells(given, np.ones(given.shape, bool))
    return values.reshape(given.shape)


def sampled_cells(truth: np.ndarray, n_observed: Any, noise: float, seed: int):
    """Rows, columns and noisy values of cells drawn uniformly without replacement."""
    count = _checked_count(n_observed, truth.size)
    if not noise >= 0 or not np.isfinite(noise):
        raise InputError(f"noise must be a finite number of 0 or more; got {noise!r}.")
    # Drawn by cell, not by permuting all of them: large matrices are sparsely observed.
    cells = stream(seed, "completion", "sample").choice(
        truth.size, count, replace=False, shuffle=False
    )
    cells.sort()
    rows, columns = np.divmod(cells, truth.shape[1])
    draws = stream(seed, "completion", "noise").standard_normal(count)
    return rows, columns, truth[rows, columns] + noise * draws


def split_positions(n_cells: int, fraction: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the cells that are kept and that are held out, each ascending."""
    if not isinstance(fraction, float | int | np.number) or not 0 < fraction < 1:
        raise InputError(f"fraction must lie between 0 and 1, exclusive; got {fraction!r}.")
    if n_cells < 2:
        raise InputError("A problem with one observation cannot be split; it needs two.")
    n_held_out = min(max(round(float(fraction) * n_cells), 1), n_cells - 1)
    order = stream(seed, "completion", "split").permutation(n_cells)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def _checked_count(n_observed: Any, size: int) -> int:
    try:
        count = index(n_observed)
    except TypeError:
        raise InputError(f"n_observed must be an integer; got {n_observed!r}.") from None
    if not 1 <= count <= size:
        raise InputError(
            f"n_observed must lie between 1 and {size}, the number of cells; got {count}."
        )
    return count
