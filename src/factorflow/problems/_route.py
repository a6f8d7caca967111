"""Which way of computing the loss of a completion is the faster one."""

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import jax
import numpy as np

from factorflow._errors import InputError


class _Cost(NamedTuple):
    """Nanoseconds of a call, of a visited cell, and of a cell times width."""

    call: float
    cell: float
    cell_width: float


# Fitted to timed gradients (two cores with AVX-512) between 100 x 100 and 6040 x 3706, widths 10
# to 1000; only their ratios matter.
_DENSE = _Cost(call=0.0, cell=2.0, cell_width=0.062)
_ENTRIES = {
    "numba": _Cost(call=150_000.0, cell=2.5, cell_width=0.35),
    "gather": _Cost(call=0.0, cell=20.0, cell_width=7.0),
}


def choose_route(
    shape: tuple[int, int], width: int | None, n_observed: int, kernel: str = "numba"
) -> str:
    """The cheaper route, ``"dense"`` or ``"entries"``, by a model of their costs.

    Both routes multiply the factors up to the two halves ``(m, w)`` and ``(w, n)``; what differs
    is the rest of a gradient. The dense route takes three matrix products and a few passes over
    the matrix, ``m n (a w + b)``; the route by entries visits every observation three times,
    ``c + p (d w + e)``, where `c` is the price of leaving JAX. An entry costs about six times as
    much as a cell of a matrix product, so that narrow halves of large, sparsely observed matrices
    go by entries, and small or densely observed ones do not. A tensor counts as the matrix that
    its halves multiply to.

    Parameters
    ----------
    shape
        ``(m, n)`` of the product of the halves.
    width
        `w` of the halves; None where there are no halves (depth 1), which is always dense.
    n_observed
        Number `p` of observed cells.
    kernel
        How entries would be visited, ``"numba"`` or ``"gather"``.
    """
    if width is None:
        return "dense"
    entries = _ENTRIES[kernel]
    by_matrix = shape[0] * shape[1] * (_DENSE.cell + _DENSE.cell_width * width)
    by_entries = entries.call + n_observed * (entries.cell + entries.cell_width * width)
    return "entries" if by_entries < by_matrix else "dense"


def check_route(route: str, routes: tuple[str, ...]) -> None:
    """Refuse a route that a problem does not have."""
    if route not in routes:
        raise InputError(f"route must be one of {', '.join(routes)}; got {route!r}.")


class Halves(NamedTuple):
    """Shape of the product of the halves of a factorization, and their width, None without any."""

    shape: tuple[int, int]
    width: int | None


@lru_cache  # asked at the start of every run
def shape_of_halves(factorization: Any, shape: tuple[int, ...]) -> Halves:
    """How a factorization cuts an unknown of this shape in two."""
    factors = tuple(jax.ShapeDtypeStruct(each, np.float64) for each in factorization.shapes(shape))
    try:
        left, right = jax.eval_shape(factorization.halves, factors)
    except (InputError, AttributeError):
        return Halves((shape[0], prod(shape[1:])), None)
    return Halves((left.shape[0], right.shape[1]), left.shape[1])
