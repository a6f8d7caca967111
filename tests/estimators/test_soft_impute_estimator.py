"""Soft-impute as an estimator: its parameters, the choice of the weight and new rows."""

import doctest

import numpy as np
import pytest
from members import OBSERVED, SHAPE, TRUTH, X
from sklearn.model_selection import GridSearchCV

from factorflow import Completion, FactorflowWarning, InputError, SoftImpute, soft_impute
from factorflow.convex import Certainty
from factorflow.estimators import _soft_impute, fit_effects, rmse

NOISY = np.where(OBSERVED, TRUTH + 0.5 * np.random.default_rng(1).normal(size=SHAPE), np.nan)


def test_the_examples_of_the_docstring():
    failures, n_examples = doctest.testmod(_soft_impute)
    assert n_examples > 0
    assert failures == 0


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        *(("weight", value) for value in (0, -1, "a", np.nan, np.inf, True)),
        *(("n_weights", value) for value in (0, 2.5, None, True)),
        *(("biases", value) for value in ("rows", None)),
        *(("damping", value) for value in (1.0, (0, 1), "ab", (1, 2, 3))),
        *(("validation_fraction", value) for value in (0, 1, None)),
        *(("patience", value) for value in (0, 1.5, "long")),
        *(("max_rank", value) for value in (0, 1.5, "low")),
        *(("tol", value) for value in (0, 1, np.nan, None)),
        *(("max_sweeps", value) for value in (0, None)),
        *(("random_state", value) for value in (-1, "x")),
        *(("progress", value) for value in ("bar", 1)),
    ],
)
def test_a_bad_parameter_is_named(parameter, value):
    model = SoftImpute().set_params(**{parameter: value})
    with pytest.raises(InputError, match=parameter):
        model.fit(X)
    assert not hasattr(model, "n_features_in_")


def test_a_weight_that_is_given_is_solved_for_all_entries():
    model = SoftImpute(weight=1.5, tol=1e-8).fit(NOISY)
    problem = Completion.of(NOISY)
    mean = problem.values.mean()
    alone = soft_impute(problem.with_values(problem.values - mean), 1.5, tol=1e-8)
    np.testing.assert_allclose(model.reconstruct(), mean + alone.matrix(), atol=1e-10)
    assert model.weight_ == 1.5
    assert model.validation_error_ is None
    assert model.rank_ == alone.ranks[0] == model.left_.shape[1]
    assert model.gap_ == pytest.approx(alone.gaps[0], abs=1e-12)
    assert model.gap_ <= 1e-8
    assert model.status_ is Certainty.CERTIFIED


@pytest.mark.parametrize("biases", ["none", "global", "rows+columns"])
def test_the_weight_is_chosen_on_held_out_entries(biases):
    model = SoftImpute(biases=biases, refit=False, validation_fraction=0.2, random_state=3)
    model.fit(NOISY)
    _, held_out = Completion.of(NOISY).split(0.2, seed=3)
    error = rmse(model.predict(held_out.rows, held_out.columns), held_out.values)
    assert model.validation_error_ == pytest.approx(error)
    assert model.validation_error_ == pytest.approx(model.path_.held_out_errors.min())
    assert model.weight_ == model.path_.weight


def test_all_entries_are_fitted_again_at_the_weight():
    model = SoftImpute(validation_fraction=0.2, tol=1e-7).fit(NOISY)
    again = SoftImpute(model.weight_, tol=1e-7).fit(NOISY)
    assert rmse(model.reconstruct(), again.reconstruct()) < 1e-3
    assert model.validation_error_ is not None
    first = SoftImpute(validation_fraction=0.2, tol=1e-7, refit=False).fit(NOISY)
    assert model.weight_ == first.weight_
    assert not np.allclose(model.reconstruct(), first.reconstruct())


def test_noise_is_smoothed_away():
    model = SoftImpute().fit(NOISY)
    assert rmse(model.reconstruct(), TRUTH) < 0.5
    assert 0 < model.weight_ < model.path_.weights[0]


def test_new_rows_are_fitted_under_the_same_penalty():
    model = SoftImpute(weight=2.0, biases="none", tol=1e-10).fit(NOISY)
    np.testing.assert_allclose(model.predict(NOISY), model.reconstruct(), atol=1e-4)
    row = np.random.default_rng(5).normal(size=SHAPE[1])
    seen = row.copy()
    seen[[0, 4, 9]] = np.nan
    there = ~np.isnan(seen)
    basis = model.right_[:, there]
    gram = basis @ basis.T + 2.0 * np.eye(model.rank_)
    wanted = np.linalg.solve(gram, basis @ row[there]) @ model.right_
    np.testing.assert_allclose(model.predict(seen[None])[0], wanted, atol=1e-10)


