"""Deep matrix completion: its parameters, its runs and what they leave behind."""

import doctest
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from members import OBSERVED, SHAPE, TRUTH, X
from sklearn.model_selection import GridSearchCV

from factorflow import (
    Completion,
    DeepMatrixCompletion,
    FactorflowWarning,
    Gaussian,
    GradientDescent,
    GradientFlow,
    InputError,
    Status,
)
from factorflow.estimators import _deep_matrix_completion, fit_effects, rmse


def test_the_examples_of_the_docstring():
    failures, n_examples = doctest.testmod(_deep_matrix_completion)
    assert n_examples > 0
    assert failures == 0


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        *(("depth", value) for value in (0, -1, 1.5, "two", None, True)),
        *(("scale", value) for value in (0, -1, "a", np.nan, np.inf, None, True)),
        *(("widths", value) for value in ((), (3, 3), (0,), (2.5,), "wide", 4)),
        *(("stop", value) for value in ("never", None, 3)),
        *(("biases", value) for value in ("rows", None, ["global"])),
        *(("tol", value) for value in (0, -1e-3, np.nan, "a", np.inf)),
        *(("validation_fraction", value) for value in (0, 1, 1.5, -0.1, np.nan, None)),
        *(("patience", value) for value in (1, 0.5, np.nan, "long", np.inf)),
        *(("max_gradients", value) for value in (0, -1, 2.5, "many")),
        *(("init", value) for value in ("gaussian", 1e-3)),
        *(("dynamics", value) for value in ("flow", GradientFlow)),
        *(("progress", value) for value in ("bar", 1)),
        *(("random_state", value) for value in (-1, "x", 1.5, True, np.random.default_rng(0))),
    ],
)
@pytest.mark.parametrize("stop", ["validation", "interpolate"])
def test_a_bad_parameter_is_named(parameter, value, stop):
    model = DeepMatrixCompletion(stop=stop).set_params(**{parameter: value})
    with pytest.raises(InputError) as caught:
        model.fit(X)
    sentence = str(caught.value)
    assert parameter.split("_")[-1].rstrip("s") in sentence
    assert len(sentence) < 200
    assert not hasattr(model, "n_features_in_")


def test_an_integer_makes_the_start_and_none_is_zero():
    default = DeepMatrixCompletion(stop="interpolate").fit(X).reconstruct()
    for seed in (0, None, np.int64(0)):
        model = DeepMatrixCompletion(stop="interpolate", random_state=seed).fit(X)
        np.testing.assert_array_equal(model.reconstruct(), default)


def test_a_random_state_draws_the_integer():
    def two_fits():
        model = DeepMatrixCompletion(
            stop="interpolate",
            random_state=np.random.RandomState(4),
        )
        return model.fit(X).reconstruct(), model.fit(X).reconstruct()

    first, second = two_fits()
    assert not np.array_equal(first, second)
    for again, once in zip(two_fits(), (first, second), strict=True):
        np.testing.assert_array_equal(again, once)


def test_init_and_dynamics_take_the_place_of_the_defaults():
    default = DeepMatrixCompletion(stop="interpolate", scale=0.01).fit(X)
    given = DeepMatrixCompletion(
        stop="interpolate", init=Gaussian(0.01), dynamics=GradientFlow(rtol=1e-2)
    ).fit(X)
    np.testing.assert_array_equal(given.reconstruct(), default.reconstruct())


def test_hidden_widths_by_the_size_of_the_matrix():
    def widths(shape, **parameters):
        return DeepMatrixCompletion(**parameters)._widths(shape)

    assert widths((300, 200)) == (200,)
    assert widths((300, 201), depth=3) == (64, 64)
    assert widths((300, 201), widths=None) == (201,)
    assert widths((300, 201), depth=3, widths=[7, 300]) == (7, 300)
    assert widths((300, 201), depth=1) == ()


def test_a_rank_near_the_narrowest_width_is_told():
    with pytest.warns(FactorflowWarning, match="comes near the narrowest hidden width 2"):
        model = DeepMatrixCompletion(
            widths=(2,), stop="interpolate", biases="none", dynamics=GradientDescent(1.0), tol=1e-3
        ).fit(X)
    assert model.capped_
    assert model.widths_ == (2,)
    assert model.left_.shape == (20, 2)
    free = DeepMatrixCompletion(stop="interpolate").fit(X)
    assert not free.capped_
    assert free.widths_ == (15,)


