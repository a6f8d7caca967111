"""The job of ``factorflow complete``: hold out, fit, compare, fit again on all that is known."""

import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter

import numpy as np

from factorflow._errors import FactorflowWarning
from factorflow.cli._abstract_method import VALIDATION_FRACTION, AbstractMethod, Description
from factorflow.cli._baselines import baselines, psnr
from factorflow.cli._input import Image, Input
from factorflow.cli._interrupts import Interrupts
from factorflow.cli._progress import FitProgress
from factorflow.cli._test_entries import hold_out
from factorflow.convex import Certainty
from factorflow.estimators import (
    AbstractMatrixCompletion,
    AxisEffects,
    Effects,
    TensorCompletion,
    rmse,
)
from factorflow.problems import Completion
from factorflow.trajectories import Status

# In the warnings of the estimators; that it was interrupted is said at the end.
_INTERRUPTED = (Status.INTERRUPTED.sentence, Certainty.INTERRUPTED.sentence)


@dataclass(frozen=True)
class Fit:
    """A fitted estimator and what it tells of itself, its wall-clock seconds (compilation
    included) and its warnings."""

    model: AbstractMatrixCompletion | TensorCompletion
    told: Description
    seconds: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """A finished or interrupted job.

    ``fit`` is that of the training entries ``train``; ``final`` that of all observed entries,
    which is ``fit`` where none were held out, and None where nobody asked for it or the job was
    interrupted before its end.
    """

    source: Input
    method: AbstractMethod
    train: Completion
    test: Completion | None
    fit: Fit
    baselines: Mapping[str, Effects | AxisEffects]
    final: Fit | None
    interrupted: bool

    @cached_property
    def errors(self) -> dict[str, float]:
        """RMSE on the test entries, of the fit (``factorflow``) and of each baseline."""
        if self.test is None:
            return {}
        predicted = {"factorflow": self.method.predict(self.fit.model, self.test)}
        predicted |= {name: model.at(*self.test.indices) for name, model in self.baselines.items()}
        if self.is_image:  # as every output image is
            predicted = {name: np.clip(values, 0, 1) for name, values in predicted.items()}
        return {name: rmse(values, self.test.values) for name, values in predicted.items()}

    @property
    def psnr(self) -> dict[str, float]:
        """PSNR in decibels on the test pixels of an image, by the names of ``errors``."""
        return {name: psnr(error) for name, error in self.errors.items()} if self.is_image else {}

    @property
    def is_image(self) -> bool:
        return isinstance(self.source.layout, Image)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of the fits, those of the last one as they are."""
        if self.final is self.fit or self.test is None:
            return self.fit.warnings
        of_first = tuple(f"In the fit without the test entries: {t}" for t in self.fit.warnings)
        return of_first + (() if self.final is None else self.final.warnings)

    def completed(self) -> np.ndarray:
        """The array of the last finished fit with all observed entries as they are."""
        fit = self.fit if self.final is None else self.final
        array = fit.model.reconstruct()
        problem = self.source.problem
        array[problem.indices] = problem.values
        return array


def run(
    source: Input,
    method: AbstractMethod,
    test_fraction: float | None,
    needs_output: bool,
    interrupts: Interrupts,
    progress: FitProgress,
) -> Outcome:
    """Do the job; an interrupt in a fit ends it with what there is.

    Raises
    ------
    InputError
        If the method and the entries do not fit together.
    """
    train, test = hold_out(source, test_fraction, method.seed)
    everything = test is None or source.truth is not None
    final = None
    title = f"Fitting {train.n_observed:,} entries ({method.words}, biases {method.biases})"
    fit = _fitted(title, train, method, interrupts, progress)
    if everything:
        final = fit
    elif needs_output and not interrupts.asked:
        title = f"Fitting all {source.problem.n_observed:,} entries for the output"
        final = _fitted(title, _bare(source.problem), method, interrupts, progress)
    beaten = {}
    if test is not None:
        beaten = baselines(train, VALIDATION_FRACTION, method.seed)
    interrupted = interrupts.asked
    return Outcome(
        source, method, train, test, fit, beaten, None if interrupted else final, interrupted
    )


def _fitted(
    title: str,
    problem: Completion,
    method: AbstractMethod,
    interrupts: Interrupts,
    progress: FitProgress,
) -> Fit:
    def look(seen: dict) -> None:
        progress(seen)
        interrupts.between_steps(seen)

    model = method.estimator(look)
    began = perf_counter()
    waiting = interrupts.flow() if method.waits_for_steps else nullcontext()
    with warnings.catch_warnings(record=True) as caught, waiting:
        warnings.simplefilter("always", FactorflowWarning)
        progress.begin(title)
        model.fit(problem)
    seconds = perf_counter() - began
    texts = [str(each.message) for each in caught if each.category is FactorflowWarning]
    kept = tuple(text for text in texts if not any(told in text for told in _INTERRUPTED))
    return Fit(model, method.describe(model), seconds, kept)


def _bare(problem: Completion) -> Completion:
    return Completion(problem.shape, problem.indices, problem.values)
