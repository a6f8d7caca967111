"""Completion by the smallest nuclear norm as an estimator."""

import doctest

import numpy as np
import pytest
from members import OBSERVED, SHAPE, TRUTH, X

from factorflow import Completion, FactorflowWarning, InputError, NuclearNormCompletion
from factorflow.convex import Certainty
from factorflow.estimators import _nuclear_norm_completion, rmse

NOISY = np.where(OBSERVED, TRUTH + 0.1 * np.random.default_rng(1).normal(size=SHAPE), np.nan)


def test_the_examples_of_the_docstring():
    failures, n_examples = doctest.testmod(_nuclear_norm_completion)
    assert n_examples > 0
    assert failures == 0


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        *(("noise", value) for value in (-1, "a", np.nan, np.inf, True, False, None)),
        *(("tol", value) for value in (0, 1, np.nan, None)),
        *(("biases", value) for value in ("rows", None)),
        *(("validation_fraction", value) for value in (0, 1, None)),
        *(("max_iterations", value) for value in (0, 1.5, None)),
        *(("random_state", value) for value in (-1, "x")),
        *(("progress", value) for value in ("bar", 1)),
    ],
)
def test_a_bad_parameter_is_named(parameter, value):
    model = NuclearNormCompletion().set_params(**{parameter: value})
    with pytest.raises(InputError, match=parameter):
        model.fit(X)
    assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize("biases", ["none", "global"])
def test_no_completion_has_a_smaller_nuclear_norm(biases):
    model = NuclearNormCompletion(biases=biases).fit(X)
    fitted = model.reconstruct() - model.effects_.matrix()
    least = np.linalg.norm(fitted, "nuc")
    assert model.nuclear_norm_ == pytest.approx(least)
    assert model.gap_ <= 1e-6
    assert model.status_ is Certainty.CERTIFIED
    hidden = np.argwhere(~OBSERVED)
    for i, j in hidden[:10]:
        for change in (-0.1, 0.1):
            other = fitted.copy()
            other[i, j] += change
            assert np.linalg.norm(other, "nuc") > least * (1 - 1e-6)


def test_the_units_of_the_noise_are_those_of_the_values():
    for unit in (1.0, 1e3):
        model = NuclearNormCompletion(noise=0.1 * unit).fit(unit * NOISY)
        errors = (unit * NOISY - model.reconstruct())[OBSERVED]
        # A smaller norm is paid for with all of the error that is allowed.
        assert rmse(errors, np.zeros_like(errors)) == pytest.approx(0.1 * unit, rel=1e-2)
    assert rmse(model.reconstruct() / unit, TRUTH) < 0.2


def test_noise_above_the_deviation_leaves_the_mean():
    model = NuclearNormCompletion(noise=100.0).fit(NOISY)
    np.testing.assert_allclose(model.reconstruct(), np.nanmean(NOISY))
    assert model.rank_ == 0
    assert model.nuclear_norm_ == 0
    assert np.isfinite(model.transform(NOISY)).all()


def test_the_limit_on_iterations_is_told():
    with pytest.warns(FactorflowWarning, match="iterations were spent"):
        model = NuclearNormCompletion(max_iterations=5).fit(X)
    assert model.n_iterations_ == 5
    assert model.gap_ > 1e-6
    assert model.status_ is Certainty.ITERATION_LIMIT


def test_an_interrupt_leaves_what_it_had_come_to():
    def interrupt(news):
        raise KeyboardInterrupt

    with pytest.warns(FactorflowWarning, match="was interrupted"):
        model = NuclearNormCompletion(progress=interrupt).fit(X)
    assert model.status_ is Certainty.INTERRUPTED
    assert np.isfinite(model.transform(X)).all()


def test_biases_that_leave_nothing():
    model = NuclearNormCompletion().fit(np.where(OBSERVED, 3.0, np.nan))
    assert model.rank_ == model.n_iterations_ == 0
    assert model.nuclear_norm_ == model.gap_ == 0
    assert model.status_ is Certainty.CERTIFIED


def test_a_completion_goes_in_as_its_array():
    model = NuclearNormCompletion().fit(Completion.of(X))
    np.testing.assert_array_equal(model.reconstruct(), NuclearNormCompletion().fit(X).reconstruct())


@pytest.mark.filterwarnings("ignore::factorflow._errors.FactorflowWarning")
@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (1, 1)])
def test_one_row_and_one_column(shape):
    data = np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape)
    if data.size > 1:
        data.ravel()[2] = np.nan
    model = NuclearNormCompletion(biases="rows+columns")
    completed = model.fit_transform(data)
    observed = ~np.isnan(data)
    np.testing.assert_array_equal(completed[observed], data[observed])
    assert np.isfinite(completed).all()
    assert np.isfinite(model.transform(data)).all()
