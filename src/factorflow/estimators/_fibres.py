"""Entries of a tensor that are held out together."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from factorflow._errors import InputError
from factorflow._random import stream
from factorflow.problems import Completion


def fibre_axes(axes: Any, problem: Completion) -> tuple[int, ...]:
    """The axes along which entries are held out together, by what an estimator was given.

    ``"auto"`` gives the axes along which all entries are observed wherever one is, if that leaves
    two other axes or more; none else. None and no axis are single entries.

    Raises
    ------
    InputError
        If an axis is not of the problem, or none is left.
    """
    if isinstance(axes, str):
        whole = tuple(k for k in range(problem.order) if _is_whole_along(problem, k))
        return whole if problem.order - len(whole) >= 2 else ()
    order = problem.order
    given = () if axes is None else tuple(np.atleast_1d(axes).tolist())
    for axis in given:
        if not -order <= axis < order:
            raise InputError(f"validation_axes must lie in 0..{order - 1}; got {axis}.")
    chosen = {axis % order for axis in given}
    if len(chosen) == order:
        raise InputError(
            f"validation_axes has all {order} axes of the tensor, which leaves nothing to choose "
            "from; leave one out."
        )
    return tuple(sorted(chosen))


def split_fibres(
    problem: Completion, axes: Sequence[int], fraction: float, seed: int
) -> tuple[Completion, Completion]:
    """Entries to fit and held-out ones, those that differ along the axes alone together."""
    fibres = _fibres(problem, axes)
    known = np.unique(fibres)
    if not axes or len(known) < 2:
        return problem.split(fraction, seed)
    count = min(max(round(float(fraction) * len(known)), 1), len(known) - 1)
    chosen = stream(seed, "completion", "fibres").choice(known, count, replace=False)
    held_out = np.isin(fibres, chosen)
    return _part(problem, ~held_out), _part(problem, held_out)


def _is_whole_along(problem: Completion, axis: int) -> bool:
    n_fibres = len(np.unique(_fibres(problem, [axis])))
    return problem.shape[axis] > 1 and n_fibres * problem.shape[axis] == problem.n_observed


def _fibres(problem: Completion, axes: Sequence[int]) -> np.ndarray:
    """A number for each entry, the same where only the indices along the axes differ."""
    number = np.zeros(problem.n_observed, np.int64)
    for k, indices in enumerate(problem.indices):
        if k not in axes:
            # Numbered anew, so that no product of many sizes leaves the integers.
            number = np.unique(number * problem.shape[k] + indices, return_inverse=True)[1]
    return number


def _part(problem: Completion, kept: np.ndarray) -> Completion:
    indices = tuple(each[kept] for each in problem.indices)
    return Completion(problem.shape, indices, problem.values[kept], problem.labels, problem.truth)
