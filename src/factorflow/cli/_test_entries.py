"""The test entries: known, and never shown to a fit."""

import numpy as np

from factorflow._errors import InputError
from factorflow._random import stream
from factorflow.cli._input import Image, Input
from factorflow.estimators import fibre_axes, split_fibres
from factorflow.problems import Completion

DEFAULT_FRACTION = 0.1


def hold_out(
    source: Input, fraction: float | None, seed: int
) -> tuple[Completion, Completion | None]:
    """Training entries, and test entries if there are any, both without labels and truth.

    The test entries are the hidden pixels of an image, else a random share of the observed
    entries: ``split(fraction, seed)``. Entries that are missing together are tested together: of
    an image whole pixels, drawn from the stream ``(seed, "image", "test")``, and of an array of
    more than two axes whole fibres, as ``TensorCompletion`` holds them out. What is left has whole
    fibres too, so that the estimator sees the same of it.

    Raises
    ------
    InputError
        If there are too few entries to hold any out.
    """
    given = source.problem
    problem = Completion(given.shape, given.indices, given.values)
    if source.truth is not None:
        return problem, Completion.from_array(source.truth, observed=~problem.observed)
    fraction = DEFAULT_FRACTION if fraction is None else fraction
    if fraction == 0:
        return problem, None
    if problem.n_observed < 2:
        raise InputError(
            f"{source.source} has one observed entry, which cannot be tested on too; "
            "give --test-fraction 0."
        )
    if isinstance(source.layout, Image):
        return _split_pixels(problem, source.layout, fraction, seed)
    if problem.order > 2:
        return split_fibres(problem, fibre_axes("auto", problem), fraction, seed)
    return problem.split(fraction, seed)


def _split_pixels(
    problem: Completion, layout: Image, fraction: float, seed: int
) -> tuple[Completion, Completion | None]:
    rows, columns = problem.indices[:2]  # of an unfolding the colours stand side by side
    pixels = rows * layout.width + columns % layout.width
    known = np.unique(pixels)
    if len(known) < 2:
        raise InputError("One pixel cannot be tested on too; give --test-fraction 0.")
    count = min(max(round(fraction * len(known)), 1), len(known) - 1)
    chosen = stream(seed, "image", "test").choice(known, count, replace=False)
    tested = np.isin(pixels, chosen)
    return _part(problem, ~tested), _part(problem, tested)


def _part(problem: Completion, kept: np.ndarray) -> Completion:
    indices = tuple(each[kept] for each in problem.indices)
    return Completion(problem.shape, indices, problem.values[kept])