@pytest.mark.parametrize("stop", ["validation", "interpolate"])
def test_the_limit_on_gradients_is_told(stop):
    with pytest.warns(FactorflowWarning, match=r"spent its gradients.*Raise max_gradients \(20\)"):
        model = DeepMatrixCompletion(stop=stop, max_gradients=20).fit(X)
    assert model.solution_.status is Status.GRADIENT_LIMIT
    assert np.isfinite(model.transform(X)).all()


def test_without_a_limit_the_run_ends_by_its_tolerance():
    model = DeepMatrixCompletion(stop="interpolate", max_gradients=None).fit(X)
    assert model.solution_.status is Status.TRAIN_ERROR


class Interrupt:
    """Ctrl-C at a step of a run."""

    def __init__(self, run, step):
        self.run, self.step = run, step
        self.runs, self.last = 0, np.inf

    def __call__(self, news):
        self.runs += news["step"] < self.last
        self.last = news["step"]
        if self.runs == self.run and news["step"] >= self.step:
            raise KeyboardInterrupt


def interrupted(run, **parameters):
    with pytest.warns(FactorflowWarning, match="was interrupted"):
        return DeepMatrixCompletion(progress=Interrupt(run, 20), **parameters).fit(X)


def test_an_interrupt_leaves_what_the_run_had_come_to():
    model = interrupted(1, stop="interpolate")
    assert model.solution_.status is Status.INTERRUPTED
    assert rmse(model.reconstruct()[OBSERVED], X[OBSERVED]) < np.nanstd(X)
    assert np.isfinite(model.transform(X)).all()


def test_an_interrupt_while_validating_leaves_the_best_point():
    model = interrupted(1)
    assert model.solution_.status is Status.INTERRUPTED
    assert model.validation_error_ == pytest.approx(float(model.path_["held_out_error"].min()))


def test_an_interrupt_while_fitting_again_leaves_the_validated_fit():
    model = interrupted(2)
    alone = DeepMatrixCompletion(refit=False).fit(X)
    np.testing.assert_array_equal(model.reconstruct(), alone.reconstruct())
    assert model.n_gradients_ > alone.n_gradients_


def test_progress_hears_of_the_run():
    news = []
    DeepMatrixCompletion(stop="interpolate", progress=news.append).fit(X)
    assert news[-1]["train_error"] <= 1e-6 < news[0]["train_error"]


def test_the_validation_error_is_that_of_the_held_out_entries():
    model = DeepMatrixCompletion(refit=False, validation_fraction=0.2, random_state=3).fit(X)
    _, held_out = Completion.from_array(X).split(0.2, seed=3)
    error = rmse(model.predict(held_out.rows, held_out.columns), held_out.values)
    assert model.validation_error_ == pytest.approx(error)
    assert model.validation_error_ == pytest.approx(float(model.path_["held_out_error"].min()))


def test_all_entries_are_fitted_again_as_closely():
    first = DeepMatrixCompletion(refit=False).fit(X)
    model = DeepMatrixCompletion().fit(X)
    assert model.validation_error_ == first.validation_error_
    assert model.n_gradients_ > first.n_gradients_
    assert model.solution_.train_error <= max(first.solution_.train_error, model.tol)
    assert DeepMatrixCompletion(stop="interpolate").fit(X).validation_error_ is None


@pytest.mark.parametrize("stop", ["validation", "interpolate"])
def test_the_path_is_in_the_units_of_the_values(stop):
    model = DeepMatrixCompletion(stop=stop, refit=False).fit(100 * X)
    path, low_rank = model.path_, model.left_ @ model.right_
    best = int(np.argmin(path["held_out_error"].values)) if stop == "validation" else -1
    singular_values = np.linalg.svd(low_rank, compute_uv=False)
    np.testing.assert_allclose(path["singular_values"][best], singular_values, atol=1e-6)
    assert float(path["nuclear_norm"][best]) == pytest.approx(singular_values.sum())
    assert float(path["train_loss"][best]) == pytest.approx(float(path["train_error"][best]) / 2)
    if stop == "interpolate":
        errors = (100 * X - model.reconstruct())[OBSERVED]
        assert float(path["train_error"][-1]) == pytest.approx(np.mean(errors**2))
        p = singular_values[singular_values > 0] / singular_values.sum()
        assert model.effective_rank_ == pytest.approx(np.exp(-np.sum(p * np.log(p))))


def test_a_truth_that_the_problem_knows_has_no_influence():
    problem = Completion(SHAPE, np.nonzero(OBSERVED), X[OBSERVED], truth=TRUTH)
    model = DeepMatrixCompletion(stop="interpolate").fit(problem)
    np.testing.assert_array_equal(
        model.reconstruct(), DeepMatrixCompletion(stop="interpolate").fit(X).reconstruct()
    )
    assert "reconstruction_error" not in model.path_


