"""Results of runs as an array with named dimensions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from factorflow.experiments._case import AbstractCase


def tabulate(
    results: Mapping[Any, Mapping[str, Any]],
    quantities: Sequence[str],
    **axes: Callable[[Any], Any],
) -> xr.Dataset:
    """Numbers of results over dimensions that are read off their cases.

    Parameters
    ----------
    results
        For each case what its run gave.
    quantities
        Names of numbers in every result; they become the variables.
    axes
        For each dimension the function of a case that gives its coordinate. Coordinates come in
        their order of appearance; combinations without a case are NaN.

    Examples
    --------
    >>> tabulate(results, ["relative_error"], depth=lambda c: c.depth,
    ...          instance=lambda c: c.instance)  # doctest: +SKIP
    """
    places = {case: tuple(axis(case) for axis in axes.values()) for case in results}
    coordinates = [_in_order(place[i] for place in places.values()) for i in range(len(axes))]
    tables = {name: np.full([len(each) for each in coordinates], np.nan) for name in quantities}
    for case, place in places.items():
        index = tuple(each.index(at) for each, at in zip(coordinates, place, strict=True))
        for name in quantities:
            tables[name][index] = results[case][name]
    return xr.Dataset(
        {name: (tuple(axes), table) for name, table in tables.items()},
        coords=dict(zip(axes, coordinates, strict=True)),
    )


def of_kind(results: Mapping[Any, Any], kind: type[AbstractCase], **fields: Any) -> dict:
    """Those results whose case is of a class and has the given fields."""
    return {
        case: result
        for case, result in results.items()
        if isinstance(case, kind)
        and all(getattr(case, name) == value for name, value in fields.items())
    }


def _in_order(values: Iterable[Any]) -> list:
    return list(dict.fromkeys(values))
