"""Random choices of cells: which are observed, and which are held out."""

from operator import index
from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow._random import stream
from factorflow.problems._grid import as_grid, grid_cells
from factorflow.problems._numbers import cell_name

_ROUNDING = 1e-12  # of the largest entry: what computing a symmetric matrix may leave


def checked_truth(truth: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """A finite float64 copy of a full array, of the given shape if there is one."""
    given = as_grid(truth, "truth")
    if shape is not None and given.shape != shape:
        raise InputError(f"truth must have the shape of the problem, {shape}; got {given.shape}.")
    if given.dtype == np.float64:
        _refuse_gaps(given)
        return given.copy()
    *_, values = grid_cells(given, np.ones(given.shape, bool))
    return values.reshape(given.shape)


def _refuse_gaps(truth: np.ndarray) -> None:
    if not np.isfinite(truth).all():
        cell = tuple(np.argwhere(~np.isfinite(truth))[0])
        name = cell_name(cell, (None,) * truth.ndim)
        raise InputError(
            f"truth must be finite everywhere; {name} is {truth[cell]}. "
            "An array with gaps is a problem itself: Completion.from_array(X)."
        )


def sampled_cells(truth: np.ndarray, n_observed: Any, noise: float, seed: int):
    """Indices and noisy values of cells drawn uniformly without replacement."""
    count = checked_count(n_observed, "n_observed", truth.size)
    indices = np.unravel_index(chosen_cells(truth.size, count, seed), truth.shape)
    return indices, truth[indices] + noise_of(noise, count, seed, "completion")


def sampled_pairs(truth: np.ndarray, n_pairs: Any, noise: float, seed: int, diagonal: bool):
    """Indices and noisy values of both cells of pairs, drawn without replacement."""
    _refuse_asymmetry(truth)
    above = np.triu_indices(len(truth), 0 if diagonal else 1)
    if not len(above[0]):
        raise InputError("A 1 x 1 matrix has no pair off its diagonal; take diagonal=True.")
    count = checked_count(n_pairs, "n_pairs", len(above[0]), "pairs")
    chosen = chosen_cells(len(above[0]), count, seed)
    rows, columns = above[0][chosen], above[1][chosen]
    values = truth[rows, columns] + noise_of(noise, count, seed, "completion")
    off = rows != columns  # a cell of the diagonal is its own transpose
    indices = np.concatenate([rows, columns[off]]), np.concatenate([columns, rows[off]])
    return indices, np.concatenate([values, values[off]])


def _refuse_asymmetry(truth: np.ndarray) -> None:
    if truth.ndim != 2 or truth.shape[0] != truth.shape[1]:
        raise InputError(f"truth must be square and symmetric; it has the shape {truth.shape}.")
    gaps = np.abs(truth - truth.T)
    if gaps.max() > _ROUNDING * np.abs(truth).max():
        row, column = np.unravel_index(np.argmax(gaps), gaps.shape)
        raise InputError(
            f"truth must be symmetric; row {row}, column {column} is {truth[row, column]}, its "
            f"transpose {truth[column, row]}. Its symmetric part is (truth + truth.T) / 2."
        )


def chosen_cells(size: int, count: int, seed: int) -> np.ndarray:
    """Ascending numbers of cells, drawn uniformly from ``size`` of them without replacement."""
    draws = stream(seed, "completion", "sample")
    # By cell, not by permuting all of them: large matrices are sparsely observed.
    return np.sort(draws.choice(size, count, replace=False, shuffle=False))


def noise_of(deviation: float, count: int, seed: int, problem: str) -> np.ndarray:
    """Gaussian noise of a kind of problem, from a stream of its own."""
    if not deviation >= 0 or not np.isfinite(deviation):
        raise InputError(f"noise must be a finite number of 0 or more; got {deviation!r}.")
    return deviation * stream(seed, problem, "noise").standard_normal(count)


def split_positions(n_cells: int, fraction: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the cells that are kept and that are held out, each ascending."""
    if not isinstance(fraction, float | int | np.number) or not 0 < fraction < 1:
        raise InputError(f"fraction must lie between 0 and 1, exclusive; got {fraction!r}.")
    if n_cells < 2:
        raise InputError("A problem with one observation cannot be split; it needs two.")
    n_held_out = min(max(round(float(fraction) * n_cells), 1), n_cells - 1)
    order = stream(seed, "completion", "split").permutation(n_cells)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def checked_count(given: Any, name: str, most: int | None = None, of: str = "cells") -> int:
    """An integer of 1 or more, and of at most the number of cells if that is given."""
    try:
        count = index(given)
    except TypeError:
        raise InputError(f"{name} must be an integer; got {given!r}.") from None
    if most is not None and not 1 <= count <= most:
        raise InputError(f"{name} must lie between 1 and {most}, the number of {of}; got {count}.")
    if count < 1:
        raise InputError(f"{name} must be 1 or more; got {count}.")
    return count