@pytest.mark.filterwarnings("ignore::factorflow._errors.FactorflowWarning")
@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (1, 1)])
def test_one_row_and_one_column(shape):
    data = np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape)
    if data.size > 1:
        data.ravel()[2] = np.nan
    model = DeepMatrixCompletion(stop="interpolate", dynamics=GradientDescent(0.5), tol=1e-4)
    completed = model.fit_transform(data)
    observed = ~np.isnan(data)
    np.testing.assert_array_equal(completed[observed], data[observed])
    assert np.isfinite(completed).all()
    assert np.isfinite(model.transform(data)).all()
    assert np.isfinite(model.score(data))


def test_one_observation_is_fitted_by_the_mean():
    data = np.full(SHAPE, np.nan)
    data[3, 4] = 7.0
    with pytest.warns(FactorflowWarning, match="without any observation"):
        completed = DeepMatrixCompletion().fit_transform(data)
    np.testing.assert_array_equal(completed, 7.0)


def test_a_search_over_depth_and_scale():
    search = GridSearchCV(
        DeepMatrixCompletion(stop="interpolate", dynamics=GradientDescent(0.5), tol=1e-3),
        {"depth": [1, 2], "scale": [1e-3, 1e-2]},
        cv=2,
        error_score="raise",
    ).fit(X)
    # The matrix itself learns nothing of entries that it does not see.
    assert search.best_params_["depth"] == 2
    assert search.best_score_ > -np.nanstd(X) / 2
    assert np.isfinite(search.transform(X)).all()


def test_large_sparse_data_are_never_made_dense():
    shape, n_observed = (1500, 20_000), 50_000
    rng = np.random.default_rng(0)
    cells = rng.choice(shape[0] * shape[1], n_observed, replace=False)
    values = rng.normal(size=n_observed)
    data = scipy.sparse.coo_array((values, np.divmod(cells, shape[1])), shape=shape)
    model = DeepMatrixCompletion(
        widths=(8,), stop="interpolate", dynamics=GradientDescent(1.0), max_gradients=4
    )
    tracemalloc.start()
    with pytest.warns(FactorflowWarning):
        model.fit(data)
    assert model.score(data) < 0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert model.solution_.route == "entries"
    dense, factors = (8 * size for size in (shape[0] * shape[1], 8 * sum(shape)))
    assert factors < peak < dense / 2


def test_a_frame_with_rows_of_the_same_name_is_completed():
    frame = pd.DataFrame(X, index=["same"] * SHAPE[0])
    model = DeepMatrixCompletion(stop="interpolate").fit(frame)
    with pytest.raises(InputError, match="'same' stands for more than one row"):
        model.predict("same", 0)
    assert np.isfinite(model.reconstruct()).all()


def test_stored_elements_that_cannot_be_observed_are_refused():
    twice = scipy.sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(2, 2))
    with pytest.raises(InputError, match="given more than once"):
        DeepMatrixCompletion().fit(twice)
    missing = scipy.sparse.csr_array(np.array([[1.0, np.nan], [2.0, 3.0]]))
    with pytest.raises(InputError, match="missing"):
        DeepMatrixCompletion().fit(missing)


def test_the_biases_of_the_second_fit_stand_beside_the_low_rank_part_of_the_first():
    rng = np.random.default_rng(4)
    level = rng.normal(size=(20, 1)) + rng.normal(size=(1, 15))
    noisy = level + TRUTH + 0.3 * rng.normal(size=SHAPE)
    data = np.where(rng.random(SHAPE) < 0.7, noisy, np.nan)
    settings = {"biases": "rows+columns", "validation_fraction": 0.2, "random_state": 2}
    first = DeepMatrixCompletion(refit=False, **settings).fit(data)
    second = DeepMatrixCompletion(**settings).fit(data)
    problem = Completion.of(data)
    cells = problem.rows, problem.columns
    low_rank = (first.left_ @ first.right_)[cells]
    left_over = problem.with_values(problem.values - low_rank)
    wanted = fit_effects(left_over, "rows+columns", second.effects_.damping)
    np.testing.assert_allclose(second.effects_.matrix(), wanted.matrix(), atol=1e-12)
    # Down to the train error of the first, whatever the biases leave, and not far below.
    train, _ = problem.split(0.2, seed=2)
    reached = np.mean((first.reconstruct()[train.rows, train.columns] - train.values) ** 2)
    error = np.mean((second.reconstruct()[cells] - problem.values) ** 2)
    assert 0.5 * reached < error < 1.01 * reached
