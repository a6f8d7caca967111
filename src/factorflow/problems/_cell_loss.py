"""The loss of observed cells by the route that is asked for."""

from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow.problems._by_entries import EntriesLoss, default_kernel
from factorflow.problems._cell_functions import AbstractCellFunction
from factorflow.problems._dense import DenseLoss
from factorflow.problems._entrywise_loss import EntrywiseLoss
from factorflow.problems._numbers import Indices
from factorflow.problems._route import check_route, choose_route, shape_of_halves


def loss_of_cells(
    factorization: Any,
    shape: tuple[int, ...],
    indices: Indices,
    values: np.ndarray,
    route: str,
) -> DenseLoss | EntriesLoss:
    """Mean over cells, which are sorted, of half the squared residual.

    Raises
    ------
    InputError
        If the route is unknown, or is ``"entries"`` and the factorization has no halves.
    """
    check_route(route, ("auto", "dense", "entries"))
    halves = shape_of_halves(factorization, shape)
    if route == "auto":
        route = choose_route(*halves, len(values), default_kernel())
    if route == "entries":
        if halves.width is None:
            raise InputError(
                'route="entries" needs a factorization in two halves (depth 2 or more); '
                f'{factorization!r} has none. Use route="dense".'
            )
        return EntriesLoss(factorization, shape, indices, values)
    return DenseLoss(factorization, *_grids(shape, indices, values), len(values))


def entrywise_loss_of_cells(
    factorization: Any,
    function: AbstractCellFunction,
    shape: tuple[int, ...],
    indices: Indices,
    values: np.ndarray,
    route: str,
) -> EntrywiseLoss:
    """Mean over cells of a function of the entry and the value.

    Raises
    ------
    InputError
        If the route is neither ``"auto"`` nor ``"dense"``.
    """
    check_route(route, ("auto", "dense"))
    grids = _grids(shape, indices, values)
    return EntrywiseLoss(factorization, function, *grids, len(values))


def _grids(shape, indices, values) -> tuple[np.ndarray, np.ndarray]:
    """Values, 0 where there is none, and which are observed, both of the shape."""
    dense, observed = np.zeros(shape), np.zeros(shape, bool)
    dense[indices] = values
    observed[indices] = True
    return dense, observed