def test_limits_are_told():
    with pytest.warns(FactorflowWarning, match="held down by max_rank"):
        model = SoftImpute(weight=0.5, max_rank=2).fit(NOISY)
    assert model.rank_ == 2
    assert model.status_ is Certainty.RANK_LIMIT
    with pytest.warns(FactorflowWarning, match="iterations were spent"):
        SoftImpute(weight=0.5, max_sweeps=1, tol=1e-9).fit(NOISY)


def test_an_interrupt_leaves_the_best_weight_so_far():
    def interrupt(news):
        if news["step"] == 20:
            raise KeyboardInterrupt

    with pytest.warns(FactorflowWarning, match="was interrupted"):
        model = SoftImpute(progress=interrupt).fit(X)
    assert model.path_.interrupted
    assert model.weight_ == model.path_.weights[-1]  # exactly low rank: the smaller the better
    assert np.isfinite(model.transform(X)).all()


def test_an_interrupt_of_the_second_fit_leaves_the_first():
    steps = []
    alone = SoftImpute(refit=False, progress=steps.append).fit(NOISY)

    def interrupt(news):
        seen.append(news)
        if len(seen) > len(steps):
            raise KeyboardInterrupt

    seen = []
    with pytest.warns(FactorflowWarning, match="was interrupted"):
        model = SoftImpute(progress=interrupt).fit(NOISY)
    np.testing.assert_array_equal(model.reconstruct(), alone.reconstruct())
    assert model.status_ is Certainty.INTERRUPTED


@pytest.mark.parametrize("weight", [None, 1.0])
def test_biases_that_leave_nothing(weight):
    data = np.where(OBSERVED, 3.0, np.nan)
    model = SoftImpute(weight).fit(data)
    assert model.rank_ == 0
    assert model.weight_ == np.inf
    assert model.path_ is None
    assert model.gap_ == 0


def test_a_weight_that_leaves_the_biases_alone():
    problem = Completion.of(NOISY)
    model = SoftImpute(weight=1e3, biases="rows+columns").fit(NOISY)
    assert model.rank_ == 0
    effects = fit_effects(problem, "rows+columns", model.effects_.damping)
    np.testing.assert_allclose(model.reconstruct(), effects.matrix(), atol=1e-8)
    assert np.isfinite(model.transform(NOISY)).all()
    assert model.path_.statuses == (Certainty.CERTIFIED,)


@pytest.mark.filterwarnings("ignore::factorflow._errors.FactorflowWarning")
@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (1, 1)])
@pytest.mark.parametrize("biases", ["none", "global", "rows+columns"])
def test_one_row_and_one_column(shape, biases):
    data = np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape)
    if data.size > 1:
        data.ravel()[2] = np.nan
    model = SoftImpute(biases=biases)
    completed = model.fit_transform(data)
    observed = ~np.isnan(data)
    np.testing.assert_array_equal(completed[observed], data[observed])
    assert np.isfinite(completed).all()
    assert np.isfinite(model.transform(data)).all()
    assert np.isfinite(model.score(data))


def test_a_search_over_weights():
    search = GridSearchCV(SoftImpute(), {"weight": [0.5, 3.0, 1e3]}, cv=2, error_score="raise")
    search.fit(NOISY)
    assert search.best_params_["weight"] < 1e3


def test_effects_stand_beside_the_low_rank_part():
    """New rows too: those of the training data get their own reconstruction."""
    given = {"weight": 1.5, "biases": "rows+columns", "damping": (2.0, 4.0), "tol": 1e-10}
    model = SoftImpute(**given).fit(NOISY)
    problem = Completion.of(NOISY)
    centred = problem.with_values(problem.values - problem.values.mean())
    path = soft_impute(centred, 1.5, damping=(2.0, 4.0), tol=1e-10)
    rows, columns = path.effects
    wanted = problem.values.mean() + rows[:, None] + columns + path.matrix()
    np.testing.assert_allclose(model.reconstruct(), wanted, atol=1e-10)
    assert model.effects_.damping == (2.0, 4.0)
    np.testing.assert_allclose(model.predict(NOISY), model.reconstruct(), atol=1e-4)
